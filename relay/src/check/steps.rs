//! The steps of a check that need an allocation.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, sleep_until, timeout};

use super::report::{Step, StepName};
use super::{CREDENTIAL_SECONDS, PATIENCE, trust};
use crate::client::{Allocated, Client, ClientError, Session, Verdict, Wire};
use crate::link::{Link, Login, Transport};
use crate::server::Credential;
use crate::stun::guest::Guest;
use crate::stun::{Builder, ChannelNumber, Class, Method, Seal, TransactionId, attr};

/// Echoes, and the time between them: a second of audio at 50 packets a second.
const ECHOES: u32 = 50;
const SPACING: Duration = Duration::from_millis(20);
/// Bytes of an echo: an audio packet's.
const ECHO_BYTES: usize = 160;
/// How long to wait for what may have been lost.
const LATE: Duration = Duration::from_secs(1);
/// A clock that is off by more is named.
const CLOCK_SECONDS: u64 = 30;
/// A nonce whose time is farther away than this tells no time at all.
const PLAUSIBLE_SECONDS: u64 = 2 * 86_400;

/// Names for one check's doorbell and guest.
pub(super) struct Host {
    pub(super) ufrag: String,
    pub(super) guest: Guest,
}

/// Fresh names.
pub(super) fn names() -> Option<Host> {
    let text = |bytes: [u8; 12]| URL_SAFE_NO_PAD.encode(bytes).replace(['-', '_'], "x");
    let guest = Guest::new(&text(crate::random_bytes()?), &text(crate::random_bytes()?))?;
    Some(Host { ufrag: text(crate::random_bytes()?), guest })
}

pub(super) fn elapsed_ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

/// Opens a connection of this kind.
pub(super) async fn open(
    link: &Link,
    server: SocketAddr,
    transport: Transport,
) -> io::Result<(Wire, Option<Verdict>)> {
    match transport {
        Transport::Udp => Ok((Wire::udp(server).await?, None)),
        Transport::Tcp => Ok((Wire::tcp(server).await?, None)),
        Transport::Tls => {
            let (wire, verdict) = Wire::tls(server, &link.host, &trust(link)).await?;
            Ok((wire, Some(verdict)))
        }
    }
}

/// Another connection like the first.
pub(super) async fn reconnect(link: &Link, server: SocketAddr, transport: Transport) -> Option<Wire> {
    timeout(PATIENCE, open(link, server, transport)).await.ok()?.ok().map(|(wire, _)| wire)
}

/// The verdicts on login and allocation.
pub(super) fn allocation(
    client: &Client,
    allocated: Result<Allocated, ClientError>,
    ms: f64,
    unix: u64,
) -> (Option<Allocated>, Step, Option<Step>) {
    let clock = clock(client.session(), unix);
    match allocated {
        Ok(allocated) => {
            let auth =
                Step::done(StepName::Auth, ms, format!("the login is right{}", clock.unwrap_or_default()));
            let text = format!("relayed address {}", allocated.relayed);
            let step = Step::done(StepName::Allocate, ms, text);
            (Some(allocated), auth, Some(step))
        }
        Err(ClientError::Refused(refused)) if refused.code == 401 => {
            let advice = clock.unwrap_or_else(|| "; is the link the newest one?".to_owned());
            (None, Step::failed(StepName::Auth, format!("the login is wrong{advice}")), None)
        }
        Err(ClientError::Refused(refused)) if refused.code != 0 => {
            let auth = Step::done(StepName::Auth, ms, "the login is right");
            (None, auth, Some(Step::failed(StepName::Allocate, format!("{refused}"))))
        }
        Err(error) => (None, Step::failed(StepName::Auth, error.to_string()), None),
    }
}

/// What to say about the clocks, if the server tells its own and they differ.
fn clock(session: &Session, unix: u64) -> Option<String> {
    let server = session.server_time()?;
    let (apart, which) = if server > unix { (server - unix, "behind") } else { (unix - server, "ahead of") };
    let told = (CLOCK_SECONDS..PLAUSIBLE_SECONDS).contains(&apart);
    told.then(|| format!("; this clock is {apart} s {which} the relay's: set one of them"))
}

/// Data through two allocations and back: round-trip time, loss, jitter.
pub(super) async fn echo(
    link: &Link,
    unix: u64,
    client: &mut Client,
    allocated: &Allocated,
    other: Option<Wire>,
) -> (Step, Option<(f64, f64)>) {
    let credential = link.credential(unix, CREDENTIAL_SECONDS).filter(|_| link.login != Login::None);
    let (Some(wire), Some(credential)) = (other, credential) else {
        return (Step::failed(StepName::Echo, "a second connection failed"), None);
    };
    let mut friend = Client::new(wire, Session::new(Some(credential)));
    let joined = join(client, ChannelNumber::FIRST, allocated, &mut friend).await;
    let times = match joined {
        Ok(()) => round_trips(client, &mut friend).await,
        Err(error) => Err(error),
    };
    let _ = friend.refresh(0).await;
    match times {
        Ok(times) if !times.is_empty() => {
            let loss = 1.0 - times.len() as f64 / f64::from(ECHOES);
            let mean = times.iter().sum::<f64>() / times.len() as f64;
            let steps = times.windows(2).filter_map(|pair| Some((pair.last()? - pair.first()?).abs()));
            let jitter = steps.sum::<f64>() / (times.len().max(2) - 1) as f64;
            let text = format!(
                "{:.1} % lost, jitter {jitter:.1} ms, there and back through two allocations",
                loss * 100.0
            );
            (Step { ok: loss < 0.1, ..Step::done(StepName::Echo, mean, text) }, Some((loss, jitter)))
        }
        Ok(_) => (
            Step::failed(StepName::Echo, "nothing came back: is UDP between the relay and itself blocked?"),
            Some((1.0, 0.0)),
        ),
        Err(error) => (Step::failed(StepName::Echo, error.to_string()), None),
    }
}

/// Two allocations, each a peer of the other: ours by this channel, theirs by the first.
async fn join(
    client: &mut Client,
    ours: ChannelNumber,
    allocated: &Allocated,
    friend: &mut Client,
) -> Result<(), ClientError> {
    let theirs = friend.allocate(None, None).await?;
    client.bind(ours, theirs.relayed).await?;
    friend.bind(ChannelNumber::FIRST, allocated.relayed).await
}

/// Sends at audio's pace; `friend` returns what it gets. The times of those that came back, in ms.
async fn round_trips(client: &mut Client, friend: &mut Client) -> Result<Vec<f64>, ClientError> {
    let begun = Instant::now();
    let ticking = async {
        let mut times = Vec::new();
        for number in 0..ECHOES {
            let mut data = [0; ECHO_BYTES];
            if let Some(head) = data.first_chunk_mut() {
                *head = number.to_be_bytes();
            }
            let sent = Instant::now();
            client.send(ChannelNumber::FIRST, &data).await?;
            let next = begun + SPACING * (number + 1);
            let patience = if number + 1 == ECHOES { LATE } else { next.saturating_duration_since(sent) };
            // An echo that is later than the next one's turn still counts if it is this one's.
            if let Ok(received) = client.receive(patience.max(LATE / 4)).await
                && received.data.first_chunk() == Some(&number.to_be_bytes())
            {
                times.push(elapsed_ms(sent));
            }
            sleep_until(next).await;
        }
        Ok(times)
    };
    let returning = async {
        loop {
            if let Ok(received) = friend.receive(PATIENCE).await {
                let _ = friend.send(ChannelNumber::FIRST, &received.data).await;
            }
        }
    };
    tokio::select! {
        times = ticking => times,
        () = returning => Ok(Vec::new()),
    }
}

/// Rings at our own relayed address from a socket without an account. `None` if the server has no doorbell.
pub(super) async fn doorbell(client: &mut Client, allocated: &Allocated, ufrag: &str) -> Option<Step> {
    if !allocated.doorbell {
        return None;
    }
    let begun = Instant::now();
    let rang = async {
        let socket = tokio::net::UdpSocket::bind(SocketAddr::new(
            if allocated.relayed.is_ipv4() {
                std::net::Ipv4Addr::UNSPECIFIED.into()
            } else {
                std::net::Ipv6Addr::UNSPECIFIED.into()
            },
            0,
        ))
        .await
        .ok()?;
        for _ in 0..3 {
            let id = TransactionId(crate::random_bytes()?);
            let mut buffer = [0; 128];
            let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id);
            let ring = builder.put(attr::USERNAME, &format!("{ufrag}:check")).finish(Seal::NONE).ok()?;
            socket.send_to(ring, allocated.relayed).await.ok()?;
            if let Ok(received) = client.receive(LATE / 2).await
                && received.data == ring
            {
                return Some(());
            }
        }
        None
    };
    Some(match rang.await {
        Some(()) => Step::done(StepName::Doorbell, elapsed_ms(begun), "a friend without an account can ring"),
        None => Step::failed(
            StepName::Doorbell,
            "a ring from this machine does not get through: the relay denies this machine's address, or a firewall \
             blocks UDP to the relayed ports (friends then come in as guests)",
        ),
    })
}

/// Logs in as the guest and sends to the host. `None` if the server has no guests.
pub(super) async fn guest(
    client: &mut Client,
    allocated: &Allocated,
    host: &Host,
    wire: Option<Wire>,
) -> Option<Step> {
    if !allocated.guest {
        return None;
    }
    let Some(wire) = wire else { return Some(Step::failed(StepName::Guest, "a second connection failed")) };
    let begun = Instant::now();
    let credential =
        Credential { user: host.guest.user().to_owned(), password: host.guest.password().to_owned() };
    let mut friend = Client::new(wire, Session::new(Some(credential)));
    let visited = async {
        // The first one is the echo's.
        let next = ChannelNumber::new(ChannelNumber::FIRST.get() + 1).ok_or(ClientError::Nonsense)?;
        join(client, next, allocated, &mut friend).await?;
        friend.send(ChannelNumber::FIRST, b"a guest").await?;
        client.receive(PATIENCE).await
    };
    let step = match visited.await {
        Ok(received) if received.data == b"a guest" => Step::done(
            StepName::Guest,
            elapsed_ms(begun),
            "a friend without an account can log in for one call",
        ),
        Ok(_) => Step::failed(StepName::Guest, "something else came through"),
        Err(error) => Step::failed(StepName::Guest, error.to_string()),
    };
    let _ = friend.refresh(0).await;
    Some(step)
}
