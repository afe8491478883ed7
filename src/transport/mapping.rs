//! I/O: a port of the router for the call's own socket, by PCP, NAT-PMP or UPnP, for as long as the call lasts.
//! Anybody can ring there, whatever the router's NAT does, if it is the only NAT. Knows no ICE.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::TransportEvent;
use super::candidate::LocalCandidate;
use super::host::HostSocket;
use super::hub::Outlet;
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
        IpAddr::V4(address) if candidate.default_route && is_behind_nat(address) => Some(address),
        _ => None,
    }
}

/// Private (RFC 1918) or shared (RFC 6598).
fn is_behind_nat(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    address.is_private() || (first == 100 && (64..128).contains(&second))
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
    if is_behind_nat(*mapped.external.ip()) {
        // Another NAT lies beyond.
        log::info!("{mapped:?} leads to a private network only");
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
    fn only_private_addresses_are_worth_a_mapping() {
        for (address, private) in [
            ("10.1.2.3", true),
            ("192.168.1.5", true),
            ("172.31.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("203.0.113.5", false),
        ] {
            assert_eq!(is_behind_nat(address.parse().unwrap()), private, "{address}");
        }
    }
}
