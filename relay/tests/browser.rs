//! A real Chromium with the relay as its only ICE server and no other way: `tests/browser/relay.mjs` of the
//! project plays both ends of a call and judges.
#![cfg(all(target_os = "linux", feature = "server"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "../../tests/support/browser.rs"]
mod browser;
#[path = "support/running.rs"]
mod running;

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::Path;

use running::{Running, state};

/// An address of this machine that is not loopback: connecting a UDP socket sends nothing.
fn address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

#[test]
fn chromium_exchanges_data_and_media_through_the_relay_alone() {
    let Some(address) = address() else {
        println!("SKIPPED: this machine has no address but loopback");
        return;
    };
    for backend in ["linux", "portable"] {
        let port = TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let listen = format!("{address}:{port}");
        // A public address is named, so that none is asked for: both ends meet inside by it.
        let external = format!("203.0.113.7/{address}");
        let words = ["--listen", &listen, "--relay-ip", &address.to_string(), "--external-ip", &external];
        let rest = ["--user", "alice:wonder", "--backend", backend, "--drain", "0s"];
        let relay = Running::start(&state(&format!("browser-{backend}")), &[&words, &rest[..]].concat());
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let said = browser::run(&project, "relay.mjs", &[&listen, "alice", "wonder"]);
        let through = said.is_none_or(|said| said.contains("everything went through the relay"));
        assert!(through, "{}", relay.log());
    }
}
