//! A TCP connection through a proxy, to a host that the proxy resolves. Knows no TLS and no TURN: what comes
//! back is a stream like any other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_socks::tcp::Socks5Stream;

use crate::config::proxy::{ProxyKind, ProxyLink};

/// The longest answer of an HTTP proxy; they send a page of words with an error.
const LONGEST_HEAD: usize = 16 * 1024;
/// The most header fields in it.
const FIELDS: usize = 64;

/// Why a proxy gave no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyRefusal {
    /// The network between here and the proxy.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It wants user and password, or others.
    #[error("it wants a user and a password")]
    Login,
    /// Not to that host or port.
    #[error("it refused ({0})")]
    Refused(String),
    /// It is no such proxy.
    #[error("it does not speak like one")]
    Garbage,
}

/// Has the proxy at the other end of `stream` connect to `host`, whose address only it needs to know.
///
/// # Errors
/// What the proxy said.
pub(super) async fn tunnel(
    proxy: &ProxyLink,
    mut stream: TcpStream,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProxyRefusal> {
    match proxy.kind {
        ProxyKind::Http => {
            stream.write_all(&connect_request(proxy, host, port)).await?;
            let status = read_answer(&mut stream).await?;
            match status {
                200..=299 => Ok(stream),
                407 => Err(ProxyRefusal::Login),
                status => Err(ProxyRefusal::Refused(status.to_string())),
            }
        }
        ProxyKind::Socks5 => {
            let tunnel = match &proxy.login {
                Some((user, password)) => {
                    Socks5Stream::connect_with_password_and_socket(stream, (host, port), user, password).await
                }
                None => Socks5Stream::connect_with_socket(stream, (host, port)).await,
            };
            Ok(tunnel.map_err(said)?.into_inner())
        }
    }
}

/// The words for what a SOCKS proxy answered.
fn said(error: tokio_socks::Error) -> ProxyRefusal {
    use tokio_socks::Error;
    match error {
        Error::Io(error) => ProxyRefusal::Io(error),
        Error::PasswordAuthFailure(_) | Error::NoAcceptableAuthMethods => ProxyRefusal::Login,
        Error::InvalidResponseVersion
        | Error::InvalidReservedByte
        | Error::UnknownAddressType
        | Error::UnknownAuthMethod => ProxyRefusal::Garbage,
        other => ProxyRefusal::Refused(other.to_string()),
    }
}

/// RFC 9110 §9.3.6; RFC 7617 for the login.
fn connect_request(proxy: &ProxyLink, host: &str, port: u16) -> Vec<u8> {
    let place = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut text = format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n");
    if let Some((user, password)) = &proxy.login {
        let login = STANDARD.encode(format!("{user}:{password}"));
        let _ = write!(text, "Proxy-Authorization: Basic {login}\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The status of an answer. It is read up to its empty line and no further: what follows is the tunnel's.
async fn read_answer(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<u16, ProxyRefusal> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Err(ProxyRefusal::Garbage);
        }
        // A byte at a time, for some hundred bytes, once.
        head.push(stream.read_u8().await?);
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    match answer.parse(&head) {
        Ok(httparse::Status::Complete(_)) => answer.code.ok_or(ProxyRefusal::Garbage),
        _ => Err(ProxyRefusal::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::proxy::proxy;
    use tokio::net::TcpListener;

    /// A proxy that answers whatever it is asked with these bytes; what it was asked comes back too.
    async fn asked(link: &str, answer: &'static [u8]) -> (Result<Vec<u8>, ProxyRefusal>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            request.truncate(length);
            stream.write_all(answer).await.unwrap();
            request
        });
        let link = proxy(link).unwrap();
        let tunnel = tunnel(&link, stream, "turn.example", 443).await;
        let request = server.await.unwrap();
        let rest = match tunnel {
            Ok(mut stream) => {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                Ok(rest)
            }
            Err(refusal) => Err(refusal),
        };
        (rest, request)
    }

    #[tokio::test]
    async fn what_follows_the_answer_is_the_tunnels() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nhello";
        let (rest, request) = asked("http://me:word@p:1", answer).await;
        assert_eq!(rest.unwrap(), b"hello");
        let expect = "CONNECT turn.example:443 HTTP/1.1\r\nHost: turn.example:443\r\n\
            Proxy-Authorization: Basic bWU6d29yZA==\r\n\r\n";
        assert_eq!(String::from_utf8(request).unwrap(), expect);
    }

    #[tokio::test]
    async fn refusals_and_garbage_are_told_apart() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("http://p:1", b"HTTP/1.1 407 Log in\r\n\r\n", "it wants a user and a password"),
            ("http://p:1", b"HTTP/1.1 403 \x1b[31mNo\r\n\r\n", "it does not speak like one"),
            ("http://p:1", b"HTTP/1.1 403 No\r\n\r\n", "it refused (403)"),
            ("http://p:1", b"SSH-2.0-OpenSSH\r\n\r\n", "it does not speak like one"),
            ("socks5://p:1", b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak like one"),
            ("socks5://p:1", b"\x05\xff", "it wants a user and a password"),
        ];
        for (link, answer, words) in cases {
            let refusal = asked(link, answer).await.0.unwrap_err();
            assert_eq!(refusal.to_string(), words, "{}", String::from_utf8_lossy(answer));
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_read_for_ever() {
        let endless = vec![b'x'; LONGEST_HEAD * 2];
        let mut endless = endless.as_slice();
        assert!(matches!(read_answer(&mut endless).await, Err(ProxyRefusal::Garbage)));
    }
}
