//! What a code says, for a person or a program.
//!
//! Pure: a code and the time in, a text out. Knows nothing of how a code is read or of who prints.

use std::fmt::Write as _;

use serde::Serialize;

use crate::code::Pasted;
use crate::code::expiry::{Expiry, span};
use crate::code::facts::{Host, Item, Server};
use crate::code::network::NetworkSummary;
use crate::code::sdp::SdpKind;
use crate::nat::meet::{Ours, meeting};
use crate::nat::predict::{Prediction, predict};
use crate::report::wrapped;

/// What there is to say; serialised, the object of `code --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    v: u8,
    /// "offer", or "answer" for what goes back.
    kind: &'static str,
    /// "p2p" or "sdp".
    form: &'static str,
    /// By the reader's clock; of what does not expire, false.
    expired: bool,
    /// Seconds, negative when it is past; of what does not expire, null.
    expires_in: Option<i64>,
    addresses: Vec<Address>,
    /// The whole fingerprint is there.
    full: bool,
    /// There is a relay in it.
    relay: bool,
    /// Null where the code does not say.
    nat: Option<Nat>,
    /// Relays at which the reader may log in.
    servers: Vec<RelayServer>,
    /// Characters of the code; of a session description, of its line of JSON.
    chars: usize,
    /// Null where the code does not say.
    wants_video: Option<bool>,
    /// Which path to expect, of the reader's own network knowing nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<Prediction>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Address {
    r#type: &'static str,
    address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Nat {
    mapping: &'static str,
    filtering: &'static str,
    ports: &'static str,
    udp: &'static str,
    ipv6: &'static str,
    cgnat: &'static str,
    relay: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct RelayServer {
    host: String,
    udp: Option<u16>,
    tcp: Option<u16>,
    tls: Option<u16>,
    doorbell: bool,
    guest: bool,
}

impl Report {
    /// Of a code, at a time in unix seconds.
    pub fn new(pasted: &Pasted, now: u64) -> Self {
        match pasted {
            Pasted::Offer(code) => {
                let offer = code.offer();
                Self {
                    full: offer.fingerprint.is_full(),
                    relay: offer.has_relay(),
                    nat: Some(Nat::from(offer.network)),
                    servers: offer.guest_servers().iter().map(RelayServer::from).collect(),
                    chars: code.text().len(),
                    wants_video: Some(offer.wants_video),
                    prediction: Some(predict(&meeting(&Ours::default(), offer))),
                    ..Self::bare("offer", "p2p", addresses(&offer.items))
                }
                .expiring(offer.expiry, now)
            }
            Pasted::Reply(code) => Self {
                chars: code.text().len(),
                wants_video: Some(code.reply().wants_video),
                ..Self::bare("answer", "p2p", addresses(&code.reply().items))
            },
            Pasted::Sdp(sdp) => {
                let kind = match sdp.kind {
                    SdpKind::Offer => "offer",
                    SdpKind::Answer => "answer",
                };
                let places = sdp.addresses();
                let told = places.iter().map(|(kind, host, port)| Address::new(kind.word(), host, *port));
                Self {
                    full: true,
                    chars: sdp.to_json_line().len(),
                    ..Self::bare(kind, "sdp", told.collect())
                }
            }
        }
    }

    fn bare(kind: &'static str, form: &'static str, addresses: Vec<Address>) -> Self {
        Self {
            v: 1,
            kind,
            form,
            expired: false,
            expires_in: None,
            relay: addresses.iter().any(|address| address.r#type == "relay"),
            addresses,
            full: false,
            nat: None,
            servers: Vec::new(),
            chars: 0,
            wants_video: None,
            prediction: None,
        }
    }

    fn expiring(self, expiry: Expiry, now: u64) -> Self {
        Self { expired: expiry.has_passed(now), expires_in: Some(expiry.seconds_left(now)), ..self }
    }

    /// One line of JSON, without a line feed.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For a person: some lines, each with its line feed.
    pub fn to_text(&self) -> String {
        let mut out = format!("{}\n", self.headline());
        out.extend(self.expires_in.map(expiry_line));
        for (index, Address { r#type, address }) in self.addresses.iter().enumerate() {
            let area = if index == 0 { "Addresses" } else { "" };
            let _ = writeln!(out, "{area:<11}{type:<6} {address}");
        }
        for server in &self.servers {
            let _ = writeln!(out, "{:<11}{}", "Relay", server.sentence());
        }
        if let Some(nat) = &self.nat {
            let _ = writeln!(out, "{:<11}{}", "Network", nat.sentence());
        }
        if let Some(prediction) = &self.prediction {
            out += &wrapped(&prediction.sentence(), 11, "Expect");
        }
        out
    }

    fn headline(&self) -> String {
        let what = match (self.form, self.kind) {
            ("p2p", "offer") => "An offer: `p2pcall answer` joins its call",
            ("p2p", _) => "A reply: it goes to where `p2pcall offer` waits, which alone can tell if it fits",
            (_, "offer") => "A complete session description (SDP), an offer",
            _ => "A complete session description (SDP), an answer",
        };
        let full = if self.full && self.form == "p2p" { ", with the full fingerprint" } else { "" };
        format!("{what}. {} characters{full}.", self.chars)
    }
}

fn expiry_line(seconds: i64) -> String {
    let ago = span(seconds.unsigned_abs());
    let says = if seconds < 0 {
        format!("It seems to have expired {ago} ago, or a clock is wrong.")
    } else {
        format!("It expires in {ago}.")
    };
    format!("{:<11}{says}\n", "Expiry")
}

fn addresses(items: &[Item]) -> Vec<Address> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Address { kind, host, port } => Some(Address::new(kind.word(), host, *port)),
            Item::Server(_) => None,
        })
        .collect()
}

impl Address {
    fn new(r#type: &'static str, host: &Host, port: u16) -> Self {
        Self { r#type, address: format!("{host}:{port}") }
    }
}

impl From<NetworkSummary> for Nat {
    fn from(network: NetworkSummary) -> Self {
        Self {
            mapping: network.mapping.word(),
            filtering: network.filtering.word(),
            ports: network.ports.word(),
            udp: network.udp.word(),
            ipv6: network.ipv6.word(),
            cgnat: network.cgnat.word(),
            relay: network.relay.word(),
        }
    }
}

impl Nat {
    fn sentence(&self) -> String {
        let known: Vec<String> = [
            ("mapping", self.mapping),
            ("filtering", self.filtering),
            ("ports", self.ports),
            ("UDP", self.udp),
            ("IPv6", self.ipv6),
            ("carrier-grade NAT", self.cgnat),
            ("own relay", self.relay),
        ]
        .into_iter()
        .filter(|(_, word)| *word != "unknown")
        .map(|(field, word)| format!("{field} {}", word.replace('_', "-")))
        .collect();
        if known.is_empty() { "not tested".to_owned() } else { known.join(", ") }
    }
}

impl From<&Server> for RelayServer {
    fn from(server: &Server) -> Self {
        Self {
            host: server.host.to_string(),
            udp: server.udp.then_some(server.port),
            tcp: server.tcp.then_some(server.port),
            tls: server.tls,
            doorbell: server.doorbell,
            guest: server.guest,
        }
    }
}

impl RelayServer {
    fn sentence(&self) -> String {
        let open: Vec<String> = [("UDP", self.udp), ("TCP", self.tcp), ("TLS", self.tls)]
            .into_iter()
            .filter_map(|(transport, port)| Some(format!("{transport} {}", port?)))
            .collect();
        let doorbell = if self.doorbell { ", can be rung" } else { "" };
        format!("{}: a guest gets in by {}{doorbell}", self.host, open.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::ReplyCode;
    use crate::code::facts::AddressKind;
    use crate::code::sdp::Sdp;
    use crate::code::testing::{item, offer_with, short_reply, typical};

    /// The minute in which the offers of the tests expire.
    const EXPIRY: u64 = 1_795_377_600;

    #[test]
    fn an_offer_for_a_program() {
        insta::assert_snapshot!(
            Report::new(&Pasted::Offer(typical(false)), EXPIRY - 700).to_json(),
            @r#"{"v":1,"kind":"offer","form":"p2p","expired":false,"expires_in":700,"addresses":[{"type":"relay","address":"198.51.100.4:51234"},{"type":"host","address":"192.168.1.20:54321"},{"type":"srflx","address":"203.0.113.9:54321"},{"type":"host","address":"10.8.0.6:54321"}],"full":false,"relay":true,"nat":{"mapping":"unknown","filtering":"unknown","ports":"unknown","udp":"unknown","ipv6":"unknown","cgnat":"unknown","relay":"unknown"},"servers":[],"chars":99,"wants_video":true,"prediction":{"path":"direct","sure":false,"why":"Nobody has measured how either network deals out ports. Most networks allow a direct path."}}"#
        );
    }

    #[test]
    fn an_offer_for_a_person() {
        insta::assert_snapshot!(Report::new(&Pasted::Offer(typical(true)), EXPIRY + 250).to_text(), @r"
        An offer: `p2pcall answer` joins its call. 125 characters, with the full fingerprint.
        Expiry     It seems to have expired 4 minutes ago, or a clock is wrong.
        Addresses  relay  198.51.100.4:51234
                   host   192.168.1.20:54321
                   srflx  203.0.113.9:54321
                   host   10.8.0.6:54321
        Network    not tested
        Expect     probably a direct path. Nobody has measured how either network deals
                   out ports. Most networks allow a direct path.
        ");
    }

    #[test]
    fn a_relay_says_how_a_guest_gets_in() {
        let relay = item(AddressKind::Relay, "198.51.100.4:51234");
        let mut offer = offer_with(false, vec![relay]).offer().clone();
        offer.open_relay = true;
        let code = crate::code::OfferCode::new(offer).unwrap();
        insta::assert_snapshot!(Report::new(&Pasted::Offer(code), EXPIRY - 700).to_text(), @r"
        An offer: `p2pcall answer` joins its call. 77 characters.
        Expiry     It expires in 11 minutes.
        Addresses  relay  198.51.100.4:51234
        Relay      198.51.100.4: a guest gets in by UDP 3478, TCP 3478, can be rung
        Network    not tested
        Expect     probably a direct path. Nobody has measured how either network deals
                   out ports. Most networks allow a direct path; if not, a relay is
                   there.
        ");
    }

    #[test]
    fn a_reply_and_a_session_description_do_not_expire() {
        let reply = ReplyCode::new(short_reply(), &typical(false).keys()).unwrap();
        insta::assert_snapshot!(Report::new(&Pasted::Reply(reply), EXPIRY).to_json(), @r#"{"v":1,"kind":"answer","form":"p2p","expired":false,"expires_in":null,"addresses":[{"type":"srflx","address":"203.0.113.77:40123"}],"full":false,"relay":false,"nat":null,"servers":[],"chars":19,"wants_video":false}"#);
        let sdp = "v=0\r\na=candidate:1 1 udp 2113937151 192.168.1.20 54321 typ host\r\n".to_owned();
        let sdp = Pasted::Sdp(Sdp { kind: SdpKind::Answer, sdp });
        insta::assert_snapshot!(Report::new(&sdp, EXPIRY).to_json(), @r#"{"v":1,"kind":"answer","form":"sdp","expired":false,"expires_in":null,"addresses":[{"type":"host","address":"192.168.1.20:54321"}],"full":true,"relay":false,"nat":null,"servers":[],"chars":95,"wants_video":null}"#);
        insta::assert_snapshot!(Report::new(&sdp, EXPIRY).to_text(), @r"
        A complete session description (SDP), an answer. 95 characters.
        Addresses  host   192.168.1.20:54321
        ");
    }
}
