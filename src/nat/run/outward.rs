//! I/O: what gets out beside UDP: TCP, TLS, and a page that should be empty.

use crate::nat::facts::{Portal, Reach};
use crate::nat::portmap::http;
use p2pcall_relay::client::{Trust, Wire};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection that takes longer does not come: three tries of the system's (RFC 9293 §3.8.1).
const PATIENCE: Duration = Duration::from_secs(4);

/// A host to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name, or its number.
    pub(super) host: String,
    /// One of its addresses, its port to be replaced.
    pub(super) address: SocketAddr,
}

/// A TCP connection to this port of the host.
pub(super) async fn tcp(target: &Target, port: u16) -> Reach {
    let place = SocketAddr::new(target.address.ip(), port);
    match timeout(PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(_)) => Reach::Open,
        Ok(Err(error)) => reach(&error),
        Err(_) => Reach::Silent,
    }
}

/// A whole TLS handshake; who the certificate belongs to does not matter here.
pub(super) async fn tls(target: &Target, trust: &Trust) -> Reach {
    let place = SocketAddr::new(target.address.ip(), 443);
    match timeout(PATIENCE, Wire::tls(place, &target.host, trust)).await {
        Ok(Ok(_)) => Reach::Open,
        Ok(Err(error)) => match reach(&error) {
            Reach::Silent => Reach::Silent,
            // Whoever answers in a wrong way answers.
            _ => Reach::Refused,
        },
        Err(_) => Reach::Silent,
    }
}

/// Fetches a page that is known to answer 204, with nothing in it.
pub(super) async fn portal(target: &Target, path: &str) -> Portal {
    let fetched = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(SocketAddr::new(target.address.ip(), 80)).await?;
        stream.write_all(http::get(&target.host, path).as_bytes()).await?;
        let mut bytes = Vec::new();
        while !http::is_complete(&bytes) && bytes.len() < http::LONGEST {
            if stream.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(bytes)
    });
    match fetched.await {
        Ok(Ok(bytes)) => match http::parse(&bytes) {
            Some(response) if response.status == 204 => Portal::None,
            Some(_) => Portal::Present,
            None => Portal::Silent,
        },
        _ => Portal::Silent,
    }
}

fn reach(error: &std::io::Error) -> Reach {
    match error.kind() {
        // There is no way at all, or a router said so.
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::TimedOut => Reach::Silent,
        // Refused, reset: something answered.
        _ => Reach::Refused,
    }
}
