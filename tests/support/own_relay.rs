//! Our own relay in the test's process, on loopback.

use p2pcall_relay::link::{Link, Login, Transport};
use p2pcall_relay::net::{Plan, Relay};
use p2pcall_relay::server::Credentials;
use tokio::runtime::Runtime;

/// A running relay; dropped, it stops.
pub(crate) struct OwnRelay {
    _relay: Relay,
    _runtime: Runtime,
    link: Link,
}

impl OwnRelay {
    /// With this secret, over UDP.
    pub(crate) fn start(secret: &str) -> Self {
        let runtime = Runtime::new().expect("threads");
        let guard = runtime.enter();
        let credentials = Credentials::new("test", &[], vec![secret.to_owned()]);
        let relay = Relay::start(Plan::on_loopback(credentials)).expect("loopback");
        drop(guard);
        let link = Link {
            host: "127.0.0.1".to_owned(),
            port: relay.udp()[0].port(),
            transport: Some(Transport::Udp),
            login: Login::Secret(secret.to_owned()),
            pin: None,
        };
        Self { _relay: relay, _runtime: runtime, link }
    }

    /// Its link.
    pub(crate) fn link(&self) -> String {
        self.link.with_secrets()
    }

    /// A link with another secret.
    pub(crate) fn link_of(&self, secret: &str) -> String {
        Link { login: Login::Secret(secret.to_owned()), ..self.link.clone() }.with_secrets()
    }
}
