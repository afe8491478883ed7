//! A relay with one allocation, and packets of everybody: the input is cut into packets, each with a byte that
//! says where it comes in and whether it is signed anew.
#![no_main]
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use p2pcall_relay::server::{
    Client, Credential, Credentials, Limits, Listener, Now, Output, PeerRules, Peers, RelayId, RelayIp, Server,
    Settings, Shard, Shared, Sockets, Via,
};
use p2pcall_relay::stun::{Builder, Class, Key, Message, Method, PasswordAlgorithm, Seal, TransactionId, attr};

#[derive(Default)]
struct Names(Vec<RelayId>);

impl Sockets for Names {
    fn open(&mut self, relay: RelayId, _: SocketAddr) -> bool {
        self.0.push(relay);
        true
    }
    fn close(&mut self, relay: RelayId) {
        self.0.retain(|open| *open != relay);
    }
}

fn settings() -> Settings {
    let ip = IpAddr::from([203, 0, 113, 5]);
    let address = SocketAddr::new(ip, 3478);
    Settings {
        listeners: vec![Listener::plain(address, address)],
        peers: Peers {
            rules: PeerRules::default(),
            relays: vec![RelayIp { local: ip, external: ip }],
            own: vec![ip],
            services: vec![3478],
        },
        ports: 50_000..=50_015,
        limits: Limits::default(),
        sha256: false,
        doorbell: true,
        guest: true,
        alternate_server: None,
    }
}

fn nonce(server: &mut Server, now: Now, client: Client, sockets: &mut Names) -> String {
    let mut buffer = [0; 64];
    let request = Builder::new(&mut buffer, Class::Request, Method::ALLOCATE, TransactionId([0; 12]));
    let request = request.finish(Seal::NONE).expect("a header fits");
    let Output::Reply { bytes, .. } = server.handle_client(now, client, request, sockets) else { unreachable!() };
    let answer = Message::parse(&bytes).expect("an answer");
    answer.get(attr::NONCE).expect("a challenge").to_owned()
}

fuzz_target!(|input: &[u8]| {
    let user = Credential { user: "u".to_owned(), password: "p".to_owned() };
    let key = Key::long_term(PasswordAlgorithm::Md5, "u", "p2p", "p");
    let settings = Arc::new(settings());
    let mut now = Now { monotonic: Instant::now(), unix: 1_790_000_000 };
    let shared = Arc::new(Shared::new(&settings, Credentials::new("p2p", &[user], vec![]), [1; 32], now));
    let shard = Shard::new(0).expect("a shard");
    let (mut server, mut sockets) = (Server::new(settings, shared, shard), Names::default());
    let client = Client { address: SocketAddr::from(([198, 51, 100, 1], 5000)), via: Via::Udp(0) };
    let nonce = nonce(&mut server, now, client, &mut sockets);
    let peer = SocketAddr::from(([198, 51, 100, 9], 9000));
    for packet in input.split(|&byte| byte == 0xFE) {
        let Some((&how, packet)) = packet.split_first() else { continue };
        match (how % 4, sockets.0.first().copied()) {
            (0, _) => drop(server.handle_client(now, client, packet, &mut sockets)),
            (1, Some(relay)) => drop(server.handle_peer(now, relay, peer, packet)),
            (2, _) => {
                now.monotonic += Duration::from_secs(u64::from(how) * 10);
                server.handle_timeout(now, &mut sockets);
            }
            _ => {
                // Signed, so that the fuzzer gets behind the login: any method, any bytes as three attributes.
                let mut buffer = [0; 2048];
                let method = Method::new(u16::from(how / 4 % 10));
                let id = TransactionId([how; 12]);
                let words: [u8; 4] = packet.first_chunk().copied().unwrap_or_default();
                let [a, b, c, d] = words;
                let to = SocketAddr::from(([203, 0, 113, c], u16::from_be_bytes([a, d])));
                let request = Builder::new(&mut buffer, Class::Request, method, id)
                    .put(attr::REQUESTED_TRANSPORT, 17)
                    .put(attr::CHANNEL_NUMBER, u16::from_be_bytes([a, b]))
                    .put(attr::XOR_PEER_ADDRESS, to)
                    .put_some(attr::LIFETIME, (d % 2 == 0).then_some(u32::from(c)))
                    .put_some(attr::EVEN_PORT, (d % 3 == 0).then_some(b))
                    .put_some(attr::GUEST, (c % 2 == 0).then_some(packet.get(..64).unwrap_or(packet)))
                    .put_some(attr::DOORBELL, (c % 3 == 0).then_some("offerer12"))
                    .put(attr::USERNAME, "u")
                    .put(attr::REALM, "p2p")
                    .put(attr::NONCE, &nonce)
                    .finish(Seal::signed(&key));
                let Ok(request) = request else { continue };
                drop(server.handle_client(now, client, request, &mut sockets));
            }
        }
    }
    server.shutdown(&mut sockets);
    assert!(sockets.0.is_empty(), "every socket that was opened is closed");
});
