//! What is said of which facts.

use super::*;
use crate::nat::classify::{Arrival, FilterTest, Observation};
use crate::nat::facts::{Dns, Portal, Reach, RelayFinding, RelayTry};
use crate::nat::portmap::{Attempt, MapError, Protocol, Verified};
use crate::nat::predict::{Meeting, predict};
use crate::nat::probe::{Findings, ServerFinding, ServerState};
use crate::transport::interfaces::Interface;
use std::time::Duration;

fn interface(name: &str, address: &str) -> Interface {
    Interface {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        bridge: false,
        neighbours: true,
        point_to_point: name.starts_with("tun"),
        default_route: true,
    }
}

fn findings(observations: &[(&str, &str)], filter: FilterTest) -> Findings {
    let answering = |address: &&str| ServerFinding {
        address: address.parse().unwrap(),
        state: ServerState::Answers(Duration::from_millis(20)),
        other: None,
    };
    Findings {
        local: Some("192.168.1.5:40000".parse().unwrap()),
        servers: observations.iter().map(|(server, _)| answering(server)).collect(),
        observations: observations
            .iter()
            .map(|(server, mapped)| Observation {
                server: server.parse().unwrap(),
                mapped: mapped.parse().unwrap(),
            })
            .collect(),
        samples: vec![(1, 1), (2, 2), (3, 3), (4, 4)],
        filter,
        hairpin: Some(false),
    }
}

const STRICT: FilterTest = FilterTest { other_address: Arrival::Kept, other_port: Arrival::Kept };
const SAME: [(&str, &str); 2] = [("1.1.1.1:3478", "9.9.9.9:40000"), ("2.2.2.2:3478", "9.9.9.9:40000")];
const OTHER: [(&str, &str); 2] = [("1.1.1.1:3478", "9.9.9.9:40000"), ("2.2.2.2:3478", "9.9.9.9:40007")];

/// A home behind a NAT that shows everybody the same port.
fn home() -> Facts {
    Facts {
        interfaces: vec![interface("wlan0", "192.168.1.5")],
        gateway: Some([192, 168, 1, 1].into()),
        mtu: Some(1500),
        v4: Some(findings(&SAME, STRICT)),
        tcp: [Reach::Open; 3],
        tls: Reach::Open,
        hops: vec![Some([192, 168, 1, 1].into()), Some([9, 9, 9, 1].into())],
        ..Facts::default()
    }
}

fn relay(works: bool) -> RelayFinding {
    let way = RelayTry { ok: works, rtt_ms: works.then_some(31.2), error: None };
    RelayFinding {
        link: "turn:relay.example.org:3478".to_owned(),
        host: "relay.example.org".to_owned(),
        udp: Some(way.clone()),
        tcp: Some(way),
        carries: Some(works),
        trouble: (!works).then(|| "the login is wrong".to_owned()),
        ..RelayFinding::default()
    }
}

/// Everything that a network can do, by name.
fn scenes() -> Vec<(&'static str, Facts, Verdict)> {
    let symmetric = Facts { v4: Some(findings(&OTHER, STRICT)), ..home() };
    let blocked = Facts { v4: Some(silent()), tcp: [Reach::Open, Reach::Silent, Reach::Silent], ..home() };
    let offline = Facts { v4: Some(silent()), tcp: [Reach::Silent; 3], tls: Reach::Silent, ..home() };
    let six = Findings {
        local: Some("[2a00::5]:1".parse().unwrap()),
        ..findings(&[("[2a00::1]:1", "[2a00::5]:1")], STRICT)
    };
    let public = Facts {
        interfaces: vec![interface("eth0", "9.9.9.9")],
        v4: Some(findings(&SAME, FilterTest { other_address: Arrival::Came, other_port: Arrival::Came })),
        hops: Vec::new(),
        ..home()
    };
    vec![
        ("home", home(), Verdict::Direct),
        ("public", public, Verdict::Direct),
        (
            "one plain server",
            Facts { v4: Some(findings(&SAME[..1], FilterTest::default())), ..home() },
            Verdict::Direct,
        ),
        ("symmetric, no relay", symmetric.clone(), Verdict::RelayMissing),
        ("symmetric, a relay", Facts { relays: vec![relay(true)], ..symmetric.clone() }, Verdict::Relay),
        (
            "symmetric, a broken relay",
            Facts { relays: vec![relay(false)], ..symmetric.clone() },
            Verdict::RelayMissing,
        ),
        ("symmetric with IPv6", Facts { v6: Some(six), ..symmetric }, Verdict::DirectIpv6),
        ("UDP blocked", blocked.clone(), Verdict::RelayMissing),
        ("UDP blocked, a relay", Facts { relays: vec![relay(true)], ..blocked }, Verdict::Relay),
        ("offline", offline.clone(), Verdict::Offline),
        ("no address", Facts { interfaces: Vec::new(), v4: None, ..Facts::default() }, Verdict::Offline),
        (
            "DNS is down",
            Facts { v4: Some(Findings::default()), dns: missing(), ..home() },
            Verdict::RelayMissing,
        ),
        ("a login page", Facts { portal: Portal::Present, ..offline }, Verdict::Offline),
    ]
}

fn silent() -> Findings {
    let mut found = findings(&SAME, FilterTest::default());
    found.observations.clear();
    found.samples.clear();
    found.hairpin = None;
    found.servers.iter_mut().for_each(|server| server.state = ServerState::Silent);
    found
}

fn missing() -> Dns {
    Dns { found: Vec::new(), missing: vec!["stun.example.org".to_owned()] }
}

#[test]
fn every_network_gets_its_verdict_and_something_to_do() {
    for (name, facts, verdict) in scenes() {
        let report = Report::new(facts, None);
        assert_eq!(report.verdict, verdict, "{name}");
        assert!(!report.advice.is_empty() && report.summary.ends_with('.'), "{name}: {report:?}");
        assert!(report.lines.iter().all(|line| !line.text.is_empty() && !line.why.is_empty()), "{name}");
    }
}

#[test]
fn no_line_is_wider_than_80_columns_in_any_style() {
    for (name, facts, _) in scenes() {
        let report = Report::new(facts, Some(predict(&Meeting::default())));
        for explain in [false, true] {
            let text = report.to_text(Style { color: false, explain });
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
            let colored = report.to_text(Style { color: true, explain });
            let mut plain = String::new();
            for part in colored.split('\x1b') {
                plain += part
                    .strip_prefix('[')
                    .and_then(|part| part.split_once('m'))
                    .map_or(part, |(_, rest)| rest);
            }
            assert_eq!(plain, text, "{name}: colour is only an addition");
        }
    }
}

#[test]
fn a_home_reads_like_this() {
    insta::assert_snapshot!(Report::new(Facts { relays: vec![relay(true)], ..home() }, None).to_text(Style::default()), @r"
    Direct calls work with most friends; with one behind a symmetric NAT they need a
    relay.

    ok   interface   wlan0 192.168.1.5, router 192.168.1.1
    ok   mtu         1500 bytes a packet, enough for a call
    ok   ipv4        UDP gets out; the world sees 9.9.9.9:40000
    note ipv6        none
    ok   nat         one NAT, the route tells
    ok   mapping     endpoint-independent: every friend sees the same port
    ok   filtering   address-and-port-dependent (port-restricted): only answers come
                     in; calls send first, so that is fine
    ok   ports       preserved: the router keeps this machine's port numbers where
                     it can
    ok   hairpin     no hairpinning: two machines behind this NAT meet by their
                     local addresses only
    ok   tcp         port 443, 80, 3478: connects
    ok   tls         a TLS connection on port 443 works: a relay with `turns:` would
                     do
    ok   relay       relay.example.org works (UDP 31 ms, TCP 31 ms)

    What to do:
    1. Nothing: make a call with `p2pcall offer`.
    ");
}

#[test]
fn a_public_report_shows_no_address_and_no_name() {
    for (name, mut facts, _) in scenes() {
        facts.portmap = vec![Attempt {
            protocol: Protocol::Pcp,
            outcome: Ok(("9.9.9.9:5000".parse().unwrap(), Verified::Elsewhere)),
            deleted: true,
        }];
        facts.dns.missing.push("stun.example.org".to_owned());
        let text = Report::new(facts, None).to_public_text();
        for secret in ["192.168", "9.9.9", "1.1.1.1", "2a00", "example", "wlan0", "eth0"] {
            assert!(!text.contains(secret), "{name}: {secret} in\n{text}");
        }
    }
}

#[test]
fn a_program_finds_what_the_contract_names() {
    let mut facts = Facts { relays: vec![relay(true)], ..home() };
    facts.portmap = vec![Attempt { protocol: Protocol::Upnp, outcome: Err(MapError::Silent), deleted: true }];
    let report = Report::new(facts, Some(predict(&Meeting::default())));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    for (pointer, expect) in [
        ("/v", serde_json::json!(1)),
        ("/verdict", "direct".into()),
        ("/nat/present", true.into()),
        ("/nat/count", 1.into()),
        ("/nat/mapping", "endpoint_independent".into()),
        ("/nat/filtering", "address_and_port_dependent".into()),
        ("/nat/ports", "preserved".into()),
        ("/nat/hairpinning", false.into()),
        ("/nat/lifetime_s", serde_json::Value::Null),
        ("/nat/cgnat", "no".into()),
        ("/ipv4/local", "192.168.1.5".into()),
        ("/ipv4/mapped", "9.9.9.9:40000".into()),
        ("/ipv4/udp", true.into()),
        ("/ipv6/udp", serde_json::Value::Null),
        ("/tcp/443", true.into()),
        ("/tls/443", true.into()),
        ("/portmap/upnp", false.into()),
        ("/portmap/pcp", serde_json::Value::Null),
        ("/mtu", 1500.into()),
        ("/vpn", false.into()),
        ("/dns", serde_json::Value::Null),
        ("/relays/0/udp/ok", true.into()),
        ("/relays/0/link", "turn:relay.example.org:3478".into()),
        ("/lines/0/area", "interface".into()),
        ("/lines/0/level", "ok".into()),
        ("/prediction/path", "direct".into()),
        ("/prediction/sure", false.into()),
    ] {
        assert_eq!(json.pointer(pointer), Some(&expect), "{pointer} in {json}");
    }
}

#[test]
fn a_carriers_nat_is_told_by_the_router_or_by_the_route() {
    use crate::code::network::Cgnat;
    let told = |address: &str| {
        let outcome = Ok((format!("{address}:5000").parse().unwrap(), Verified::Untested));
        vec![Attempt { protocol: Protocol::NatPmp, outcome, deleted: true }]
    };
    let hop = |address: [u8; 4]| vec![Some([192, 168, 1, 1].into()), Some(address.into())];
    for (portmap, hops, cgnat, count) in [
        (told("9.9.9.9"), Vec::new(), Cgnat::No, Some(1)),
        (told("100.64.3.4"), Vec::new(), Cgnat::Yes, Some(2)),
        (told("10.3.3.4"), Vec::new(), Cgnat::Likely, Some(2)),
        (Vec::new(), hop([100, 64, 0, 1]), Cgnat::Likely, Some(2)),
        (Vec::new(), hop([9, 9, 9, 1]), Cgnat::No, Some(1)),
        (Vec::new(), hop([10, 0, 0, 1]), Cgnat::Unknown, None),
        (Vec::new(), vec![Some([192, 168, 1, 1].into()), None], Cgnat::Unknown, None),
        (told("9.9.9.9"), hop([100, 64, 0, 1]), Cgnat::No, Some(1)),
    ] {
        let nat = Facts { portmap, hops: hops.clone(), ..home() }.nat();
        assert_eq!((nat.cgnat, nat.count), (cgnat, count), "{hops:?}");
    }
}

#[test]
fn a_relay_that_helped_tells_what_servers_did_not() {
    use crate::nat::facts::Outside;
    let plain = |observations: &[(&str, &str)]| Some(findings(observations, FilterTest::default()));
    let outside = |observations: &[(&str, &str)], filter| {
        Some(Outside { filter, observations: findings(observations, filter).observations })
    };
    let exact =
        [("1.1.1.1:3478", "9.9.9.9:1"), ("2.2.2.2:3478", "9.9.9.9:2"), ("2.2.2.2:50000", "9.9.9.9:2")];
    for (v4, helped, mapping, filtering) in [
        (
            plain(&SAME),
            outside(&SAME, STRICT),
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        ),
        (
            plain(&SAME[..1]),
            outside(&SAME, STRICT),
            Mapping::EndpointIndependent,
            Filtering::AddressAndPortDependent,
        ),
        (
            plain(&OTHER),
            outside(&exact, STRICT),
            Mapping::AddressDependent,
            Filtering::AddressAndPortDependent,
        ),
        (plain(&OTHER), outside(&SAME, FilterTest::default()), Mapping::Dependent, Filtering::Unknown),
        (plain(&SAME), None, Mapping::EndpointIndependent, Filtering::Unknown),
    ] {
        let nat = Facts { v4, outside: helped, ..home() }.nat();
        assert_eq!((nat.mapping, nat.filtering), (mapping, filtering));
    }
}

#[test]
fn who_keeps_no_port_numbers_and_cannot_be_told_more_of_is_not_called_direct() {
    let of = |mapped: [u16; 4]| {
        let mut facts = home();
        let v4 = facts.v4.as_mut().unwrap();
        v4.observations.truncate(1);
        v4.samples = (1..).zip(mapped).collect();
        Report::new(facts, None)
    };
    assert_eq!(of([1, 2, 3, 4]).verdict, Verdict::Direct);
    let random = of([9_000, 30_000, 2_000, 60_000]);
    assert_eq!(random.verdict, Verdict::RelayMissing);
    assert!(random.summary.contains("may need a relay"), "{}", random.summary);
    assert!(random.advice.iter().any(|advice| advice.contains("two addresses")), "{:?}", random.advice);
}

#[test]
fn nonsense_that_comes_back_is_no_firewall() {
    let mut facts = home();
    let v4 = facts.v4.as_mut().unwrap();
    (v4.observations, v4.samples) = (Vec::new(), Vec::new());
    v4.servers.iter_mut().for_each(|server| server.state = ServerState::Nonsense);
    let report = Report::new(facts, None);
    let text = report.to_text(Style::default());
    assert!(text.contains("UDP comes back") && !text.contains("firewall blocks"), "{text}");
    assert!(text.contains("answers nonsense") && !text.contains("one NAT"), "{text}");
}

#[test]
fn a_proxy_is_named_and_not_to_strangers() {
    let facts = Facts { proxy: Some("http://10.0.0.9:3128".to_owned()), ..home() };
    let report = Report::new(facts, None);
    assert!(report.to_text(Style::default()).contains("http://10.0.0.9:3128: of use for relays alone"));
    assert!(!report.to_public_text().contains("10.0.0.9"));
}
