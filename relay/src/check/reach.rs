//! The steps of a check up to a connection: name, UDP, TCP, TLS; and the words for what stands in the way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::report::{Step, StepName};
use super::{Dial, PATIENCE, elapsed_ms};
use crate::client::{Client, ClientError, Flaw, Session, Trust, Verdict, Wire};
use crate::link::{Link, Transport};

/// An address that only who dials for us may know.
const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// To whom, and by whom.
pub(super) struct Way<'l> {
    pub(super) link: &'l Link,
    pub(super) dial: Option<Dial>,
}

/// The address of the name: the first that this machine has a way to.
pub(super) async fn resolve(way: &Way<'_>) -> (Option<SocketAddr>, Step) {
    let link = way.link;
    let begun = Instant::now();
    let found = timeout(PATIENCE, tokio::net::lookup_host((link.host.as_str(), link.port))).await;
    let found: Vec<SocketAddr> =
        found.map_or_else(|_| Vec::new(), |found| found.map_or_else(|_| Vec::new(), Iterator::collect));
    let Some(&first) = found.first() else {
        if way.dial.is_some() {
            let text = format!("{} has no address here: it is left to the proxy", link.host);
            return (Some(SocketAddr::new(UNKNOWN, link.port)), Step::noted(StepName::Resolve, text));
        }
        let text = format!("{} has no address: is the name right, and does DNS work here?", link.host);
        return (None, Step::failed(StepName::Resolve, text));
    };
    let mut server = first;
    for &address in &found {
        // Connecting a UDP socket sends nothing; without a way there it fails.
        if Wire::udp(address).await.is_ok() {
            server = address;
            break;
        }
    }
    let text = format!("{} is {}", link.host, server.ip());
    (Some(server), Step::done(StepName::Resolve, elapsed_ms(begun), text))
}

/// Opens a connection of this kind.
pub(super) async fn open(
    way: &Way<'_>,
    server: SocketAddr,
    transport: Transport,
) -> io::Result<(Wire, Option<Verdict>)> {
    let link = way.link;
    let stream = async {
        match &way.dial {
            Some(dial) => dial(link.host.clone(), link.port).await,
            None => TcpStream::connect(server).await,
        }
    };
    match transport {
        Transport::Udp if server.ip() == UNKNOWN => Err(io::ErrorKind::HostUnreachable.into()),
        Transport::Udp => Ok((Wire::udp(server).await?, None)),
        Transport::Tcp => Ok((Wire::over(stream.await?)?, None)),
        Transport::Tls => {
            let (wire, verdict) = Wire::tls_over(stream.await?, &link.host, &Trust::new(link.pin)).await?;
            Ok((wire, Some(verdict)))
        }
    }
}

/// Another connection like the first.
pub(super) async fn reconnect(way: &Way<'_>, server: SocketAddr, transport: Transport) -> Option<Wire> {
    timeout(PATIENCE, open(way, server, transport)).await.ok()?.ok().map(|(wire, _)| wire)
}

/// Opens a connection and asks for our address over it.
pub(super) async fn connect(
    way: &Way<'_>,
    server: SocketAddr,
    transport: Transport,
) -> (Option<(Wire, SocketAddr)>, Step) {
    let begun = Instant::now();
    let tried = timeout(PATIENCE, async {
        let (wire, verdict) = open(way, server, transport).await?;
        if let Some(words) = verdict.and_then(distrust) {
            return Ok(Err(words));
        }
        let mut client = Client::new(wire, Session::new(None));
        let (mapped, _) = client.binding().await?;
        Ok(Ok((client.into_wire(), mapped, verdict)))
    });
    let name = StepName::of(transport);
    let dialled = way.dial.is_some() && transport != Transport::Udp;
    match tried.await.unwrap_or(Err(ClientError::Silent)) {
        Ok(Ok((wire, mapped, verdict))) => {
            let by = if verdict == Some(Verdict::Pinned) { ", with the key of the link" } else { "" };
            let proxied = if dialled { ", by the proxy" } else { "" };
            let text = format!("answers{by}{proxied}; it sees us as {mapped}");
            (Some((wire, mapped)), Step::done(name, elapsed_ms(begun), text))
        }
        Ok(Err(words)) => (None, Step::failed(name, words)),
        Err(ClientError::Io(error)) if dialled => (None, Step::failed(name, error.to_string())),
        Err(error) if dialled => {
            let text = format!("{error} from {} by the proxy: is the relay running?", way.link.host);
            (None, Step::failed(name, text))
        }
        Err(error) => (None, Step::failed(name, unreached(server, transport, &error))),
    }
}

/// Why a call would not talk to who has this certificate.
fn distrust(verdict: Verdict) -> Option<String> {
    match verdict {
        Verdict::Pinned | Verdict::Verified => None,
        Verdict::WrongPin => Some(
            "another key than the link's answers: somebody stands in between, or the key was renewed and the link \
             is old (`p2pcall-relay link` prints the new one)"
                .to_owned(),
        ),
        Verdict::Unverified { flaw, pin } => {
            let pin = URL_SAFE_NO_PAD.encode(pin);
            let cure = match flaw {
                Flaw::Expired | Flaw::TooEarly => "set the clock, or renew it there",
                Flaw::OtherName => "use the name in it",
                Flaw::Stranger => "get one from an authority",
            };
            Some(format!(
                "its certificate {flaw}, and calls refuse it: {cure}; or, if the relay is your own, add pin={pin} to \
                 the link"
            ))
        }
    }
}

/// What may be in the way, by how it failed.
fn unreached(server: SocketAddr, transport: Transport, error: &ClientError) -> String {
    let port = server.port();
    let kind = match error {
        ClientError::Silent => None,
        ClientError::Io(error) => Some(error.kind()),
        ClientError::Refused(_) | ClientError::Nonsense => {
            return format!("{server}: {error}; is this a TURN server?");
        }
    };
    match kind {
        None | Some(io::ErrorKind::TimedOut) => format!(
            "{server} is silent: a firewall here or there drops {}, or the machine is off",
            match transport {
                Transport::Udp => format!("UDP {port}"),
                Transport::Tcp | Transport::Tls => format!("TCP {port}"),
            }
        ),
        Some(io::ErrorKind::ConnectionRefused) => format!(
            "{server} is closed: nothing listens for {transport} on port {port}, or a firewall refuses it; is the \
             relay running, and this its port?"
        ),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            format!("there is no way from here to {}: is this machine online?", server.ip())
        }
        Some(io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            format!("{server} answers, but not in {transport}: is this the right port?")
        }
        Some(_) => format!("{server}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_told_apart() {
        let server = "203.0.113.10:3478".parse().unwrap();
        let failed = |kind: io::ErrorKind| ClientError::Io(kind.into());
        for (error, says) in [
            (ClientError::Silent, "a firewall here or there drops UDP 3478"),
            (failed(io::ErrorKind::ConnectionRefused), "nothing listens for udp on port 3478"),
            (failed(io::ErrorKind::NetworkUnreachable), "is this machine online?"),
            (failed(io::ErrorKind::InvalidData), "answers, but not in udp"),
            (ClientError::Nonsense, "is this a TURN server?"),
        ] {
            let words = unreached(server, Transport::Udp, &error);
            assert!(words.contains(says), "{words}");
        }
    }

    #[test]
    fn a_certificate_that_calls_refuse_fails_with_its_reason_and_the_pin_that_would_do() {
        let unverified = |flaw| distrust(Verdict::Unverified { flaw, pin: [0; 32] }).unwrap();
        for (flaw, says) in [
            (Flaw::Expired, "has expired"),
            (Flaw::TooEarly, "is not valid yet"),
            (Flaw::OtherName, "is for another name"),
            (Flaw::Stranger, "is from nobody this machine knows"),
        ] {
            let words = unverified(flaw);
            assert!(words.contains(says) && words.contains(&format!("pin={}", "A".repeat(43))), "{words}");
        }
        assert!(distrust(Verdict::WrongPin).unwrap().contains("another key"));
        assert_eq!(distrust(Verdict::Pinned).or(distrust(Verdict::Verified)), None);
    }
}
