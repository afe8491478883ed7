//! The machine's addresses while a call lasts: they come and go, with cables, wireless networks and VPNs. New ones get
//! a socket; those that are gone are told of, and keep theirs: the same address may come back.
//! Knows nothing of codes and calls.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

use super::TransportEvent;
use super::hub::Hub;
use super::interfaces::{self, Usable};
use super::servers::Servers;
use super::{host, list_interfaces};

/// How often the machine's addresses are looked at: less than it takes to notice that a path is silent.
const INTERVAL: Duration = Duration::from_secs(1);

/// Says when addresses that were bound are gone and others are there. What merely comes along, a VPN say, harms no
/// code. Without any address there is nothing to do but wait: the same may come back, as after a wireless network
/// was lost for a moment, and sockets and codes are good again.
pub(super) async fn watch(hub: Arc<Hub>, servers: Arc<Servers>, mut known: Vec<Usable>, only: Vec<IpAddr>) {
    let mut receiving = JoinSet::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Ok(list) = list_interfaces().await else { continue };
        let now = interfaces::usable(&list, &only);
        if now.iter().all(|one| one.address.is_loopback()) {
            continue;
        }
        let come: Vec<Usable> = now.iter().filter(|one| !servers.hosts().has(one.address)).copied().collect();
        for socket in host::bind_all(&come, false).unwrap_or_default() {
            let (link, socket) = servers.add_host(socket);
            let servers = Arc::clone(&servers);
            receiving.spawn(async move { socket.receive(|heard| servers.heard(link, heard)).await });
        }
        let before = known.iter().map(|one| one.address);
        let gone: Vec<IpAddr> =
            before.filter(|address| !now.iter().any(|one| one.address == *address)).collect();
        if !gone.is_empty() {
            known = now;
            hub.tell(TransportEvent::InterfacesChanged { gone });
        }
    }
}
