//! The relay among machines with firewalls, NATs and enemies, made of namespaces: needs root on Linux; elsewhere
//! the tests say so and pass.
#![cfg(all(target_os = "linux", feature = "server"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says aloud what it skips, and measures time"
)]

#[path = "support/flood.rs"]
mod flood;
#[path = "../../tests/support/lab.rs"]
#[allow(dead_code, reason = "calls need more of it than the relay does")]
mod lab;
#[path = "support/networks.rs"]
mod networks;
#[path = "support/running.rs"]
mod running;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::Lab;
use networks::{client, visit};
use p2pcall_relay::client::{Allocated, Client, Wire};
use p2pcall_relay::link::{Link, Transport};
use p2pcall_relay::stun::ChannelNumber;
use p2pcall_relay::stun::guest::Guest;
use running::{Running, program_in, state};

/// Machines compete for few processors.
const PATIENCE: Duration = Duration::from_secs(10);
/// The one account there is.
const ALICE: (&str, &str) = ("alice", "wonder");

fn words(owned: &[String]) -> Vec<&str> {
    owned.iter().map(String::as_str).collect()
}

fn relay(lab: &Lab, machine: &str, name: &str, words: &[&str]) -> Running {
    let before = lab.before(machine);
    let before = self::words(&before);
    let words = [&["--user", "alice:wonder", "--drain", "0s"], words].concat();
    Running::start_in(&before, &state(name), &words)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Numbered packets of all sizes there and back through channels; each has to arrive, whole and in order.
async fn talk(
    (alice, ours): (&mut Client, &Allocated),
    (bob, theirs): (&mut Client, &Allocated),
    rounds: u32,
) {
    alice.bind(ChannelNumber::FIRST, theirs.relayed).await.unwrap();
    bob.bind(ChannelNumber::FIRST, ours.relayed).await.unwrap();
    for number in 0..rounds {
        let packet = number.to_be_bytes().repeat(1 + (number as usize * 7) % 300);
        alice.send(ChannelNumber::FIRST, &packet).await.unwrap();
        assert_eq!(bob.receive(PATIENCE).await.unwrap().data, packet);
        bob.send(ChannelNumber::FIRST, &packet).await.unwrap();
        assert_eq!(alice.receive(PATIENCE).await.unwrap().data, packet);
    }
}

/// alice and bob, each in a network of their own, with the relay between.
fn crossing() -> Option<Lab> {
    let lab = Lab::new(&["alice", "server", "bob"])?;
    lab.cable("alice:eth0=198.51.100.2/24", "server:a=198.51.100.1/24");
    lab.cable("bob:eth0=203.0.113.2/24", "server:b=203.0.113.1/24");
    Some(lab)
}

#[test]
fn two_people_meet_where_a_single_port_is_open() {
    for (open, transport, port) in [
        ("udp dport 3478", Transport::Udp, 3478),
        ("tcp dport 3478", Transport::Tcp, 3478),
        ("tcp dport 443", Transport::Tls, 443),
    ] {
        let Some(lab) = crossing() else { return };
        lab.rules(
            "server",
            &format!(
                "table inet wall {{
                   chain inwards {{ type filter hook input priority 0; {open} accept; ct state new drop; }}
                   chain outwards {{ type filter hook output priority 0; ct state new drop; }}
                 }}"
            ),
        );
        for backend in ["linux", "portable"] {
            let words = ["--listen", "0.0.0.0:3478", "--tls", "0.0.0.0:443", "--backend", backend];
            let _relay = relay(&lab, "server", &format!("wall-{port}-{transport}-{backend}"), &words);
            block_on(meet(&lab, transport, port));
        }
    }
}

/// Two with an account, then one with and a guest.
async fn meet(lab: &Lab, transport: Transport, port: u16) {
    let [near, far] = ["198.51.100.1", "203.0.113.1"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
    let guest = Guest::new("friend", "of-alice").unwrap();
    for bobs in [ALICE, (guest.user(), guest.password())] {
        let mut alice = client(lab, "alice", (transport, near), ALICE).await;
        let ours = alice.allocate(Some("offerer1"), Some(&guest)).await.unwrap();
        assert!(ours.doorbell && ours.guest);
        let mut bob = client(lab, "bob", (transport, far), bobs).await;
        let theirs = bob.allocate(None, None).await.unwrap();
        talk((&mut alice, &ours), (&mut bob, &theirs), 100).await;
        bob.refresh(0).await.unwrap();
        alice.refresh(0).await.unwrap();
    }
    // The wall is there: what the others use is shut.
    let _there = visit(lab, "alice");
    let shut = if transport == Transport::Tcp { 443 } else { 3478 };
    let shut = Wire::tcp(SocketAddr::new(near.ip(), shut));
    assert!(tokio::time::timeout(Duration::from_millis(300), shut).await.is_err());
}

/// A home or a machine in a rack, the Internet, and somebody outside. The Internet has two STUN servers, which
/// answer to the names that the relay asks.
///
/// ```text
/// server 10.0.0.5 -- 10.0.0.1 gate 198.51.100.5 -- 198.51.100.1 inet 203.0.113.1 -- 203.0.113.2 bob
/// ```
struct Behind {
    lab: Lab,
    _stun: Running,
    relay: Running,
}

impl Behind {
    /// `gate` forwards what `rules` say.
    fn new(name: &str, rules: &str) -> Option<Self> {
        let lab = Lab::new(&["server", "gate", "inet", "bob"])?;
        lab.cable("server:eth0=10.0.0.5/24", "gate:lan=10.0.0.1/24");
        lab.cable("gate:wan=198.51.100.5/24", "inet:a=198.51.100.1/24");
        lab.cable("bob:eth0=203.0.113.2/24", "inet:b=203.0.113.1/24");
        lab.default_route("server", "10.0.0.1");
        lab.default_route("gate", "198.51.100.1");
        lab.default_route("bob", "203.0.113.1");
        for router in ["gate", "inet"] {
            lab.run(router, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        }
        lab.rules("gate", rules);
        let listen = ["--listen", "198.51.100.1:3478", "--listen", "198.51.100.1:19302"];
        let stun = relay(&lab, "inet", &format!("{name}-stun"), &listen);
        let state = state(name);
        let hosts = state.join("hosts");
        let names = ["stun.cloudflare.com", "stun.l.google.com"].map(|name| format!("198.51.100.1 {name}\n"));
        std::fs::write(&hosts, names.concat()).unwrap();
        // What `ip netns exec` mounts, only the program sees.
        let mount = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
        let before = [lab.before("server"), ["sh", "-c", &mount, "sh"].map(str::to_owned).into()].concat();
        let relay = Running::start_in(&words(&before), &state, &["--drain", "0s"]);
        Some(Self { lab, _stun: stun, relay })
    }

    /// The link that the relay prints at its first start, and what a check from outside says of it.
    fn check_from_outside(&self, state: &Path) -> (Link, serde_json::Value) {
        let link: Link = self.relay.printed.first().unwrap().parse().unwrap();
        let before = self.lab.before("bob");
        let text = self.relay.printed.first().unwrap();
        let checked = program_in(&words(&before), state, &["check", text, "--json"]).output().unwrap();
        (link, serde_json::from_slice(&checked.stdout).unwrap())
    }
}

/// Whether a step of a check came out well, and what it said.
fn step<'v>(report: &'v serde_json::Value, name: &str) -> (bool, &'v str) {
    let steps = report["steps"].as_array().unwrap();
    let step =
        steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no {name}: {report}"));
    (step["ok"] == true, step["text"].as_str().unwrap())
}

#[test]
fn behind_a_one_to_one_nat_the_public_address_is_found_and_works() {
    let rules = "table ip nat {
        chain inwards { type nat hook prerouting priority -100; ip daddr 198.51.100.5 dnat to 10.0.0.5; }
        chain outwards { type nat hook postrouting priority 100; ip saddr 10.0.0.5 oifname wan snat to 198.51.100.5; }
    }";
    let Some(behind) = Behind::new("one-to-one", rules) else { return };
    let (link, report) = behind.check_from_outside(&state("one-to-one-check"));
    assert_eq!((link.host.as_str(), link.port), ("198.51.100.5", 3478));
    for name in ["resolve", "udp", "tcp", "auth", "allocate", "echo", "doorbell", "guest"] {
        assert!(step(&report, name).0, "{name}: {report}");
    }
    assert!(step(&report, "allocate").1.contains("198.51.100.5:"), "{report}");
    assert_eq!((&report["outside"], &report["loss"]), (&true.into(), &0.0.into()), "{report}");
}

#[test]
fn in_a_container_with_one_published_port_two_people_meet() {
    // What a container engine does with `-p 3478:3478/udp -p 3478:3478/tcp`.
    let rules = "table ip nat {
        chain inwards {
            type nat hook prerouting priority -100;
            ip daddr 198.51.100.5 meta l4proto { tcp, udp } th dport 3478 dnat to 10.0.0.5;
        }
        chain outwards { type nat hook postrouting priority 100; ip saddr 10.0.0.0/24 oifname wan masquerade; }
    }";
    let Some(behind) = Behind::new("container", rules) else { return };
    let (link, report) = behind.check_from_outside(&state("container-check"));
    assert_eq!((link.host.as_str(), link.port), ("198.51.100.5", 3478));
    for name in ["resolve", "udp", "tcp", "auth", "allocate", "echo", "guest"] {
        assert!(step(&report, name).0, "{name}: {report}");
    }
    assert_eq!((&report["outside"], &report["loss"]), (&true.into(), &0.0.into()), "{report}");
}

#[test]
fn discovery_names_the_nat_in_between() {
    if Command::new("turnutils_natdiscovery").output().is_err() {
        println!("SKIPPED: turnutils_natdiscovery (package coturn) is not installed");
        return;
    }
    for (random, mapping) in
        [(false, "Endpoint Independent Mapping"), (true, "Address and Port Dependent Mapping")]
    {
        let Some(lab) = Lab::new(&["alice", "home", "server"]) else { return };
        lab.cable("alice:eth0=192.168.1.2/24", "home:lan=192.168.1.1/24");
        lab.cable("home:wan=198.51.100.2/24", "server:a=198.51.100.1/24");
        lab.run("server", "ip addr add 198.51.100.3/24 dev a");
        lab.default_route("alice", "192.168.1.1");
        lab.nat("home", "wan", random);
        let listen = ["--listen", "198.51.100.1:3478", "--alternate-ip", "198.51.100.3"];
        let _relay = relay(&lab, "server", &format!("discovery-{random}"), &listen);
        // Its exit code says only that it ran; a silent server is how filtering shows.
        let said = lab.run("alice", "turnutils_natdiscovery -m -f 198.51.100.1");
        for verdict in [mapping, "Address and Port Dependent Filtering"] {
            assert!(said.contains(&format!("NAT with {verdict}!")), "{verdict}: {said}");
        }
    }
}

/// Seconds of the flood; the figures of the README come from a whole minute.
fn flood_seconds() -> u64 {
    std::env::var("P2PCALL_RELAY_FLOOD_SECONDS").map_or(8, |seconds| seconds.parse().unwrap())
}

#[test]
fn a_flood_of_spoofed_sources_harms_no_call_and_takes_no_memory() {
    let Some(lab) = Lab::new(&["alice", "server", "mob"]) else { return };
    lab.cable("alice:eth0=198.51.100.2/24", "server:a=198.51.100.1/24");
    lab.cable("mob:eth0=203.0.113.2/24", "server:m=203.0.113.1/24");
    // The mob has sixteen million addresses, and hears what is sent to them.
    lab.run("mob", "ip route add local 10.0.0.0/8 dev lo");
    lab.run("server", "ip route add 10.0.0.0/8 via 203.0.113.2");
    let target = "203.0.113.1:3478".parse().unwrap();
    for backend in ["linux", "portable"] {
        let words = ["--listen", "0.0.0.0:3478", "--backend", backend, "--threads", "2"];
        let relay = relay(&lab, "server", &format!("flood-{backend}"), &words);
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, all_talk) = std::sync::mpsc::channel();
        let (before, sent, packets, after) = std::thread::scope(|scope| {
            let calls = scope.spawn(|| block_on(calls(&lab, 50, ready, Arc::clone(&stop))));
            all_talk.recv().unwrap();
            let before = resident_kb(relay.id());
            let _there = visit(&lab, "mob");
            let sent = flood::flood(target, Duration::from_secs(flood_seconds()));
            stop.store(true, Ordering::Relaxed);
            (before, sent, calls.join().unwrap(), resident_kb(relay.id()))
        });
        println!(
            "measured: {backend}: {sent} packets from as many addresses; {packets} packets of 50 calls, none lost; \
             resident {before} kB before, {after} kB after"
        );
        assert!(after < before + 1024, "{before} kB, then {after} kB");
        assert!(sent > 1000 && packets > 1000);
    }
}

/// Calls of `count` pairs on one machine, each with a packet under way at any time, until they are told to stop.
/// Says when all of them talk; returns how many packets arrived, which is all.
async fn calls(lab: &Lab, count: u32, ready: std::sync::mpsc::Sender<()>, stop: Arc<AtomicBool>) -> u32 {
    let by = (Transport::Udp, SocketAddr::new("198.51.100.1".parse().unwrap(), 3478));
    let mut calls = Vec::new();
    for _ in 0..count {
        let (mut alice, mut bob) =
            (client(lab, "alice", by, ALICE).await, client(lab, "alice", by, ALICE).await);
        let (ours, theirs) =
            (alice.allocate(None, None).await.unwrap(), bob.allocate(None, None).await.unwrap());
        talk((&mut alice, &ours), (&mut bob, &theirs), 10).await;
        let stop = Arc::clone(&stop);
        calls.push(tokio::spawn(async move {
            let mut packets = 0;
            while !stop.load(Ordering::Relaxed) {
                talk((&mut alice, &ours), (&mut bob, &theirs), 10).await;
                packets += 20;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            packets
        }));
    }
    ready.send(()).unwrap();
    let mut packets = 0;
    for call in calls {
        packets += call.await.unwrap();
    }
    packets
}

/// Memory of a process that is really there.
fn resident_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
