//! Servers and routers that lie: what they say is told as such, does no harm and takes no time.

use super::diagnose::DEADLINE;
use super::natlab::diagnosis::{self, Diagnosis};
use super::natlab::kind::Kind::{PortRestricted, Public};
use super::natlab::servant::{Manner, Servant};
use super::natlab::world::{SERVER, World};
use super::{SLOWNESS, all_of, support};
use std::time::Duration;

/// A code takes three seconds at the most, and longer on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// Who lies.
#[derive(Debug, Clone, Copy)]
enum Liar {
    Server(Manner),
    /// The server has no address.
    Name,
    /// It answers UPnP with a megabyte.
    Router,
}

#[test]
fn who_lies_is_named_and_the_code_comes_all_the_same() {
    let all = [
        (Liar::Server(Manner::Garbage), "stun", "answers nonsense"),
        (Liar::Server(Manner::OtherTransaction), "stun", "answers nonsense"),
        (Liar::Server(Manner::Nowhere), "stun", "answers nonsense"),
        (Liar::Server(Manner::Flood), "ipv4", "the world sees 198.51.100.9:"),
        (Liar::Name, "dns", "no address for"),
        (Liar::Router, "portmap", "UPnP: the gateway's answer makes no sense"),
    ];
    all_of(&all, |(liar, area, words)| {
        let (addresses, found) = suffer(*liar)?;
        support::measured(&format!("diagnose, {liar:?}"), found.took);
        let line = found.line(area);
        let told = line.contains(words) && found.took < DEADLINE + SLOWNESS;
        // Its own address, and where an honest server saw it.
        let honest =
            addresses.iter().all(|one| one.starts_with("192.168.1.2:") || one.starts_with("198.51.100.9:"));
        (!told || !honest || addresses.is_empty())
            .then(|| format!("{liar:?}: {addresses:?}, {line}, {found:?}"))
    });
}

/// The addresses of the code that is made there, and what `diagnose` says.
fn suffer(liar: Liar) -> Option<(Vec<String>, Diagnosis)> {
    let world = World::new([PortRestricted.into(), Public.into()])?;
    let address = format!("{SERVER}:3478");
    let stun = |manner| Servant::stun(&world, "server", &address, manner);
    let (_server, _router) = match liar {
        Liar::Server(manner) => (Some(stun(manner)), None),
        Liar::Name => (None, None),
        Liar::Router => (Some(stun(Manner::Plain)), Some(Servant::verbose_router(&world, "a1"))),
    };
    let server = if matches!(liar, Liar::Name) { "stun.example.invalid:3478" } else { &address };
    let options = ["--stun".to_owned(), server.to_owned()];
    let mut alice = world.lab.p2pcall("alice", &["offer", "--stun", server]);
    let code = alice.wait_for_code(SOON);
    alice.type_line("/hangup");
    alice.wait(SOON);
    Some((addresses(&code), diagnosis::run(&world, "alice", &options)))
}

/// What the code says of where its maker is.
fn addresses(code: &str) -> Vec<String> {
    let said = support::process::said(&["code", code]);
    let addresses = said["addresses"].as_array().cloned().unwrap_or_default();
    addresses.iter().filter_map(|one| one["address"].as_str().map(str::to_owned)).collect()
}
