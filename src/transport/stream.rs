//! TCP and TLS to a relay, through a proxy where there is one: connecting, and judging its certificate. Knows no
//! TURN but how to cut the stream into messages.

use p2pcall_relay::check::Dial;
use p2pcall_relay::stun::{equal, frame_length};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use super::names::resolve;
use super::proxy::tunnel;
use super::ways::Trust;
use crate::call::event::Protocol;
use crate::config::proxy::ProxyLink;

/// A server that is there answers a SYN and a ClientHello in this time, on any link that carries a call.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// The longest message: a STUN header and 65,535 bytes.
const LONGEST: usize = 65_555;

/// What the system may hold back.
const SEND_BUFFER: u32 = 64 * 1024;

/// Read at a time.
const CHUNK: usize = 16 * 1024;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Where to, and whom to expect there.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Where it is; behind a proxy that resolves names itself only the port counts.
    pub(super) server: SocketAddr,
    /// What a proxy is asked for: a name, or an address without brackets.
    pub(super) place: String,
    /// Who makes the connection, if not this machine.
    pub(super) proxy: Option<Arc<ProxyLink>>,
    /// The name in the certificate.
    pub(super) host: String,
    pub(super) protocol: Protocol,
    pub(super) trust: Trust,
    /// The local address to leave from, where one was asked for.
    pub(super) from: Option<IpAddr>,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    /// Refused, or no answer.
    #[error("no answer")]
    Silent,
    /// The certificate: SHA-256 of the key it holds.
    #[error("the certificate cannot be verified")]
    Certificate([u8; 32]),
    /// The proxy made no connection.
    #[error("{0}")]
    Proxy(String),
}

/// Connects, and shakes hands where it is TLS.
pub(super) async fn connect(target: &Target) -> Result<Box<dyn Duplex>, ConnectError> {
    let connected = tokio::time::timeout(CONNECT_DEADLINE, async {
        let tcp = match &target.proxy {
            Some(proxy) => connect_by(proxy, target.from, &target.place, target.server.port()).await?,
            None => connect_tcp(target.server, target.from).await.map_err(|error| {
                log::debug!("{}: {error}", target.server);
                ConnectError::Silent
            })?,
        };
        match target.protocol {
            Protocol::Tls => connect_tls(target, tcp).await,
            Protocol::Udp | Protocol::Tcp => Ok(Box::new(tcp) as Box<dyn Duplex>),
        }
    });
    connected.await.unwrap_or(Err(ConnectError::Silent))
}

/// The same for who tests a relay as a call would use it: `None` where no proxy is in between.
pub(crate) fn dial(proxy: Option<&Arc<ProxyLink>>, host: &str) -> Option<Dial> {
    let proxy = Arc::clone(proxy.filter(|proxy| proxy.serves(host))?);
    Some(Arc::new(move |host, port| {
        let proxy = Arc::clone(&proxy);
        Box::pin(async move {
            let connected = connect_by(&proxy, None, &host, port).await;
            connected.map_err(|error| std::io::Error::other(format!("the proxy {proxy}: {error}")))
        })
    }))
}

/// Through a proxy, at the first of its addresses that answers.
async fn connect_by(
    proxy: &ProxyLink,
    from: Option<IpAddr>,
    place: &str,
    port: u16,
) -> Result<TcpStream, ConnectError> {
    let mut failure = std::io::Error::new(std::io::ErrorKind::NotFound, "its name has no address");
    for address in resolve(&proxy.host, proxy.port).await {
        let from = from.filter(|from| from.is_ipv4() == address.is_ipv4());
        match connect_tcp(address, from).await {
            Ok(stream) => {
                let tunnel = tunnel(proxy, stream, place, port).await;
                return tunnel.map_err(|refusal| ConnectError::Proxy(refusal.to_string()));
            }
            Err(error) => failure = error,
        }
    }
    Err(ConnectError::Proxy(failure.to_string()))
}

async fn connect_tcp(server: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The system's buffer is part of every datagram's delay: 64 kB are a second of sound and picture.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect_tls(target: &Target, tcp: TcpStream) -> Result<Box<dyn Duplex>, ConnectError> {
    // For an address rustls sends no SNI, as RFC 6066 §3 wants it.
    let name = ServerName::try_from(target.host.clone()).map_err(|_| ConnectError::Silent)?;
    let trust = target.trust;
    let verifier = tokio::task::spawn_blocking(move || Arc::new(Verifier::new(trust)));
    let verifier = verifier.await.map_err(|_| ConnectError::Silent)?;
    let config = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| ConnectError::Silent)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    match tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await {
        Ok(stream) => {
            if verifier.refused.get().is_some() {
                log::info!(
                    "nobody vouches for the certificate of {}, which only the code names",
                    target.server
                );
            }
            Ok(Box::new(stream))
        }
        Err(error) => {
            log::debug!("{}: {error}", target.server);
            Err(verifier.refused.get().map_or(ConnectError::Silent, |key| ConnectError::Certificate(*key)))
        }
    }
}

/// Judges as [`Trust`] says.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    roots: Option<Arc<WebPkiServerVerifier>>,
    trust: Trust,
    /// SHA-256 of the key in a certificate that nobody vouches for.
    refused: OnceLock<[u8; 32]>,
}

impl Verifier {
    /// Reads the system's roots: slow.
    fn new(trust: Trust) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = match trust {
            Trust::Roots | Trust::Noted(None) => system_roots(&provider),
            Trust::Pin(_) | Trust::Noted(Some(_)) => None,
        };
        Self { provider, roots, trust, refused: OnceLock::new() }
    }
}

fn system_roots(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

/// SHA-256 of the certificate's SubjectPublicKeyInfo (DER).
fn key_digest(certificate: &CertificateDer<'_>) -> Option<[u8; 32]> {
    let parsed = rustls::server::ParsedCertificate::try_from(certificate).ok()?;
    Some(Sha256::digest(parsed.subject_public_key_info()).into())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = key_digest(end_entity).ok_or(CertificateError::BadEncoding)?;
        let verdict = match (&self.trust, &self.roots) {
            (Trust::Pin(pin), _) if equal(pin, &key) => Ok(ServerCertVerified::assertion()),
            (Trust::Noted(Some(pin)), _) if key.starts_with(pin) => Ok(ServerCertVerified::assertion()),
            (Trust::Roots | Trust::Noted(None), Some(roots)) => {
                roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        };
        if verdict.is_err() {
            let _ = self.refused.set(key);
        }
        match self.trust {
            Trust::Noted(_) => Ok(ServerCertVerified::assertion()),
            Trust::Roots | Trust::Pin(_) => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Cuts what comes into messages until the connection ends or carries something else.
pub(super) async fn read_messages(mut stream: impl AsyncRead + Unpin, mut each: impl FnMut(&[u8])) {
    let mut buffer: Vec<u8> = Vec::with_capacity(CHUNK);
    loop {
        let mut taken = 0;
        loop {
            let rest = buffer.get(taken..).unwrap_or_default();
            let Ok(length) = frame_length(rest) else { return };
            let Some(message) = length.and_then(|length| rest.get(..length)) else { break };
            each(message);
            taken += message.len();
        }
        buffer.drain(..taken);
        debug_assert!(buffer.len() < LONGEST, "an incomplete message is shorter than the longest one");
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip(Vec<u8>);

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            if !self.0.is_empty() {
                buffer.put_slice(&[self.0.remove(0)]);
            }
            std::task::Poll::Ready(Ok(()))
        }
    }

    async fn messages(bytes: &[u8]) -> [Vec<Vec<u8>>; 2] {
        let (mut whole, mut drip) = (Vec::new(), Vec::new());
        read_messages(bytes, |message| whole.push(message.to_vec())).await;
        read_messages(Drip(bytes.to_vec()), |message| drip.push(message.to_vec())).await;
        [whole, drip]
    }

    #[tokio::test]
    async fn messages_are_found_however_the_stream_is_cut() {
        let stun = [&[1, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let channel = b"\x40\x00\x00\x05hello\0\0\0".to_vec();
        let stream = [&stun[..], &channel, &stun].concat();
        let expect = vec![stun.clone(), channel, stun];
        assert_eq!(messages(&stream).await, [expect.clone(), expect]);
    }

    #[tokio::test]
    async fn a_stream_of_something_else_ends() {
        let [whole, drip] = messages(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        assert!(whole.is_empty() && drip.is_empty());
    }
}
