//! What a server's certificate is worth: pinned, verified by the system's authorities, or neither.
//!
//! A certificate that cannot be verified is noted, not fatal: TLS to a relay is a way through firewalls and
//! hides metadata; a call's own security never rests on it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What was found out about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its key is the pinned one.
    Pinned,
    /// An authority vouches for it.
    Verified,
    /// Nobody does.
    Unverified,
    /// Its key is not the pinned one: somebody else answers.
    WrongPin,
}

/// How to judge certificates.
#[derive(Clone, Debug)]
pub struct Trust {
    pin: Option<[u8; 32]>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// With a pin (SHA-256 of the public key) only that key is right.
    pub fn new(pin: Option<[u8; 32]>) -> Self {
        let mut roots = RootCertStore::empty();
        if pin.is_none() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(ring::default_provider());
        Self { pin, roots: Arc::new(roots), provider }
    }

    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Verdict)> {
        let judge = Arc::new(Judge { trust: self.clone(), verdict: Mutex::new(Verdict::Unverified) });
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "this is no host name"))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(&judge) as _;
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let verdict = *judge.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((stream, verdict))
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Verdict {
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return Verdict::Unverified };
        if let Some(pin) = &self.pin {
            let key = Sha256::digest(parsed.subject_public_key_info());
            return if key.as_slice() == pin { Verdict::Pinned } else { Verdict::WrongPin };
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, chain, now, algorithms);
        let named = rustls::client::verify_server_name(&parsed, name);
        if signed.is_ok() && named.is_ok() { Verdict::Verified } else { Verdict::Unverified }
    }
}

/// Lets every certificate through but remembers what it was worth. The handshake's signatures are checked:
/// whoever answers has the key it shows.
#[derive(Debug)]
struct Judge {
    trust: Trust,
    verdict: Mutex<Verdict>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.trust.judge(end_entity, intermediates, server_name, now);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.trust.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.trust.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}
