//! A proxy for relays over TCP and TLS, as typed or as the environment has it. Text to value and back; never
//! repeats a password. Knows no socket.

use std::fmt;
use url::{Host, Url};

/// How one asks a proxy for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// HTTP's CONNECT (RFC 9110 §9.3.6).
    Http,
    /// SOCKS version 5 (RFC 1928).
    Socks5,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyLink {
    /// How it is asked.
    pub kind: ProxyKind,
    /// A name, or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User and password (RFC 7617, RFC 1929).
    pub login: Option<(String, String)>,
    /// Hosts that are reached without it, as in `no_proxy`.
    pub except: Vec<String>,
}

/// What is wrong with a proxy's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No `scheme://host:port`.
    #[error(
        "a proxy is http://HOST:PORT or socks5://HOST:PORT, with USER:PASSWORD@ before the host if it wants them"
    )]
    Form,
    /// A scheme that there is not.
    #[error("a proxy's link begins with http:// or socks5://")]
    Scheme,
    /// After each % two hexadecimal digits.
    #[error("a user or password in a proxy's link must be percent-encoded UTF-8")]
    Percent,
    /// RFC 1929 §2: one byte tells their length.
    #[error("a proxy's user and password have at most 255 bytes each")]
    TooLong,
}

/// Reads a proxy's link; without a scheme it is `http`, as other tools take it.
///
/// # Errors
/// What is wrong with it.
pub fn proxy(text: &str) -> Result<ProxyLink, ProxyError> {
    let text = text.trim();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
    let url = url.map_err(|_| ProxyError::Form)?;
    let (kind, port) = match url.scheme() {
        "http" => (ProxyKind::Http, 80),
        "socks5" | "socks5h" | "socks" => (ProxyKind::Socks5, 1080),
        _ => return Err(ProxyError::Scheme),
    };
    let host = match url.host().ok_or(ProxyError::Form)? {
        Host::Domain("") => return Err(ProxyError::Form),
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
    let (user, password) = (decode(url.username())?, decode(url.password().unwrap_or_default())?);
    if user.len() > 255 || password.len() > 255 {
        return Err(ProxyError::TooLong);
    }
    let login = (!user.is_empty()).then_some((user, password));
    Ok(ProxyLink { kind, host, port: url.port().unwrap_or(port), login, except: Vec::new() })
}

/// Percent-encoding undone; control characters have no place in a login.
fn decode(text: &str) -> Result<String, ProxyError> {
    let decoded =
        percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| ProxyError::Percent)?;
    if decoded.chars().any(char::is_control) {
        return Err(ProxyError::Percent);
    }
    Ok(decoded.into_owned())
}

impl ProxyLink {
    /// The same, but for the hosts of a `no_proxy` list: names (with all below them), addresses, or `*`.
    #[must_use]
    pub fn but_for(mut self, list: &str) -> Self {
        let hosts = list.split(',').map(|host| host.trim().trim_start_matches('.').to_ascii_lowercase());
        self.except = hosts.filter(|host| !host.is_empty()).collect();
        self
    }

    /// Whether a host is reached by it.
    pub fn serves(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        !self.except.iter().any(|except| {
            let below = host.strip_suffix(except.as_str()).is_some_and(|rest| rest.ends_with('.'));
            except == "*" || host == *except || below
        })
    }
}

/// Without user and password: for screens and logs.
impl fmt::Display for ProxyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
        };
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

impl fmt::Debug for ProxyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyLink({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read_and_shown_without_their_login() {
        let cases = [
            ("http://proxy.example:3128", "http://proxy.example:3128", None),
            ("proxy.example:3128", "http://proxy.example:3128", None),
            ("http://proxy.example/", "http://proxy.example:80", None),
            (" socks5h://[2001:db8::1] ", "socks5://[2001:db8::1]:1080", None),
            ("socks5://me:se%40cret@10.0.0.1:9", "socks5://10.0.0.1:9", Some(("me", "se@cret"))),
        ];
        for (text, shown, login) in cases {
            let link = proxy(text).unwrap();
            let found = link.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            assert_eq!((link.to_string().as_str(), found), (shown, login), "{text}");
            assert!(!format!("{link:?}").contains("cret"));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let long = format!("socks5://{}@h:1", "x".repeat(256));
        let cases = [
            ("", ProxyError::Form),
            ("http://", ProxyError::Form),
            ("http://h:99999", ProxyError::Form),
            ("ftp://h:1", ProxyError::Scheme),
            ("https://h:1", ProxyError::Scheme),
            ("http://a%0d%0ab@h:1", ProxyError::Percent),
            ("http://%ff@h:1", ProxyError::Percent),
            (&long, ProxyError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(proxy(text), Err(error), "{text}");
        }
    }

    #[test]
    fn hosts_of_no_proxy_are_reached_without_it() {
        let link = proxy("http://p:1").unwrap().but_for("localhost, .example.org ,203.0.113.9");
        for (host, serves) in [
            ("localhost", false),
            ("example.org", false),
            ("turn.Example.org", false),
            ("counterexample.org", true),
            ("203.0.113.9", false),
            ("203.0.113.10", true),
        ] {
            assert_eq!(link.serves(host), serves, "{host}");
        }
        assert!(!proxy("http://p:1").unwrap().but_for("*").serves("any"));
    }
}
