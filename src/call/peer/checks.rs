//! What of the ICE agent's traffic may leave, and what is learnt from watching it.
//!
//! The agent fires checks every 20 ms, for as long as it has to, and takes relayed ports for host addresses.
//! So its checks are thinned out here once the first seconds brought nothing, and a relay is held back while
//! a direct path has its chance. Watching packets pass also tells the round trip and the path, whatever the
//! stack believes. Pure: told the time, knows no socket.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How long checks go out as fast as the agent makes them.
const FAST_CHECKS: Duration = Duration::from_secs(5);
/// One check per pair and so long after that: RFC 8445 §14.3 has an RTO of at least 500 ms.
const SLOW_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How long a relay waits while there are direct ports: one and a half intercontinental round trips, what
/// two ends need to open their NATs towards each other.
pub const RELAY_HOLD: Duration = Duration::from_millis(300);
/// Checks whose answers are awaited.
const MAX_AWAITED: usize = 64;
/// Pairs whose pace is remembered.
const MAX_PACED: usize = 512;

/// RFC 8489 §5: the fixed field that tells STUN from everything else.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// RFC 8489 §5: method Binding, class request.
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
/// RFC 8489 §5: method Binding, class success response.
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
/// RFC 8445 §16.1.
const USE_CANDIDATE: [u8; 2] = [0x00, 0x25];

/// A port and the address beyond it: the path that packets take.
pub(super) type Path = (usize, SocketAddr);

/// The watcher of one peer's ports.
#[derive(Debug, Default)]
pub(super) struct Checks {
    relay_hold: Duration,
    began: Option<Duration>,
    settled: bool,
    awaited: VecDeque<(TransactionId, Duration)>,
    paced: HashMap<Path, Duration>,
    round_trip: Option<Duration>,
    path: Option<Path>,
}

type TransactionId = [u8; 12];

/// What becomes of a packet on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outbound {
    /// It leaves.
    Send,
    /// It leaves, and it is the first of the data to take this path.
    SendOnNewPath,
    /// It is a check whose time has not come; the agent makes another.
    Hold,
}

/// What has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// A connectivity check.
    Check,
    /// An answer to one, or something else of STUN.
    Stun,
    /// All that is no STUN.
    Data,
}

impl Checks {
    /// Holds relays back for so long.
    pub(super) fn new(relay_hold: Duration) -> Self {
        Self { relay_hold, ..Self::default() }
    }

    /// The channel is open: from now on nothing is held.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// Whether the channel is open.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The last round trip of a check, or of a consent refresh.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Where data went last.
    pub(super) fn path(&self) -> Option<Path> {
        self.path
    }

    /// Whether a packet deserves to be sent twice: until the channel is open each lost DTLS record costs a
    /// second or more (RFC 6347 §4.2.4.1; RFC 9260 §16 for the SCTP in it), and a copy some hundred bytes. The
    /// remote end drops it as a replay.
    pub(super) fn is_precious(&self, packet: &[u8]) -> bool {
        // RFC 7983 §7: the first byte of a DTLS record.
        !self.settled && packet.first().is_some_and(|first| (20..64).contains(first))
    }

    /// Judges a packet that the agent wants to send.
    pub(super) fn outbound(&mut self, now: Duration, path: Path, relayed: bool, packet: &[u8]) -> Outbound {
        let Some(stun) = Stun::parse(packet) else {
            if self.path == Some(path) {
                return Outbound::Send;
            }
            self.path = Some(path);
            return Outbound::SendOnNewPath;
        };
        let began = *self.began.get_or_insert(now);
        if !self.settled {
            let age = now.saturating_sub(began);
            if relayed && age < self.relay_hold {
                return Outbound::Hold;
            }
            let nominates = stun.has_attribute(USE_CANDIDATE);
            if stun.kind == BINDING_REQUEST && age >= FAST_CHECKS && !nominates && !self.may_go(now, path) {
                return Outbound::Hold;
            }
        }
        if stun.kind == BINDING_REQUEST {
            self.awaited.push_back((stun.id, now));
            if self.awaited.len() > MAX_AWAITED {
                self.awaited.pop_front();
            }
        }
        Outbound::Send
    }

    /// Learns from a packet that came in; says what it is.
    pub(super) fn inbound(&mut self, now: Duration, packet: &[u8]) -> Came {
        let Some(stun) = Stun::parse(packet) else { return Came::Data };
        self.began.get_or_insert(now);
        if stun.kind == BINDING_SUCCESS
            && let Some(at) = self.awaited.iter().position(|(id, _)| *id == stun.id)
            && let Some((_, sent)) = self.awaited.remove(at)
        {
            self.round_trip = Some(now.saturating_sub(sent));
        }
        if stun.kind == BINDING_REQUEST { Came::Check } else { Came::Stun }
    }

    fn may_go(&mut self, now: Duration, path: Path) -> bool {
        if self.paced.len() >= MAX_PACED {
            self.paced.clear();
        }
        let last = self.paced.entry(path).or_insert(Duration::ZERO);
        let go = now.saturating_sub(*last) >= SLOW_CHECK_INTERVAL;
        if go {
            *last = now;
        }
        go
    }
}

/// As much of a STUN message (RFC 8489 §5) as watching needs.
struct Stun<'a> {
    kind: [u8; 2],
    id: TransactionId,
    attributes: &'a [u8],
}

impl<'a> Stun<'a> {
    fn parse(packet: &'a [u8]) -> Option<Self> {
        let (kind, rest) = packet.split_first_chunk::<2>()?;
        let (_length, rest) = rest.split_first_chunk::<2>()?;
        let (cookie, rest) = rest.split_first_chunk::<4>()?;
        let (id, attributes) = rest.split_first_chunk::<12>()?;
        (*cookie == MAGIC_COOKIE && kind[0] < 4).then_some(Self { kind: *kind, id: *id, attributes })
    }

    fn has_attribute(&self, wanted: [u8; 2]) -> bool {
        let mut rest = self.attributes;
        while let Some((kind, after)) = rest.split_first_chunk::<2>()
            && let Some((length, after)) = after.split_first_chunk::<2>()
        {
            if *kind == wanted {
                return true;
            }
            // RFC 8489 §14: values are padded to a multiple of four.
            let padded = usize::from(u16::from_be_bytes(*length)).next_multiple_of(4);
            rest = after.get(padded..).unwrap_or_default();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIRECT: usize = 0;
    const RELAY: usize = 1;

    fn to() -> SocketAddr {
        "203.0.113.7:4000".parse().unwrap()
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn stun(kind: [u8; 2], id: u8, attributes: &[u8]) -> Vec<u8> {
        let mut packet = kind.to_vec();
        packet.extend((attributes.len() as u16).to_be_bytes());
        packet.extend(MAGIC_COOKIE);
        packet.extend([id; 12]);
        packet.extend(attributes);
        packet
    }

    fn request(id: u8) -> Vec<u8> {
        stun(BINDING_REQUEST, id, &[0, 6, 0, 3, b'a', b':', b'b', 0])
    }

    fn sends(checks: &mut Checks, ms: u64, port: usize, packet: &[u8]) -> bool {
        checks.outbound(at(ms), (port, to()), port == RELAY, packet) != Outbound::Hold
    }

    #[test]
    fn a_relay_waits_while_a_direct_path_has_its_chance() {
        let mut checks = Checks::new(RELAY_HOLD);
        assert!(sends(&mut checks, 0, DIRECT, &request(1)));
        assert!(!sends(&mut checks, 0, RELAY, &request(2)));
        assert!(!sends(&mut checks, 299, RELAY, &stun(BINDING_SUCCESS, 3, &[])));
        assert!(sends(&mut checks, 300, RELAY, &request(4)));
    }

    #[test]
    fn a_relay_alone_waits_for_nobody() {
        assert!(sends(&mut Checks::new(Duration::ZERO), 0, RELAY, &request(1)));
    }

    #[test]
    fn the_wait_begins_with_the_first_ring_however_long_nobody_came() {
        let mut checks = Checks::new(RELAY_HOLD);
        checks.inbound(at(600_000), &request(1));
        assert!(!sends(&mut checks, 600_100, RELAY, &stun(BINDING_SUCCESS, 1, &[])));
        assert!(sends(&mut checks, 600_300, RELAY, &stun(BINDING_SUCCESS, 1, &[])));
    }

    #[test]
    fn checks_slow_down_when_nobody_answers() {
        let mut checks = Checks::new(RELAY_HOLD);
        let sent = |checks: &mut Checks, from: u64, to: u64| {
            (from..to).step_by(20).filter(|ms| sends(checks, *ms, DIRECT, &request(1))).count()
        };
        assert_eq!(sent(&mut checks, 0, 5_000), 250);
        assert_eq!(sent(&mut checks, 5_000, 15_000), 20);
    }

    #[test]
    fn nominations_and_answers_are_never_thinned_out() {
        let mut checks = Checks::new(RELAY_HOLD);
        sends(&mut checks, 0, DIRECT, &request(1));
        let nomination = stun(BINDING_REQUEST, 2, &[0, 6, 0, 1, b'a', 0, 0, 0, 0, 0x25, 0, 0]);
        for ms in 10_000..10_010 {
            assert!(sends(&mut checks, ms, DIRECT, &nomination));
            assert!(sends(&mut checks, ms, DIRECT, &stun(BINDING_SUCCESS, 3, &[])));
        }
    }

    #[test]
    fn handshakes_are_precious_until_the_channel_is_open() {
        let mut checks = Checks::new(RELAY_HOLD);
        for (first, precious) in [(22, true), (23, true), (0, false), (128, false)] {
            assert_eq!(checks.is_precious(&[first, 1]), precious, "{first}");
        }
        assert!(!checks.is_precious(&[]));
        checks.settle();
        assert!(!checks.is_precious(&[22]));
    }

    #[test]
    fn once_open_nothing_is_held() {
        let mut checks = Checks::new(RELAY_HOLD);
        sends(&mut checks, 0, DIRECT, &request(1));
        checks.settle();
        assert!(sends(&mut checks, 1, RELAY, &request(2)));
    }

    #[test]
    fn the_round_trip_is_that_of_the_last_answered_check() {
        let mut checks = Checks::new(RELAY_HOLD);
        sends(&mut checks, 100, DIRECT, &request(1));
        checks.inbound(at(130), &stun(BINDING_SUCCESS, 9, &[]));
        assert_eq!(checks.round_trip(), None);
        checks.inbound(at(142), &stun(BINDING_SUCCESS, 1, &[]));
        assert_eq!(checks.round_trip(), Some(at(42)));
    }

    #[test]
    fn the_path_is_where_data_goes() {
        let mut checks = Checks::new(RELAY_HOLD);
        let data = [22, 254, 253, 0];
        sends(&mut checks, 0, DIRECT, &request(1));
        assert_eq!(checks.path(), None);
        assert_eq!(checks.outbound(at(1), (RELAY, to()), true, &data), Outbound::SendOnNewPath);
        assert_eq!(checks.outbound(at(2), (RELAY, to()), true, &data), Outbound::Send);
        assert_eq!(checks.outbound(at(3), (DIRECT, to()), false, &data), Outbound::SendOnNewPath);
        assert_eq!(checks.path(), Some((DIRECT, to())));
    }

    proptest! {
        #[test]
        fn anything_may_come_in_and_memory_stays_bounded(packets: Vec<Vec<u8>>) {
            let mut checks = Checks::new(RELAY_HOLD);
            for (i, packet) in packets.iter().enumerate() {
                checks.inbound(at(i as u64), packet);
                checks.outbound(at(i as u64 * 100), (i, to()), false, &stun(BINDING_REQUEST, i as u8, packet));
            }
            prop_assert!(checks.awaited.len() <= MAX_AWAITED);
        }
    }
}
