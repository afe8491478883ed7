//! I/O: measures everything at the same time, as far as one test does not disturb another, within seconds.
//!
//! ```text
//!  names -> behavior discovery over IPv4 and IPv6 --+
//!       `-> TCP, TLS, an empty page                 |
//!        400 ms later: relays, port mapping, hops --+--> Facts;   with `long` then: lifetime of mappings
//! ```
//! Decides nothing about what it means.

mod hops;
mod mapping;
mod outside;
mod outward;
mod relays;
mod system;
mod udp;

use super::facts::{Dns, Facts, Hop, Outside, Portal, Reach, RelayFinding, TCP_PORTS};
use super::portmap::Attempt;
use super::probe::{Findings, ServerState};
use crate::code::network::Ports;
use crate::config::{NetworkConfig, RelayLink};
use crate::transport::interfaces::system::gateway;
use crate::transport::interfaces::{self, Interface, Usable};
use crate::transport::{Names, list_interfaces};
use outward::Target;
use p2pcall_relay::client::Trust;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Ports are dealt out undisturbed before anything else opens sockets.
const QUIET: Duration = Duration::from_millis(400);
/// Servers that are asked over UDP, at the most.
const MAX_SERVERS: usize = 8;
/// Hosts whose TCP ports are tried, at the most.
const MAX_TARGETS: usize = 5;

/// Hosts of the operators of the default STUN servers, known to answer on TCP 80 and 443 and, one, 3478. Asked only
/// when no other servers were given.
const KNOWN_HOSTS: [&str; 2] = ["cp.cloudflare.com", "turn.cloudflare.com"];
/// A page that answers 204.
const EMPTY_PAGE: (&str, &str) = ("cp.cloudflare.com", "/generate_204");
/// Answers without a name: tells a broken DNS from a broken network.
const KNOWN_NUMBER: &str = "1.1.1.1";

/// What to measure with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// STUN servers, relays, local addresses.
    pub network: NetworkConfig,
    /// The servers are the default ones: their operators' other hosts may be asked too.
    pub default_servers: bool,
    /// Also what takes minutes.
    pub long: bool,
    /// Seconds since 1970, for time-limited credentials.
    pub unix: u64,
}

/// Measures. `progress` is told what is going on.
///
/// # Errors
/// When the system does not tell its interfaces, or gives no socket.
pub async fn run(plan: &Plan, progress: impl Fn(&'static str)) -> std::io::Result<Facts> {
    progress("looking at this machine's network");
    let interfaces = list_interfaces().await?;
    let usable = interfaces::usable(&interfaces, &plan.network.bind);
    let mut facts = Facts { gateway: gateway(), interfaces, ..Facts::default() };
    facts.proxy = plan.network.proxy.as_ref().map(ToString::to_string);
    facts.mtu = facts.route().and_then(|route| system::mtu(&route.name));
    progress("looking up names");
    let names = Arc::new(Names::new(usable.iter().map(|one| one.address)));
    let servers = look_up(plan, &names, &mut facts.dns).await;
    progress("asking servers how they see this machine");
    let (udp_sender, udp_open) = watch::channel(true);
    let local4 = local(&usable, &facts.interfaces, false);
    let local6 = local(&usable, &facts.interfaces, true);
    let relays = examine_relays(plan, &names, &udp_open);
    let outwards = examine_outwards(plan, &names, &servers);
    let discovery4 = async {
        let findings = discover(local4, &servers).await;
        let _ = udp_sender.send(findings.as_ref().is_none_or(Findings::udp));
        progress("testing filters, relays and the router");
        findings
    };
    let helped = tokio::spawn(examine_outside(plan.clone(), local4, servers.clone()));
    let router = facts.gateway;
    let portmap = examine_portmap(local4, router, &servers);
    let (v4, v6, outwards, relays, portmap, hops) = tokio::join!(
        discovery4,
        discover(local6, &servers),
        outwards,
        relays,
        portmap,
        trace(local4, &servers)
    );
    (facts.v4, facts.v6, facts.relays, facts.portmap, facts.hops) = (v4, v6, relays, portmap, hops);
    facts.outside = helped.await.ok().flatten();
    (facts.tcp, facts.tls, facts.portal) = outwards;
    if plan.long {
        progress("waiting for mappings to be forgotten: this takes five minutes");
        facts.lifetime = lifetime(&facts).await;
    }
    Ok(facts)
}

/// The address that packets to the world leave from; of IPv6 only a global one counts.
fn local(usable: &[Usable], interfaces: &[Interface], six: bool) -> Option<IpAddr> {
    let fits = |address: IpAddr| address.is_ipv6() == six && (!six || interfaces::is_public(address));
    let lonely = interfaces.iter().all(|one| one.address.is_loopback());
    let mut found = usable.iter().map(|one| one.address).filter(|address| fits(*address));
    found.find(|address| lonely || !address.is_loopback() || usable.len() == 1)
}

/// Servers that answer Binding requests over UDP: those for STUN, and the relays.
async fn look_up(plan: &Plan, names: &Arc<Names>, dns: &mut Dns) -> Vec<Target> {
    let stun = plan.network.stun.iter().map(|server| (server.host.clone(), server.port));
    let relays = plan.network.relays.iter().map(|link| (link.host.clone(), link.port));
    let mut lookups = JoinSet::new();
    for (order, (host, port)) in stun.chain(relays).take(MAX_SERVERS).enumerate() {
        let names = Arc::clone(names);
        lookups.spawn(async move {
            let found = names.resolve(&host, port).await;
            (order, host, found)
        });
    }
    let mut found = lookups.join_all().await;
    found.sort_by_key(|(order, _, _)| *order);
    let mut servers: Vec<Target> = Vec::new();
    for (_, host, addresses) in found {
        if host.parse::<IpAddr>().is_err() {
            let list = if addresses.is_empty() { &mut dns.missing } else { &mut dns.found };
            if !list.contains(&host) {
                list.push(host.clone());
            }
        }
        for six in [false, true] {
            let address = addresses.iter().find(|address| address.is_ipv6() == six);
            let target = address.map(|address| Target { host: host.clone(), address: *address });
            servers.extend(target.filter(|target| servers.iter().all(|one| one.address != target.address)));
        }
    }
    servers
}

/// Behavior discovery; `None` without an address of that family.
async fn discover(local: Option<IpAddr>, servers: &[Target]) -> Option<Findings> {
    let local = local?;
    let servers: Vec<SocketAddr> =
        servers.iter().map(|one| one.address).filter(|one| one.is_ipv6() == local.is_ipv6()).collect();
    match udp::discover(local, &servers).await {
        Ok(findings) => Some(findings),
        Err(error) => {
            log::warn!("no socket at {local}: {error}");
            None
        }
    }
}

async fn examine_relays(plan: &Plan, names: &Arc<Names>, udp: &watch::Receiver<bool>) -> Vec<RelayFinding> {
    tokio::time::sleep(QUIET).await;
    let mut tasks = JoinSet::new();
    for (order, link) in plan.network.relays.iter().cloned().enumerate() {
        let (udp, unix, proxy) = (udp.clone(), plan.unix, plan.network.proxy.clone());
        let names = Arc::clone(names);
        tasks.spawn(async move {
            let reached = by_number(&names, &link).await;
            let found = relays::examine(reached, proxy, unix, udp).await;
            (order, RelayFinding { link: link.to_string(), host: link.host, ..found })
        });
    }
    let mut found = tasks.join_all().await;
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, finding)| finding).collect()
}

/// The relay as it is reached from here: one that is given by its IPv4 number, by the network's NAT64, where this machine
/// has IPv6 only.
async fn by_number(names: &Names, link: &RelayLink) -> RelayLink {
    let number = link.host.parse::<Ipv4Addr>().is_ok() && names.are_ipv6_only();
    let found = if number { names.resolve(&link.host, link.port).await } else { Vec::new() };
    match found.into_iter().find(SocketAddr::is_ipv6) {
        Some(address) => RelayLink { host: address.ip().to_string(), ..link.clone() },
        None => link.clone(),
    }
}

/// Only a private address is one that a router can map a port to.
async fn examine_portmap(
    local: Option<IpAddr>,
    gateway: Option<Ipv4Addr>,
    servers: &[Target],
) -> Vec<Attempt> {
    let Some(IpAddr::V4(local)) = local.filter(|local| !interfaces::is_public(*local)) else {
        return Vec::new();
    };
    if local.is_loopback() {
        return Vec::new();
    }
    tokio::time::sleep(QUIET).await;
    let server = servers.iter().map(|one| one.address).find(SocketAddr::is_ipv4);
    mapping::examine(local, gateway, server).await
}

/// Filtering as a relay sees it.
async fn examine_outside(plan: Plan, local: Option<IpAddr>, servers: Vec<Target>) -> Option<Outside> {
    let local = local.filter(IpAddr::is_ipv4)?;
    tokio::time::sleep(QUIET).await;
    let servers: Vec<SocketAddr> =
        servers.iter().map(|one| one.address).filter(SocketAddr::is_ipv4).collect();
    outside::examine(local, &servers, &plan.network.relays, plan.unix).await
}

/// The first routers; nobody asks where no address is translated.
async fn trace(local: Option<IpAddr>, servers: &[Target]) -> Vec<Hop> {
    let private = local.is_some_and(|local| local.is_ipv4() && !interfaces::is_public(local));
    let server = servers.iter().map(|one| one.address).find(SocketAddr::is_ipv4);
    let Some(server) = server.filter(|server| private && !server.ip().is_loopback()) else {
        return Vec::new();
    };
    tokio::time::sleep(QUIET).await;
    hops::trace(server).await
}

type Outwards = ([Reach; TCP_PORTS.len()], Reach, Portal);

/// TCP, TLS and an empty page: by hosts that are known to answer and the relays, or by the servers that were given.
async fn examine_outwards(plan: &Plan, names: &Names, servers: &[Target]) -> Outwards {
    let mut targets: Vec<Target> = Vec::new();
    let mut page = None;
    if plan.default_servers {
        for host in KNOWN_HOSTS.iter().chain([&KNOWN_NUMBER]) {
            let mut found = names.resolve(host, 443).await.into_iter();
            let address = found.find(|address| address.is_ipv6() == names.are_ipv6_only());
            targets.extend(address.map(|address| Target { host: (*host).to_owned(), address }));
        }
        page = targets.iter().find(|target| target.host == EMPTY_PAGE.0).cloned();
    }
    // A firewall may let through to one's own relay what it lets through to nobody else.
    let relays = &plan.network.relays;
    for server in servers {
        let asked = !plan.default_servers || relays.iter().any(|relay| relay.host == server.host);
        if asked && targets.iter().all(|known| known.address.ip() != server.address.ip()) {
            targets.push(server.clone());
        }
    }
    targets.truncate(MAX_TARGETS);
    let empty = async {
        match &page {
            Some(page) => outward::portal(page, EMPTY_PAGE.1).await,
            None => Portal::Untested,
        }
    };
    let [first, second, third] = TCP_PORTS.map(|port| by_any(&targets, Some(port)));
    let (tls, first, second, third, portal) =
        tokio::join!(by_any(&targets, None), first, second, third, empty);
    ([first, second, third], tls, portal)
}

/// The best that any of the hosts does: a TCP port, or TLS.
async fn by_any(targets: &[Target], port: Option<u16>) -> Reach {
    let mut tries = JoinSet::new();
    let trust = port.is_none().then(|| Trust::new(None));
    for target in targets {
        let (target, trust) = (target.clone(), trust.clone());
        tries.spawn(async move {
            match (port, trust) {
                (Some(port), _) => outward::tcp(&target, port).await,
                (None, Some(trust)) => outward::tls(&target, &trust).await,
                (None, None) => Reach::Untested,
            }
        });
    }
    let mut best = Reach::Untested;
    while let Some(Ok(reach)) = tries.join_next().await {
        best = best.best(reach);
        if best == Reach::Open {
            break;
        }
    }
    best
}

async fn lifetime(facts: &Facts) -> Option<super::probe::lifetime::Lifetime> {
    let findings = facts.v4.as_ref()?;
    let answers = |state| matches!(state, ServerState::Answers(_));
    let answering = || findings.servers.iter().filter(move |one| answers(one.state));
    // One with a second address knows RESPONSE-PORT too, most likely.
    let server = answering().find(|one| one.other.is_some()).or_else(|| answering().next())?.address;
    let preserved = facts.nat().ports == Ports::Preserved;
    udp::lifetime(findings.local?.ip(), server, preserved).await.ok()
}
