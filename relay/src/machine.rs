//! What this machine's addresses are, and how the Internet sees them.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::time::timeout;

use crate::config::Machine;
use crate::server::PeerRules;
use crate::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};

/// Asked for the public address when this machine has a private one. Nothing else is sent anywhere.
const STUN_SERVERS: [&str; 2] = ["stun.cloudflare.com:3478", "stun.l.google.com:19302"];
/// Tries, and how long each may take.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks at interfaces and routes.
pub(crate) fn look() -> Machine {
    let mut addresses: Vec<IpAddr> =
        if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let routed = [("0.0.0.0:0", "8.8.8.8:53"), ("[::]:0", "[2001:4860:4860::8888]:53")];
    let mut routed: Vec<IpAddr> =
        routed.into_iter().filter_map(|(from, to)| source_towards(from, to)).collect();
    if routed.is_empty() {
        // No way out: a laboratory, or a machine that is only reached from its own network.
        let first = addresses.iter().find(|ip| ip.is_ipv4() && !ip.is_loopback());
        routed.extend(first.or(addresses.first()));
    }
    Machine { addresses, routed }
}

/// The address that packets to `to` would leave from. Connecting a UDP socket sends nothing.
fn source_towards(from: &str, to: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// For each address that only its own network knows: how the Internet sees it, if anybody answers.
pub(crate) async fn public(locals: &[IpAddr]) -> Vec<(IpAddr, IpAddr)> {
    let rules = PeerRules::default();
    let mut found = Vec::new();
    for &local in locals.iter().filter(|local| !local.is_loopback() && !rules.permit(**local)) {
        if let Some(public) = ask(local).await {
            found.push((local, public));
        }
    }
    found
}

async fn ask(local: IpAddr) -> Option<IpAddr> {
    let socket = tokio::net::UdpSocket::bind(SocketAddr::new(local, 0)).await.ok()?;
    for server in STUN_SERVERS {
        let Ok(Ok(servers)) = timeout(PATIENCE * 2, tokio::net::lookup_host(server)).await else { continue };
        let Some(server) = servers.into_iter().find(|server| server.is_ipv4() == local.is_ipv4()) else {
            continue;
        };
        for _ in 0..TRIES {
            if let Ok(Some(public)) = timeout(PATIENCE, ask_once(&socket, server)).await {
                return Some(public);
            }
        }
    }
    None
}

async fn ask_once(socket: &tokio::net::UdpSocket, server: SocketAddr) -> Option<IpAddr> {
    let id = TransactionId(crate::random_bytes()?);
    let mut buffer = [0; 64];
    let request = Builder::new(&mut buffer, Class::Request, Method::BINDING, id).finish(Seal::NONE).ok()?;
    socket.send_to(request, server).await.ok()?;
    let mut buffer = [0; 1024];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.ok()?;
        let answer = buffer.get(..length).and_then(|bytes| Message::parse(bytes).ok());
        if let Some(answer) = answer.filter(|answer| from == server && answer.id() == id) {
            return answer.get(attr::XOR_MAPPED_ADDRESS).map(|mapped| mapped.ip());
        }
    }
}
