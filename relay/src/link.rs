//! Links to servers, as typed: `turn:` and `turns:` for relays, `HOST:PORT` for STUN. Text to values and back;
//! says what is wrong with a text, and never repeats a secret while doing so. Pure.
//!
//! `turn:[USER:PASSWORD@]HOST[:PORT][?transport=udp|tcp]`, `turns:` for TLS, `?secret=SECRET` in place of user
//! and password, `pin=` for a server with a key of its own. Reserved characters are percent-encoded.

use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::server::{Credential, time_limited};

/// The port of STUN and TURN (RFC 8656 §3).
const PORT: u16 = 3478;
/// The port of TURN over TLS.
const TLS_PORT: u16 = 5349;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// STUN and TURN over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS.
    Tls,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// How to log in. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// Nothing in the link.
    None,
    /// A user and its password: a long-term credential (RFC 8489 §9.2).
    Password(Credential),
    /// The secret that the server shares with its owner: time-limited credentials, as coturn's `use-auth-secret`.
    Secret(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password(..)",
            Self::Secret(_) => "Secret(..)",
        })
    }
}

/// A relay and how to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// A name, or an address without brackets.
    pub host: String,
    /// 3478, 5349 for `turns:`, unless given.
    pub port: u16,
    /// The only transport to use: TLS for `turns:`. `None`: UDP, then TCP.
    pub transport: Option<Transport>,
    /// How to log in.
    pub login: Login,
    /// SHA-256 of the server's public key (SubjectPublicKeyInfo, DER), for a server with its own certificate.
    pub pin: Option<[u8; 32]>,
}

/// A STUN server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StunServer {
    /// A name, or an address without brackets.
    pub host: String,
    /// UDP port.
    pub port: u16,
}

/// What is wrong with a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// Another scheme, or none.
    #[error("a relay's link begins with turn: or turns:")]
    Scheme,
    /// Nothing where a host should be.
    #[error("there is no host in it")]
    NoHost,
    /// A host with characters that no name has.
    #[error("{0:?} is no host name")]
    Host(String),
    /// Colons without brackets, or brackets around something else.
    #[error("an IPv6 address stands in brackets, as in [2001:db8::1]:3478")]
    Brackets,
    /// No number from 1 to 65535.
    #[error("{0:?} is no port (1 to 65535)")]
    Port(String),
    /// A user without a password, or the reverse.
    #[error("before the @ there must be USER:PASSWORD")]
    Login,
    /// Both ways to log in.
    #[error("it has both a user and a secret; a server takes one of them")]
    TwoLogins,
    /// An empty secret.
    #[error("its secret is empty")]
    EmptySecret,
    /// A percent sign without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("after each % there must be two hexadecimal digits (a % itself is %25)")]
    Percent,
    /// A transport that there is not.
    #[error("{0:?} is no transport: udp or tcp for turn:, tcp for turns:")]
    Transport(String),
    /// A pin that is not 32 bytes.
    #[error("pin= must be the base64url form of 32 bytes, that is 43 characters")]
    Pin,
    /// Something else after the question mark.
    #[error("{0:?} is unknown; after the ? there may be transport=, secret= and pin=")]
    Parameter(String),
}

impl FromStr for Link {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let (tls, rest) = scheme(text.trim())?;
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (user_and_password(login)?, place),
            None => (Login::None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let port = port.unwrap_or(default_port(tls));
        let mut link = Self { host, port, transport: tls.then_some(Transport::Tls), login, pin: None };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            link.set(parameter)?;
        }
        Ok(link)
    }
}

/// `HOST:PORT`; without a port 3478. A `stun:` before it, as browsers write, does no harm.
impl FromStr for StunServer {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let text = text.trim();
        let (host, port) = host_and_port(text.strip_prefix("stun:").unwrap_or(text))?;
        Ok(Self { host, port: port.unwrap_or(PORT) })
    }
}

impl Link {
    /// Whether it is a `turns:` link.
    pub fn is_tls(&self) -> bool {
        self.transport == Some(Transport::Tls)
    }

    /// The transports to try, the preferred one first.
    pub fn transports(&self) -> Vec<Transport> {
        self.transport.map_or_else(|| vec![Transport::Udp, Transport::Tcp], |only| vec![only])
    }

    /// The credential to log in with for `seconds` from `unix` on; `None` if the link has none.
    pub fn credential(&self, unix: u64, seconds: u64) -> Option<Credential> {
        match &self.login {
            Login::None => None,
            Login::Password(credential) => Some(credential.clone()),
            Login::Secret(secret) => Some(time_limited(secret, unix + seconds, Some("p2pcall"))),
        }
    }

    /// The link with everything in it, as it is parsed again. For its owner's eyes and files only.
    pub fn with_secrets(&self) -> String {
        let (login, secret) = match &self.login {
            Login::Password(Credential { user, password }) => {
                (format!("{}:{}@", encode(user), encode(password)), None)
            }
            Login::Secret(secret) => (String::new(), Some(format!("secret={}", encode(secret)))),
            Login::None => (String::new(), None),
        };
        let place = place(&self.host, Some(self.port));
        self.written(&login, &place, secret)
    }

    fn set(&mut self, parameter: &str) -> Result<(), BadLink> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "transport" => {
                self.transport = match (self.is_tls(), value.to_ascii_lowercase().as_str()) {
                    (false, "udp") => Some(Transport::Udp),
                    (false, "tcp") => Some(Transport::Tcp),
                    (true, "tcp" | "tls") => Some(Transport::Tls),
                    _ => return Err(BadLink::Transport(shown(value))),
                }
            }
            "secret" if value.is_empty() => return Err(BadLink::EmptySecret),
            "secret" if self.login != Login::None => return Err(BadLink::TwoLogins),
            "secret" => self.login = Login::Secret(decode(value)?),
            "pin" => {
                let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).map_err(|_| BadLink::Pin)?;
                self.pin = Some(bytes.try_into().map_err(|_| BadLink::Pin)?);
            }
            _ => return Err(BadLink::Parameter(shown(name))),
        }
        Ok(())
    }

    fn written(&self, login: &str, place: &str, secret: Option<String>) -> String {
        let scheme = if self.is_tls() { "turns" } else { "turn" };
        let transport = self.transport.filter(|_| !self.is_tls());
        let transport = transport.map(|transport| format!("transport={transport}"));
        let pin = self.pin.map(|pin| format!("pin={}", URL_SAFE_NO_PAD.encode(pin)));
        let parameters: Vec<_> = [transport, secret, pin].into_iter().flatten().collect();
        let query = if parameters.is_empty() { "" } else { "?" };
        format!("{scheme}:{login}{place}{query}{}", parameters.join("&"))
    }
}

/// Without password and secret: for screens, logs and JSON.
impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match &self.login {
            Login::Password(credential) => format!("{}@", encode(&credential.user)),
            Login::Secret(_) | Login::None => String::new(),
        };
        let port = (self.port != default_port(self.is_tls())).then_some(self.port);
        f.write_str(&self.written(&login, &place(&self.host, port), None))
    }
}

impl fmt::Display for StunServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&self.host, Some(self.port)))
    }
}

/// RFC 7065: the port without one in the link.
const fn default_port(tls: bool) -> u16 {
    if tls { TLS_PORT } else { PORT }
}

fn scheme(text: &str) -> Result<(bool, &str), BadLink> {
    let (scheme, rest) = text.split_once(':').ok_or(BadLink::Scheme)?;
    // RFC 7065 has no slashes; people type them all the same.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "turn" => Ok((false, rest)),
        "turns" => Ok((true, rest)),
        _ => Err(BadLink::Scheme),
    }
}

fn user_and_password(text: &str) -> Result<Login, BadLink> {
    let (user, password) = text.split_once(':').ok_or(BadLink::Login)?;
    let (user, password) = (decode(user)?, decode(password)?);
    if user.is_empty() || password.is_empty() {
        return Err(BadLink::Login);
    }
    Ok(Login::Password(Credential { user, password }))
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), BadLink> {
    let (host, port) = if text.starts_with('[') { bracketed(text)? } else { plain(text)? };
    let port = port.map(|port| match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(BadLink::Port(shown(port))),
    });
    Ok((host, port.transpose()?))
}

fn bracketed(text: &str) -> Result<(String, Option<&str>), BadLink> {
    let (address, rest) = text.trim_start_matches('[').split_once(']').ok_or(BadLink::Brackets)?;
    let address: Ipv6Addr = address.parse().map_err(|_| BadLink::Brackets)?;
    if rest.is_empty() {
        return Ok((address.to_string(), None));
    }
    Ok((address.to_string(), Some(rest.strip_prefix(':').ok_or(BadLink::Brackets)?)))
}

fn plain(text: &str) -> Result<(String, Option<&str>), BadLink> {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    if port.is_some_and(|port| port.contains(':')) {
        return Err(BadLink::Brackets);
    }
    Ok((name(host)?, port))
}

/// RFC 1123 §2.1, and the underscore that some networks use.
fn name(host: &str) -> Result<String, BadLink> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match host {
        "" => Err(BadLink::NoHost),
        _ if host.len() <= 253 && host.chars().all(good) => Ok(host.to_owned()),
        _ => Err(BadLink::Host(shown(host))),
    }
}

fn place(host: &str, port: Option<u16>) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// A part of a link for an error: short.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// RFC 3986 §2.1: every byte but the unreserved ones.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

fn decode(text: &str) -> Result<String, BadLink> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let (high, low) = (digit(), digit());
            let (Some(high), Some(low)) = (high, low) else { return Err(BadLink::Percent) };
            (high * 16 + low) as u8
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| BadLink::Percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(host: &str, port: u16, transport: Option<Transport>, login: Login) -> Link {
        Link { host: host.into(), port, transport, login, pin: None }
    }

    fn password(user: &str, password: &str) -> Login {
        Login::Password(Credential { user: user.into(), password: password.into() })
    }

    #[test]
    fn links_say_what_they_seem_to_say() {
        let (udp, tcp, tls) = (Some(Transport::Udp), Some(Transport::Tcp), Some(Transport::Tls));
        for (text, expect) in [
            ("turn:turn.example.org", link("turn.example.org", 3478, None, Login::None)),
            ("TURN:turn.example.org:99", link("turn.example.org", 99, None, Login::None)),
            ("TURN://host?transport=TCP", link("host", 3478, tcp, Login::None)),
            (" turn://u:p@192.0.2.1?transport=udp\n", link("192.0.2.1", 3478, udp, password("u", "p"))),
            ("turn:h?transport=tcp&secret=a%2Fb", link("h", 3478, tcp, Login::Secret("a/b".into()))),
            ("turns:h", link("h", 5349, tls, Login::None)),
            ("turns:h:443?transport=tcp", link("h", 443, tls, Login::None)),
            ("turn:[2001:DB8::1]", link("2001:db8::1", 3478, None, Login::None)),
            ("turn:[2001:db8::1]:5?", link("2001:db8::1", 5, None, Login::None)),
            ("turn:17%3Ame:p:q%40%25@h", link("h", 3478, None, password("17:me", "p:q@%"))),
        ] {
            assert_eq!(text.parse(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn a_pin_is_the_base64url_of_32_bytes() {
        let text = "turns:h?pin=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let pin = text.parse::<Link>().unwrap().pin.unwrap();
        assert_eq!((pin[0], pin[31]), (0, 31));
        assert_eq!(format!("{text}=").parse::<Link>().unwrap().pin, Some(pin));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "a relay's link begins with turn: or turns:"),
            ("stun:h", "a relay's link begins with turn: or turns:"),
            ("host", "a relay's link begins with turn: or turns:"),
            ("turn:", "there is no host in it"),
            ("turn:u:p@", "there is no host in it"),
            ("turn:h h", "\"h h\" is no host name"),
            ("turn:h\u{7}", "\"h\\u{7}\" is no host name"),
            ("turn:2001:db8::1", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:[1.2.3.4]", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:[::1", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:[::1]5", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:h:0", "\"0\" is no port (1 to 65535)"),
            ("turn:h:+5", "\"+5\" is no port (1 to 65535)"),
            ("turn:h:65536", "\"65536\" is no port (1 to 65535)"),
            ("turn:alice@h", "before the @ there must be USER:PASSWORD"),
            ("turn:alice:@h", "before the @ there must be USER:PASSWORD"),
            ("turn:u:p@h?secret=s", "it has both a user and a secret; a server takes one of them"),
            ("turn:h?secret=", "its secret is empty"),
            ("turn:u:p%4@h", "after each % there must be two hexadecimal digits (a % itself is %25)"),
            ("turn:u:%zz@h", "after each % there must be two hexadecimal digits (a % itself is %25)"),
            ("turn:u:p%FF@h", "after each % there must be two hexadecimal digits (a % itself is %25)"),
            ("turns:h?transport=udp", "\"udp\" is no transport: udp or tcp for turn:, tcp for turns:"),
            ("turns:h?pin=AAAA", "pin= must be the base64url form of 32 bytes, that is 43 characters"),
            ("turn:h?ttl=5", "\"ttl\" is unknown; after the ? there may be transport=, secret= and pin="),
        ] {
            assert_eq!(text.parse::<Link>().unwrap_err().to_string(), words, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (text, expect) in [
            ("turn:u:hush@h:3478", "turn:u@h"),
            ("turn:h?secret=hush&transport=tcp", "turn:h?transport=tcp"),
            ("turns:[::1]:443", "turns:[::1]:443"),
        ] {
            let link: Link = text.parse().unwrap();
            assert_eq!(link.to_string(), expect);
            assert!(!format!("{link:?}").contains("hush"));
        }
    }

    #[test]
    fn a_link_for_its_owner_names_the_port() {
        let text = "turn:203.0.113.10:3478?secret=abc";
        assert_eq!(text.parse::<Link>().unwrap().with_secrets(), text);
    }

    #[test]
    fn a_stun_server_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("stun.example.org:19302", "stun.example.org", 19302),
            ("[::1]:5", "::1", 5),
            ("stun:h", "h", 3478),
        ] {
            assert_eq!(text.parse(), Ok(StunServer { host: host.into(), port }));
        }
        assert_eq!(StunServer { host: "::1".into(), port: 3478 }.to_string(), "[::1]:3478");
        assert!("".parse::<StunServer>().is_err());
    }

    fn any_login() -> impl Strategy<Value = Login> {
        prop_oneof![
            Just(Login::None),
            "\\PC{1,20}".prop_map(Login::Secret),
            ("\\PC{1,20}", "\\PC{1,20}").prop_map(|(user, pass)| password(&user, &pass)),
        ]
    }

    fn any_transport() -> impl Strategy<Value = Option<Transport>> {
        prop_oneof![
            Just(None),
            Just(Some(Transport::Udp)),
            Just(Some(Transport::Tcp)),
            Just(Some(Transport::Tls))
        ]
    }

    proptest! {
        #[test]
        fn parsing_undoes_writing(
            host in prop_oneof!["[a-z0-9.-]{1,30}", any::<Ipv6Addr>().prop_map(|address| address.to_string())],
            port in 1..=u16::MAX,
            transport in any_transport(),
            login in any_login(),
            pin: Option<[u8; 32]>,
        ) {
            let link = Link { host, port, transport, login, pin };
            prop_assert_eq!(link.with_secrets().parse(), Ok(link));
        }

        #[test]
        fn parsing_anything_never_panics(text in "(turns?:)?\\PC*") {
            let _ = text.parse::<Link>();
            let _ = text.parse::<StunServer>();
        }
    }
}
