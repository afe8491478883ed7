//! Asking the router to open a port: PCP (RFC 6887), NAT-PMP (RFC 6886), UPnP-IGD. `pcp`, `natpmp`, `upnp`, `http` and
//! `xml` are pure; [`PortMapper`] has the sockets. Whatever a gateway answers, garbage or a megabyte, ends in an error.
//!
//! ```no_run
//! # use p2pcall::nat::portmap::PortMapper;
//! # async fn example() -> Result<(), p2pcall::nat::portmap::MapError> {
//! let mapper = PortMapper::new([192, 168, 1, 20].into(), Some([192, 168, 1, 1].into()));
//! let mapped = mapper.map(50_000, std::time::Duration::from_secs(600)).await?; // offer mapped.external as a candidate
//! let mapped = mapper.renew(&mapped).await?; // before mapped.lifetime is over, at half of it best
//! mapper.delete(&mapped).await
//! # }
//! ```

mod client;
pub(super) mod http;
mod natpmp;
mod pcp;
mod upnp;
mod xml;

pub use client::PortMapper;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// How a router is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP Internet Gateway Device.
    Upnp,
}

impl Protocol {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Pcp, Self::NatPmp, Self::Upnp];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        }
    }
}

/// Why there is no mapping.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// No gateway is known, or none answered.
    #[error("no answer")]
    Silent,
    /// The gateway said no.
    #[error("refused: {0}")]
    Refused(String),
    /// What it said makes no sense.
    #[error("the gateway's answer makes no sense")]
    Nonsense,
    /// The system said no.
    #[error("{0}")]
    Io(String),
}

impl From<std::io::Error> for MapError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// A port of the gateway that leads to one of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Mapped {
    /// How it was asked for.
    pub protocol: Protocol,
    /// Where it is, as the gateway says.
    pub external: SocketAddrV4,
    /// Our UDP port.
    pub internal_port: u16,
    /// So long; to be renewed before.
    pub lifetime: Duration,
    /// What it takes to renew or delete it.
    handle: Handle,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {} for {:?}",
            self.protocol.name(),
            self.external,
            self.internal_port,
            self.lifetime
        )
    }
}

/// What it takes to renew or delete a mapping.
#[derive(Clone, PartialEq, Eq)]
enum Handle {
    /// RFC 6887 §11.1: whoever knows the nonce owns the mapping.
    Pcp([u8; 12]),
    NatPmp,
    Upnp(upnp::Service),
}

/// Whether a mapping does what the gateway says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// A packet that nobody had asked for came in by it.
    Reached,
    /// The world sees our socket at just that address.
    Seen,
    /// The world sees our socket elsewhere: another NAT lies beyond, or the gateway is wrong.
    Elsewhere,
    /// Nobody outside could be asked.
    Untested,
}

/// What became of one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which one.
    pub protocol: Protocol,
    /// The mapping's outer address and whether it was verified, or why there was none.
    pub outcome: Result<(SocketAddrV4, Verified), MapError>,
    /// The mapping was taken back; true also where there was none.
    pub deleted: bool,
}

impl Attempt {
    /// The gateway's own outer address.
    pub fn external(&self) -> Option<Ipv4Addr> {
        self.outcome.as_ref().ok().map(|(external, _)| *external.ip()).filter(|ip| !ip.is_unspecified())
    }

    /// Whether anybody anywhere can reach us by it.
    pub fn works(&self) -> bool {
        matches!(self.outcome, Ok((_, Verified::Reached | Verified::Seen)))
    }
}
