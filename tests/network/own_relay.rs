//! Calls through our own relay, which only the offerer knows of: by whichever way the firewalls leave open.

use super::support::lab::Lab;
use super::support::own_relay::{OwnRelay, Wishes};
use super::support::process::Process;
use super::{SOON, support, two_homes};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the relay is, in the middle of `two_homes`.
const RELAY: &str = "198.51.100.1";
const PORTS: (u16, u16) = (3478, 443);
/// Long enough for everything that is tried with growing pauses, on a machine that is busy.
const LONG: Duration = Duration::from_secs(60);
/// A small picture and a tone.
const MEDIA: [&str; 10] =
    ["--video", "test", "--size", "160x90", "--fps", "5", "--audio", "tone", "--speaker", "none"];

/// What a firewall leaves open towards the relay, as nftables says it; all else is dropped.
const UDP: &str = "udp dport 3478";
const TCP: &str = "tcp dport 3478";
const TLS: &str = "tcp dport 443";

pub(super) fn relay(lab: &Lab) -> OwnRelay {
    OwnRelay::start(&wishes(lab))
}

fn wishes(lab: &Lab) -> Wishes {
    let also = vec!["203.0.113.1".parse().expect("an address")];
    Wishes { namespace: Some(lab.namespace("inet")), also, ..Wishes::at(RELAY, PORTS) }
}

/// A router that lets nothing out but this.
pub(super) fn let_out_only(lab: &Lab, router: &str, open: &str) {
    lab.run(router, "nft delete table ip only 2>/dev/null || true");
    lab.rules(
        router,
        &format!(
            "table ip only {{
               chain through {{
                 type filter hook forward priority -1;
                 iifname lan ip daddr {RELAY} {open} accept;
                 iifname lan drop;
               }}
             }}"
        ),
    );
}

/// A p2pcall with the smallest sound and picture.
fn start(lab: &Lab, machine: &str, args: &[&str]) -> Process {
    lab.start(machine, args, &MEDIA)
}

/// `alice` offers with the relay, `bob` answers knowing nothing.
pub(super) struct Ends {
    alice: Process,
    bob: Process,
    began: Instant,
}

impl Ends {
    fn begin(lab: &Lab, relay: &OwnRelay, offerer: &[&str], answerer: &[&str]) -> Self {
        let (alice, code) = offer(lab, relay, offerer);
        Self::answer(lab, alice, &code, answerer)
    }

    pub(super) fn answer(lab: &Lab, alice: Process, code: &str, answerer: &[&str]) -> Self {
        let began = Instant::now();
        let bob = start(lab, "bob", &[&["answer", code], answerer].concat());
        Self { alice, bob, began }
    }

    /// Waits until both are connected, and tells both paths.
    pub(super) fn connected(&mut self, what: &str) -> [Value; 2] {
        self.bob.wait_for_state("connected", SOON);
        support::measured(what, self.began.elapsed());
        self.alice.wait_for_state("connected", SOON);
        assert_eq!(self.bob.of_kind("code").count(), 0, "no reply is needed");
        let path = |event: &Value| event["event"] == "path";
        [self.alice.wait_for("path", SOON, path), self.bob.wait_for("path", SOON, path)]
    }

    /// Sound and picture arrive at both ends.
    pub(super) fn see_and_hear(&mut self) {
        for end in [&mut self.alice, &mut self.bob] {
            for kind in ["audio", "video"] {
                let came = |event: &Value| event["event"] == "media" && event["kind"] == kind;
                if !end.events.iter().any(came) {
                    end.wait_for(kind, SOON, came);
                }
            }
        }
    }

    /// What the one who answers is warned of.
    pub(super) fn warning(&mut self, code: &str) -> String {
        let warning = |event: &Value| event["event"] == "warning" && event["code"] == code;
        self.bob.wait_for(code, SOON, warning)["message"].to_string()
    }

    /// How many bytes each says went through a relay.
    fn relayed(&mut self) -> [u64; 2] {
        [&mut self.alice, &mut self.bob].map(|end| {
            let stats = end.wait_for("stats", SOON, |event| event["event"] == "stats");
            stats["relayed_bytes"].as_u64().expect("a number")
        })
    }

    pub(super) fn hang_up(mut self) {
        self.alice.type_line("/hangup");
        assert_eq!((self.alice.exit(SOON), self.bob.exit(SOON)), (0, 0));
    }
}

pub(super) fn offer(lab: &Lab, relay: &OwnRelay, more: &[&str]) -> (Process, String) {
    let (link, tls_link, stun) = (relay.link(), relay.tls_link(), relay.stun());
    let options = ["offer", "--relay", &link, "--relay", &tls_link, "--stun", &stun];
    let mut alice = start(lab, "alice", &[&options, more].concat());
    let code = alice.wait_for_code(SOON);
    (alice, code)
}

/// What a code says.
fn said(code: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_p2pcall")).args(["code", code, "--json"]).output();
    serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON")
}

/// Through every firewall of these at the answerer's, this one at the offerer's, and sound and picture flow.
fn through(offerer: (&str, &str)) {
    let Some(lab) = two_homes(false) else { return };
    let relay = relay(&lab);
    for answerer in [("udp", UDP), ("tcp", TCP), ("tls", TLS)] {
        let_out_only(&lab, "home-a", offerer.1);
        let_out_only(&lab, "home-b", answerer.1);
        let mut ends = Ends::begin(&lab, &relay, &[], &[]);
        let paths = ends.connected(&format!("offerer {} only, answerer {} only", offerer.0, answerer.0));
        for (path, protocol) in paths.iter().zip([offerer.0, answerer.0]) {
            assert_eq!((&path["kind"], &path["local"]), (&"relay".into(), &"relay".into()), "{path}");
            assert_eq!(path["protocol"], protocol, "{path}");
        }
        ends.see_and_hear();
        assert!(ends.relayed().iter().all(|bytes| *bytes > 1_000));
        ends.hang_up();
    }
}

#[test]
fn a_friend_without_an_account_gets_through_where_the_offerer_has_only_udp_to_the_relay() {
    through(("udp", UDP));
}

#[test]
fn a_friend_without_an_account_gets_through_where_the_offerer_has_only_tcp_to_the_relay() {
    through(("tcp", TCP));
}

#[test]
fn a_friend_without_an_account_gets_through_where_the_offerer_has_only_tls_to_the_relay() {
    through(("tls", TLS));
}

#[test]
fn the_doorbell_opens_two_port_restricted_nats_and_the_call_is_direct() {
    let Some(lab) = two_homes(false) else { return };
    let relay = relay(&lab);
    let mut ends = Ends::begin(&lab, &relay, &[], &["--no-servers"]);
    let [alices, bobs] = ends.connected("two NATs, doorbell");
    for path in [&alices, &bobs] {
        assert_ne!(path["kind"], "relay", "{path}");
    }
    ends.hang_up();
}

#[test]
fn two_symmetric_nats_need_one_relay_at_one_end() {
    let Some(lab) = two_homes(true) else { return };
    let relay = relay(&lab);
    for answerer in [&[][..], &["--no-servers"], &["--relay-only"]] {
        let mut ends = Ends::begin(&lab, &relay, &[], answerer);
        let paths = ends.connected(&format!("two symmetric NATs, answerer {answerer:?}"));
        assert!(paths.iter().all(|path| path["kind"] == "relay"), "{paths:?}");
        assert!(ends.relayed().iter().all(|bytes| *bytes > 1_000));
        ends.hang_up();
    }
}

#[test]
fn a_relay_only_code_names_the_relay_and_nothing_else() {
    let Some(lab) = two_homes(false) else { return };
    let relay = relay(&lab);
    let (alice, code) = offer(&lab, &relay, &["--relay-only"]);
    let said = said(&code);
    let addresses = said["addresses"].as_array().expect("a list");
    assert!(addresses.len() == 1 && addresses[0]["type"] == "relay", "{said}");
    let server = &said["servers"][0];
    let ports = [&server["udp"], &server["tcp"], &server["tls"]].map(Value::as_u64);
    assert_eq!((ports, &server["guest"]), ([Some(3478), Some(3478), Some(443)], &true.into()), "{said}");
    let mut ends = Ends::answer(&lab, alice, &code, &[]);
    assert_eq!(ends.connected("relay only at the offerer")[0]["local"], "relay");
    ends.hang_up();
}

#[test]
fn a_relay_without_doorbell_and_guest_is_used_by_those_who_have_an_account() {
    let Some(lab) = two_homes(true) else { return };
    let relay = OwnRelay::start(&Wishes { open: false, ..wishes(&lab) });
    let (alice, code) = offer(&lab, &relay, &[]);
    assert_eq!(said(&code)["servers"], Value::Array(Vec::new()));
    let link = relay.link();
    let mut ends = Ends::answer(&lab, alice, &code, &["--relay", &link, "--stun", &relay.stun()]);
    assert_eq!(ends.connected("an account at both ends")[1]["kind"], "relay");
    ends.hang_up();
}

#[test]
fn a_relay_and_its_friends_may_have_ipv6_alone() {
    let Some(lab) = Lab::new(&["alice", "inet", "bob"]) else { return };
    lab.cable("alice:eth0=2001:db8:1::2/64", "inet:a=2001:db8:1::1/64");
    lab.cable("bob:eth0=2001:db8:2::2/64", "inet:b=2001:db8:2::1/64");
    // They reach the relay, and not each other.
    lab.run("alice", "ip -6 route add default via 2001:db8:1::1");
    lab.run("bob", "ip -6 route add default via 2001:db8:2::1");
    let namespace = Some(lab.namespace("inet"));
    let relay = OwnRelay::start(&Wishes { namespace, ..Wishes::at("2001:db8:1::1", PORTS) });
    for answerer in [&[][..], &["--no-servers"]] {
        let mut ends = Ends::begin(&lab, &relay, &[], answerer);
        let [alices, bobs] = ends.connected(&format!("IPv6 only, answerer {answerer:?}"));
        for path in [&alices, &bobs] {
            assert_eq!((&path["kind"], &path["family"]), (&"relay".into(), &6.into()), "{path}");
        }
        ends.hang_up();
    }
}

#[test]
fn a_relay_may_have_a_name() {
    let Some(lab) = two_homes(true) else { return };
    let relay = relay(&lab);
    // The name of every machine for itself is in no code: only its offerer needs to know it.
    let hosts = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(hosts.path(), format!("{RELAY} relay.example\n")).expect("written");
    let mut before = lab.before("alice");
    let bind = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.path().display());
    before.extend(["unshare", "-m", "sh", "-c", &bind, "sh"].map(str::to_owned));
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let stun = relay.stun();
    let link = relay.link().replace(RELAY, "relay.example");
    let options = ["offer", "--relay", &link, "--stun", &stun];
    let mut alice = Process::start_in(&before, &[&options[..], &MEDIA].concat());
    let code = alice.wait_for_code(SOON);
    let mut ends = Ends::answer(&lab, alice, &code, &[]);
    assert_eq!(ends.connected("a relay by name")[1]["kind"], "relay");
    ends.hang_up();
}

#[test]
fn a_relay_that_dies_in_the_call_is_named_at_both_ends() {
    let Some(lab) = two_homes(true) else { return };
    let mut relay = relay(&lab);
    let briefly = ["--reconnect", "5"];
    let mut ends = Ends::begin(&lab, &relay, &briefly, &briefly);
    ends.connected("a relay that will die");
    relay.kill();
    for end in [&mut ends.alice, &mut ends.bob] {
        let ended = end.wait_for_state("ended", Duration::from_secs(60));
        assert!(ended["message"].as_str().expect("words").contains("relay"), "{ended}");
    }
}

#[test]
fn a_relay_that_is_started_again_has_its_calls_back() {
    let Some(lab) = two_homes(true) else { return };
    let mut relay = relay(&lab);
    for rounds in 1..=2 {
        let mut ends = Ends::begin(&lab, &relay, &[], &[]);
        ends.connected("a relay that will be started again");
        ends.see_and_hear();
        for _ in 0..rounds {
            relay.kill();
            for end in [&mut ends.alice, &mut ends.bob] {
                end.wait_for_state("reconnecting", SOON);
            }
            relay = relay.again();
            let again = Instant::now();
            for end in [&mut ends.alice, &mut ends.bob] {
                end.wait_for_state("connected", LONG);
            }
            support::measured("connected again after the relay was started again", again.elapsed());
            for end in [&mut ends.alice, &mut ends.bob] {
                end.hears(2.0, LONG);
            }
        }
        ends.hang_up();
    }
}

#[test]
fn a_relayed_call_leaves_the_relay_as_soon_as_there_is_a_direct_path() {
    let Some(lab) = two_homes(false) else { return };
    let relay = relay(&lab);
    let_out_only(&lab, "home-b", UDP);
    let mut ends = Ends::begin(&lab, &relay, &[], &[]);
    ends.connected("relayed at first");
    ends.see_and_hear();
    lab.run("home-b", "nft delete table ip only");
    let open = Instant::now();
    for end in [&mut ends.alice, &mut ends.bob] {
        end.wait_for("direct path", LONG, |event| event["event"] == "path" && event["kind"] != "relay");
    }
    support::measured("direct, after the firewall opened", open.elapsed());
    for end in [&mut ends.alice, &mut ends.bob] {
        end.hears(2.0, LONG);
        assert!(!end.of_kind("state").any(|state| state["state"] == "reconnecting"), "no silence");
        let concealed = end.of_kind("stats").last().and_then(|stats| stats["audio"]["concealed_ms"].as_u64());
        println!("sound invented in all: {concealed:?} ms");
    }
    ends.hang_up();
}

#[test]
fn a_wrong_secret_is_named_and_the_call_comes_about_without_the_relay() {
    let Some(lab) = Lab::new(&["alice", "bob"]) else { return };
    lab.cable("alice:eth0=198.51.100.1/24", "bob:eth0=198.51.100.2/24");
    let relay =
        OwnRelay::start(&Wishes { namespace: Some(lab.namespace("alice")), ..Wishes::at(RELAY, PORTS) });
    let (link, stun) = (relay.link_of("south"), relay.stun());
    let mut alice = start(&lab, "alice", &["offer", "--relay", &link, "--stun", &stun]);
    let code = alice.wait_for_code(SOON);
    assert!(alice.of_kind("warning").any(|warning| warning["code"] == "relay_secret"));
    let mut ends = Ends::answer(&lab, alice, &code, &[]);
    assert_eq!(ends.connected("without the relay")[1]["kind"], "host");
    assert_eq!(ends.relayed(), [0, 0]);
    ends.hang_up();
}
