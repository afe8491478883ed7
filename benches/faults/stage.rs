//! A call in a laboratory, between `alice`, who offers, and `bob`, who answers: with a tone and the test card both
//! ways, and with an ear at each end.

use super::ear::Ear;
use crate::natlab::kind::{Kind, Side};
use crate::natlab::relay::Relay;
use crate::natlab::world::World;
use crate::support::lab::Lab;
use crate::support::process::Process;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing else takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A small picture: it is the path that is measured.
const PICTURE: [&str; 6] = ["--video", "test", "--size", "160x90", "--fps", "10"];

/// Where a call takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// Two machines on one cable, without any server.
    Cable,
    /// Two homes; the offerer knows our relay.
    Homes(Kind, Kind),
    /// The same, and at first nothing passes between the two homes but by the relay.
    Apart(Kind, Kind),
}

/// The machines.
enum Place {
    Cable(Lab),
    Homes(Box<World>, Relay),
}

/// A call that stands.
pub(crate) struct Stage {
    // Before the machines that they run on.
    pub(crate) alice: Process,
    pub(crate) bob: Process,
    ears: Option<[Ear; 2]>,
    place: Place,
    _folder: TempDir,
}

impl Place {
    fn new(scene: Scene) -> Option<Self> {
        let (one, other) = match scene {
            Scene::Cable => {
                let lab = Lab::new(&["alice", "bob"])?;
                lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
                return Some(Self::Cable(lab));
            }
            Scene::Homes(one, other) | Scene::Apart(one, other) => (one, other),
        };
        let world = World::new([Side::from(one), Side::from(other)])?;
        if matches!(scene, Scene::Apart(..)) {
            world.part();
        }
        let relay = Relay::start(&world);
        Some(Self::Homes(Box::new(world), relay))
    }

    fn lab(&self) -> &Lab {
        match self {
            Self::Cable(lab) => lab,
            Self::Homes(world, _) => &world.lab,
        }
    }

    /// What an end is told of servers.
    fn servers(&self, offers: bool) -> Vec<String> {
        match self {
            Self::Cable(_) => vec!["--no-servers".to_owned()],
            Self::Homes(_, relay) if offers => [Relay::two_stun(), relay.options()].concat(),
            Self::Homes(..) => Relay::two_stun(),
        }
    }
}

/// For whoever looks into a figure: with `P2PCALL_FAULTS_LOGS` each end logs into a file of that folder.
fn log_options(name: &str, machine: &str) -> Vec<String> {
    let Ok(folder) = std::env::var("P2PCALL_FAULTS_LOGS") else { return Vec::new() };
    ["-vv".to_owned(), "--log-file".to_owned(), format!("{folder}/{name}, {machine}.log")].into()
}

impl Stage {
    /// Begins a call, and waits until both ends have heard each other; `None`, loudly, where that can't be. Without
    /// `ears` nothing is written to the disk.
    pub(crate) fn begin(name: &str, scene: Scene, ears: bool) -> Option<Self> {
        let place = Place::new(scene)?;
        let folder = tempfile::tempdir().expect("a folder");
        let files = ["alice", "bob"].map(|machine| folder.path().join(format!("{machine}.wav")));
        let start = |machine: &str, words: &[&str], file: &PathBuf| {
            let speaker = if ears { format!("file:{}", file.display()) } else { "none".to_owned() };
            let mut more = place.servers(machine == "alice");
            more.extend(["--audio", "tone", "--speaker", &speaker].map(str::to_owned));
            more.extend(log_options(name, machine));
            let words: Vec<&str> = words.iter().copied().chain(more.iter().map(String::as_str)).collect();
            place.lab().start(machine, &words, &PICTURE)
        };
        let mut alice = start("alice", &["offer"], &files[0]);
        let code = alice.wait_for_code(PATIENCE);
        let bob = start("bob", &["answer", &code], &files[1]);
        let ears = ears.then(|| files.map(Ear::of_file));
        let mut stage = Self { alice, bob, ears, place, _folder: folder };
        for end in stage.ends() {
            end.wait_for_state("connected", PATIENCE);
            end.latest("path", PATIENCE);
            end.hears(0.0, PATIENCE);
        }
        Some(stage)
    }

    pub(crate) fn ends(&mut self) -> [&mut Process; 2] {
        [&mut self.alice, &mut self.bob]
    }

    pub(crate) fn lab(&self) -> &Lab {
        self.place.lab()
    }

    /// The homes.
    pub(crate) fn world(&self) -> &World {
        match &self.place {
            Place::Homes(world, _) => world,
            Place::Cable(_) => panic!("there are no homes on a cable"),
        }
    }

    /// Kills the relay, or starts it again.
    pub(crate) fn relay(&mut self, lives: bool) {
        match &mut self.place {
            Place::Homes(world, relay) if lives => relay.restart(world),
            Place::Homes(_, relay) => relay.kill(),
            Place::Cable(_) => panic!("there is no relay on a cable"),
        }
    }

    /// What each end heard.
    pub(crate) fn ears(&self) -> &[Ear; 2] {
        self.ears.as_ref().expect("begun with ears")
    }

    /// The path that each end told last.
    pub(crate) fn paths(&mut self) -> [String; 2] {
        self.ends().map(|end| {
            end.take_what_came();
            let path = end.of_kind("path").last();
            path.and_then(|path| path["kind"].as_str()).unwrap_or("none").to_owned()
        })
    }

    /// Waits until both ends' paths go through the relay, or past it.
    pub(crate) fn await_paths(&mut self, relayed: bool, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.paths().iter().all(|kind| (kind == "relay") == relayed) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// An end that is over, and why.
    pub(crate) fn over(&mut self) -> Option<String> {
        self.ends().into_iter().find_map(|end| {
            end.take_what_came();
            let over = |event: &&Value| event["event"] == "state" && event["state"] == "ended";
            end.events.iter().find(over).map(ToString::to_string)
        })
    }

    /// Ends the call by alice's hanging up; the exit codes.
    pub(crate) fn hang_up(&mut self) -> [i32; 2] {
        self.alice.type_line("/hangup");
        self.ends().map(|end| end.exit(PATIENCE))
    }
}
