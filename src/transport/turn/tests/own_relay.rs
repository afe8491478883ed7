//! The client against our own relay's core: both without sockets, on the same virtual clock.

use super::*;
use p2pcall_relay::server::{
    Client, Credential, Credentials, Limits, Listener, Now, Output, PeerRules, Peers, RelayId, RelayIp,
    Server, Settings, Shard, Shared, Sockets, Via,
};
use p2pcall_relay::stun::guest::Guest;
use std::collections::HashMap;
use std::sync::Arc;

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:4000";
const UNIX: u64 = 1_790_000_000;

#[derive(Default)]
struct Opened(HashMap<SocketAddr, RelayId>);

impl Sockets for Opened {
    fn open(&mut self, relay: RelayId, local: SocketAddr) -> bool {
        self.0.insert(local, relay);
        true
    }
    fn close(&mut self, _: RelayId) {}
}

struct Lab {
    server: Server,
    sockets: Opened,
    now: Instant,
    clients: HashMap<SocketAddr, TurnClient>,
    /// What of the last one's extras was taken.
    taken: Taken,
    /// What came to clients, and to peers beyond the relay.
    heard: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

impl Lab {
    fn new(sha256: bool) -> Self {
        let ip = "203.0.113.5".parse().unwrap();
        let settings = Arc::new(Settings {
            listeners: vec![Listener::plain(address("203.0.113.5:3478"), address("203.0.113.5:3478"))],
            peers: Peers {
                rules: PeerRules::default(),
                relays: vec![RelayIp { local: ip, external: ip }],
                own: vec![ip],
                services: vec![3478],
            },
            ports: 49_152..=65_535,
            limits: Limits::default(),
            sha256,
            doorbell: true,
            guest: true,
            alternate_server: None,
        });
        #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
        let now = Instant::now();
        let user = Credential { user: "alice".into(), password: "right".into() };
        let credentials = Credentials::new("here", &[user], vec!["north".into()]);
        let shared = Shared::new(&settings, credentials, [7; 32], Now { monotonic: now, unix: UNIX });
        let server = Server::new(settings, Arc::new(shared), Shard::new(0).unwrap());
        Self {
            server,
            sockets: Opened::default(),
            now,
            clients: HashMap::new(),
            taken: Taken::default(),
            heard: Vec::new(),
        }
    }

    fn clock(&self) -> Now {
        Now { monotonic: self.now, unix: UNIX }
    }

    /// A client that asks for an allocation; its relayed address.
    fn join(&mut self, from: &str, login: &RelayLogin, extras: Extras) -> Result<SocketAddr, TurnError> {
        let mut count = from.bytes().map(u64::from).sum::<u64>() << 32;
        let ids = Box::new(move || {
            count += 1;
            let mut id = [0; 12];
            id[4..].copy_from_slice(&count.to_be_bytes());
            TransactionId(id)
        });
        let mut client = TurnClient::new(Framing::Datagram, Login::of(login, UNIX), extras, ids);
        client.allocate(self.now);
        self.clients.insert(address(from), client);
        self.run();
        match self.client(from).poll_event() {
            Some(TurnEvent::Allocated { relayed, mapped, taken }) => {
                self.taken = taken;
                assert_eq!(mapped, Some(address(from)));
                Ok(relayed)
            }
            Some(TurnEvent::Failed(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn client(&mut self, at: &str) -> &mut TurnClient {
        self.clients.get_mut(&address(at)).unwrap()
    }

    /// Carries packets until nobody has any.
    fn run(&mut self) {
        let addresses: Vec<_> = self.clients.keys().copied().collect();
        loop {
            let next = addresses.iter().find_map(|from| {
                let bytes = self.clients.get_mut(from)?.poll_transmit()?;
                Some((*from, bytes))
            });
            let Some((from, bytes)) = next else { return };
            let (clock, client) = (self.clock(), Client { address: from, via: Via::Udp(0) });
            let output = self.server.handle_client(clock, client, &bytes, &mut self.sockets);
            let carried = Carried::of(output);
            self.carry(carried);
        }
    }

    /// A peer that is no client sends to a relayed address.
    fn knock(&mut self, from: &str, relayed: SocketAddr, bytes: &[u8]) {
        let (clock, relay) = (self.clock(), self.sockets.0[&relayed]);
        let output = self.server.handle_peer(clock, relay, address(from), bytes);
        let carried = Carried::of(output);
        self.carry(carried);
        self.run();
    }

    fn carry(&mut self, carried: Carried) {
        match carried {
            Carried::ToClient(to, bytes) => {
                let received = self.clients.get_mut(&to).unwrap().handle_packet(self.now, &bytes);
                if let Received::Data { peer, bytes } = received {
                    self.heard.push((to, peer, bytes.to_vec()));
                }
            }
            Carried::ToPeer(to, bytes) => self.heard.push((to, to, bytes)),
            Carried::Nowhere => {}
        }
    }
}

/// An output that no longer borrows.
enum Carried {
    ToClient(SocketAddr, Vec<u8>),
    ToPeer(SocketAddr, Vec<u8>),
    Nowhere,
}

impl Carried {
    fn of(output: Output<'_>) -> Self {
        match output {
            Output::Reply { to, bytes } => Self::ToClient(to.address, bytes),
            Output::ToClient { to, header, data } => {
                let padding = vec![0; usize::from(header.padding)];
                Self::ToClient(to.address, [header.as_ref(), data, &padding].concat())
            }
            Output::ToPeer { to, data, .. } => Self::ToPeer(to, data.to_vec()),
            Output::ToShard { .. } | Output::Nothing => Self::Nowhere,
        }
    }
}

fn check(ufrag: &str) -> Vec<u8> {
    let mut buffer = [0; 128];
    Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([9; 12]))
        .put(attr::USERNAME, format!("{ufrag}:answrufr").as_str())
        .finish(Seal::NONE)
        .unwrap()
        .to_vec()
}

#[test]
fn both_kinds_of_login_work_with_both_algorithms() {
    for sha256 in [false, true] {
        let mut lab = Lab::new(sha256);
        assert!(lab.join(ALICE, &password("right"), Extras::default()).is_ok());
        assert!(lab.join(BOB, &RelayLogin::Secret("north".into()), Extras::default()).is_ok());
        let wrong = lab.join("198.51.100.3:1", &password("wrong"), Extras::default());
        assert_eq!(wrong, Err(TurnError::WrongPassword));
    }
}

#[test]
fn the_doorbell_lets_a_stranger_in_who_knows_the_ufrag_and_nobody_else() {
    let mut lab = Lab::new(false);
    let extras = Extras { doorbell: Some("offerufr".into()), guest: None };
    let relayed = lab.join(ALICE, &password("right"), extras).unwrap();
    assert_eq!(lab.taken, Taken { doorbell: true, guest: false });
    lab.knock(BOB, relayed, &check("anybody1"));
    assert_eq!(lab.heard, []);
    lab.knock(BOB, relayed, &check("offerufr"));
    assert_eq!(lab.heard, [(address(ALICE), address(BOB), check("offerufr"))]);

    // The answer makes the permission, and after it anything passes.
    let now = lab.now;
    lab.client(ALICE).send(now, address(BOB), b"\x16answer");
    lab.run();
    assert_eq!(lab.heard.pop(), Some((address(BOB), address(BOB), b"\x16answer".to_vec())));
    lab.knock(BOB, relayed, b"\x16hello");
    assert_eq!(lab.heard.pop(), Some((address(ALICE), address(BOB), b"\x16hello".to_vec())));
}

#[test]
fn a_guest_reaches_its_host_and_nobody_else() {
    let mut lab = Lab::new(false);
    let guest = Guest::new("guest1", "guest1's-word");
    let host = lab.join(ALICE, &password("right"), Extras { doorbell: None, guest }).unwrap();
    let login = RelayLogin::Password(Credential { user: "guest1".into(), password: "guest1's-word".into() });
    assert_eq!(lab.taken, Taken { doorbell: false, guest: true });
    let guests = lab.join(BOB, &login, Extras::default()).unwrap();
    let now = lab.now;
    lab.client(BOB).send(now, host, b"\x16hello");
    lab.client(BOB).send(now, address("198.51.100.77:5"), b"\x16elsewhere");
    lab.run();
    assert_eq!(lab.heard, [(address(ALICE), guests, b"\x16hello".to_vec())]);
}

#[test]
fn two_clients_of_one_relay_reach_each_other_at_once() {
    let mut lab = Lab::new(false);
    let alices = lab.join(ALICE, &password("right"), Extras::default()).unwrap();
    let bobs = lab.join(BOB, &password("right"), Extras::default()).unwrap();
    let now = lab.now;
    // Alice has never heard of Bob: the permission for the relay's own address lets him in.
    lab.client(BOB).send(now, alices, b"\x16hello");
    lab.run();
    assert_eq!(lab.heard, [(address(ALICE), bobs, b"\x16hello".to_vec())]);
    for _ in 0..3 {
        lab.client(ALICE).send(now, bobs, b"\x16back");
        lab.run();
    }
    assert_eq!(lab.heard.pop(), Some((address(BOB), alices, b"\x16back".to_vec())));
}

#[test]
fn an_allocation_that_is_given_back_can_be_had_again() {
    let mut lab = Lab::new(false);
    for _ in 0..3 {
        lab.join(ALICE, &password("right"), Extras::default()).unwrap();
        let now = lab.now;
        lab.client(ALICE).release(now);
        lab.run();
        assert_eq!(lab.client(ALICE).poll_event(), Some(TurnEvent::Released));
    }
}
