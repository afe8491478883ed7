//! The machines, cables and routers of a scenario: `alice` and `bob` in their homes, a `server` at 192.0.2.1.
//!
//! A router's uplink is a network of eight addresses: the NAT's own are the first four, which are routed to it and
//! which no kernel owns; the router's kernel has .13, whoever is beyond it .14.

use super::gateway::{Done, Gateway, Weather};
use super::kind::{Hop, Side};
use super::model::{Behavior, Nat, Network};
use super::router::{DEVICE, Router};
use crate::support::lab::Lab;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The server's address.
pub(crate) const SERVER: &str = "192.0.2.1";
/// Its second one.
pub(crate) const SERVER_SECOND: &str = "192.0.2.2";
/// And of IPv6.
pub(crate) const SERVER_V6: &str = "2001:db8:5::1";

/// RFC 6598: between homes and their carrier.
const CARRIER: [u8; 3] = [100, 64, 0];
/// Within the uplink's network.
const PUBLIC: u8 = 9;
const OTHER_PUBLIC: u8 = 10;

/// Whose home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Alice,
    Bob,
}

/// Names and numbers of a home.
#[derive(Debug)]
struct Plan {
    person: &'static str,
    /// The home's own router first.
    routers: [&'static str; 2],
    /// The first three numbers of its public addresses.
    public: [u8; 3],
    v6: Ipv6Addr,
    seed: u64,
}

const HOMES: [Plan; 2] = [
    Plan {
        person: "alice",
        routers: ["a1", "a2"],
        public: [198, 51, 100],
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0),
        seed: 0x5DEE_CE66,
    },
    Plan {
        person: "bob",
        routers: ["b1", "b2"],
        public: [203, 0, 113],
        v6: Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 0),
        seed: 0x41C6_4E6D,
    },
];

/// A laboratory in working order.
pub(crate) struct World {
    // Before the machines: a router ends before its namespace does.
    routers: [Vec<Router>; 2],
    pub(crate) lab: Lab,
}

impl World {
    /// Builds it; `None`, loudly, where that can't be done.
    pub(crate) fn new(sides: [Side; 2]) -> Option<Self> {
        let hops = sides.map(|side| side.kind.hops());
        let mut machines = vec!["inet", "server"];
        for (plan, hops) in HOMES.iter().zip(&hops) {
            machines.push(plan.person);
            machines.extend(plan.routers.iter().take(hops.len()));
        }
        let lab = Lab::new(&machines)?;
        lab.cable(&format!("server:eth0={SERVER}/24"), "inet:srv=192.0.2.254/24");
        lab.run(
            "server",
            &format!(
                "ip addr add {SERVER_SECOND}/24 dev eth0 && ip route add default via 192.0.2.254 &&
                 ip addr add {SERVER_V6}/64 dev eth0 nodad && ip route add default via 2001:db8:5::fe"
            ),
        );
        lab.run("inet", "ip addr add 2001:db8:5::fe/64 dev srv nodad");
        forward(&lab, "inet");
        let mut world = Self { routers: [Vec::new(), Vec::new()], lab };
        for (index, ((plan, side), hops)) in HOMES.iter().zip(sides).zip(&hops).enumerate() {
            world.routers[index] = world.home(plan, side, hops);
        }
        Some(world)
    }

    /// Forgets all mappings of a home's routers.
    pub(crate) fn flush(&self, who: Who) {
        self.change(who, |gateway| gateway.nat.flush());
    }

    /// Unplugs the cable to the Internet.
    pub(crate) fn cut(&self, who: Who) {
        self.change(who, |gateway| gateway.cut = true);
    }

    /// Plugs it in again.
    pub(crate) fn join(&self, who: Who) {
        self.change(who, |gateway| gateway.cut = false);
    }

    /// From now on nothing passes from one home to the other; each still reaches the server.
    pub(crate) fn part(&self) {
        self.lab.rules(
            "inet",
            "table inet apart {
               chain through {
                 type filter hook forward priority 0;
                 iifname alice oifname bob drop;
                 iifname bob oifname alice drop;
               }
             }",
        );
    }

    /// It passes again.
    pub(crate) fn unite(&self) {
        self.lab.run("inet", "nft delete table inet apart");
    }

    /// Gives the outermost router its other public address, or the first one again.
    pub(crate) fn renumber(&self, who: Who) {
        let [first, other] = [PUBLIC, OTHER_PUBLIC].map(|host| at(HOMES[who as usize].public, host));
        self.outermost(who).change(|gateway| {
            let public = if gateway.nat.public() == first { other } else { first };
            gateway.nat.renumber(public);
        });
    }

    /// Loss and delay at the outermost router from now on.
    pub(crate) fn set_weather(&self, who: Who, weather: Weather) {
        self.outermost(who).change(|gateway| gateway.set_weather(weather));
    }

    /// The ports that a home's routers have open on request.
    pub(crate) fn opened(&self, who: Who) -> usize {
        self.routers[who as usize].iter().map(Router::opened).sum()
    }

    /// The address of a home's router inwards.
    pub(crate) fn inner_address() -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 1, 1)
    }

    /// What went up at the outermost router since this was last asked.
    pub(crate) fn went_up(&self, who: Who) -> Done {
        let mut done = Done::default();
        self.outermost(who).change(|gateway| done = gateway.went_up());
        done
    }

    fn change(&self, who: Who, how: impl Fn(&mut Gateway)) {
        for router in &self.routers[who as usize] {
            router.change(&how);
        }
    }

    fn outermost(&self, who: Who) -> &Router {
        self.routers[who as usize].first().expect("a home behind the laboratory's own router")
    }

    /// The routers of a home, from the Internet inwards, and the person behind them.
    fn home(&self, plan: &Plan, side: Side, hops: &[Hop]) -> Vec<Router> {
        let mut routers = Vec::new();
        let mut beyond = ("inet", plan.person);
        for (place, hop) in hops.iter().enumerate().rev() {
            let machine = plan.routers[place];
            let net = if place + 1 == hops.len() { plan.public } else { CARRIER };
            let kernel = matches!(hop, Hop::Kernel { .. });
            self.uplink(machine, beyond, net, kernel);
            if place == 0 {
                self.person(plan, net, *hop);
            }
            if side.ipv6 {
                assert_eq!(hops.len(), 1, "IPv6 behind one router only");
                self.ipv6(plan);
            }
            match hop {
                Hop::Kernel { random } => self.lab.nat(machine, "wan", *random),
                Hop::Model(behavior) => {
                    let gateway = gateway(plan, side, *behavior, place, hops.len());
                    let opens_ports = side.opens_ports && place == 0;
                    let inner = opens_ports.then(World::inner_address);
                    routers.push(self.router(machine, gateway, inner));
                }
            }
            beyond = (machine, "lan");
        }
        routers
    }

    fn uplink(&self, machine: &str, (beyond, interface): (&str, &str), net: [u8; 3], kernel: bool) {
        let own = at(net, if kernel { PUBLIC } else { 13 });
        self.lab
            .cable(&format!("{machine}:wan={own}/29"), &format!("{beyond}:{interface}={}/29", at(net, 14)));
        self.lab.default_route(machine, &at(net, 14).to_string());
        forward(&self.lab, machine);
        if !kernel {
            self.lab.run(beyond, &format!("ip route add {}/30 via {own}", at(net, 8)));
        }
    }

    /// The machine at the inner end: with a private address, or with a public one of the router's.
    fn person(&self, plan: &Plan, net: [u8; 3], hop: Hop) {
        let (own, gateway, length) = if translates(hop) {
            (Ipv4Addr::new(192, 168, 1, 2), World::inner_address(), 24)
        } else {
            (at(net, PUBLIC), at(net, OTHER_PUBLIC), 30)
        };
        self.lab.cable(
            &format!("{}:eth0={own}/{length}", plan.person),
            &format!("{}:lan={gateway}/{length}", plan.routers[0]),
        );
        self.lab.default_route(plan.person, &gateway.to_string());
    }

    /// A network of its own for the home, and one for the uplink.
    fn ipv6(&self, plan: &Plan) {
        let address = |network: u16, host: u16| {
            let mut parts = plan.v6.segments();
            (parts[3], parts[7]) = (network, host);
            Ipv6Addr::from(parts)
        };
        let (home, router) = (plan.v6, plan.routers[0]);
        let (host, gateway) = (address(0, 2), address(0, 1));
        let (own, beyond) = (address(1, 2), address(1, 1));
        self.lab.run(
            plan.person,
            &format!("ip addr add {host}/64 dev eth0 nodad && ip route add default via {gateway}"),
        );
        self.lab.run(
            router,
            &format!(
                "ip addr add {gateway}/64 dev lan nodad && ip addr add {own}/64 dev wan nodad &&
                 ip route add default via {beyond}"
            ),
        );
        self.lab.run(
            "inet",
            &format!("ip addr add {beyond}/64 dev {} nodad && ip route add {home}/64 via {own}", plan.person),
        );
    }

    /// Whatever passes through the machine passes through the gateway.
    fn router(&self, machine: &str, gateway: Gateway, inner: Option<Ipv4Addr>) -> Router {
        let router = Router::start(&self.lab.namespace(machine), gateway, inner).expect("a TUN device");
        self.lab.run(
            machine,
            &format!(
                "ip link set {DEVICE} up &&
                 for family in -4 -6; do
                   ip $family rule add iif lan lookup 100 && ip $family rule add iif wan lookup 100 &&
                   ip $family route add default dev {DEVICE} table 100
                 done"
            ),
        );
        router
    }
}

/// Forwards everything, wherever it seems to come from.
fn forward(lab: &Lab, machine: &str) {
    lab.run(
        machine,
        "cd /proc/sys/net &&
         for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > $name; done &&
         for name in ipv4/conf/*/rp_filter ipv4/icmp_ratelimit; do echo 0 > $name; done",
    );
}

fn gateway(plan: &Plan, side: Side, mut behavior: Behavior, place: usize, hops: usize) -> Gateway {
    let outermost = place + 1 == hops;
    let net = if outermost { plan.public } else { CARRIER };
    let mut weather = Weather::default();
    if outermost {
        behavior.lifetime = side.lifetime.unwrap_or(behavior.lifetime);
        behavior.hairpin |= side.hairpin;
        weather = Weather { loss: side.loss, delay: side.delay, ..Weather::default() };
    }
    let inside = if place > 0 {
        Network(IpAddr::V4(at(CARRIER, 8)), 29)
    } else if translates(Hop::Model(behavior)) {
        Network(IpAddr::V4(Ipv4Addr::new(192, 168, 1, 0)), 24)
    } else {
        Network(IpAddr::V4(at(net, 8)), 30)
    };
    let seed = plan.seed.rotate_left(place as u32 * 7);
    let nat = Nat::new(behavior, at(net, PUBLIC), vec![inside, Network(plan.v6.into(), 64)], seed);
    Gateway::new(nat, weather, seed)
}

fn translates(hop: Hop) -> bool {
    !matches!(hop, Hop::Model(Behavior { mapping: None, .. }))
}

fn at([a, b, c]: [u8; 3], host: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, host)
}
