//! How long one waits for the first picture, by the path that the call takes.

use super::super::figure::{Figure, Table};
use super::super::natlab::kind::{Kind, Side};
use super::super::natlab::relay::Relay;
use super::super::natlab::world::World;
use std::time::{Duration, Instant};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Each of two routers, each direction: 40 ms there and back.
const DELAY: Duration = Duration::from_millis(10);

/// A path, where it is found, and the most it may take.
struct Case {
    what: &'static str,
    path: &'static [&'static str],
    kind: Kind,
    delay: Duration,
    most: f64,
}

/// Measures and prints.
pub(crate) fn measure(runs: u32) {
    let case = |what, path, kind, delay, most| Case { what, path, kind, delay, most };
    let near = Duration::ZERO;
    let cases = [
        case("`answer` started to first picture, host", &["host"][..], Kind::Public, near, 0.8),
        case("srflx", &["srflx", "prflx"], Kind::PortRestricted, near, 1.0),
        case("relay", &["relay"], Kind::Symmetric, near, 1.2),
        case("host, 40 ms RTT", &["host"], Kind::Public, DELAY, 1.4),
        case("srflx, 40 ms RTT", &["srflx", "prflx"], Kind::PortRestricted, DELAY, 1.6),
        case("relay, 40 ms RTT", &["relay"], Kind::Symmetric, DELAY, 1.8),
    ];
    println!("\n## The first picture\n");
    let mut table = Table::begin(runs);
    for case in cases {
        let Some(values) = (0..runs).map(|_| case.run()).collect::<Option<Vec<f64>>>() else { return };
        let Case { what, most, .. } = case;
        table.row(Figure { what, unit: "s", most: Some(most), digits: 3 }, &values);
    }
    table.end();
}

impl Case {
    /// Seconds from the answerer's start to its first picture; `None` where there can be no laboratory.
    fn run(&self) -> Option<f64> {
        let side = Side { delay: self.delay, ..self.kind.into() };
        let world = World::new([side, side])?;
        let relay = Relay::start(&world);
        let (stun, link) = (Relay::stun(), relay.options());
        let start = |machine: &str, words: &[&str]| {
            let link = link.iter().filter(|_| machine == "alice");
            let all: Vec<&str> =
                words.iter().copied().chain(stun.iter().chain(link).map(String::as_str)).collect();
            world.lab.start(machine, &all, &["--video", "test", "--audio", "tone", "--speaker", "none"])
        };
        let mut alice = start("alice", &["offer"]);
        let code = alice.wait_for_code(PATIENCE);
        let began = Instant::now();
        let mut bob = start("bob", &["answer", &code]);
        bob.wait_for("a picture", PATIENCE, |event| event["event"] == "media" && event["kind"] == "video");
        let took = began.elapsed().as_secs_f64();
        let path = bob.of_kind("path").next().and_then(|path| path["kind"].as_str());
        assert!(path.is_some_and(|path| self.path.contains(&path)), "{}: the path was {path:?}", self.what);
        alice.type_line("/hangup");
        assert_eq!((alice.exit(PATIENCE), bob.exit(PATIENCE)), (0, 0));
        Some(took)
    }
}
