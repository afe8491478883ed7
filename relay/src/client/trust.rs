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

/// Why nobody vouches for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not begun.
    TooEarly,
    /// It is for another name.
    OtherName,
    /// No known authority has signed it.
    Stranger,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Expired => "has expired",
            Self::TooEarly => "is not valid yet",
            Self::OtherName => "is for another name than the link's",
            Self::Stranger => "is from nobody this machine knows",
        })
    }
}

/// What was found out about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its key is the pinned one.
    Pinned,
    /// An authority vouches for it.
    Verified,
    /// Nobody does.
    Unverified {
        /// Why.
        flaw: Flaw,
        /// What a link would have to pin.
        pin: [u8; 32],
    },
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
        let judge = Arc::new(Judge { trust: self.clone(), verdict: Mutex::new(None) });
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "this is no host name"))?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::clone(&judge) as _;
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let verdict = *judge.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        // A handshake without a certificate would have failed.
        Ok((stream, verdict.ok_or(io::ErrorKind::InvalidData)?))
    }

    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<Verdict, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let key: [u8; 32] = Sha256::digest(parsed.subject_public_key_info()).into();
        if let Some(pin) = self.pin {
            return Ok(if key == pin { Verdict::Pinned } else { Verdict::WrongPin });
        }
        let algorithms = self.provider.signature_verification_algorithms.all;
        let signed = verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, chain, now, algorithms);
        let named = rustls::client::verify_server_name(&parsed, name);
        Ok(match signed.and(named) {
            Ok(()) => Verdict::Verified,
            Err(error) => Verdict::Unverified { flaw: flaw(&error), pin: key },
        })
    }
}

fn flaw(error: &rustls::Error) -> Flaw {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => Flaw::Expired,
        rustls::Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            Flaw::TooEarly
        }
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            Flaw::OtherName
        }
        _ => Flaw::Stranger,
    }
}

/// Lets every certificate through but remembers what it was worth. The handshake's signatures are checked:
/// whoever answers has the key it shows.
#[derive(Debug)]
struct Judge {
    trust: Trust,
    verdict: Mutex<Option<Verdict>>,
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
        let verdict = self.trust.judge(end_entity, intermediates, server_name, now)?;
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
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
