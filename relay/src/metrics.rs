//! `/metrics` in Prometheus' text format and `/healthz`, over the least HTTP that does it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::server::Counters;

/// What the page shows beside the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    pub(crate) allocations: u32,
    pub(crate) transferred: u64,
    pub(crate) draining: bool,
}

/// Where the numbers come from.
pub(crate) type Source = Arc<dyn Fn() -> (Counters, Gauges) + Send + Sync>;

/// A request is read, and answered, within this time.
const PATIENCE: Duration = Duration::from_secs(5);
const MAX_REQUEST: usize = 8192;
const MAX_CONNECTIONS: usize = 32;

/// Answers requests for ever.
pub(crate) async fn serve(listener: TcpListener, source: Source) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, answer(stream, source)).await;
            drop(permit);
        });
    }
}

async fn answer(mut stream: TcpStream, source: Source) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() > MAX_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (counters, gauges) = source();
    stream.write_all(respond(&request, &counters, gauges).as_bytes()).await?;
    stream.shutdown().await
}

fn respond(request: &[u8], counters: &Counters, gauges: Gauges) -> String {
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (status, body) = match (words.next(), words.next()) {
        (Some(b"GET" | b"HEAD"), Some(b"/metrics")) => ("200 OK", page(counters, gauges)),
        (Some(b"GET" | b"HEAD"), Some(b"/healthz")) if gauges.draining => {
            ("503 Service Unavailable", "draining\n".to_owned())
        }
        (Some(b"GET" | b"HEAD"), Some(b"/healthz")) => ("200 OK", "ok\n".to_owned()),
        (Some(b"GET" | b"HEAD"), Some(_)) => ("404 Not Found", "there is /metrics and /healthz\n".to_owned()),
        _ => ("405 Method Not Allowed", String::new()),
    };
    let length = body.len();
    let body = if line.starts_with(b"HEAD") { String::new() } else { body };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn page(counters: &Counters, gauges: Gauges) -> String {
    let c = counters;
    let rows: &[(&str, &str, &str, u64)] = &[
        ("allocations", "gauge", "Allocations there are.", gauges.allocations.into()),
        ("draining", "gauge", "1 while no new allocations are taken.", gauges.draining.into()),
        ("transfer_bytes", "gauge", "Bytes relayed in this calendar month.", gauges.transferred),
        ("allocations_made_total", "counter", "Allocations made.", c.allocations),
        ("client_packets_total", "counter", "Packets relayed from clients.", c.packets_from_clients),
        ("client_bytes_total", "counter", "Bytes relayed from clients.", c.bytes_from_clients),
        ("peer_packets_total", "counter", "Packets relayed to clients.", c.packets_to_clients),
        ("peer_bytes_total", "counter", "Bytes relayed to clients.", c.bytes_to_clients),
        ("inside_packets_total", "counter", "Packets between two clients of this relay.", c.packets_inside),
        ("bindings_total", "counter", "Binding requests answered.", c.bindings),
        ("unauthorized_total", "counter", "Requests with a wrong user or password.", c.unauthorized),
        ("refused_total", "counter", "Other requests refused.", c.refused),
        ("limited_total", "counter", "Replies to strangers held back by the limiter.", c.limited),
        ("malformed_total", "counter", "Packets that were neither STUN nor ChannelData.", c.malformed),
        ("unwanted_total", "counter", "Data without allocation, permission, channel or route.", c.unwanted),
        ("capped_total", "counter", "Data dropped by the bandwidth cap.", c.capped),
        ("rings_total", "counter", "Rings that a doorbell let through.", c.rings),
        ("dropped_total", "counter", "Packets that a full socket did not take.", c.dropped),
    ];
    let mut page = String::new();
    for (name, kind, help, value) in rows {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "# HELP p2pcall_relay_{name} {help}\n# TYPE p2pcall_relay_{name} {kind}\np2pcall_relay_{name} {value}\n"
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_or_not() {
        let counters = Counters { bindings: 7, ..Counters::default() };
        let ask = |request: &str, draining| {
            respond(request.as_bytes(), &counters, Gauges { draining, ..Gauges::default() })
        };
        assert!(ask("GET /metrics HTTP/1.1\r\n\r\n", false).contains("\np2pcall_relay_bindings_total 7\n"));
        for (request, draining, status) in [
            ("GET /healthz HTTP/1.1\r\n\r\n", false, "200"),
            ("GET /healthz HTTP/1.1\r\n\r\n", true, "503"),
            ("GET /etc/passwd HTTP/1.1\r\n\r\n", false, "404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", false, "405"),
            ("\r\n\r\n", false, "405"),
        ] {
            assert!(ask(request, draining).starts_with(&format!("HTTP/1.1 {status}")), "{request}");
        }
        assert!(ask("HEAD /healthz HTTP/1.1\r\n\r\n", false).ends_with("\r\n\r\n"));
    }
}
