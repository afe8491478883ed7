//! Refusing a request: the error code, its phrase, and what must stand beside it.

use std::net::SocketAddr;

/// What else the error response carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    Nothing,
    /// REALM and NONCE, so that the client can try again (RFC 8489 §9.2.4).
    Challenge,
    /// UNKNOWN-ATTRIBUTES (RFC 8489 §6.3.1).
    Unknown(Vec<[u8; 2]>),
    /// ALTERNATE-SERVER (RFC 8489 §10).
    Alternate(SocketAddr),
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) beside: Beside,
}

impl Refusal {
    pub(super) const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason, beside: Beside::Nothing }
    }

    pub(super) const fn challenge(code: u16, reason: &'static str) -> Self {
        Self { code, reason, beside: Beside::Challenge }
    }

    pub(super) const fn bad_request(reason: &'static str) -> Self {
        Self::new(400, reason)
    }

    /// RFC 8656 §5: there is no allocation, or already one.
    pub(super) const fn mismatch(reason: &'static str) -> Self {
        Self::new(437, reason)
    }

    pub(super) const fn forbidden() -> Self {
        Self::new(403, "This peer may not be reached through this relay")
    }

    pub(super) fn alternate(server: SocketAddr) -> Self {
        Self { code: 300, reason: "Try Alternate", beside: Beside::Alternate(server) }
    }

    pub(super) fn unknown(codes: impl Iterator<Item = u16>) -> Option<Self> {
        let codes: Vec<_> = codes.take(16).map(u16::to_be_bytes).collect();
        let reason = "Unknown Attribute";
        (!codes.is_empty()).then_some(Self { code: 420, reason, beside: Beside::Unknown(codes) })
    }
}
