//! A router that opens ports on request: what it answers by PCP (RFC 6887) and NAT-PMP (RFC 6886), and what that does to
//! its NAT. UDP ports only. Pure: it is told the time.

use super::model::Nat;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

/// RFC 6886 §3.1, RFC 6887 §19: where it listens.
pub(crate) const PORT: u16 = 5351;

/// RFC 6887 §7.1 and §11.1: header and MAP.
const MAP_LENGTH: usize = 60;
const PCP: u8 = 2;
const NAT_PMP: u8 = 0;
const MAP: u8 = 1;
/// RFC 6886 §3.3.
const MAP_UDP: u8 = 1;
const EXTERNAL_ADDRESS: u8 = 0;
const RESPONSE: u8 = 0x80;
const UDP: u8 = 17;
/// RFC 6886 §3.5.
const UNSUPPORTED_OPERATION: u8 = 5;

/// The answer to a datagram from inside; nothing for what is no request.
pub(crate) fn answer(nat: &mut Nat, from: SocketAddrV4, request: &[u8], now: Duration) -> Option<Vec<u8>> {
    match request {
        [PCP, MAP, ..] if request.len() >= MAP_LENGTH && request[36] == UDP => map(nat, from, request, now),
        [PCP, ..] => None,
        [NAT_PMP, EXTERNAL_ADDRESS] => {
            Some([&natpmp(EXTERNAL_ADDRESS, now), &nat.public().octets()[..]].concat())
        }
        [NAT_PMP, MAP_UDP, _, _, rest @ ..] if rest.len() == 8 => map_natpmp(nat, from, rest, now),
        [NAT_PMP, operation, ..] => {
            let mut refusal = natpmp(*operation, now);
            refusal[3] = UNSUPPORTED_OPERATION;
            Some(refusal.to_vec())
        }
        _ => None,
    }
}

fn map(nat: &mut Nat, from: SocketAddrV4, request: &[u8], now: Duration) -> Option<Vec<u8>> {
    let seconds = u32::from_be_bytes(request[4..8].try_into().ok()?);
    let (internal, wish) = (number(&request[40..42]), number(&request[42..44]));
    let outside = change(nat, *from.ip(), internal, wish, seconds, now)?;
    let mut said = request[..MAP_LENGTH].to_vec();
    said[1] = RESPONSE | MAP;
    said[2..4].fill(0);
    said[8..12].copy_from_slice(&epoch(now));
    said[12..24].fill(0);
    said[42..44].copy_from_slice(&outside.port().to_be_bytes());
    said[44..60].copy_from_slice(&outside.ip().to_ipv6_mapped().octets());
    Some(said)
}

fn map_natpmp(nat: &mut Nat, from: SocketAddrV4, rest: &[u8], now: Duration) -> Option<Vec<u8>> {
    let (internal, wish) = (number(&rest[0..2]), number(&rest[2..4]));
    let seconds = u32::from_be_bytes(rest[4..8].try_into().ok()?);
    let outside = change(nat, *from.ip(), internal, wish, seconds, now)?;
    let head = natpmp(MAP_UDP, now);
    Some([&head[..], &rest[0..2], &outside.port().to_be_bytes(), &rest[4..8]].concat())
}

/// Opens, prolongs, or, with no seconds, closes; the outside address, which is none once it is closed.
fn change(
    nat: &mut Nat,
    client: Ipv4Addr,
    internal: u16,
    wish: u16,
    seconds: u32,
    now: Duration,
) -> Option<SocketAddrV4> {
    let inside = SocketAddr::from((client, internal));
    if seconds == 0 {
        nat.close(inside);
        return Some(SocketAddrV4::new(nat.public(), 0));
    }
    match nat.open(inside, wish, now + Duration::from_secs(seconds.into()))? {
        SocketAddr::V4(outside) => Some(outside),
        SocketAddr::V6(_) => None,
    }
}

/// RFC 6886 §3.2: version, operation, result, seconds since the start.
fn natpmp(operation: u8, now: Duration) -> [u8; 8] {
    let [a, b, c, d] = epoch(now);
    [NAT_PMP, RESPONSE | operation, 0, 0, a, b, c, d]
}

fn epoch(now: Duration) -> [u8; 4] {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}

fn number(bytes: &[u8]) -> u16 {
    bytes.try_into().map_or(0, u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::model::{Behavior, Dependence, Network, Out, Ports, Way};
    use super::super::packet::made;
    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    fn nat() -> Nat {
        let symmetric = Behavior {
            mapping: Some(Dependence::AddressAndPort),
            filtering: Some(Dependence::AddressAndPort),
            ports: Ports::Random,
            hairpin: false,
            lifetime: Duration::from_secs(30),
            out: Out::Everything,
        };
        let inside = Network(Ipv4Addr::new(192, 168, 1, 0).into(), 24);
        Nat::new(symmetric, Ipv4Addr::new(198, 51, 100, 9), vec![inside], 1)
    }

    fn ask(nat: &mut Nat, seconds: u8) -> Vec<u8> {
        let request = [0, MAP_UDP, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0, seconds];
        answer(nat, "192.168.1.2:999".parse().unwrap(), &request, NOW).unwrap()
    }

    #[test]
    fn a_port_is_open_to_anybody_and_for_everything_until_it_is_given_back() {
        let mut nat = nat();
        let stranger =
            || made::udp("203.0.113.9:5".parse().unwrap(), "198.51.100.9:5000".parse().unwrap(), b"");
        assert!(nat.packet(stranger(), NOW).is_none());
        assert_eq!(ask(&mut nat, 60)[..12], [0, 0x81, 0, 0, 0, 0, 0, 7, 0x13, 0x88, 0x13, 0x88]);
        assert_eq!(nat.packet(stranger(), NOW).map(|(way, _)| way), Some(Way::Down));
        let out = made::udp("192.168.1.2:5000".parse().unwrap(), "203.0.113.9:7".parse().unwrap(), b"");
        let (way, seen) = nat.packet(out, NOW).unwrap();
        assert_eq!((way, &seen[20..22]), (Way::Up, &5000_u16.to_be_bytes()[..]));
        assert_eq!(nat.opened(), 1);
        ask(&mut nat, 0);
        assert!(nat.opened() == 0 && nat.packet(stranger(), NOW + Duration::from_secs(31)).is_none());
    }

    #[test]
    fn what_is_asked_for_ends_by_itself() {
        let mut nat = nat();
        ask(&mut nat, 60);
        let stranger = made::udp("203.0.113.9:5".parse().unwrap(), "198.51.100.9:5000".parse().unwrap(), b"");
        assert!(nat.packet(stranger, NOW + Duration::from_secs(61)).is_none());
        assert_eq!(nat.opened(), 0);
    }
}
