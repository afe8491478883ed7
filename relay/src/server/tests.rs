//! The core under test: real messages, virtual time, sockets that only remember that they were opened.

mod allocations;
mod authentication;
mod discovery;
mod doors;
mod relaying;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::stun::{Key, PasswordAlgorithm, TransactionId};

/// Wednesday noon, say.
const UNIX: u64 = 1_790_000_000;

/// Sockets that exist in name only.
#[derive(Default)]
struct Fakes {
    open: HashMap<RelayId, SocketAddr>,
    channels: i32,
    /// Ports that somebody else on the machine has.
    busy: Vec<u16>,
}

impl Sockets for Fakes {
    fn open(&mut self, relay: RelayId, local: SocketAddr) -> bool {
        !self.busy.contains(&local.port()) && self.open.insert(relay, local).is_none()
    }
    fn close(&mut self, relay: RelayId) {
        self.open.remove(&relay);
    }
    fn bound(&mut self, _: RelayId, _: u16, _: SocketAddr) {
        self.channels += 1;
    }
    fn unbound(&mut self, _: RelayId, _: u16) {
        self.channels -= 1;
    }
}

/// A relay behind a 1:1 NAT with two shards, whose clock the test turns.
struct Lab {
    shards: Vec<Server>,
    shared: Arc<Shared>,
    sockets: Vec<Fakes>,
    now: Now,
    transactions: u32,
}

/// A client with its credential, on one shard.
#[derive(Clone)]
struct User {
    client: Client,
    shard: usize,
    name: String,
    password: String,
    nonce: String,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn settings() -> Settings {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let relays = vec![
        RelayIp { local: ip("10.0.0.5"), external: ip("203.0.113.5") },
        RelayIp { local: ip("2001:db8::5"), external: ip("2001:db8::5") },
    ];
    let own = vec![ip("10.0.0.5"), ip("203.0.113.5"), ip("2001:db8::5"), ip("127.0.0.1")];
    Settings {
        listeners: vec![Listener::plain(address("10.0.0.5:3478"), address("203.0.113.5:3478"))],
        peers: Peers { rules: PeerRules::default(), relays, own, services: vec![3478] },
        ports: 49_152..=65_535,
        limits: Limits::default(),
        sha256: false,
        doorbell: true,
        guest: true,
        alternate_server: None,
    }
}

fn lab() -> Lab {
    lab_with(|_| {})
}

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
fn lab_with(change: impl FnOnce(&mut Settings)) -> Lab {
    let mut settings = settings();
    change(&mut settings);
    start(&Arc::new(settings), [7; 32], Now { monotonic: Instant::now(), unix: UNIX })
}

fn start(settings: &Arc<Settings>, seed: Seed, now: Now) -> Lab {
    let users =
        ["alice", "bob"].map(|user| Credential { user: user.to_owned(), password: format!("{user}'s word") });
    let credentials = Credentials::new("p2p", &users, vec!["north".to_owned()]);
    let shared = Arc::new(Shared::new(settings, credentials, seed, now));
    let shards = [0, 1]
        .map(|shard| Server::new(Arc::clone(settings), Arc::clone(&shared), Shard::new(shard).unwrap()));
    Lab {
        shards: shards.into(),
        shared,
        sockets: vec![Fakes::default(), Fakes::default()],
        now,
        transactions: 0,
    }
}

fn udp(from: &str) -> Client {
    Client { address: address(from), via: Via::Udp(0) }
}

/// An answer as the test reads it.
#[derive(Clone, Debug)]
struct Answer(Vec<u8>);

impl Answer {
    fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap()
    }
    fn error(&self) -> u16 {
        self.message().get(attr::ERROR_CODE).map_or(0, |error| error.code)
    }
    fn relayed(&self) -> SocketAddr {
        self.message().get(attr::XOR_RELAYED_ADDRESS).unwrap()
    }
}

impl Lab {
    /// The same relay, a moment later, with nothing but its configuration.
    fn restart(&mut self) {
        let settings = Arc::clone(&self.shards[0].settings);
        *self = start(&settings, [8; 32], self.now);
    }

    fn pass(&mut self, seconds: u64) {
        self.now.monotonic += Duration::from_secs(seconds);
        self.now.unix += seconds;
        for (server, sockets) in self.shards.iter_mut().zip(&mut self.sockets) {
            server.handle_timeout(self.now, sockets);
        }
    }

    fn id(&mut self) -> TransactionId {
        self.transactions += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.transactions.to_be_bytes());
        TransactionId(id)
    }

    fn input<'p>(&mut self, shard: usize, client: Client, packet: &'p [u8]) -> Output<'p> {
        self.shards[shard].handle_client(self.now, client, packet, &mut self.sockets[shard])
    }

    fn try_request(&mut self, shard: usize, client: Client, packet: &[u8]) -> Option<Answer> {
        match self.input(shard, client, packet) {
            Output::Reply { bytes, .. } => Some(Answer(bytes)),
            Output::Nothing => None,
            other => panic!("{other:?}"),
        }
    }

    fn request(&mut self, shard: usize, client: Client, packet: &[u8]) -> Answer {
        self.try_request(shard, client, packet).expect("an answer")
    }

    /// A client that has been challenged.
    fn join(&mut self, from: &str, shard: usize, name: &str, password: &str) -> User {
        let client = udp(from);
        self.join_by(client, shard, name, password)
    }

    fn join_by(&mut self, client: Client, shard: usize, name: &str, password: &str) -> User {
        let id = self.id();
        let packet = build(Method::ALLOCATE, id, Seal::NONE, |b| b.put(attr::REQUESTED_TRANSPORT, attr::UDP));
        let answer = self.request(shard, client, &packet);
        assert_eq!(answer.error(), 401);
        let nonce = answer.message().get(attr::NONCE).unwrap().to_owned();
        User { client, shard, name: name.to_owned(), password: password.to_owned(), nonce }
    }

    fn alice(&mut self) -> User {
        self.join("198.51.100.1:40000", 0, "alice", "alice's word")
    }

    fn bob(&mut self) -> User {
        self.join("198.51.100.2:40000", 0, "bob", "bob's word")
    }

    fn ask(&mut self, user: &User, method: Method, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> Answer {
        let packet = self.signed(user, method, fill);
        let answer = self.request(user.shard, user.client, &packet);
        let verified = answer.message().verify(&user.key(), crate::stun::Integrity::Sha1);
        assert!(verified.is_ok() || matches!(answer.error(), 401 | 438 | 400), "{answer:?}");
        answer
    }

    fn signed(
        &mut self,
        user: &User,
        method: Method,
        fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
    ) -> Vec<u8> {
        let id = self.id();
        build(method, id, Seal::signed(&user.key()), |b| {
            fill(b).put(attr::USERNAME, &user.name).put(attr::REALM, "p2p").put(attr::NONCE, &user.nonce)
        })
    }

    fn allocate(&mut self, user: &User) -> SocketAddr {
        let answer = self.ask(user, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, attr::UDP));
        assert_eq!(answer.error(), 0, "{answer:?}");
        answer.relayed()
    }

    fn permit(&mut self, user: &User, peer: &str) -> u16 {
        self.ask(user, Method::CREATE_PERMISSION, |b| b.put(attr::XOR_PEER_ADDRESS, address(peer))).error()
    }

    fn bind(&mut self, user: &User, channel: u16, peer: SocketAddr) -> u16 {
        let answer = self.ask(user, Method::CHANNEL_BIND, |b| {
            b.put(attr::CHANNEL_NUMBER, channel).put(attr::XOR_PEER_ADDRESS, peer)
        });
        answer.error()
    }

    fn refresh(&mut self, user: &User, lifetime: u32) -> Answer {
        self.ask(user, Method::REFRESH, |b| b.put(attr::LIFETIME, lifetime))
    }

    /// The relay socket that is bound to this external address.
    fn socket(&self, relayed: SocketAddr) -> (usize, RelayId) {
        let sockets = self.sockets.iter().enumerate();
        let mut open =
            sockets.flat_map(|(shard, sockets)| sockets.open.iter().map(move |open| (shard, open)));
        let found = open
            .find(|(_, (_, local))| local.port() == relayed.port() && local.is_ipv4() == relayed.is_ipv4());
        found.map(|(shard, (&id, _))| (shard, id)).expect("an open socket")
    }

    /// A datagram from outside to a relayed address, and what the client then gets.
    fn peer_sends(&mut self, relayed: SocketAddr, peer: &str, data: &[u8]) -> Option<(Client, Vec<u8>)> {
        let (shard, id) = self.socket(relayed);
        to_client(self.shards[shard].handle_peer(self.now, id, address(peer), data))
    }
}

impl User {
    fn key(&self) -> Key {
        Key::long_term(PasswordAlgorithm::Md5, &self.name, "p2p", &self.password)
    }
}

fn build(
    method: Method,
    id: TransactionId,
    seal: Seal<'_>,
    fill: impl FnOnce(Builder<'_>) -> Builder<'_>,
) -> Vec<u8> {
    let mut buffer = [0; 2048];
    fill(Builder::new(&mut buffer, Class::Request, method, id)).finish(seal).unwrap().to_vec()
}

fn send_to(peer: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let builder = Builder::new(&mut buffer, Class::Indication, Method::SEND, TransactionId([5; 12]));
    builder.put(attr::XOR_PEER_ADDRESS, peer).put(attr::DATA, data).finish(Seal::NONE).unwrap().to_vec()
}

fn channel_data(channel: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = [channel.to_be_bytes(), (data.len() as u16).to_be_bytes()].concat();
    bytes.extend(data);
    bytes
}

/// What a client gets, whole; `None` for nothing.
fn to_client(output: Output<'_>) -> Option<(Client, Vec<u8>)> {
    match output {
        Output::Nothing => None,
        Output::ToClient { to, header, data } => {
            Some((to, [header.as_ref(), data, &[0; 3][..usize::from(header.padding)]].concat()))
        }
        Output::Reply { to, bytes } => Some((to, bytes)),
        other => panic!("{other:?}"),
    }
}
