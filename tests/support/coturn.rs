//! A real coturn that ends with the test: on loopback, or in a network namespace.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Accounts instead of a shared secret: `alice` with the password `right`.
pub(crate) const ACCOUNTS: &[&str] = &["--lt-cred-mech", "--user=alice:right"];

/// A running relay, which is a STUN server too.
pub(crate) struct Coturn {
    child: Child,
    address: IpAddr,
    /// UDP and TCP.
    pub(crate) port: u16,
    tls_port: u16,
    /// SHA-256 of its key, as links take it.
    pin: String,
    _directory: TempDir,
}

impl Coturn {
    /// On loopback; `None`, loudly, where coturn is not installed.
    pub(crate) fn start(extra: &[&str]) -> Option<Self> {
        Self::start_in(&[], Ipv4Addr::LOCALHOST.into(), (free_port(), free_port()), extra)
    }

    /// Behind a command that runs it, such as `ip netns exec NAME`.
    pub(crate) fn start_in(
        before: &[&str],
        address: IpAddr,
        ports: (u16, u16),
        extra: &[&str],
    ) -> Option<Self> {
        if Command::new("turnserver").arg("--version").output().is_err() {
            println!("SKIPPED: turnserver (package coturn) is not installed");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let pin = write_certificate(directory.path());
        let words: Vec<&str> = before.iter().copied().chain(["turnserver"]).collect();
        let child = Command::new(words[0])
            .args(&words[1..])
            .current_dir(directory.path())
            .args(["-n", "--allow-loopback-peers", "--no-cli", "--realm=here", "--no-dtls"])
            .args(["--cert=cert.pem", "--pkey=key.pem", "--log-file=stdout", "--pidfile=pid", "--db=db"])
            .args([format!("--listening-ip={address}"), format!("--relay-ip={address}")])
            .args([format!("--listening-port={}", ports.0), format!("--tls-listening-port={}", ports.1)])
            .args(extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("turnserver starts");
        let relay = Self { child, address, port: ports.0, tls_port: ports.1, pin, _directory: directory };
        relay.wait_until_it_listens(before);
        Some(relay)
    }

    /// Asks the system rather than the server, which may be in another namespace.
    fn wait_until_it_listens(&self, before: &[&str]) {
        let wanted = format!(":{:04X} ", self.tls_port);
        for _ in 0..400 {
            let words: Vec<&str> = before.iter().copied().chain(["cat", "/proc/net/tcp"]).collect();
            let table = Command::new(words[0]).args(&words[1..]).output().expect("it runs").stdout;
            let listens = |line: &str| line.contains(&wanted) && line.contains(" 0A ");
            if String::from_utf8_lossy(&table).lines().any(listens) {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("turnserver does not listen");
    }

    /// A link for alice, over `udp`, `tcp` or `tls`.
    pub(crate) fn link(&self, transport: &str) -> String {
        self.link_of("alice:right", transport)
    }

    /// A link for somebody else.
    pub(crate) fn link_of(&self, login: &str, transport: &str) -> String {
        match transport {
            "tls" => format!("turns:{login}@{}:{}?pin={}", self.address, self.tls_port, self.pin),
            other => format!("turn:{login}@{}:{}?transport={other}", self.address, self.port),
        }
    }

    /// A link that leaves the transport open.
    pub(crate) fn link_of_any(&self, login: &str) -> String {
        format!("turn:{login}@{}:{}", self.address, self.port)
    }

    /// As a STUN server.
    pub(crate) fn stun(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }

    /// Ends it without a word to anybody.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Coturn {
    /// Starts it again on the same ports, on loopback.
    pub(crate) fn again(&self, extra: &[&str]) -> Option<Self> {
        Self::start_in(&[], self.address, (self.port, self.tls_port), extra)
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that is free for TCP and UDP now, and most likely a moment later.
pub(crate) fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("bound").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A self-signed certificate; the pin of its key.
fn write_certificate(directory: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).expect("written");
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let parsed = rustls::server::ParsedCertificate::try_from(made.cert.der()).expect("our own");
    URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(parsed.subject_public_key_info()))
}
