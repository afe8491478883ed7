//! From what was typed to finished settings. Pure: files were read, interfaces looked at, and public addresses
//! found out by others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::cli::Options;
use crate::server::{Credential, Limits, Listener, PeerRules, Peers, RelayIp, Settings};

/// The port without `--listen`.
const DEFAULT_PORT: u16 = 3478;
/// RFC 8656 §7.2: dynamic ports.
const DEFAULT_PORTS: RangeInclusive<u16> = 49_152..=65_535;
/// Short, so that the reply to strangers is (401: 56 bytes).
pub(crate) const DEFAULT_REALM: &str = "p2p";

/// What is wrong with the configuration, and with which option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{option}: {reason}")]
pub(crate) struct BadOption {
    option: &'static str,
    reason: String,
}

fn bad(option: &'static str, reason: impl Into<String>) -> BadOption {
    BadOption { option, reason: reason.into() }
}

/// What the machine says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// All addresses of its interfaces.
    pub(crate) addresses: Vec<IpAddr>,
    /// Those that packets to the Internet would leave from, at most one a family.
    pub(crate) routed: Vec<IpAddr>,
}

/// Where to listen for UDP and TCP, wildcards included: what was asked for, or every family this machine has.
pub(crate) fn listen(options: &Options, machine: &Machine) -> Vec<SocketAddr> {
    if !options.listen.is_empty() {
        return options.listen.clone();
    }
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let has = |family: &IpAddr| machine.addresses.iter().any(|ip| ip.is_ipv4() == family.is_ipv4());
    any.into_iter().filter(has).map(|ip| SocketAddr::new(ip, DEFAULT_PORT)).collect()
}

/// The relay's own addresses: those named, or those listened on, or those of the default routes.
pub(crate) fn relay_ips(options: &Options, machine: &Machine) -> Vec<IpAddr> {
    if !options.relay_ip.is_empty() {
        return options.relay_ip.clone();
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for address in listen(options, machine).iter().chain(&options.tls) {
        let ip = address.ip();
        let candidates = if ip.is_unspecified() {
            machine.routed.iter().copied().filter(|routed| routed.is_ipv4() == ip.is_ipv4()).collect()
        } else {
            vec![ip]
        };
        found.extend(candidates);
    }
    // One address a family: the first.
    let mut ips: Vec<IpAddr> = Vec::new();
    for ip in found {
        if !ips.iter().any(|known| known.is_ipv4() == ip.is_ipv4()) {
            ips.push(ip);
        }
    }
    ips
}

/// Pairs of local and external addresses as `--external-ip` says. `found` is what was found out for the rest.
pub(crate) fn external(
    options: &Options,
    locals: &[IpAddr],
    found: &[(IpAddr, IpAddr)],
) -> Result<Vec<RelayIp>, BadOption> {
    let parse = |text: &str| {
        text.parse::<IpAddr>().map_err(|_| bad("external-ip", format!("`{text}` is no address")))
    };
    let mut named = Vec::new();
    for text in &options.external_ip {
        let (public, private) = text.split_once('/').map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
        named.push((parse(public)?, private.map(parse).transpose()?));
    }
    let of = |local: IpAddr| {
        let fits = |public: IpAddr, private: Option<IpAddr>| {
            private.map_or(public.is_ipv4() == local.is_ipv4(), |private| private == local)
        };
        let named = named.iter().find(|&&(public, private)| fits(public, private)).map(|&(public, _)| public);
        let found = found.iter().find(|(private, _)| *private == local).map(|&(_, public)| public);
        named.or(found).unwrap_or(local)
    };
    Ok(locals.iter().map(|&local| RelayIp { local, external: of(local) }).collect())
}

/// Settings from options, the machine and the relay's addresses.
pub(crate) fn settings(
    options: &Options,
    machine: &Machine,
    relays: Vec<RelayIp>,
) -> Result<Settings, BadOption> {
    if relays.is_empty() {
        return Err(bad("relay-ip", "this machine has no address to relay from; name one"));
    }
    let listeners = if options.no_udp { Vec::new() } else { listeners(options, machine, &relays)? };
    let mut own = machine.addresses.clone();
    own.extend(relays.iter().flat_map(|relay| [relay.local, relay.external]));
    own.extend(listeners.iter().map(|listener| listener.local.ip()));
    let rules = PeerRules { deny: options.deny_peer.clone(), allow: options.allow_peer.clone() };
    let services = options.metrics.iter().map(SocketAddr::port).collect();
    Ok(Settings {
        listeners,
        peers: Peers { rules, relays, own, services },
        ports: ports(options)?,
        limits: limits(options),
        sha256: options.sha256,
        doorbell: !options.no_doorbell,
        guest: !options.no_guest,
        alternate_server: options.alternate_server,
    })
}

/// Quotas and rates.
pub(crate) fn limits(options: &Options) -> Limits {
    Limits {
        allocations: options.max_allocations,
        per_user: options.user_quota,
        per_address: options.address_quota,
        kilobits: options.max_bitrate,
        strangers: options.stranger_rate.unwrap_or(Limits::default().strangers),
    }
}

fn ports(options: &Options) -> Result<RangeInclusive<u16>, BadOption> {
    let Some(text) = &options.port_range else { return Ok(DEFAULT_PORTS) };
    let parsed =
        text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    parsed
        .filter(|range: &RangeInclusive<u16>| !range.is_empty() && *range.start() > 0)
        .ok_or_else(|| bad("port-range", format!("`{text}` is no range such as 49152-65535")))
}

/// Every address to listen on, with the second port and the second address of behavior discovery.
fn listeners(options: &Options, machine: &Machine, relays: &[RelayIp]) -> Result<Vec<Listener>, BadOption> {
    let outside = |local: SocketAddr| {
        let relay = relays.iter().find(|relay| relay.local == local.ip());
        SocketAddr::new(relay.map_or(local.ip(), |relay| relay.external), local.port())
    };
    let mut listeners: Vec<Listener> = Vec::new();
    for address in listen(options, machine) {
        for ip in expand(address.ip(), machine) {
            let local = SocketAddr::new(ip, address.port());
            if !listeners.iter().any(|listener| listener.local == local) {
                listeners.push(Listener::plain(local, outside(local)));
            }
        }
    }
    if let Some(alternate) = options.alternate_ip {
        let first = listeners
            .iter()
            .position(|l| l.local.is_ipv4() == alternate.is_ipv4() && l.local.ip() != alternate);
        let first = first.ok_or_else(|| bad("alternate-ip", "there is no other address of this family"))?;
        let local = listeners.get(first).map(|listener| SocketAddr::new(alternate, listener.local.port()));
        let local = local.ok_or_else(|| bad("alternate-ip", "there is no listener"))?;
        listeners.retain(|listener| listener.local != local);
        let first = first.min(listeners.len().saturating_sub(1));
        listeners.push(Listener::plain(local, outside(local)));
        square(&mut listeners, first);
    } else {
        second_ports(&mut listeners, relays);
    }
    Ok(listeners)
}

/// One address: the port-change part of RFC 5780, where the next port is to be had.
fn second_ports(listeners: &mut Vec<Listener>, relays: &[RelayIp]) {
    for at in 0..listeners.len() {
        let Some(&Listener { local, external, .. }) = listeners.get(at) else { continue };
        let next = local.port().checked_add(1).filter(|_| local.port() != 0);
        let (Some(next), true) = (next, relays.iter().any(|relay| relay.local == local.ip())) else {
            continue;
        };
        let at_next = |address: SocketAddr| SocketAddr::new(address.ip(), next);
        if !listeners.iter().any(|listener| listener.local == at_next(local)) {
            listeners.push(Listener { optional: true, ..Listener::plain(at_next(local), at_next(external)) });
            let last = listeners.len() - 1;
            link_ports(listeners, at, last);
        }
    }
}

/// The last listener is the second address: adds the second port to both and links the four (RFC 5780 §6).
fn square(listeners: &mut Vec<Listener>, first: usize) {
    let second = listeners.len() - 1;
    let next_port = |listener: &Listener| {
        let port = listener.local.port().checked_add(1).unwrap_or(1);
        let (local, external) = (listener.local.ip(), listener.external.ip());
        Listener::plain(SocketAddr::new(local, port), SocketAddr::new(external, port))
    };
    let more: Vec<_> = [first, second].iter().filter_map(|&at| listeners.get(at)).map(next_port).collect();
    listeners.extend(more);
    let (first_next, second_next) = (second + 1, second + 2);
    link_ports(listeners, first, first_next);
    link_ports(listeners, second, second_next);
    for (a, b, both) in [(first, second, second_next), (first_next, second_next, second)] {
        let opposite = if both == second_next { first_next } else { first };
        if let Some(listener) = listeners.get_mut(a) {
            (listener.other_address, listener.other_both) = (Some(b), Some(both));
        }
        if let Some(listener) = listeners.get_mut(b) {
            (listener.other_address, listener.other_both) = (Some(a), Some(opposite));
        }
    }
}

fn link_ports(listeners: &mut [Listener], a: usize, b: usize) {
    for (from, to) in [(a, b), (b, a)] {
        if let Some(listener) = listeners.get_mut(from) {
            listener.other_port = Some(to);
        }
    }
}

/// A wildcard stands for every address of its family, so that answers leave from where questions came.
fn expand(ip: IpAddr, machine: &Machine) -> Vec<IpAddr> {
    if !ip.is_unspecified() {
        return vec![ip];
    }
    let usable = |other: &IpAddr| match other {
        IpAddr::V4(_) => ip.is_ipv4(),
        IpAddr::V6(v6) => ip.is_ipv6() && !v6.is_unicast_link_local(),
    };
    machine.addresses.iter().copied().filter(usable).collect()
}

/// Users from lines of `NAME:PASSWORD`; empty lines and those after `#` do not count.
pub(crate) fn users<'t>(
    option: &'static str,
    lines: impl Iterator<Item = &'t str>,
) -> Result<Vec<Credential>, BadOption> {
    let lines = lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(':') {
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                Ok(Credential { user: user.to_owned(), password: password.to_owned() })
            }
            // The line itself may be a secret.
            _ => Err(bad(option, "a user is written NAME:PASSWORD")),
        })
        .collect()
}

/// A time such as `30s`, `15m`, `24h`, `7d`; a bare number is seconds.
pub(crate) fn duration(option: &'static str, text: &str) -> Result<Duration, BadOption> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let factor = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds =
        number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| bad(option, format!("`{text}` is no time such as 30s, 24h or 7d")))
}

/// Bytes a month, such as `1T/month`, `500G` or `1.5T/month` (powers of ten, as providers count).
pub(crate) fn transfer(text: &str) -> Result<u64, BadOption> {
    let wrong = || bad("max-transfer", format!("`{text}` is no amount such as 1T/month"));
    let amount = text.strip_suffix("/month").unwrap_or(text).trim();
    let (number, unit) = amount.split_at(amount.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let factor = match unit.trim_end_matches('B') {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        _ => return Err(wrong()),
    };
    let number =
        number.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0).ok_or_else(wrong)?;
    Ok((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn machine() -> Machine {
        let addresses = ["127.0.0.1", "10.0.0.5", "::1", "fe80::1"].map(ip).to_vec();
        Machine { addresses, routed: vec![ip("10.0.0.5")] }
    }

    fn made(options: &Options) -> Settings {
        let machine = machine();
        let locals = relay_ips(options, &machine);
        let relays = external(options, &locals, &[(ip("10.0.0.5"), ip("203.0.113.5"))]).unwrap();
        settings(options, &machine, relays).unwrap()
    }

    fn locals(settings: &Settings) -> Vec<String> {
        settings.listeners.iter().map(|listener| listener.local.to_string()).collect()
    }

    #[test]
    fn with_no_options_every_address_listens_and_the_routed_one_relays() {
        let settings = made(&Options::default());
        assert_eq!(locals(&settings), ["127.0.0.1:3478", "10.0.0.5:3478", "[::1]:3478", "10.0.0.5:3479"]);
        assert_eq!(settings.peers.relays, [RelayIp { local: ip("10.0.0.5"), external: ip("203.0.113.5") }]);
        assert_eq!(settings.listeners[1].external, "203.0.113.5:3478".parse().unwrap());
        assert!(
            settings.peers.own.contains(&ip("203.0.113.5")) && settings.peers.own.contains(&ip("fe80::1"))
        );
    }

    #[test]
    fn an_external_address_can_be_named_for_one_local_address_or_for_all() {
        for (text, expect) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1/10.0.0.5", "192.0.2.1"),
            ("192.0.2.1/10.0.0.6", "203.0.113.5"),
        ] {
            let options = Options { external_ip: vec![text.to_owned()], ..Options::default() };
            assert_eq!(made(&options).peers.relays[0].external, ip(expect), "{text}");
        }
        let options = Options { external_ip: vec!["x".to_owned()], ..Options::default() };
        assert!(external(&options, &[], &[]).is_err());
    }

    #[test]
    fn a_single_listener_has_a_second_port_and_a_second_address_makes_four() {
        let listen = vec!["10.0.0.5:3478".parse().unwrap()];
        let one = made(&Options { listen: listen.clone(), ..Options::default() });
        assert_eq!(locals(&one), ["10.0.0.5:3478", "10.0.0.5:3479"]);
        assert_eq!((one.listeners[0].other_port, one.listeners[0].other_both), (Some(1), None));
        let four = made(&Options { listen, alternate_ip: Some(ip("10.0.0.6")), ..Options::default() });
        assert_eq!(locals(&four), ["10.0.0.5:3478", "10.0.0.6:3478", "10.0.0.5:3479", "10.0.0.6:3479"]);
        let links: Vec<_> = four
            .listeners
            .iter()
            .map(|l| (l.other_port, l.other_address, l.other_both))
            .map(|(a, b, c)| [a, b, c].map(Option::unwrap))
            .collect();
        assert_eq!(links, [[2, 1, 3], [3, 0, 2], [0, 3, 1], [1, 2, 0]]);
    }

    #[test]
    fn nonsense_is_named_with_its_option() {
        let range = |text: &str| ports(&Options { port_range: Some(text.to_owned()), ..Options::default() });
        assert_eq!(range("50000-50010"), Ok(50_000..=50_010));
        assert!(range("5-3").is_err() && range("x").is_err() && range("0-9").is_err());
        assert_eq!(users("user", ["a:b:c", "", "# x:y", "  d:e "].into_iter()).unwrap().len(), 2);
        let error = users("user", ["hunter2"].into_iter()).unwrap_err().to_string();
        assert!(error.starts_with("--user") && !error.contains("hunter2"));
    }

    #[test]
    fn times_and_amounts_are_read() {
        for (text, seconds) in [("30s", 30), ("90", 90), ("2m", 120), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(duration("ttl", text), Ok(Duration::from_secs(seconds)));
        }
        for (text, bytes) in [
            ("1T/month", 1_000_000_000_000),
            ("500G", 500_000_000_000),
            ("1.5M/month", 1_500_000),
            ("10KB", 10_000),
        ] {
            assert_eq!(transfer(text), Ok(bytes));
        }
        for text in ["", "x", "1X", "-1G", "1T/day"] {
            assert!(transfer(text).is_err() && duration("ttl", &format!("{text}y")).is_err(), "{text}");
        }
    }
}
