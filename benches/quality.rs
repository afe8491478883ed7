//! How good the sound is: speech (espeak-ng) through lossy networks and through a room, on a virtual clock,
//! judged by PESQ (ITU-T P.862.2, wideband). `scripts/bench sound` runs it and brings the Python that PESQ
//! needs, named in `P2PCALL_PESQ`.
//!
//! ```text
//! network   speech -> Encoder -> loss, jitter -> jitter buffer, Decoder -> PESQ, concealed, delay, kbit/s
//! echo      far speech -> room -> microphone (with near speech or without) -> echo canceller -> ERLE, PESQ
//! ```
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints, reads the clock, and stops where it cannot go on"
)]

mod quality {
    pub(crate) mod echo;
    pub(crate) mod judge;
    pub(crate) mod network;
    pub(crate) mod random;
    pub(crate) mod room;
    pub(crate) mod speech;
}

use clap::{Parser, ValueEnum};
use quality::{echo, network};

/// What can be asked for.
#[derive(Debug, Parser)]
struct Options {
    /// What is measured [default: all of it]
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// The bitrate of the sound, redundancy included, kbit/s
    #[arg(long, default_value_t = 56)]
    kbit: u32,
    /// How often each network is tried, each time with other losses
    #[arg(long, default_value_t = 3)]
    runs: u64,
    /// Cargo's own word for "measure": without it (`cargo test --all-targets`) nothing is done
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Loss and jitter
    Network,
    /// The echo canceller in a room
    Echo,
}

fn main() {
    let options = Options::parse();
    if !options.bench {
        return;
    }
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    if wanted(Part::Network) {
        network::measure(options.kbit, options.runs);
    }
    if wanted(Part::Echo) {
        echo::measure();
    }
}
