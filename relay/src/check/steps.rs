//! The steps of a check that need an allocation.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, sleep_until};

use super::report::{Level, Step, StepName};
use super::{CREDENTIAL_SECONDS, PATIENCE, elapsed_ms};
use crate::client::{Allocated, Client, ClientError, Refused, Session, Wire};
use crate::link::{Link, Login};
use crate::server::Credential;
use crate::stun::guest::Guest;
use crate::stun::{Builder, ChannelNumber, Class, Method, Seal, TransactionId, attr};

/// Echoes, and the time between them: a second of audio at 50 packets a second.
const ECHOES: u32 = 50;
const SPACING: Duration = Duration::from_millis(20);
/// Bytes of an echo: an audio packet's.
const ECHO_BYTES: usize = 160;
/// A call through a relay that loses so much is no pleasure.
const MUCH_LOST: f64 = 0.1;
/// How long to wait for what may have been lost.
const LATE: Duration = Duration::from_secs(1);
/// A clock that is off by more is named.
const CLOCK_SECONDS: u64 = 30;
/// A relay's clock before 2025 or after 2100 is none: its nonce means something else.
const CLOCKS_BEGIN: u64 = 1_735_689_600;
const CLOCKS_END: u64 = 4_102_444_800;

/// Neither doorbell nor guest: not our own relay, or told not to.
const NOT_OFFERED: &str = "not offered by this server: both ends of a call need its link";

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

/// The verdicts on login and allocation. `unix` is our clock.
pub(super) fn allocation(
    link: &Link,
    client: &Client,
    allocated: Result<Allocated, ClientError>,
    ms: f64,
    unix: u64,
) -> (Option<Allocated>, Step, Option<Step>) {
    let clocks = client.session().server_time().map_or(Clocks::Unknown, |server| Clocks::new(unix, server));
    match allocated {
        Ok(allocated) => {
            let clock = clocks.words().map_or_else(String::new, |words| format!(", but {words}"));
            let auth = Step::done(StepName::Auth, ms, format!("the login is right{clock}"));
            let text = format!("relayed address {}", allocated.relayed);
            let step = Step::done(StepName::Allocate, ms, text);
            (Some(allocated), auth, Some(step))
        }
        Err(ClientError::Refused(refused)) if refused.code == 401 => {
            (None, Step::failed(StepName::Auth, wrong_login(&link.login, clocks)), None)
        }
        Err(ClientError::Refused(refused)) if refused.code != 0 => {
            let auth = Step::done(StepName::Auth, ms, "the login is right");
            (None, auth, Some(Step::failed(StepName::Allocate, no_allocation(&refused))))
        }
        Err(error) => (None, Step::failed(StepName::Auth, error.to_string()), None),
    }
}

fn wrong_login(login: &Login, clocks: Clocks) -> String {
    let or_clock = if clocks == Clocks::Unknown { ", or a clock is wrong" } else { "" };
    match (login, clocks.words()) {
        (Login::Secret(_), Some(clock)) => format!("the login is refused: {clock}"),
        (Login::Secret(_), None) => format!(
            "the login is refused: the relay has another secret than the link{or_clock}; is the link the newest one \
             (`p2pcall-relay link` prints it)?"
        ),
        (Login::Password(_) | Login::None, _) => {
            "the login is refused: the user or the password is wrong".to_owned()
        }
    }
}

/// RFC 8656 §7.3: why a login that is right gets no allocation.
fn no_allocation(refused: &Refused) -> String {
    let advice = match refused.code {
        403 => ": the relay does not let this user relay",
        486 => ": this user has as many allocations as the relay allows; end one, or raise the quota there",
        508 => ": the relay is full, or its transfer for this month is spent",
        300 => ": the relay is shutting down, and sends us to another",
        _ => "",
    };
    format!("{refused}{advice}")
}

/// Our clock against the relay's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    /// The relay tells no time.
    Unknown,
    /// Near enough.
    Agree,
    /// Ours is so many seconds behind.
    Behind(u64),
    /// Ours is so many seconds ahead.
    Ahead(u64),
}

impl Clocks {
    /// Both in seconds since 1970.
    fn new(ours: u64, theirs: u64) -> Self {
        let apart = ours.abs_diff(theirs);
        match () {
            () if !(CLOCKS_BEGIN..CLOCKS_END).contains(&theirs) => Self::Unknown,
            () if apart < CLOCK_SECONDS => Self::Agree,
            () if ours < theirs => Self::Behind(apart),
            () => Self::Ahead(apart),
        }
    }

    /// What to say and do if they differ.
    fn words(self) -> Option<String> {
        let (apart, which) = match self {
            Self::Unknown | Self::Agree => return None,
            Self::Behind(apart) => (apart, "behind"),
            Self::Ahead(apart) => (apart, "ahead of"),
        };
        Some(format!("this clock is {} {which} the relay's: set the one that is wrong", lasting(apart)))
    }
}

/// A duration in its two largest units.
fn lasting(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|&(unit, _)| seconds >= unit).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let mut words = Vec::new();
    for &(unit, name) in units.iter().skip(largest).take(2) {
        let count = left / unit;
        left %= unit;
        if count > 0 || words.is_empty() {
            words.push(format!("{count} {name}"));
        }
    }
    words.join(" ")
}

/// Data through two allocations and back: round-trip time, loss, jitter.
pub(super) async fn echo(
    link: &Link,
    unix: u64,
    client: &mut Client,
    allocated: &Allocated,
    other: Option<Wire>,
) -> (Step, Option<(f64, f64)>) {
    let credential = link.credential(unix, CREDENTIAL_SECONDS);
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
            let level = if loss < MUCH_LOST { Level::Ok } else { Level::Fail };
            (Step { level, ..Step::done(StepName::Echo, mean, text) }, Some((loss, jitter)))
        }
        Ok(_) => (
            Step::failed(StepName::Echo, "nothing came back: is UDP between the relay and itself blocked?"),
            Some((1.0, 0.0)),
        ),
        Err(ClientError::Refused(refused)) if refused.code == 403 => (
            Step::failed(
                StepName::Echo,
                format!(
                    "{refused}: the relay forbids its clients to reach each other; a call needs that where \
                         both ends are relayed"
                ),
            ),
            None,
        ),
        Err(ClientError::Refused(refused)) => (Step::failed(StepName::Echo, no_allocation(&refused)), None),
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

/// Rings at our own relayed address from a socket without an account.
pub(super) async fn doorbell(client: &mut Client, allocated: &Allocated, ufrag: &str, outside: bool) -> Step {
    if !allocated.doorbell {
        return Step::noted(StepName::Doorbell, NOT_OFFERED);
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
    match rang.await {
        Some(()) => Step::done(StepName::Doorbell, elapsed_ms(begun), "a friend without an account can ring"),
        None if outside => Step::noted(
            StepName::Doorbell,
            "a ring does not get through: a firewall blocks UDP to the relayed ports (friends come in as guests)",
        ),
        None => Step::noted(
            StepName::Doorbell,
            "not tested: the relay denies a ring from its own network (friends come in as guests)",
        ),
    }
}

/// Logs in as the guest and sends to the host.
pub(super) async fn guest(
    client: &mut Client,
    allocated: &Allocated,
    host: &Host,
    wire: Option<Wire>,
) -> Step {
    if !allocated.guest {
        return Step::noted(StepName::Guest, NOT_OFFERED);
    }
    let Some(wire) = wire else { return Step::failed(StepName::Guest, "a second connection failed") };
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
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_named_with_the_difference() {
        let noon = 1_800_000_000;
        for (ours, theirs, words) in [
            (noon, noon, None),
            (noon, noon + 29, None),
            (noon, noon + 90, Some("this clock is 1 min 30 s behind the relay's: set the one that is wrong")),
            (
                noon,
                noon - 90_000,
                Some("this clock is 1 d 1 h ahead of the relay's: set the one that is wrong"),
            ),
            (0, noon, Some("this clock is 20833 d 8 h behind the relay's: set the one that is wrong")),
            (noon, 7, None),
        ] {
            assert_eq!(Clocks::new(ours, theirs).words().as_deref(), words);
        }
    }

    #[test]
    fn a_refused_login_names_what_of_the_link_may_be_wrong() {
        let password = Login::Password(Credential { user: "u".into(), password: "hush".into() });
        let secret = || Login::Secret("hush".into());
        for (login, clocks, says) in [
            (secret(), Clocks::Unknown, "another secret than the link, or a clock is wrong; is"),
            (secret(), Clocks::Agree, "another secret than the link; is"),
            (secret(), Clocks::Behind(3600), "this clock is 1 h behind"),
            (password, Clocks::Ahead(3600), "the user or the password"),
        ] {
            let words = wrong_login(&login, clocks);
            assert!(words.contains(says) && !words.contains("hush"), "{words}");
        }
    }
}
