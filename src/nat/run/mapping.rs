//! I/O: does the router open ports on request? Each protocol maps a port of its own, the mapping is verified from
//! outside as far as a STUN server can, and taken back.

use crate::nat::portmap::{Attempt, MapError, Mapped, PortMapper, Protocol, Verified};
use crate::transport::{bind_like_a_call, random_transaction};
use p2pcall_relay::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// The mapping is taken back; if that fails it ends by itself soon.
const LIFETIME: Duration = Duration::from_secs(120);
/// One protocol takes no longer to map, and no longer to verify and take back.
const MAP_PATIENCE: Duration = Duration::from_secs(5);
const VERIFY_PATIENCE: Duration = Duration::from_secs(3);
/// The wait for an answer from outside, and tries.
const WAIT: Duration = Duration::from_millis(350);
const TRIES: u32 = 3;

/// All protocols, at the same time.
pub(super) async fn examine(
    local: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
    server: Option<SocketAddr>,
) -> Vec<Attempt> {
    let mapper = PortMapper::new(local, gateway);
    let [pcp, natpmp, upnp] = Protocol::ALL.map(|protocol| one(mapper, protocol, local, server));
    let (pcp, natpmp, upnp) = tokio::join!(pcp, natpmp, upnp);
    vec![pcp, natpmp, upnp]
}

async fn one(mapper: PortMapper, protocol: Protocol, local: Ipv4Addr, server: Option<SocketAddr>) -> Attempt {
    let failed = |error: MapError| Attempt { protocol, outcome: Err(error), deleted: true };
    let socket = match open(local) {
        Ok(socket) => socket,
        Err(error) => return failed(error.into()),
    };
    let Ok(port) = socket.local_addr().map(|address| address.port()) else { return failed(MapError::Silent) };
    let mapping = timeout(MAP_PATIENCE, mapper.map_by(protocol, port, LIFETIME));
    let mapped = match mapping.await {
        Ok(Ok(mapped)) => mapped,
        Ok(Err(error)) => return failed(error),
        Err(_) => return failed(MapError::Silent),
    };
    let verified = match server {
        Some(server) => {
            let verifying = verify(&socket, local, &mapped, server);
            timeout(VERIFY_PATIENCE, verifying).await.unwrap_or(Verified::Untested)
        }
        None => Verified::Untested,
    };
    let deleted = timeout(VERIFY_PATIENCE, mapper.delete(&mapped)).await.is_ok_and(|done| done.is_ok());
    Attempt { protocol, outcome: Ok((mapped.external, verified)), deleted }
}

fn open(local: Ipv4Addr) -> std::io::Result<UdpSocket> {
    UdpSocket::from_std(bind_like_a_call(IpAddr::V4(local))?)
}

/// First a packet that our socket never asked for: another socket has the server answer to the mapped port
/// (RESPONSE-PORT, RFC 5780 §7.5). Else where the world sees our socket.
async fn verify(socket: &UdpSocket, local: Ipv4Addr, mapped: &Mapped, server: SocketAddr) -> Verified {
    if let Ok(other) = open(local)
        && ask(&other, socket, server, Some(mapped.external.port())).await.is_some()
    {
        return Verified::Reached;
    }
    match ask(socket, socket, server, None).await {
        Some(SocketAddr::V4(seen)) if seen == mapped.external => Verified::Seen,
        Some(seen) if seen.ip() == IpAddr::V4(*mapped.external.ip()) => Verified::Untested,
        Some(_) => Verified::Elsewhere,
        None => Verified::Untested,
    }
}

/// A Binding request from one socket, its answer at the same or another.
async fn ask(
    from: &UdpSocket,
    answer_at: &UdpSocket,
    server: SocketAddr,
    response_port: Option<u16>,
) -> Option<SocketAddr> {
    let id = random_transaction();
    let mut buffer = [0; 64];
    let request = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
        .put_some(attr::RESPONSE_PORT, response_port)
        .finish(Seal::NONE)
        .ok()?
        .to_vec();
    for _ in 0..TRIES {
        from.send_to(&request, server).await.ok()?;
        if let Ok(answer) = timeout(WAIT, answer_to(id, answer_at)).await {
            return answer;
        }
    }
    None
}

async fn answer_to(id: TransactionId, socket: &UdpSocket) -> Option<SocketAddr> {
    let mut buffer = [0; 1024];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).await.ok()?;
        let Ok(message) = Message::parse(buffer.get(..length)?) else { continue };
        if message.id() == id && message.class() == Class::Success {
            return message.get(attr::XOR_MAPPED_ADDRESS);
        }
    }
}
