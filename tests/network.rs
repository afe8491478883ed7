//! Calls between machines of their own networks: LANs, firewalls, NATs, IPv6, wrong clocks. Each test builds its
//! network out of namespaces, which needs root on Linux; elsewhere it says so and passes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says what it measured"
)]

#[path = "network/lasting.rs"]
mod lasting;
mod support;

#[path = "network/own_relay.rs"]
mod own_relay;
#[path = "network/proxies.rs"]
mod proxies;

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use support::coturn::{ACCOUNTS, Coturn};
use support::lab::Lab;
use support::process::{Process, QUIET};

/// Machines compete for two processors here.
const SOON: Duration = Duration::from_secs(15);
const ALONE: &[&str] = &["--no-servers"];

/// A call between two machines.
struct Ends {
    alice: Process,
    bob: Process,
    code: String,
    answered: Instant,
}

impl Ends {
    /// `alice` offers, `bob` answers.
    fn begin(lab: &Lab, options: &[&str]) -> Self {
        let (alice, code) = offer(lab, options);
        Self::answer(lab, alice, code, options)
    }

    /// The same, and both send a tone.
    fn begin_with_sound(lab: &Lab, options: &[&str]) -> Self {
        let mut alice = lab.p2pcall_with_a_tone("alice", &[&["offer"], options].concat());
        let code = alice.wait_for_code(SOON);
        let answered = Instant::now();
        let bob = lab.p2pcall_with_a_tone("bob", &[&["answer", &code], options].concat());
        Self { alice, bob, code, answered }
    }

    fn answer(lab: &Lab, alice: Process, code: String, options: &[&str]) -> Self {
        let answered = Instant::now();
        let bob = lab.p2pcall("bob", &[&["answer", &code], options].concat());
        Self { alice, bob, code, answered }
    }

    /// Waits until both are connected, says how long it took, and tells bob's path.
    fn connected(&mut self, what: &str) -> serde_json::Value {
        self.bob.wait_for_state("connected", SOON);
        support::measured(what, self.answered.elapsed());
        self.alice.wait_for_state("connected", SOON);
        self.bob.wait_for("path", SOON, |event| event["event"] == "path")
    }

    /// Waits for bob's reply code, and types it into alice's.
    fn carry_the_reply(&mut self, what: &str) {
        let reply = self.bob.wait_for_code(SOON);
        let shown = self.answered.elapsed();
        support::measured(&format!("{what}: reply shown"), shown);
        assert!((3_500..5_500).contains(&shown.as_millis()), "{shown:?}");
        for end in [&self.alice, &self.bob] {
            assert!(
                !end.of_kind("state").any(|state| state["state"] == "answered"),
                "connected without a reply"
            );
        }
        self.alice.type_line(&reply);
        self.answered = Instant::now();
    }

    fn hang_up(mut self) {
        self.bob.type_line("/say done");
        let said = |event: &serde_json::Value| event["event"] == "chat" && event["from"] == "remote";
        self.alice.wait_for("chat", SOON, said);
        self.alice.type_line("/hangup");
        assert_eq!((self.alice.exit(SOON), self.bob.exit(SOON)), (0, 0));
    }
}

fn offer(lab: &Lab, options: &[&str]) -> (Process, String) {
    let mut alice = lab.p2pcall("alice", &[&["offer"], options].concat());
    let code = alice.wait_for_code(SOON);
    (alice, code)
}

/// What a code says.
fn addresses(code: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_p2pcall")).args(["code", code, "--json"]).output();
    let said: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
    let items = said["addresses"].as_array().expect("a list");
    items.iter().map(|item| item["address"].as_str().expect("text").to_owned()).collect()
}

fn coturn(lab: &Lab, machine: &str, address: &str) -> Option<Coturn> {
    let before = lab.before(machine);
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    Coturn::start_in(&before, address.parse::<IpAddr>().expect("an address"), (3478, 5349), ACCOUNTS)
}

/// `alice` and `bob` behind a router each, and a server between them at 198.51.100.1 (towards alice) and
/// 203.0.113.1 (towards bob).
fn two_homes(random: bool) -> Option<Lab> {
    let lab = Lab::new(&["alice", "home-a", "inet", "home-b", "bob"])?;
    lab.cable("alice:eth0=192.168.1.2/24", "home-a:lan=192.168.1.1/24");
    lab.cable("home-a:wan=198.51.100.2/24", "inet:a=198.51.100.1/24");
    lab.cable("home-b:wan=203.0.113.2/24", "inet:b=203.0.113.1/24");
    lab.cable("bob:eth0=192.168.1.2/24", "home-b:lan=192.168.1.1/24");
    for (machine, gateway) in [
        ("alice", "192.168.1.1"),
        ("home-a", "198.51.100.1"),
        ("home-b", "203.0.113.1"),
        ("bob", "192.168.1.1"),
    ] {
        lab.default_route(machine, gateway);
    }
    lab.run("inet", "echo 1 > /proc/sys/net/ipv4/ip_forward");
    lab.nat("home-a", "wan", random);
    lab.nat("home-b", "wan", random);
    Some(lab)
}

#[test]
fn two_machines_on_one_lan() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let mut ends = Ends::begin(&lab, ALONE);
    assert_eq!(ends.connected("one LAN")["kind"], "host");
    ends.hang_up();
}

#[test]
fn bridges_with_the_same_address_at_both_ends_are_not_told() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    for machine in ["alice", "bob"] {
        lab.run(
            machine,
            "ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set dev docker0 up &&
             ip link add veth1 type veth peer name veth2 && ip link set veth1 master docker0 &&
             ip link set veth1 up && ip link set veth2 up",
        );
    }
    let mut ends = Ends::begin(&lab, ALONE);
    let told = addresses(&ends.code);
    assert!(told.iter().all(|address| address.starts_with("10.9.0.1")) && !told.is_empty(), "{told:?}");
    assert_eq!(ends.connected("two docker0")["kind"], "host");
    ends.hang_up();
}

#[test]
fn a_firewall_before_the_offerer_is_opened_by_the_reply() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=198.51.100.1/24", "bob:eth0=198.51.100.2/24");
    lab.rules(
        "alice",
        "table inet wall {
           chain here {
             type filter hook input priority 0;
             iifname eth0 meta l4proto udp ct state new drop;
           }
         }",
    );
    // Servers that say nothing hold nothing up.
    let silent = ["--stun", "198.51.100.1:9", "--relay", "turn:alice:right@198.51.100.1:9"];
    let mut ends = Ends::begin(&lab, &silent);
    ends.carry_the_reply("firewall");
    ends.connected("firewall, from the reply");
    ends.hang_up();
}

#[test]
fn a_reply_opens_two_port_restricted_nats() {
    let Some(lab) = two_homes(false) else { return };
    let Some(server) = coturn(&lab, "inet", "198.51.100.1") else { return };
    let stun = server.stun();
    let mut ends = Ends::begin(&lab, &["--stun", &stun]);
    let told = addresses(&ends.code);
    assert!(told.iter().any(|address| address.starts_with("198.51.100.2")), "{told:?}");
    ends.carry_the_reply("two NATs");
    let path = ends.connected("two NATs, from the reply");
    assert!(["srflx", "prflx"].contains(&path["kind"].as_str().expect("a word")), "{path}");
    ends.hang_up();
}

#[test]
fn one_code_suffices_where_both_have_an_account_at_a_relay() {
    for random in [false, true] {
        let Some(lab) = two_homes(random) else { return };
        let Some(server) = coturn(&lab, "inet", "198.51.100.1") else { return };
        let (stun, link) = (server.stun(), server.link("udp"));
        let mut ends = Ends::begin(&lab, &["--stun", &stun, "--relay", &link]);
        let path = ends.connected(&format!("two NATs and a relay, symmetric: {random}"));
        println!("by {path}");
        assert!(ends.bob.of_kind("code").next().is_none(), "no reply is needed");
        ends.hang_up();
    }
}

/// Drops what a router should forward.
fn block(lab: &Lab, machine: &str, what: &str) {
    lab.rules(
        machine,
        &format!(
            "table ip block {{
               chain through {{
                 type filter hook forward priority -1;
                 {what} drop;
               }}
             }}"
        ),
    );
}

#[test]
fn a_relay_over_tcp_is_found_where_no_udp_leaves() {
    let Some(lab) = two_homes(false) else { return };
    let Some(server) = coturn(&lab, "inet", "198.51.100.1") else { return };
    block(&lab, "home-b", "meta l4proto udp");
    let link = server.link_of_any("alice:right");
    let mut ends = Ends::begin(&lab, &["--stun", &server.stun(), "--relay", &link]);
    let path = ends.connected("no UDP at the answerer");
    assert_eq!((&path["local"], &path["protocol"]), (&"relay".into(), &"tcp".into()), "{path}");
    ends.hang_up();
}

#[test]
fn a_relay_that_the_answerer_reaches_late_is_still_used() {
    let Some(lab) = two_homes(false) else { return };
    let Some(server) = coturn(&lab, "inet", "198.51.100.1") else { return };
    let (stun, link) = (server.stun(), server.link("udp"));
    let options = ["--stun", stun.as_str(), "--relay", &link];
    let (alice, code) = offer(&lab, &options);
    block(&lab, "home-b", "meta l4proto udp");
    let mut ends = Ends::answer(&lab, alice, code, &options);
    std::thread::sleep(Duration::from_secs(3));
    lab.run("home-b", "nft delete table ip block");
    assert_eq!(ends.connected("a relay out of reach for 3 s")["kind"], "relay");
    ends.hang_up();
}

#[test]
fn a_tenth_of_all_packets_may_be_lost() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    for machine in ["alice", "bob"] {
        lab.lose(machine, 10);
    }
    for _ in 0..3 {
        let mut ends = Ends::begin(&lab, ALONE);
        ends.connected("a tenth lost");
        ends.hang_up();
    }
}

#[test]
fn a_code_outlives_the_memory_of_the_nats_before_both_ends() {
    const MEMORY: &str = "for file in udp_timeout udp_timeout_stream; do
        echo 20 > /proc/sys/net/netfilter/nf_conntrack_$file; done";
    const MEANWHILE: Duration = Duration::from_secs(45);
    // Ports that are drawn anew for each mapping: a forgotten one is lost for good.
    let (Some(lab), Some(other)) = (two_homes(true), two_homes(false)) else { return };
    let Some(relay) = coturn(&lab, "inet", "198.51.100.1") else { return };
    let Some(server) = coturn(&other, "inet", "198.51.100.1") else { return };
    for lab in [&lab, &other] {
        lab.run("home-a", MEMORY);
        lab.run("home-b", MEMORY);
        // A mapping that was forgotten would be made anew.
        lab.rules(
            "home-a",
            "table ip watch {
               counter mappings { packets 0 bytes 0; }
               chain through {
                 type filter hook forward priority 0;
                 iifname lan udp dport 3478 ct state new counter name mappings;
               }
             }",
        );
    }
    let (link, stun) = (relay.link("udp"), server.stun());
    let with_relay = ["--relay-only", "--relay", &link];
    let with_stun = ["--stun", stun.as_str()];
    let (alice, code) = offer(&lab, &with_relay);
    let (carol, other_code) = offer(&other, &with_stun);
    std::thread::sleep(MEANWHILE);
    for lab in [&lab, &other] {
        assert_eq!(lab.counted("home-a", "ip watch mappings"), 1, "the one from the beginning");
    }
    let mut ends = Ends::answer(&lab, alice, code, &with_relay);
    assert_eq!(ends.connected("relay, 45 s later, forgetful NATs")["kind"], "relay");
    ends.hang_up();
    let mut ends = Ends::answer(&other, carol, other_code, &with_stun);
    ends.carry_the_reply("45 s later, forgetful NATs");
    ends.connected("45 s later, forgetful NATs, from the reply");
    ends.hang_up();
}

#[test]
fn two_symmetric_nats_without_a_relay_end_with_what_would_help() {
    let Some(lab) = two_homes(true) else { return };
    let Some(server) = coturn(&lab, "inet", "198.51.100.1") else { return };
    let stun = server.stun();
    let (alice, code) = offer(&lab, &["--stun", &stun]);
    let mut ends = Ends::answer(&lab, alice, code, &["--stun", &stun, "--timeout", "7"]);
    ends.carry_the_reply("two symmetric NATs");
    let ended = ends.bob.wait_for_state("ended", SOON);
    assert!(ended["help"].as_str().expect("words").contains("use a relay"), "{ended}");
    assert_eq!(ends.bob.exit(SOON), 3);
}

#[test]
fn another_address_while_waiting_means_another_code() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let (mut alice, old) = offer(&lab, ALONE);
    lab.run("alice", "ip addr del 10.9.0.1/24 dev eth0 && ip addr add 10.9.0.7/24 dev eth0");
    let changed = Instant::now();
    let code = alice.wait_for_code(Duration::from_secs(6));
    support::measured("a new code after the address changed", changed.elapsed());
    assert!(changed.elapsed() <= Duration::from_secs(5), "{:?}", changed.elapsed());
    assert!(alice.of_kind("warning").any(|warning| warning["code"] == "network_changed"));
    assert_ne!(code, old);
    let mut ends = Ends::answer(&lab, alice, code, ALONE);
    ends.connected("the new address");
    ends.hang_up();
}

#[test]
fn a_code_outlives_a_moment_without_any_network_and_addresses_that_come_along() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let (alice, code) = offer(&lab, ALONE);
    lab.run("alice", "ip addr del 10.9.0.1/24 dev eth0");
    std::thread::sleep(Duration::from_secs(5));
    lab.run("alice", "ip addr add 10.9.0.1/24 dev eth0 && ip addr add 10.30.0.1/24 dev eth0");
    std::thread::sleep(Duration::from_secs(3));
    let mut ends = Ends::answer(&lab, alice, code, ALONE);
    ends.connected("after a moment without a network");
    assert_eq!(ends.alice.of_kind("code").count(), 1, "the first code is still good");
    ends.hang_up();
}

#[test]
fn ipv6_alone_is_enough() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=2001:db8:9::1/64", "bob:eth0=2001:db8:9::2/64");
    // The least that IPv6 asks of a network (RFC 8200, section 5).
    lab.run("alice", "ip link set dev eth0 mtu 1280");
    lab.run("bob", "ip link set dev eth0 mtu 1280");
    let mut ends = Ends::begin(&lab, ALONE);
    assert_eq!(ends.connected("IPv6 only")["family"], 6);
    ends.hang_up();
}

#[test]
fn the_friend_may_be_on_the_lan_without_the_default_route() {
    let Some(lab) = Lab::new(&["alice", "router", "bob"]) else { return };
    lab.cable("alice:eth0=10.9.0.2/24", "router:lan=10.9.0.1/24");
    lab.cable("alice:eth1=10.20.0.1/24", "bob:eth0=10.20.0.2/24");
    lab.default_route("alice", "10.9.0.1");
    let mut ends = Ends::begin(&lab, ALONE);
    let told = addresses(&ends.code);
    assert!(told[0].starts_with("10.9.0.2") && told[1].starts_with("10.20.0.1"), "{told:?}");
    assert_eq!(ends.connected("the other LAN")["kind"], "host");
    ends.hang_up();
}

#[test]
fn not_one_packet_leaves_but_to_the_friend() {
    let Some(lab) = Lab::new(&["alice", "bob", "router"]) else { return };
    // All three on one LAN, switched by the router, so that there is somebody else to speak to.
    lab.cable("alice:eth0=10.9.0.2/24", "router:a=169.254.0.1/32");
    lab.cable("bob:eth0=10.9.0.3/24", "router:b=169.254.0.2/32");
    lab.run(
        "router",
        "ip link add lan type bridge && ip addr add 10.9.0.1/24 dev lan && ip link set dev lan up &&
         ip link set dev a master lan && ip link set dev b master lan",
    );
    let friends = [("alice", "10.9.0.3"), ("bob", "10.9.0.2")];
    for (machine, friend) in friends {
        lab.default_route(machine, "10.9.0.1");
        lab.rules(
            machine,
            &format!(
                "table inet seen {{
                   counter friend {{ packets 0 bytes 0; }}
                   counter others {{ packets 0 bytes 0; }}
                   counter names {{ packets 0 bytes 0; }}
                   chain outwards {{
                     type filter hook output priority 0;
                     oifname lo meta l4proto {{ tcp, udp }} th dport {{ 53, 5353 }} counter name names;
                     oifname != lo ip daddr {friend} counter name friend accept;
                     oifname != lo meta l4proto != ipv6-icmp counter name others;
                   }}
                 }}"
            ),
        );
    }
    let mut ends = Ends::begin(&lab, ALONE);
    ends.connected("no servers");
    std::thread::sleep(Duration::from_secs(1));
    ends.hang_up();
    for (machine, _) in friends {
        let counted = |name: &str| lab.counted(machine, &format!("inet seen {name}"));
        assert!(counted("friend") > 10, "{machine}");
        assert_eq!((counted("others"), counted("names")), (0, 0), "{machine}");
    }
}

#[test]
fn a_clock_that_is_hours_off_is_said_and_does_no_harm() {
    if Command::new("faketime").arg("--version").output().is_err() {
        println!("SKIPPED: faketime is not installed");
        return;
    }
    for off in ["+3h", "-3h"] {
        let (mut alice, code) = support::process::offer(&[]);
        let before = ["env", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", off];
        let began = Instant::now();
        let mut bob = Process::start_in(&before, &[&["answer", &code][..], &QUIET].concat());
        bob.wait_for_state("connected", SOON);
        support::measured(&format!("a clock {off}"), began.elapsed());
        alice.wait_for_state("connected", SOON);
        let said: Vec<_> = bob.of_kind("warning").map(|warning| warning["message"].to_string()).collect();
        assert!(said.iter().any(|words| words.contains("a clock is wrong")), "{off}: {said:?}");
        alice.type_line("/hangup");
        assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
    }
}
