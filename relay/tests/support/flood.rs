//! A flood of packets that nobody asked for, each from another address: what a spoofed flood looks like to the
//! relay.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use p2pcall_relay::stun::{Builder, Class, Key, Method, Seal, TransactionId, attr};

/// Packets a second, and how many of them at once.
const RATE: u32 = 5_000;
const VOLLEY: u32 = 50;

/// Sends to `target` from addresses of 10.0.0.0/8, all of which must be this machine's, for so long; how many.
pub(crate) fn flood(target: SocketAddr, duration: Duration) -> u32 {
    let rate = std::env::var("P2PCALL_RELAY_FLOOD_RATE").map_or(RATE, |rate| rate.parse().unwrap());
    let packets = packets();
    let begun = Instant::now();
    let mut sent = 0u32;
    while begun.elapsed() < duration {
        for packet in packets.iter().cycle().take(VOLLEY as usize) {
            sent += 1;
            // Far apart: each address is in a network of its own, for as long as there are networks left.
            let address = Ipv4Addr::from(0x0A00_0000 | sent.wrapping_mul(0x0001_0101) & 0x00FF_FFFF);
            let socket = UdpSocket::bind((address, 0)).unwrap();
            let _full_queues_are_what_floods_are_for = socket.send_to(packet, target);
        }
        let due =
            begun + Duration::from_secs(1) * (sent / rate) + Duration::from_secs(1) * (sent % rate) / rate;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    sent
}

/// One of each kind that costs a server something.
fn packets() -> Vec<Vec<u8>> {
    let build = |method, seal: Seal<'_>, fill: &dyn for<'b> Fn(Builder<'b>) -> Builder<'b>| {
        let mut buffer = [0; 512];
        let builder = Builder::new(&mut buffer, Class::Request, method, TransactionId([6; 12]));
        fill(builder).finish(seal).unwrap().to_vec()
    };
    let key = Key::short_term("a guess");
    vec![
        build(Method::BINDING, Seal::NONE, &|builder| builder),
        build(Method::ALLOCATE, Seal::NONE, &|builder| builder.put(attr::REQUESTED_TRANSPORT, attr::UDP)),
        build(Method::ALLOCATE, Seal::signed(&key), &signed),
        build(Method::REFRESH, Seal::signed(&key), &signed),
        [&[0x40, 0, 0, 100][..], &[7; 100]].concat(),
        vec![0; 20],
        (0..=255).collect(),
    ]
}

fn signed(builder: Builder<'_>) -> Builder<'_> {
    let builder = builder.put(attr::REQUESTED_TRANSPORT, attr::UDP).put(attr::USERNAME, "mallory");
    builder.put(attr::REALM, "p2pcall").put(attr::NONCE, "AAAAAAAAAAAAAAAA")
}
