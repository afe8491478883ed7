//! I/O: names and numbers -> addresses that this machine's sockets can reach: DNS with a deadline, and NAT64
//! where there is IPv6 only. Knows nothing of what is asked there.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::OnceCell;

use super::interfaces::is_public;
use super::nat64::{Prefix, WELL_KNOWN_NAME};

/// DNS that takes longer is as good as none.
const DNS_DEADLINE: Duration = Duration::from_secs(2);

/// What this machine can reach.
#[derive(Debug)]
pub(crate) struct Names {
    /// No socket has an IPv4 address.
    ipv6_only: bool,
    prefix: OnceCell<Option<Prefix>>,
}

impl Names {
    /// For sockets with these addresses.
    pub(crate) fn new(own: impl IntoIterator<Item = IpAddr>) -> Self {
        let mut own = own.into_iter().peekable();
        let ipv6_only = own.peek().is_some() && own.all(|address| address.is_ipv6());
        Self { ipv6_only, prefix: OnceCell::new() }
    }

    /// Whether IPv4 is reached by a NAT64, if at all.
    pub(crate) fn are_ipv6_only(&self) -> bool {
        self.ipv6_only
    }

    /// The addresses of a name or number, with those by which a NAT64 reaches the IPv4 ones among them.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        let mut addresses = resolve(host, port).await;
        let translated = self.translate(&addresses).await;
        addresses.extend(translated);
        addresses
    }

    /// What is to be rung beside these addresses: the public IPv4 ones by the network's NAT64, if that is the
    /// only way to them.
    pub(super) async fn translate(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        // No NAT64 leads into a private network (RFC 6052 §3.1).
        let public = addresses.iter().filter(|address| address.is_ipv4() && is_public(address.ip()));
        let public: Vec<_> = public.collect();
        if !self.ipv6_only || public.is_empty() {
            return Vec::new();
        }
        let Some(prefix) = self.prefix.get_or_init(discover).await else { return Vec::new() };
        let translated = public.into_iter().map(|address| prefix.translate(*address));
        translated.filter(|address| !addresses.contains(address)).collect()
    }
}

async fn discover() -> Option<Prefix> {
    let found = resolve(WELL_KNOWN_NAME, 0).await;
    let v6: Vec<_> = found
        .into_iter()
        .filter_map(|address| match address.ip() {
            IpAddr::V6(v6) => Some(v6),
            IpAddr::V4(_) => None,
        })
        .collect();
    let prefix = Prefix::discover(&v6);
    log::info!("IPv6 only; NAT64: {prefix:?}");
    prefix
}

/// The addresses of a name; a number is its own. Empty when DNS does not answer in time.
pub(super) async fn resolve(host: &str, port: u16) -> Vec<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return vec![SocketAddr::new(address, port)];
    }
    match tokio::time::timeout(DNS_DEADLINE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            log::debug!("{host}: {error}");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}
