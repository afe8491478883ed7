//! The faults: where each happens, what is done, and since when the call may be whole again.

use super::stage::{PATIENCE, Scene, Stage};
use crate::natlab::gateway::Weather;
use crate::natlab::kind::Kind::{FullCone, PortRestricted, Symmetric};
use crate::natlab::world::Who;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long an uplink is gone.
const CUT: Duration = Duration::from_secs(8);
/// How long the relay is.
const RELAY_GONE: Duration = Duration::from_secs(4);
/// How long packets are lost, and which part of them.
const STORM: Duration = Duration::from_secs(10);
const LOSS: f64 = 0.3;
/// How long an end stands still.
const STOPPED: Duration = Duration::from_secs(5);
/// A path past the relay is found within this.
const DIRECT: Duration = Duration::from_secs(60);

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// An uplink is unplugged, and plugged in again.
    Cut(Who),
    /// A NAT gets another public address.
    Renumbered(Who),
    /// A NAT forgets its mappings.
    Flushed(Who),
    /// The relay is killed, and started again.
    RelayRestarted,
    /// Nothing passes between the homes any more but by the relay.
    Parted,
    /// Many packets get lost.
    Storm,
    /// An end stands still.
    Stopped(Who),
    /// A machine on the cable gets another address.
    Moved(Who),
    /// A direct path opens to a relayed call.
    United,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// A word to choose it by.
    pub(crate) word: &'static str,
    pub(crate) name: &'static str,
    pub(crate) scene: Scene,
    pub(crate) what: What,
}

const HOMES: Scene = Scene::Homes(PortRestricted, PortRestricted);
const RELAYED: Scene = Scene::Homes(Symmetric, Symmetric);

/// All that happen to a network or a process.
pub(crate) const FAULTS: [Fault; 18] = [
    fault("cut", "uplink cut for 8 s, offerer", HOMES, What::Cut(Who::Alice)),
    fault("cut", "uplink cut for 8 s, answerer", HOMES, What::Cut(Who::Bob)),
    fault("cut", "uplink cut for 8 s, relayed call, answerer", RELAYED, What::Cut(Who::Bob)),
    fault("address", "new public address, offerer", HOMES, What::Renumbered(Who::Alice)),
    fault("address", "new public address, answerer", HOMES, What::Renumbered(Who::Bob)),
    fault("address", "new public address, relayed call, offerer", RELAYED, What::Renumbered(Who::Alice)),
    fault("address", "new public address, relayed call, answerer", RELAYED, What::Renumbered(Who::Bob)),
    fault("mappings", "NAT's mappings forgotten, offerer", HOMES, What::Flushed(Who::Alice)),
    fault("mappings", "NAT's mappings forgotten, answerer", HOMES, What::Flushed(Who::Bob)),
    fault(
        "mappings",
        "the same, symmetric to full-cone, offerer",
        Scene::Homes(Symmetric, FullCone),
        What::Flushed(Who::Alice),
    ),
    fault("mappings", "the same, relayed call, answerer", RELAYED, What::Flushed(Who::Bob)),
    fault("relay", "relay killed, started again after 4 s", RELAYED, What::RelayRestarted),
    fault("blocked", "direct path blocked", HOMES, What::Parted),
    fault("loss", "30 % of all packets lost for 10 s", HOMES, What::Storm),
    fault("stopped", "a program stopped for 5 s, offerer", HOMES, What::Stopped(Who::Alice)),
    fault("stopped", "a program stopped for 5 s, answerer", HOMES, What::Stopped(Who::Bob)),
    fault("moved", "another address on a cable, offerer", Scene::Cable, What::Moved(Who::Alice)),
    fault("moved", "another address on a cable, answerer", Scene::Cable, What::Moved(Who::Bob)),
];

/// What is no fault.
pub(crate) const DIRECT_OPENS: Fault = fault(
    "direct",
    "from the relay to a direct path",
    Scene::Apart(PortRestricted, PortRestricted),
    What::United,
);

const fn fault(word: &'static str, name: &'static str, scene: Scene, what: What) -> Fault {
    Fault { word, name, scene, what }
}

impl What {
    /// Does it; since when the call may be whole again.
    pub(crate) fn strike(self, stage: &mut Stage) -> Instant {
        match self {
            Self::Cut(who) => {
                stage.world().cut(who);
                sleep(CUT);
                stage.world().join(who);
            }
            Self::Renumbered(who) => stage.world().renumber(who),
            Self::Flushed(who) => stage.world().flush(who),
            Self::RelayRestarted => {
                stage.relay(false);
                sleep(RELAY_GONE);
                stage.relay(true);
            }
            Self::Parted => stage.world().part(),
            Self::Storm => {
                stage.world().set_weather(Who::Alice, Weather { loss: LOSS, ..Weather::default() });
                sleep(STORM);
                stage.world().set_weather(Who::Alice, Weather::default());
            }
            Self::Stopped(who) => {
                let [alice, bob] = stage.ends();
                let end = if who == Who::Alice { alice } else { bob };
                end.signal("STOP");
                sleep(STOPPED);
                end.signal("CONT");
            }
            Self::Moved(who) => {
                let (machine, old, new) = match who {
                    Who::Alice => ("alice", "10.9.0.1", "10.9.0.7"),
                    Who::Bob => ("bob", "10.9.0.2", "10.9.0.8"),
                };
                let change = format!("ip addr del {old}/24 dev eth0 && ip addr add {new}/24 dev eth0");
                stage.lab().run(machine, &change);
            }
            Self::United => {
                stage.world().unite();
                assert!(stage.await_paths(false, DIRECT.max(PATIENCE)), "no direct path was found");
            }
        }
        Instant::now()
    }
}
