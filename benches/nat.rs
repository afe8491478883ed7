//! Calls across NATs and firewalls of every kind, in the laboratory of `tests/natlab`: real p2pcall processes, real
//! kernels, one relay. `scripts/bench nat` runs it; needs root on Linux.
//!
//! ```text
//! relay    every pair of kinds with our relay, and some more: path and time to connected
//! alone    the same without a relay: STUN and the reply code
//! punch    how soon a symmetric and a port-restricted NAT become direct, in 20 calls
//! picture  from the answer to the first picture, by path, also at 40 ms RTT
//! said     what `diagnose` says of every kind of network, by whom it may ask
//! wait     a code that waits for five minutes behind a NAT that forgets after 30 seconds
//! ```
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::print_stdout,
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a benchmark prints, reads the clock, and fails by panicking"
    )
)]

#[cfg(target_os = "linux")]
#[path = "../tests"]
mod laboratory {
    pub(crate) mod natlab;
    pub(crate) mod support;
}

#[cfg(target_os = "linux")]
use laboratory::{natlab, support};

#[cfg(target_os = "linux")]
#[path = "call/figure.rs"]
#[expect(dead_code, reason = "its notes are for other figures")]
mod figure;

#[cfg(target_os = "linux")]
#[path = "nat"]
mod nat {
    pub(crate) mod matrix;
    pub(crate) mod picture;
    pub(crate) mod punch;
    pub(crate) mod said;
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use super::nat::{matrix, picture, punch, said};
    use super::natlab::attempt::{Scenario, Servers};
    use super::natlab::kind::{Kind, Side};
    use clap::{Parser, ValueEnum};
    use std::process::ExitCode;
    use std::time::Duration;

    /// What can be asked for.
    #[derive(Debug, Parser)]
    struct Options {
        /// What is measured [default: all of it]
        #[arg(value_enum)]
        parts: Vec<Part>,
        /// How often each picture is waited for; the median counts. Ports are guessed four times as often
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        /// Laboratories of the tables that work side by side
        #[arg(long, default_value_t = 4)]
        at_once: usize,
        /// How long the code waits, seconds
        #[arg(long, default_value_t = 300)]
        wait: u64,
        /// Cargo's own word for "measure": without it (`cargo test --all-targets`) nothing is done
        #[arg(long, hide = true)]
        bench: bool,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
    enum Part {
        Relay,
        Alone,
        Punch,
        Picture,
        Said,
        Wait,
    }

    pub(super) fn main() -> ExitCode {
        let options = Options::parse();
        if !options.bench {
            return ExitCode::SUCCESS;
        }
        let asked = |part| options.parts.is_empty() || options.parts.contains(&part);
        let mut right = true;
        if asked(Part::Relay) {
            right &= matrix::measure(Servers::Relay, options.at_once);
            right &= more(options.at_once);
        }
        if asked(Part::Alone) {
            right &= matrix::measure(Servers::Stun, options.at_once);
        }
        if asked(Part::Punch) {
            right &= punch::measure(options.runs * 4, options.at_once);
        }
        if asked(Part::Picture) {
            picture::measure(options.runs);
        }
        if asked(Part::Said) {
            right &= said::measure(options.at_once);
        }
        if asked(Part::Wait) {
            right &= wait(Duration::from_secs(options.wait));
        }
        if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// What the table has no room for: the kernel's NAT, predictable ports, IPv6 beside IPv4.
    fn more(at_once: usize) -> bool {
        let both = |kind: Kind| Side { ipv6: true, ..kind.into() };
        let pairs: [(Side, Side); 6] = [
            (Kind::Linux.into(), Kind::Linux.into()),
            (Kind::LinuxRandom.into(), Kind::Linux.into()),
            (Kind::SymmetricSequential.into(), Kind::PortRestricted.into()),
            (both(Kind::Public), both(Kind::Symmetric)),
            (both(Kind::Symmetric), both(Kind::Public)),
            (both(Kind::Symmetric), both(Kind::Symmetric)),
        ];
        println!("\n## And some more\n");
        matrix::list(&pairs.map(|(a, b)| Scenario::new(a, b, Servers::Relay)), at_once)
    }

    /// A code that waits behind a NAT with random ports and a short memory.
    fn wait(waits: Duration) -> bool {
        let forgetful = Side { lifetime: Some(Duration::from_secs(30)), ..Kind::Symmetric.into() };
        let pairs = [(Kind::PortRestricted, Servers::Relay), (Kind::FullCone, Servers::Stun)];
        let scenarios =
            pairs.map(|(friend, servers)| Scenario { waits, ..Scenario::new(forgetful, friend, servers) });
        println!("\n## One code, answered after {} s behind a NAT with a memory of 30 s\n", waits.as_secs());
        matrix::list(&scenarios, scenarios.len())
    }
}
