//! Binding requests: what is my address (RFC 8489 §12), and how does my NAT behave (RFC 5780 §6.1).

use std::net::SocketAddr;

use super::refusal::Refusal;
use super::settings::Listener;
use super::{Client, Now, Output, Server, Via, respond};
use crate::stun::{Class, Message, Seal, attr};

/// The longest PADDING that is sent back.
const MAX_PADDING: usize = 1500;

/// What of RFC 5780 a request asks for.
struct Discovery {
    change_address: bool,
    change_port: bool,
    response_port: Option<u16>,
    padding: usize,
}

impl Discovery {
    fn read(message: &Message<'_>) -> Result<Self, Refusal> {
        let change = message.get(attr::CHANGE_REQUEST).unwrap_or(0);
        let response_port = message.get(attr::RESPONSE_PORT);
        let padding = message.get(attr::PADDING).map(<[u8]>::len);
        // RFC 5780 §6.1: the two together could be used against others.
        if response_port.is_some() && padding.is_some() {
            return Err(Refusal::bad_request(""));
        }
        Ok(Self {
            change_address: change & attr::CHANGE_IP != 0,
            change_port: change & attr::CHANGE_PORT != 0,
            response_port,
            padding: padding.unwrap_or(0).min(MAX_PADDING),
        })
    }

    /// The listener to answer from; `None` if there is none such.
    fn answer_from(&self, at: usize, listener: &Listener) -> Option<usize> {
        match (self.change_address, self.change_port) {
            (false, false) => Some(at),
            (false, true) => listener.other_port,
            (true, false) => listener.other_address,
            (true, true) => listener.other_both,
        }
    }
}

impl Server {
    pub(super) fn binding<'p>(&mut self, now: Now, client: Client, message: &Message<'p>) -> Output<'p> {
        if let Some(refusal) = Refusal::unknown(message.unknown_required()) {
            return self.refuse_stranger(now, client, message, &refusal);
        }
        let discovery = match Discovery::read(message) {
            Ok(discovery) => discovery,
            Err(refusal) => return self.refuse_stranger(now, client, message, &refusal),
        };
        let Via::Udp(at) = client.via else { return self.plain_binding(client, message) };
        let at = usize::from(at);
        let Some(&listener) = self.settings.listeners.get(at) else { return Output::Nothing };
        let Some((from, origin)) = discovery
            .answer_from(at, &listener)
            .and_then(|from| Some((from, self.settings.listeners.get(from)?.external)))
        else {
            // RFC 5780 §6.1: a server without that address refuses CHANGE-REQUEST as unknown.
            let unknown = Refusal::unknown([attr::CHANGE_REQUEST.code()].into_iter());
            let refusal = unknown.unwrap_or(Refusal::bad_request(""));
            return self.refuse_stranger(now, client, message, &refusal);
        };
        if !self.may_answer_stranger(now, &client) {
            return Output::Nothing;
        }
        self.counters.bindings += 1;
        // Whoever does not ask for discovery gets the shortest reply there is, unless a second address exists.
        let asked = message.contains(attr::CHANGE_REQUEST) || message.contains(attr::RESPONSE_PORT);
        let other = listener.other_both.or(listener.other_port.filter(|_| asked));
        let other = other.and_then(|other| self.settings.listeners.get(other)).map(|other| other.external);
        let bytes = respond(message, Class::Success, seal(message), |reply| {
            let reply = reply.put(attr::XOR_MAPPED_ADDRESS, client.address);
            let reply = match other {
                Some(other) => reply.put(attr::RESPONSE_ORIGIN, origin).put(attr::OTHER_ADDRESS, other),
                None => reply,
            };
            let padding = [0; MAX_PADDING];
            let padding = padding.get(..discovery.padding).filter(|padding| !padding.is_empty());
            reply.put_some(attr::PADDING, padding)
        });
        let port = discovery.response_port.unwrap_or(client.address.port());
        let address = SocketAddr::new(client.address.ip(), port);
        Output::Reply { to: Client { address, via: Via::Udp(from as u16) }, bytes }
    }

    fn plain_binding<'p>(&mut self, client: Client, message: &Message<'p>) -> Output<'p> {
        self.counters.bindings += 1;
        let bytes = respond(message, Class::Success, seal(message), |reply| {
            reply.put(attr::XOR_MAPPED_ADDRESS, client.address)
        });
        Output::Reply { to: client, bytes }
    }
}

/// RFC 8489 §7.3.1: whoever sent a FINGERPRINT gets one.
fn seal(message: &Message<'_>) -> Seal<'static> {
    if message.contains(attr::FINGERPRINT) { Seal::NONE.with_fingerprint() } else { Seal::NONE }
}
