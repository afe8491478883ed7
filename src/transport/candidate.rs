//! What gathering finds: local candidates, and servers that failed, with words for a person. Only values.

use crate::call::event::{PathKind, Protocol};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::turn::Taken;

/// An address at which this end can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalCandidate {
    /// Host, srflx or relay; prflx candidates are learnt by ICE, not here.
    pub kind: PathKind,
    /// Where the friend sends to.
    pub address: SocketAddr,
    /// Which own address this is a view of (RFC 8445 §5.1.1); for a relayed one, itself.
    pub base: SocketAddr,
    /// Its base is an address of the default route.
    pub default_route: bool,
    /// Its base is on a bridge: another machine may have the very same address.
    pub bridge: bool,
    /// Nobody has been seen on its base's link.
    pub lonely: bool,
    /// Through which relay, of relayed ones.
    pub relay: Option<RelayPath>,
}

/// The way to an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayPath {
    /// Which one: see [`Transport::relay`](super::Transport::relay).
    pub link: usize,
    /// The server's address.
    pub server: SocketAddr,
    /// How it is reached.
    pub protocol: Protocol,
    /// From which own address, where that is known: without it the allocation is lost.
    pub from: Option<IpAddr>,
    /// What it takes beside the standard, as it said with the allocation.
    pub taken: Taken,
}

/// How a STUN server saw one of our sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The socket's own address.
    pub base: SocketAddr,
    /// The server.
    pub server: SocketAddr,
    /// The socket's address as seen from there.
    pub mapped: SocketAddr,
}

/// A server that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ServerName {
    /// A STUN server, `HOST:PORT`.
    Stun(String),
    /// A relay, by its host.
    Relay(String),
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stun(name) => write!(f, "the STUN server {name}"),
            Self::Relay(name) => write!(f, "the relay {name}"),
        }
    }
}

/// Why a server is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerProblem {
    /// Its name has no address, or DNS does not answer.
    Unresolved,
    /// No answer over any of these.
    Silent(Vec<Protocol>),
    /// The user or the password is wrong.
    WrongPassword,
    /// Credentials from a shared secret were refused: another secret, or a clock that is off.
    SecretOrClock,
    /// It wants a login and none was given.
    LoginNeeded,
    /// The user has too many allocations (RFC 8656 §15: 486).
    Quota,
    /// It is full, or may transfer no more this month (RFC 8656 §19: 508).
    Full {
        /// Its phrase, made harmless.
        reason: String,
    },
    /// A friend's relay does not know the account that the code makes.
    NoSuchGuest,
    /// Somebody has logged in at a friend's relay by this code.
    GuestIsThere,
    /// It calls every nonce stale.
    StaleNonce,
    /// Its certificate could not be verified. The SHA-256 of its key, base64url, would pin it.
    Certificate {
        /// What the link's `pin=` would have to be.
        pin: String,
        /// The link has a pin, and it is another.
        pinned: bool,
    },
    /// Another error of its own.
    Refused {
        /// The STUN error code.
        code: u16,
        /// Its phrase, made harmless.
        reason: String,
    },
    /// The proxy made no connection to it.
    Proxy {
        /// Which proxy, without its login.
        proxy: String,
        /// Its words, made harmless.
        problem: String,
    },
    /// The allocation was lost; another one is tried for.
    Lost,
}

/// A server that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFailure {
    /// Which one.
    pub server: ServerName,
    /// And why.
    pub problem: ServerProblem,
}

impl ServerFailure {
    /// A stable `snake_case` word for scripts.
    pub fn code(&self) -> &'static str {
        match (&self.server, &self.problem) {
            (_, ServerProblem::Unresolved) => "server_unresolved",
            (ServerName::Stun(_), _) => "stun_failed",
            (_, ServerProblem::Silent(_)) => "relay_silent",
            (_, ServerProblem::WrongPassword) => "relay_password",
            (_, ServerProblem::SecretOrClock) => "relay_secret",
            (_, ServerProblem::LoginNeeded) => "relay_login",
            (_, ServerProblem::Quota) => "relay_quota",
            (_, ServerProblem::Full { .. }) => "relay_full",
            (_, ServerProblem::NoSuchGuest) => "guest_unknown",
            (_, ServerProblem::GuestIsThere) => "guest_taken",
            (_, ServerProblem::Certificate { .. }) => "relay_certificate",
            (_, ServerProblem::StaleNonce | ServerProblem::Refused { .. }) => "relay_refused",
            (_, ServerProblem::Proxy { .. }) => "proxy_failed",
            (_, ServerProblem::Lost) => "relay_lost",
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match &self.problem {
            ServerProblem::Unresolved => "check the name, or whether DNS works here".into(),
            ServerProblem::Silent(_) => {
                "check its address and port, and that no firewall is in between".into()
            }
            ServerProblem::WrongPassword => "check the user and the password in the relay's link".into(),
            ServerProblem::SecretOrClock => {
                "check the secret in the relay's link, and the clock here and there".into()
            }
            ServerProblem::LoginNeeded => "put USER:PASSWORD@ or ?secret= into the relay's link".into(),
            ServerProblem::Quota => {
                "end other calls through it, or wait until its old allocations end".into()
            }
            ServerProblem::Full { .. } => {
                "use another relay, or have its owner raise what it may transfer or hold".into()
            }
            ServerProblem::NoSuchGuest => {
                "ask whether `p2pcall offer` is still running there with this very code".into()
            }
            ServerProblem::GuestIsThere => {
                "if nobody else should have the code, ask for a new one and share it another way".into()
            }
            ServerProblem::Certificate { pin, pinned: false } => {
                format!("if it is your own, add pin={pin} to its link")
            }
            ServerProblem::Certificate { pin, pinned: true } => {
                format!(
                    "if its key was renewed, put pin={pin} into its link; if not, somebody may sit in between"
                )
            }
            ServerProblem::StaleNonce | ServerProblem::Refused { .. } => "see the relay's own log".into(),
            ServerProblem::Proxy { .. } => {
                "check --proxy (or $https_proxy), and whether the proxy lets that port out".into()
            }
            ServerProblem::Lost => "nothing to do; a new address is asked for".into(),
        }
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        match &self.problem {
            ServerProblem::Unresolved => write!(f, "the name of {server} could not be resolved"),
            ServerProblem::Silent(over) => {
                let names: Vec<_> = over.iter().map(|protocol| protocol_name(*protocol)).collect();
                write!(f, "{server} does not answer over {}", names.join(" or "))
            }
            ServerProblem::WrongPassword => write!(f, "{server} refused the password"),
            ServerProblem::SecretOrClock => {
                write!(
                    f,
                    "{server} refused the login made from the secret: another secret, or a clock is wrong"
                )
            }
            ServerProblem::LoginNeeded => write!(f, "{server} wants a login"),
            ServerProblem::Quota => write!(f, "{server} says that this user has too many allocations"),
            ServerProblem::Full { reason } => write!(f, "{server} takes nobody now: {reason}"),
            ServerProblem::NoSuchGuest => write!(f, "{server} does not know this code"),
            ServerProblem::GuestIsThere => {
                write!(f, "somebody else is at {server} with this very code")
            }
            ServerProblem::StaleNonce => write!(f, "{server} takes none of its own nonces back"),
            ServerProblem::Certificate { pinned: false, .. } => {
                write!(f, "the certificate of {server} could not be verified")
            }
            ServerProblem::Certificate { pinned: true, .. } => {
                write!(f, "{server} has another key than its link says")
            }
            ServerProblem::Refused { code, reason } => write!(f, "{server} refused: {code} {reason}"),
            ServerProblem::Proxy { proxy, problem } => {
                write!(f, "the proxy {proxy} gave no way to {server}: {problem}")
            }
            ServerProblem::Lost => write!(f, "{server} lost our address there"),
        }
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
        Protocol::Tls => "TLS",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_as_a_sentence() {
        let relay = ServerName::Relay("turn.example.org".into());
        for (problem, words) in [
            (ServerProblem::WrongPassword, "the relay turn.example.org refused the password"),
            (
                ServerProblem::Silent(vec![Protocol::Udp, Protocol::Tcp]),
                "the relay turn.example.org does not answer over UDP or TCP",
            ),
            (ServerProblem::Unresolved, "the name of the relay turn.example.org could not be resolved"),
        ] {
            assert_eq!(ServerFailure { server: relay.clone(), problem }.to_string(), words);
        }
    }
}
