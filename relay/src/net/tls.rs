//! The certificate for TLS: from files that are watched, or a key of the relay's own that is pinned in its link.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A certificate chain and its key, replaceable while connections are served.
#[derive(Debug)]
pub struct CertificateStore {
    chain: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Current {
    certified: Arc<CertifiedKey>,
    changed: Option<SystemTime>,
}

impl CertificateStore {
    /// Reads PEM files. They are read again when [`CertificateStore::reload`] finds them changed.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        let current = Current { certified: read(chain, key)?, changed: changed(chain, key) };
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), current: RwLock::new(current) })
    }

    /// Reads the relay's own key from `directory`, or makes one there: readable by its owner only.
    pub fn own(directory: &Path) -> Result<Self, CertificateError> {
        let (chain, key) = (directory.join("tls-cert.pem"), directory.join("tls-key.pem"));
        if !key.exists() || !chain.exists() {
            make(&chain, &key)?;
        }
        Self::from_files(&chain, &key)
    }

    /// Reads the files again if they have changed; true if the certificate is another one now. An error
    /// leaves the old one in use.
    pub fn reload(&self) -> Result<bool, CertificateError> {
        let now = changed(&self.chain, &self.key);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).changed == now {
            return Ok(false);
        }
        let certified = read(&self.chain, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { certified, changed: now };
        Ok(true)
    }

    /// What goes into a link as `pin=`: SHA-256 of the public key (SubjectPublicKeyInfo, DER).
    pub fn pin(&self) -> Option<[u8; 32]> {
        let certified = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).certified);
        let spki = certified.key.public_key()?;
        Some(Sha256::digest(spki).into())
    }

    pub(super) fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let builder = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        #[expect(clippy::expect_used, reason = "ring supports both versions")]
        let builder = builder.with_safe_default_protocol_versions().expect("TLS 1.2 and 1.3");
        let mut config =
            builder.with_no_client_auth().with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        // Session tickets would be two more things to keep for each of many short-lived clients.
        config.send_tls13_tickets = 0;
        TlsAcceptor::from(Arc::new(config))
    }
}

#[derive(Debug)]
struct Resolver(Arc<CertificateStore>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> CertificateError {
    |source| CertificateError::File { path: path.to_owned(), source }
}

fn content_error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> CertificateError {
    |error| CertificateError::Content { path: path.to_owned(), reason: error.to_string() }
}

fn read(chain_path: &Path, key_path: &Path) -> Result<Arc<CertifiedKey>, CertificateError> {
    let pem = std::fs::read(chain_path).map_err(file_error(chain_path))?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(content_error(chain_path))?;
    if chain.is_empty() {
        return Err(content_error(chain_path)("there is no certificate in it"));
    }
    let pem = std::fs::read(key_path).map_err(file_error(key_path))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(content_error(key_path))?;
    let signer = ring::sign::any_supported_type(&key).map_err(content_error(key_path))?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(content_error(key_path))?;
    Ok(Arc::new(certified))
}

fn changed(chain: &Path, key: &Path) -> Option<SystemTime> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    time(chain).max(time(key))
}

/// A self-signed certificate that says nothing: who connects knows its key from the link.
fn make(chain: &Path, key: &Path) -> Result<(), CertificateError> {
    let certificate =
        rcgen::generate_simple_self_signed(vec!["p2pcall-relay".to_owned()]).map_err(content_error(chain))?;
    crate::secret_file::write(key, certificate.signing_key.serialize_pem().as_bytes())
        .map_err(file_error(key))?;
    std::fs::write(chain, certificate.cert.pem()).map_err(file_error(chain))
}
