//! Links: how a relay, or any TURN server, is named in one line of text.
//!
//! `turn:[USER:PASSWORD@]HOST[:PORT][?transport=udp|tcp]`, `turns:` for TLS, `?secret=SECRET` in place of user
//! and password, `pin=` for a server with a key of its own. Reserved characters are percent-encoded.

use std::fmt;
use std::str::FromStr;

use crate::server::{Credential, time_limited};

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
    /// A user and its password.
    Password(Credential),
    /// The secret that the server shares with its owner.
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

/// A server and how to use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `turns:`
    pub tls: bool,
    /// The only transport to use; `None` to try all.
    pub transport: Option<Transport>,
    /// How to log in.
    pub login: Login,
    /// SHA-256 of the server's public key, base64url.
    pub pin: Option<String>,
}

/// Why a text is no link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// Neither `turn:` nor `turns:`.
    #[error("a relay's link begins with `turn:` or `turns:`")]
    Scheme,
    /// No host.
    #[error("the link names no host")]
    Host,
    /// No number between 1 and 65535.
    #[error("`{0}` is no port")]
    Port(String),
    /// A user without a password.
    #[error("the user has no password: write USER:PASSWORD@HOST")]
    Password,
    /// `%` without two hexadecimal digits, or bytes that are no text.
    #[error("`{0}` is not percent-encoded text")]
    Encoding(String),
    /// An unknown option after `?`.
    #[error("`{0}` is no option of a relay's link")]
    Option(String),
}

impl Link {
    /// RFC 7065: the port without one in the link.
    pub const fn default_port(tls: bool) -> u16 {
        if tls { 5349 } else { 3478 }
    }

    /// The credential to log in with for `seconds` from `unix` on; `None` if the link has none.
    pub fn credential(&self, unix: u64, seconds: u64) -> Option<Credential> {
        match &self.login {
            Login::None => None,
            Login::Password(credential) => Some(credential.clone()),
            Login::Secret(secret) => Some(time_limited(secret, unix + seconds, Some("p2pcall"))),
        }
    }

    /// The link without anything that would let others in.
    #[must_use]
    pub fn without_secret(&self) -> Self {
        Self { login: Login::None, ..self.clone() }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "turns:" } else { "turn:" })?;
        if let Login::Password(credential) = &self.login {
            write!(f, "{}:{}@", encode(&credential.user), encode(&credential.password))?;
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { encode(&self.host) };
        f.write_str(&host)?;
        write!(f, ":{}", self.port)?;
        let mut separator = '?';
        let mut option = |f: &mut fmt::Formatter<'_>, name: &str, value: &str| {
            write!(f, "{separator}{name}={value}")?;
            separator = '&';
            Ok(())
        };
        if let Some(transport) = self.transport.filter(|transport| *transport != Transport::Tls) {
            option(f, "transport", &transport.to_string())?;
        }
        if let Login::Secret(secret) = &self.login {
            option(f, "secret", &encode(secret))?;
        }
        if let Some(pin) = &self.pin {
            option(f, "pin", &encode(pin))?;
        }
        Ok(())
    }
}

impl FromStr for Link {
    type Err = BadLink;

    fn from_str(text: &str) -> Result<Self, BadLink> {
        let text = text.trim();
        let (scheme, rest) = text.split_once(':').ok_or(BadLink::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "turn" => false,
            "turns" => true,
            _ => return Err(BadLink::Scheme),
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, place) = match place.rsplit_once('@') {
            None => (Login::None, place),
            Some((login, place)) => {
                let (user, password) = login.split_once(':').ok_or(BadLink::Password)?;
                let credential = Credential { user: decode(user)?, password: decode(password)? };
                (Login::Password(credential), place)
            }
        };
        let (host, port) = split_place(place)?;
        let port = match port {
            None => Self::default_port(tls),
            Some(port) => {
                port.parse().ok().filter(|&port| port != 0).ok_or_else(|| BadLink::Port(port.to_owned()))?
            }
        };
        let mut link = Self { host: decode(host)?, port, tls, transport: None, login, pin: None };
        if link.host.is_empty() {
            return Err(BadLink::Host);
        }
        for option in options.split('&').filter(|option| !option.is_empty()) {
            link.take_option(option)?;
        }
        Ok(link)
    }
}

impl Link {
    fn take_option(&mut self, option: &str) -> Result<(), BadLink> {
        let bad = || BadLink::Option(option.to_owned());
        let (name, value) = option.split_once('=').ok_or_else(bad)?;
        match (name, value.to_ascii_lowercase().as_str()) {
            ("transport", "udp") if !self.tls => self.transport = Some(Transport::Udp),
            ("transport", "tcp") if !self.tls => self.transport = Some(Transport::Tcp),
            ("transport", "tcp" | "tls") => self.transport = Some(Transport::Tls),
            ("secret", _) => self.login = Login::Secret(decode(value)?),
            ("pin", _) => self.pin = Some(decode(value)?),
            _ => return Err(bad()),
        }
        Ok(())
    }
}

/// Host and port of `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`.
fn split_place(place: &str) -> Result<(&str, Option<&str>), BadLink> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(BadLink::Host)?;
        return match (port, port.strip_prefix(':')) {
            ("", _) => Ok((host, None)),
            (_, Some(port)) => Ok((host, Some(port))),
            _ => Err(BadLink::Host),
        };
    }
    Ok(place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))))
}

/// Leaves RFC 3986's unreserved characters as they are.
fn encode(text: &str) -> String {
    use fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

fn decode(text: &str) -> Result<String, BadLink> {
    let bad = || BadLink::Encoding(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn password(user: &str, password: &str) -> Login {
        Login::Password(Credential { user: user.to_owned(), password: password.to_owned() })
    }

    fn link(host: &str, port: u16) -> Link {
        Link { host: host.to_owned(), port, tls: false, transport: None, login: Login::None, pin: None }
    }

    #[test]
    fn links_of_every_kind_are_read() {
        for (text, expect) in [
            ("turn:203.0.113.10", link("203.0.113.10", 3478)),
            ("turn:[2001:db8::1]:99", link("2001:db8::1", 99)),
            ("turns:relay.example", Link { tls: true, ..link("relay.example", 5349) }),
            ("turn:a:b%40c@host:1", Link { login: password("a", "b@c"), ..link("host", 1) }),
            ("TURN://host?transport=TCP", Link { transport: Some(Transport::Tcp), ..link("host", 3478) }),
            (
                " turn:h?secret=x%2By&pin=AbC-_ \n",
                Link { login: Login::Secret("x+y".into()), pin: Some("AbC-_".into()), ..link("h", 3478) },
            ),
        ] {
            assert_eq!(text.parse::<Link>(), Ok(expect), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_link_is_said() {
        for (text, error) in [
            ("stun:host", BadLink::Scheme),
            ("host", BadLink::Scheme),
            ("turn:", BadLink::Host),
            ("turn:[::1", BadLink::Host),
            ("turn:[::1]x", BadLink::Host),
            ("turn:host:0", BadLink::Port("0".into())),
            ("turn:host:70000", BadLink::Port("70000".into())),
            ("turn:user@host", BadLink::Password),
            ("turn:a:%zz@host", BadLink::Encoding("%zz".into())),
            ("turn:host?x=1", BadLink::Option("x=1".into())),
        ] {
            assert_eq!(text.parse::<Link>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_link_can_be_shown_without_its_secret() {
        let link: Link = "turn:host?secret=abc&pin=p".parse().unwrap();
        assert_eq!(link.without_secret().to_string(), "turn:host:3478?pin=p");
        assert!(!format!("{link:?}").contains("abc"));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(
            user in "\\PC{1,12}", pass in "\\PC{0,12}", host in "[a-z0-9.-]{1,20}", port in 1u16.., tls: bool,
            secret: bool, pin in proptest::option::of("[A-Za-z0-9_-]{43}"),
        ) {
            let login = if secret { Login::Secret(pass) } else { password(&user, &pass) };
            let link = Link { tls, login, pin, ..link(&host, port) };
            prop_assert_eq!(link.to_string().parse::<Link>(), Ok(link));
        }

        #[test]
        fn reading_anything_never_panics(text in "\\PC*") {
            let _ = text.parse::<Link>();
            let _ = format!("turn:{text}").parse::<Link>();
        }
    }
}
