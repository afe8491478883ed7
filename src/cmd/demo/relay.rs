//! The demo's own relay: in this process, on loopback, with a secret that nobody else has.

use crate::error::{Exit, Failure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p2pcall_relay::link::{Link, Login, Transport};
use p2pcall_relay::net::{Plan, Relay};
use p2pcall_relay::server::Credentials;
use std::fmt::Display;
use std::sync::Arc;

/// Starts it. It serves until it is dropped; the link is what both ends are given.
pub(super) fn start() -> Result<(Relay, Link), Failure> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret).map_err(failed)?;
    let secret = URL_SAFE_NO_PAD.encode(secret);
    let plan = Plan {
        events: Arc::new(|event| log::debug!("demo relay: {event:?}")),
        ..Plan::on_loopback(Credentials::new("demo", &[], vec![secret.clone()]))
    };
    let relay = Relay::start(plan).map_err(failed)?;
    let address = *relay.udp().first().ok_or_else(|| failed("it has no address"))?;
    let link = Link {
        host: address.ip().to_string(),
        port: address.port(),
        transport: Some(Transport::Udp),
        login: Login::Secret(secret),
        pin: None,
    };
    Ok((relay, link))
}

fn failed(error: impl Display) -> Failure {
    let message = format!("The demo's relay did not start: {error}.");
    Failure::new(
        Exit::Failure,
        "demo_relay",
        message,
        "Is the loopback interface up? --no-servers does without.",
    )
}
