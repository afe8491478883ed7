//! Links to servers, as typed: `turn:` and `turns:` for relays, `HOST:PORT` for STUN. Text to values and back;
//! says what is wrong with a text, and never repeats a secret while doing so.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::{self, Write as _};
use std::net::Ipv6Addr;

use super::{RelayLink, RelayLogin, RelayTransport, StunServer};

/// The port of STUN and TURN (RFC 8656 §3).
const PORT: u16 = 3478;
/// The port of TURN over TLS.
const TLS_PORT: u16 = 5349;

/// What is wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
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

/// Reads a relay's link.
///
/// # Errors
/// What is wrong with it.
pub fn relay(text: &str) -> Result<RelayLink, LinkError> {
    let (tls, rest) = scheme(text.trim())?;
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (user_and_password(login)?, place),
        None => (RelayLogin::Anonymous, authority),
    };
    let (host, port) = host_and_port(place)?;
    let transport = if tls { RelayTransport::Tls } else { RelayTransport::Any };
    let port = port.unwrap_or(if tls { TLS_PORT } else { PORT });
    let mut link = RelayLink { host, port, transport, login, pin: None };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        link.set(tls, parameter)?;
    }
    Ok(link)
}

/// Reads a STUN server, `HOST:PORT`; without a port 3478. A `stun:` before it, as browsers write, does no harm.
///
/// # Errors
/// What is wrong with it.
pub fn stun(text: &str) -> Result<StunServer, LinkError> {
    let text = text.trim();
    let (host, port) = host_and_port(text.strip_prefix("stun:").unwrap_or(text))?;
    Ok(StunServer { host, port: port.unwrap_or(PORT) })
}

impl RelayLink {
    fn set(&mut self, tls: bool, parameter: &str) -> Result<(), LinkError> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name, value) {
            ("transport", "udp") if !tls => self.transport = RelayTransport::Udp,
            ("transport", "tcp") if !tls => self.transport = RelayTransport::Tcp,
            ("transport", "tcp") => self.transport = RelayTransport::Tls,
            ("transport", other) => return Err(LinkError::Transport(shown(other))),
            ("secret", "") => return Err(LinkError::EmptySecret),
            ("secret", _) if self.login != RelayLogin::Anonymous => return Err(LinkError::TwoLogins),
            ("secret", secret) => self.login = RelayLogin::Secret(decode(secret)?),
            ("pin", pin) => {
                let bytes = URL_SAFE_NO_PAD.decode(pin.trim_end_matches('=')).map_err(|_| LinkError::Pin)?;
                self.pin = Some(bytes.try_into().map_err(|_| LinkError::Pin)?);
            }
            _ => return Err(LinkError::Parameter(shown(name))),
        }
        Ok(())
    }

    /// The link with everything in it, as [`relay`] takes it. For a file that only its owner reads.
    pub fn with_secrets(&self) -> String {
        let (login, secret) = match &self.login {
            RelayLogin::Password { user, password } => {
                (format!("{}:{}@", encode(user), encode(password)), None)
            }
            RelayLogin::Secret(secret) => (String::new(), Some(format!("secret={}", encode(secret)))),
            RelayLogin::Anonymous => (String::new(), None),
        };
        self.written(&login, secret)
    }

    fn written(&self, login: &str, secret: Option<String>) -> String {
        let tls = self.transport == RelayTransport::Tls;
        let mut text = format!("{}:{login}", if tls { "turns" } else { "turn" });
        text.push_str(&place(&self.host, self.port, if tls { TLS_PORT } else { PORT }));
        let transport = match self.transport {
            RelayTransport::Udp => Some("transport=udp".to_owned()),
            RelayTransport::Tcp => Some("transport=tcp".to_owned()),
            RelayTransport::Any | RelayTransport::Tls => None,
        };
        let pin = self.pin.map(|pin| format!("pin={}", URL_SAFE_NO_PAD.encode(pin)));
        let parameters: Vec<_> = [transport, secret, pin].into_iter().flatten().collect();
        if !parameters.is_empty() {
            let _ = write!(text, "?{}", parameters.join("&"));
        }
        text
    }
}

/// Without password and secret: for screens, logs and JSON.
impl fmt::Display for RelayLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = match &self.login {
            RelayLogin::Password { user, .. } => format!("{}@", encode(user)),
            RelayLogin::Secret(_) | RelayLogin::Anonymous => String::new(),
        };
        f.write_str(&self.written(&login, None))
    }
}

impl fmt::Display for StunServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&place(&self.host, self.port, 0))
    }
}

fn scheme(text: &str) -> Result<(bool, &str), LinkError> {
    let (scheme, rest) = text.split_once(':').ok_or(LinkError::Scheme)?;
    // RFC 7065 has no slashes; people type them all the same.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "turn" => Ok((false, rest)),
        "turns" => Ok((true, rest)),
        _ => Err(LinkError::Scheme),
    }
}

fn user_and_password(text: &str) -> Result<RelayLogin, LinkError> {
    let (user, password) = text.split_once(':').ok_or(LinkError::Login)?;
    let (user, password) = (decode(user)?, decode(password)?);
    if user.is_empty() || password.is_empty() {
        return Err(LinkError::Login);
    }
    Ok(RelayLogin::Password { user, password })
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), LinkError> {
    let (host, port) = if text.starts_with('[') { bracketed(text)? } else { plain(text)? };
    let port = port.map(|port| match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(LinkError::Port(shown(port))),
    });
    Ok((host, port.transpose()?))
}

fn bracketed(text: &str) -> Result<(String, Option<&str>), LinkError> {
    let (address, rest) = text.trim_start_matches('[').split_once(']').ok_or(LinkError::Brackets)?;
    let address: Ipv6Addr = address.parse().map_err(|_| LinkError::Brackets)?;
    if rest.is_empty() {
        return Ok((address.to_string(), None));
    }
    Ok((address.to_string(), Some(rest.strip_prefix(':').ok_or(LinkError::Brackets)?)))
}

fn plain(text: &str) -> Result<(String, Option<&str>), LinkError> {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    if port.is_some_and(|port| port.contains(':')) {
        return Err(LinkError::Brackets);
    }
    Ok((name(host)?, port))
}

/// RFC 1123 §2.1, and the underscore that some networks use.
fn name(host: &str) -> Result<String, LinkError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    match host {
        "" => Err(LinkError::NoHost),
        _ if host.len() <= 253 && host.chars().all(good) => Ok(host.to_owned()),
        _ => Err(LinkError::Host(shown(host))),
    }
}

fn place(host: &str, port: u16, default: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == default { host } else { format!("{host}:{port}") }
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

fn decode(text: &str) -> Result<String, LinkError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let (high, low) = (digit(), digit());
            let (Some(high), Some(low)) = (high, low) else { return Err(LinkError::Percent) };
            (high * 16 + low) as u8
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| LinkError::Percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(host: &str, port: u16, transport: RelayTransport, login: RelayLogin) -> RelayLink {
        RelayLink { host: host.into(), port, transport, login, pin: None }
    }

    fn password(user: &str, password: &str) -> RelayLogin {
        RelayLogin::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn links_say_what_they_seem_to_say() {
        use RelayTransport::{Any, Tcp, Tls, Udp};
        let anonymous = || RelayLogin::Anonymous;
        for (text, expect) in [
            ("turn:turn.example.org", link("turn.example.org", 3478, Any, anonymous())),
            ("TURN:turn.example.org:99", link("turn.example.org", 99, Any, anonymous())),
            (" turn://u:p@192.0.2.1?transport=udp\n", link("192.0.2.1", 3478, Udp, password("u", "p"))),
            ("turn:h?transport=tcp&secret=a%2Fb", link("h", 3478, Tcp, RelayLogin::Secret("a/b".into()))),
            ("turns:h", link("h", 5349, Tls, anonymous())),
            ("turns:h:443?transport=tcp", link("h", 443, Tls, anonymous())),
            ("turn:[2001:DB8::1]", link("2001:db8::1", 3478, Any, anonymous())),
            ("turn:[2001:db8::1]:5?", link("2001:db8::1", 5, Any, anonymous())),
            ("turn:17%3Ame:p:q%40%25@h", link("h", 3478, Any, password("17:me", "p:q@%"))),
        ] {
            assert_eq!(relay(text), Ok(expect), "{text}");
        }
    }

    #[test]
    fn a_pin_is_the_base64url_of_32_bytes() {
        let text = "turns:h?pin=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let pin = relay(text).unwrap().pin.unwrap();
        assert_eq!((pin[0], pin[31]), (0, 31));
        assert_eq!(relay(&format!("{text}=")).unwrap().pin, Some(pin));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "a relay's link begins with turn: or turns:"),
            ("stun:h", "a relay's link begins with turn: or turns:"),
            ("turn:", "there is no host in it"),
            ("turn:u:p@", "there is no host in it"),
            ("turn:h h", "\"h h\" is no host name"),
            ("turn:h\u{7}", "\"h\\u{7}\" is no host name"),
            ("turn:2001:db8::1", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:[1.2.3.4]", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:[::1]5", "an IPv6 address stands in brackets, as in [2001:db8::1]:3478"),
            ("turn:h:0", "\"0\" is no port (1 to 65535)"),
            ("turn:h:+5", "\"+5\" is no port (1 to 65535)"),
            ("turn:h:65536", "\"65536\" is no port (1 to 65535)"),
            ("turn:alice@h", "before the @ there must be USER:PASSWORD"),
            ("turn:alice:@h", "before the @ there must be USER:PASSWORD"),
            ("turn:u:p@h?secret=s", "it has both a user and a secret; a server takes one of them"),
            ("turn:h?secret=", "its secret is empty"),
            ("turn:u:p%4@h", "after each % there must be two hexadecimal digits (a % itself is %25)"),
            ("turn:u:p%FF@h", "after each % there must be two hexadecimal digits (a % itself is %25)"),
            ("turns:h?transport=udp", "\"udp\" is no transport: udp or tcp for turn:, tcp for turns:"),
            ("turns:h?pin=AAAA", "pin= must be the base64url form of 32 bytes, that is 43 characters"),
            ("turn:h?ttl=5", "\"ttl\" is unknown; after the ? there may be transport=, secret= and pin="),
        ] {
            assert_eq!(relay(text).unwrap_err().to_string(), words, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (text, expect) in [
            ("turn:u:hush@h:3478", "turn:u@h"),
            ("turn:h?secret=hush&transport=tcp", "turn:h?transport=tcp"),
            ("turns:[::1]:443", "turns:[::1]:443"),
        ] {
            let link = relay(text).unwrap();
            assert_eq!(link.to_string(), expect);
            assert!(!format!("{link:?}").contains("hush"));
        }
    }

    #[test]
    fn a_stun_server_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("stun.example.org:19302", "stun.example.org", 19302),
            ("[::1]:5", "::1", 5),
            ("stun:h", "h", 3478),
        ] {
            assert_eq!(stun(text), Ok(StunServer { host: host.into(), port }));
        }
        assert_eq!(StunServer { host: "::1".into(), port: 3478 }.to_string(), "[::1]:3478");
        assert!(stun("").is_err());
    }

    fn any_login() -> impl Strategy<Value = RelayLogin> {
        prop_oneof![
            Just(RelayLogin::Anonymous),
            "\\PC{1,20}".prop_map(RelayLogin::Secret),
            ("\\PC{1,20}", "\\PC{1,20}").prop_map(|(user, password)| RelayLogin::Password { user, password }),
        ]
    }

    fn any_transport() -> impl Strategy<Value = RelayTransport> {
        use RelayTransport::{Any, Tcp, Tls, Udp};
        prop_oneof![Just(Udp), Just(Tcp), Just(Any), Just(Tls)]
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
            let link = RelayLink { host, port, transport, login, pin };
            prop_assert_eq!(relay(&link.with_secrets()), Ok(link));
        }

        #[test]
        fn parsing_anything_never_panics(text in "(turns?:)?\\PC*") {
            let _ = relay(&text);
            let _ = stun(&text);
        }
    }
}
