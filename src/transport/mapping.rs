//! I/O: a port of the router for the call's own socket, by PCP, NAT-PMP or UPnP, for as long as the call lasts.
//! Anybody can ring there, whatever the router's NAT does, if it is the only NAT. Knows no ICE.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::TransportEvent;
use super::candidate::LocalCandidate;
use super::host::HostSocket;
use super::hub::Outlet;
use super::interfaces::is_public;
use super::interfaces::system::gateway;
use super::servers::{Servers, lock};
use crate::call::event::PathKind;
use crate::nat::portmap::{Mapped, PortMapper};

/// Asked for; what is not taken back ends so soon. Renewed at half of what was given.
const LIFETIME: Duration = Duration::from_secs(1_200);
/// Renewed no more often than this, whatever a gateway says.
const SHORTEST: Duration = Duration::from_secs(30);

/// A mapping that is held.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Option<(PortMapper, Mapped)>>);

impl Held {
    /// Takes it back, if there is one.
    pub(super) async fn release(&self) {
        let held = lock(&self.0).take();
        if let Some((mapper, mapped)) = held
            && let Err(error) = mapper.delete(&mapped).await
        {
            log::debug!("{mapped:?} was not taken back: {error}");
        }
    }
}

/// The address whose port is worth mapping: a private one on the way to the world.
pub(super) fn worthwhile(candidate: &LocalCandidate) -> Option<Ipv4Addr> {
    match candidate.address.ip() {
        IpAddr::V4(address) if candidate.default_route && !is_public(address.into()) => Some(address),
        _ => None,
    }
}

/// Whether a friend anywhere may be told of it: a router behind another NAT names a private address, one that lies
/// names any.
fn is_of_use(external: SocketAddrV4) -> bool {
    external.port() != 0 && is_public((*external.ip()).into())
}

/// Holds a mapping for this socket until the router refuses; then it is as if there were none.
pub(super) async fn keep(servers: Arc<Servers>, host: Arc<HostSocket>, local: Ipv4Addr) {
    let own = host.candidate();
    let mapper = PortMapper::new(local, gateway());
    let mut mapped = match mapper.map(own.address.port(), LIFETIME).await {
        Ok(mapped) => mapped,
        Err(error) => {
            log::info!("the router maps no port: {error}");
            return servers.mapped(None);
        }
    };
    *lock(&servers.mapping.0) = Some((mapper, mapped.clone()));
    if !is_of_use(mapped.external) {
        log::info!("{mapped:?} is of no use to a friend");
        servers.mapping.release().await;
        return servers.mapped(None);
    }
    let mut candidate =
        LocalCandidate { kind: PathKind::Srflx, address: SocketAddr::V4(mapped.external), ..own };
    log::info!("{mapped:?}");
    servers.mapped(Some(candidate));
    loop {
        tokio::time::sleep((mapped.lifetime / 2).max(SHORTEST)).await;
        mapped = match mapper.renew(&mapped).await {
            Ok(mapped) => mapped,
            Err(error) => {
                log::info!("{mapped:?} is gone: {error}");
                *lock(&servers.mapping.0) = None;
                return servers.unmapped(&candidate);
            }
        };
        *lock(&servers.mapping.0) = Some((mapper, mapped.clone()));
        let address = SocketAddr::V4(mapped.external);
        if address != candidate.address {
            servers.unmapped(&candidate);
            if !is_of_use(mapped.external) {
                return servers.mapping.release().await;
            }
            candidate.address = address;
            servers.mapped(Some(candidate));
        }
    }
}

impl Servers {
    /// The router has answered; `None` when it maps nothing.
    fn mapped(&self, candidate: Option<LocalCandidate>) {
        let news = lock(&self.ledger).mapped(candidate);
        self.told(news);
    }

    fn unmapped(&self, candidate: &LocalCandidate) {
        lock(&self.ledger).forget(candidate);
        self.hub.tell(TransportEvent::CandidateLost(*candidate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_cannot_make_us_name_any_address() {
        for (external, of_use) in [
            ("203.0.113.5:4000", true),
            ("203.0.113.5:0", false),
            ("192.168.1.5:4000", false),
            ("100.64.0.1:4000", false),
            ("127.0.0.1:4000", false),
            ("0.0.0.0:4000", false),
            ("224.0.0.1:4000", false),
            ("255.255.255.255:4000", false),
        ] {
            assert_eq!(is_of_use(external.parse().unwrap()), of_use, "{external}");
        }
    }
}
