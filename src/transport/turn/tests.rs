//! The client against a server made of a few lines, on a clock made of nothing.

mod own_relay;

use super::*;
use p2pcall_relay::stun::{Builder, ChannelNumber, ErrorCode, Key, PasswordAlgorithm, Seal, TransactionId};

use crate::config::RelayLogin;
use p2pcall_relay::server::Credential;

const RELAYED: &str = "203.0.113.10:49152";
const PEER: &str = "198.51.100.7:5000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn password(password: &str) -> RelayLogin {
    RelayLogin::Password(Credential { user: "alice".into(), password: password.into() })
}

/// A client, what it has sent, and the time.
struct Bench {
    client: TurnClient,
    now: Instant,
    nonce: u32,
    /// The server knows no doorbell.
    deaf: bool,
}

/// A request as the server sees it.
struct Seen {
    method: Method,
    id: TransactionId,
    bytes: Vec<u8>,
}

impl Bench {
    fn new(login: &RelayLogin, framing: Framing) -> Self {
        let mut count = 0u8;
        let ids = Box::new(move || {
            count = count.wrapping_add(1);
            TransactionId([count; 12])
        });
        let client = TurnClient::new(framing, Login::of(login, 1_700_000_000), Extras::default(), ids);
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let now = Instant::now();
        Self { client, now, nonce: 0, deaf: false }
    }

    fn allocated() -> Self {
        let mut bench = Self::new(&password("right"), Framing::Datagram);
        bench.client.allocate(bench.now);
        bench.serve();
        let event = bench.client.poll_event();
        assert!(matches!(event, Some(TurnEvent::Allocated { relayed, .. }) if relayed == address(RELAYED)));
        bench
    }

    fn key() -> Key {
        Key::long_term(PasswordAlgorithm::Md5, "alice", "there", "right")
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.client.handle_timeout(self.now);
    }

    /// The next STUN message that was sent.
    fn next(&mut self) -> Option<Seen> {
        loop {
            let bytes = self.client.poll_transmit()?;
            if let Ok(message) = Message::parse(&bytes) {
                let (method, id) = (message.method(), message.id());
                return Some(Seen { method, id, bytes });
            }
        }
    }

    fn methods(&mut self) -> Vec<Method> {
        std::iter::from_fn(|| self.next()).map(|seen| seen.method).collect()
    }

    fn error(&mut self, seen: &Seen, code: u16) {
        self.nonce += 1;
        let nonce = format!("nonce{}", self.nonce);
        let mut buffer = [0; 256];
        let bytes = Builder::new(&mut buffer, Class::Error, seen.method, seen.id)
            .put(attr::ERROR_CODE, ErrorCode { code, reason: "so\u{7}so" })
            .put(attr::REALM, "there")
            .put(attr::NONCE, nonce.as_str())
            .put(attr::ALTERNATE_SERVER, address("192.0.2.99:3478"))
            .finish(Seal::NONE)
            .unwrap();
        assert_eq!(self.client.handle_packet(self.now, bytes), Received::Handled);
    }

    fn success(&mut self, seen: &Seen, key: &Key) {
        let mut buffer = [0; 256];
        let doorbell = Message::parse(&seen.bytes).unwrap().get(attr::DOORBELL).filter(|_| !self.deaf);
        let bytes = Builder::new(&mut buffer, Class::Success, seen.method, seen.id)
            .put(attr::XOR_RELAYED_ADDRESS, address(RELAYED))
            .put(attr::LIFETIME, 600)
            .put_some(attr::DOORBELL, doorbell)
            .finish(Seal::signed(key))
            .unwrap();
        self.client.handle_packet(self.now, bytes);
    }

    /// Answers all requests as a good server would; says which.
    fn serve(&mut self) -> Vec<Method> {
        let mut served = Vec::new();
        while let Some(seen) = self.next() {
            let message = Message::parse(&seen.bytes).unwrap();
            if message.class() != Class::Request {
                continue;
            }
            if message.verify(&Self::key(), p2pcall_relay::stun::Integrity::Sha1).is_ok() {
                self.success(&seen, &Self::key());
            } else {
                self.error(&seen, 401);
            }
            served.push(seen.method);
        }
        served
    }

    fn failure(&mut self) -> TurnError {
        match self.client.poll_event() {
            Some(TurnEvent::Failed(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_allocation_takes_two_requests_and_a_permission_for_its_own_address() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    assert_eq!(bench.serve(), [Method::ALLOCATE, Method::ALLOCATE, Method::CREATE_PERMISSION]);
    assert!(bench.client.is_allocated());
}

#[test]
fn what_was_left_behind_at_the_same_addresses_is_ended_first_and_only_once() {
    for ends in [true, false] {
        let mut bench = Bench::new(&password("right"), Framing::Datagram);
        bench.client.allocate(bench.now);
        let first = bench.next().unwrap();
        bench.error(&first, 401);
        let asked = bench.next().unwrap();
        bench.error(&asked, 437);
        let cleared = bench.next().unwrap();
        let lifetime = Message::parse(&cleared.bytes).unwrap().get(attr::LIFETIME);
        assert_eq!((cleared.method, lifetime), (Method::REFRESH, Some(0)));
        if ends {
            bench.success(&cleared, &Bench::key());
            assert_eq!(bench.serve(), [Method::ALLOCATE, Method::CREATE_PERMISSION]);
            assert!(bench.client.is_allocated());
        } else {
            bench.error(&cleared, 441);
            let again = bench.next().unwrap();
            bench.error(&again, 437);
            assert!(matches!(bench.failure(), TurnError::Refused { code: 437, .. }));
        }
    }
}

#[test]
fn what_is_wrong_with_a_login_has_a_name() {
    let secret = RelayLogin::Secret("north".into());
    for (login, errors, expect) in [
        (password("wrong"), &[401, 401][..], TurnError::WrongPassword),
        (secret, &[401, 401], TurnError::SecretOrClock),
        (RelayLogin::None, &[401], TurnError::LoginNeeded),
        (password("right"), &[401, 486], TurnError::Quota),
        (password("right"), &[401, 438, 438, 438, 438], TurnError::StaleNonce),
        (password("right"), &[508], TurnError::Refused { code: 508, reason: "soso".into() }),
    ] {
        let mut bench = Bench::new(&login, Framing::Datagram);
        bench.client.allocate(bench.now);
        for code in errors {
            let seen = bench.next().unwrap();
            bench.error(&seen, *code);
        }
        assert_eq!(bench.failure(), expect);
        assert!(bench.next().is_none());
    }
}

#[test]
fn a_stale_nonce_is_replaced_and_forgotten() {
    let mut bench = Bench::allocated();
    for _ in 0..10 {
        bench.pass(REFRESH_INTERVAL);
        let seen = bench.next().unwrap();
        bench.error(&seen, 438);
        assert_eq!(bench.serve(), [Method::REFRESH]);
    }
    assert!(bench.client.is_allocated());
}

#[test]
fn a_silent_server_is_asked_five_times() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    let mut asked = bench.methods().len();
    let begun = bench.now;
    while let Some(next) = bench.client.poll_timeout() {
        bench.now = next;
        bench.client.handle_timeout(next);
        asked += bench.methods().len();
    }
    assert_eq!((asked, bench.failure()), (5, TurnError::Silent));
    assert_eq!(bench.now - begun, Duration::from_millis(4_500));
}

#[test]
fn a_stream_is_never_asked_twice() {
    let mut bench = Bench::new(&password("right"), Framing::Stream);
    bench.client.allocate(bench.now);
    assert_eq!(bench.methods().len(), 1);
    bench.pass(Duration::from_secs(5));
    assert!(bench.methods().is_empty());
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.failure(), TurnError::Silent);
}

#[test]
fn an_answer_by_somebody_without_the_password_is_none() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    let seen = bench.next().unwrap();
    bench.error(&seen, 401);
    let seen = bench.next().unwrap();
    bench.success(&seen, &Key::long_term(PasswordAlgorithm::Md5, "alice", "there", "forged"));
    assert!(!bench.client.is_allocated());
    bench.success(&seen, &Bench::key());
    assert!(bench.client.is_allocated());
}

#[test]
fn data_waits_for_its_permission_and_then_gets_a_channel() {
    let mut bench = Bench::allocated();
    let check = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bench.client.send(bench.now, address(PEER), &check);
    let permission = bench.next().unwrap();
    assert_eq!(permission.method, Method::CREATE_PERMISSION);
    assert!(bench.next().is_none(), "the check waits");
    bench.success(&permission, &Bench::key());
    let indication = bench.next().unwrap();
    assert_eq!(indication.method, Method::SEND);
    let message = Message::parse(&indication.bytes).unwrap();
    assert_eq!(message.get(attr::XOR_PEER_ADDRESS), Some(address(PEER)));
    assert_eq!(message.get(attr::DATA), Some(&check[..]));
    assert!(bench.next().is_none(), "a check alone is no reason for a channel");

    bench.client.send(bench.now, address(PEER), b"\x16one");
    let bind = bench.next().unwrap();
    assert_eq!((bind.method, bench.next().unwrap().method), (Method::CHANNEL_BIND, Method::SEND));
    bench.success(&bind, &Bench::key());
    bench.client.send(bench.now, address(PEER), b"\x16two");
    let bytes = bench.client.poll_transmit().unwrap();
    assert_eq!(bytes, b"\x40\x00\x00\x04\x16two");
    let received = bench.client.handle_packet(bench.now, b"\x40\x00\x00\x03yes\x00");
    assert_eq!(received, Received::Data { peer: address(PEER), bytes: b"yes" });
}

#[test]
fn channel_data_is_padded_on_a_stream() {
    let mut bench = Bench::new(&password("right"), Framing::Stream);
    bench.client.allocate(bench.now);
    bench.serve();
    bench.client.send(bench.now, address(PEER), b"\x16");
    assert_eq!(bench.serve(), [Method::CREATE_PERMISSION, Method::CHANNEL_BIND]);
    bench.client.send(bench.now, address(PEER), b"\x16");
    assert_eq!(bench.client.poll_transmit().unwrap(), b"\x40\x00\x00\x01\x16\x00\x00\x00");
}

#[test]
fn a_refused_peer_gets_nothing_and_holds_nothing_up() {
    let mut bench = Bench::allocated();
    bench.client.send(bench.now, address("127.0.0.1:5"), b"\x16");
    let permission = bench.next().unwrap();
    bench.error(&permission, 403);
    bench.client.send(bench.now, address("127.0.0.1:5"), b"\x16");
    assert!(bench.next().is_none());
    bench.client.send(bench.now, address(PEER), b"\x16");
    assert_eq!(bench.serve(), [Method::CREATE_PERMISSION, Method::CHANNEL_BIND]);
}

#[test]
fn an_idle_allocation_is_kept_open_every_four_seconds_over_udp_and_every_fifteen_over_a_stream() {
    for (framing, expect) in [(Framing::Datagram, 15), (Framing::Stream, 4)] {
        let mut bench = Bench::new(&password("right"), framing);
        bench.client.allocate(bench.now);
        bench.serve();
        let mut refreshes = 0;
        for _ in 0..60 {
            bench.pass(Duration::from_secs(1));
            refreshes += bench.serve().iter().filter(|method| **method == Method::REFRESH).count();
        }
        assert_eq!(refreshes, expect, "{framing:?}");
    }
}

#[test]
fn what_is_used_is_renewed_before_it_ends() {
    let mut bench = Bench::allocated();
    let (mut refreshes, mut permissions, mut channels) = (0, 0, 0);
    for _ in 0..1_200 {
        bench.client.send(bench.now, address(PEER), b"\x16");
        bench.client.handle_packet(bench.now, b"\x40\x00\x00\x00");
        for method in bench.serve() {
            match method {
                Method::REFRESH => refreshes += 1,
                Method::CREATE_PERMISSION => permissions += 1,
                Method::CHANNEL_BIND => channels += 1,
                _ => panic!("{method:?}"),
            }
        }
        bench.pass(Duration::from_secs(1));
    }
    assert!((79..=80).contains(&refreshes), "{refreshes}");
    // Two addresses in twenty minutes, every four: the first of the peer's and four renewals of both.
    assert!((8..=11).contains(&permissions), "{permissions}");
    assert_eq!(channels, 3);
}

#[test]
fn a_server_that_forgot_us_is_noticed() {
    for code in [437, 401] {
        let mut bench = Bench::allocated();
        bench.pass(REFRESH_INTERVAL);
        let seen = bench.next().unwrap();
        bench.error(&seen, code);
        assert_eq!(bench.failure(), TurnError::Lost);
    }
    let mut bench = Bench::allocated();
    for _ in 0..(15 + 8) * 2 {
        bench.pass(Duration::from_millis(500));
    }
    assert_eq!(bench.failure(), TurnError::Lost, "silence, 8 s after the Refresh");
}

#[test]
fn a_relay_that_falls_silent_while_we_send_is_asked_at_once() {
    let mut bench = Bench::allocated();
    bench.client.send(bench.now, address(PEER), b"\x16");
    bench.serve();
    let mut refreshes = 0;
    for _ in 0..8 {
        bench.pass(Duration::from_millis(500));
        bench.client.send(bench.now, address(PEER), b"\x16");
        refreshes += bench.methods().iter().filter(|method| **method == Method::REFRESH).count();
    }
    assert_eq!(refreshes, 4, "after 1.5 s, and three times again");
    let begun = bench.now;
    while bench.client.is_allocated() {
        bench.pass(Duration::from_millis(500));
    }
    assert_eq!(bench.failure(), TurnError::Lost);
    assert!(bench.now - begun < Duration::from_secs(6));
}

#[test]
fn a_redirection_is_told() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    let seen = bench.next().unwrap();
    bench.error(&seen, 300);
    assert_eq!(bench.client.poll_event(), Some(TurnEvent::Redirected(address("192.0.2.99:3478"))));
}

#[test]
fn a_refresh_of_zero_gives_the_allocation_back() {
    let mut bench = Bench::allocated();
    bench.client.release(bench.now);
    let seen = bench.next().unwrap();
    assert_eq!(Message::parse(&seen.bytes).unwrap().get(attr::LIFETIME), Some(0));
    bench.success(&seen, &Bench::key());
    assert_eq!(bench.client.poll_event(), Some(TurnEvent::Released));
}

#[test]
fn a_doorbell_is_registered_and_withdrawn() {
    let mut bench = Bench::allocated();
    let guest = p2pcall_relay::stun::guest::Guest::new("friend", "for one call");
    assert_eq!(guest, None, "a space is no graphic character");
    bench.client.set_extras(bench.now, Extras { doorbell: Some("offerufr".into()), guest: None });
    assert_eq!(bench.serve(), [Method::REFRESH]);
    assert!(bench.client.is_up_to_date());
    let on = Taken { doorbell: true, guest: false };
    assert_eq!(bench.client.poll_event(), Some(TurnEvent::Taken(on)));
    bench.client.set_extras(bench.now, Extras::default());
    assert!(!bench.client.is_up_to_date());
    let seen = bench.next().unwrap();
    assert_eq!(Message::parse(&seen.bytes).unwrap().get(attr::DOORBELL), Some(""));
    bench.success(&seen, &Bench::key());
    assert_eq!(bench.client.poll_event(), Some(TurnEvent::Taken(Taken::default())));
}

#[test]
fn a_server_that_knows_no_doorbell_is_not_asked_again() {
    let extras = |ufrag: &str| Extras { doorbell: Some(ufrag.into()), guest: None };
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.extras = extras("probeufr");
    bench.deaf = true;
    bench.client.allocate(bench.now);
    bench.serve();
    let event = bench.client.poll_event();
    assert!(matches!(event, Some(TurnEvent::Allocated { taken, .. }) if taken == Taken::default()));
    bench.client.set_extras(bench.now, extras("offerufr"));
    assert!(bench.client.is_up_to_date() && bench.next().is_none());
}

#[test]
fn a_relay_without_ipv4_is_asked_for_ipv6() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    for code in [401, 440] {
        let seen = bench.next().unwrap();
        assert_eq!(Message::parse(&seen.bytes).unwrap().get(attr::REQUESTED_ADDRESS_FAMILY), None);
        bench.error(&seen, code);
    }
    let seen = bench.next().unwrap();
    let family = Message::parse(&seen.bytes).unwrap().get(attr::REQUESTED_ADDRESS_FAMILY);
    assert_eq!(family, Some(p2pcall_relay::stun::AddressFamily::V6));
    bench.error(&seen, 440);
    assert_eq!(bench.failure(), TurnError::Refused { code: 440, reason: "soso".into() });
}

#[test]
fn an_allocation_that_is_not_prolonged_lives_on_while_it_may() {
    let mut bench = Bench::allocated();
    bench.pass(REFRESH_INTERVAL);
    let seen = bench.next().unwrap();
    bench.error(&seen, 508);
    let event = bench.client.poll_event();
    assert!(matches!(event, Some(TurnEvent::NotProlonged(TurnError::Refused { code: 508, .. }))));
    assert!(bench.client.is_allocated());
    bench.pass(REFRESH_INTERVAL);
    assert_eq!(bench.serve(), [Method::REFRESH]);
}

#[test]
fn a_server_with_sha256_is_spoken_to_in_sha256() {
    let mut bench = Bench::new(&password("right"), Framing::Datagram);
    bench.client.allocate(bench.now);
    let seen = bench.next().unwrap();
    let mut buffer = [0; 256];
    let bytes = Builder::new(&mut buffer, Class::Error, seen.method, seen.id)
        .put(attr::ERROR_CODE, ErrorCode { code: 401, reason: "" })
        .put(attr::REALM, "there")
        .put(attr::NONCE, "obMatJos2gAAAnonce")
        .put(attr::PASSWORD_ALGORITHMS, PasswordAlgorithm::LIST)
        .finish(Seal::NONE)
        .unwrap();
    bench.client.handle_packet(bench.now, bytes);
    let seen = bench.next().unwrap();
    let message = Message::parse(&seen.bytes).unwrap();
    let key = Key::long_term(PasswordAlgorithm::Sha256, "alice", "there", "right");
    assert_eq!(message.verify(&key, p2pcall_relay::stun::Integrity::Sha256), Ok(()));
    assert_eq!(message.get(attr::PASSWORD_ALGORITHM), Some(PasswordAlgorithm::Sha256));
}

#[test]
fn bytes_of_any_kind_are_survived() {
    let mut bench = Bench::allocated();
    for length in 0..64 {
        for first in 0..=255 {
            let mut bytes = vec![first; length];
            if length >= 8 {
                bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
            }
            bench.client.handle_packet(bench.now, &bytes);
        }
    }
    assert!(bench.client.is_allocated());
    assert_eq!(ChannelNumber::new(0x3FFF), None);
}
