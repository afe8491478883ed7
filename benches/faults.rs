//! Calls whose network, relay, sound server or friend fails in mid-call, in the laboratories of `tests/support` and
//! `tests/natlab`: how long the sound is away. `scripts/bench faults` runs it; needs root on Linux.
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::print_stdout,
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::panic,
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
#[expect(dead_code, reason = "its table is for other figures")]
mod figure;

#[cfg(target_os = "linux")]
#[path = "faults"]
mod faults {
    pub(crate) mod devices;
    pub(crate) mod ear;
    pub(crate) mod fault;
    pub(crate) mod file;
    pub(crate) mod rounds;
    pub(crate) mod row;
    pub(crate) mod stage;
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use super::faults::fault::{DIRECT_OPENS, FAULTS};
    use super::faults::{devices, file, rounds, row};
    use clap::Parser;
    use std::process::ExitCode;

    /// What can be asked for.
    #[derive(Debug, Parser)]
    struct Options {
        /// Which faults, by the first word of each [default: all]
        words: Vec<String>,
        /// One call through so many faults instead, with what it holds on the way
        #[arg(long)]
        rounds: Option<usize>,
        /// Cargo's own word for "measure": without it (`cargo test --all-targets`) nothing is done
        #[arg(long, hide = true)]
        bench: bool,
    }

    pub(super) fn main() -> ExitCode {
        let options = Options::parse();
        if options.bench && !measure(&options) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn measure(options: &Options) -> bool {
        if let Some(rounds) = options.rounds {
            return rounds::measure(rounds).unwrap_or(true);
        }
        let wanted = |word: &str| options.words.is_empty() || options.words.iter().any(|one| one == word);
        row::head();
        let mut met = true;
        for fault in FAULTS.iter().chain([&DIRECT_OPENS]).filter(|fault| wanted(fault.word)) {
            let Some(row) = row::measure(fault) else { return false };
            met &= row;
        }
        if wanted("devices") {
            met &= devices::measure().unwrap_or(true);
        }
        if wanted("file") {
            met &= file::measure().unwrap_or(true);
        }
        met
    }
}
