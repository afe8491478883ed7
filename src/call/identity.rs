//! Who an end is for the length of one call: a fresh certificate and key, and what names them.
//!
//! Knows nothing of the connection that uses them, nor of the code that carries the fingerprint.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use sha2::{Digest, Sha256};
use std::fmt;

/// A self-signed ECDSA P-256 certificate (what every WebRTC stack accepts: RFC 8827 §6.5) with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", colon_hex(&self.fingerprint()))
    }
}

impl Identity {
    /// Makes one for one call.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(IdentityError)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(IdentityError)?;
        params.distinguished_name = DistinguishedName::new();
        // Seen by whoever connects: the same for everybody, so that it tells nothing about this end.
        params.distinguished_name.push(DnType::CommonName, "WebRTC");
        let certificate = params.self_signed(&key).map_err(IdentityError)?;
        Ok(Self { certificate: certificate.der().to_vec(), key: key.serialize_der() })
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The private key, PKCS#8 DER.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }
}

/// SHA-256 of a DER certificate.
pub fn fingerprint(certificate: &[u8]) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// A fingerprint as session descriptions write it: `AB:CD:…` (RFC 8122 §5).
pub fn colon_hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate could be made: {0}")]
pub struct IdentityError(rcgen::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_another_identity() {
        let (alice, bob) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert_ne!(alice.fingerprint(), bob.fingerprint());
        assert_ne!(alice.key(), bob.key());
    }

    #[test]
    fn a_fingerprint_is_the_hash_of_the_certificate() {
        let identity = Identity::generate().unwrap();
        assert_eq!(identity.fingerprint(), fingerprint(identity.certificate()));
    }

    #[test]
    fn fingerprints_read_as_in_session_descriptions() {
        assert_eq!(colon_hex(&[0x00, 0xab, 0x7f]), "00:AB:7F");
        assert_eq!(colon_hex(&[]), "");
    }

    #[test]
    fn debug_output_does_not_show_the_key() {
        let identity = Identity::generate().unwrap();
        assert_eq!(format!("{identity:?}").len(), "Identity()".len() + 95);
    }
}
