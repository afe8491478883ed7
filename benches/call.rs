//! What whole calls cost: real p2pcall processes over loopback, measured from outside. `scripts/bench call` runs
//! it; linux only, for it reads `/proc`.
//!
//! ```text
//! start     process started -> code; answer started -> connected, first picture, first sound
//! work      processor time and memory of each end of a call that runs, by /proc
//! long      memory, delay, sound against picture over hours
//! echo      far speech -> speaker -> room -> microphone -> back: what is left of it, through PulseAudio
//! ear       a microphone's sound -> network -> a speaker's, through PulseAudio: chirps, found in both
//! screen    test card -> H.264 -> network -> terminal output, parsed: the age of what is shown, by its clock bar
//! ```
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::print_stdout,
        clippy::disallowed_methods,
        reason = "a benchmark prints, and reads the clock"
    )
)]

#[cfg(target_os = "linux")]
mod call {
    pub(crate) mod ear;
    pub(crate) mod echo;
    pub(crate) mod end;
    pub(crate) mod figure;
    pub(crate) mod long;
    pub(crate) mod pair;
    #[path = "../quality/random.rs"]
    #[expect(dead_code, reason = "losses are for packets")]
    pub(crate) mod random;
    #[path = "../quality/room.rs"]
    pub(crate) mod room;
    pub(crate) mod screen;
    pub(crate) mod shown;
    #[path = "../quality/speech.rs"]
    #[expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
    pub(crate) mod speech;
    pub(crate) mod start;
    pub(crate) mod work;

    #[path = "../../tests/support"]
    #[allow(
        dead_code,
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "of the tests, which need other parts of it, and fail by panicking"
    )]
    pub(crate) mod sound {
        pub(crate) mod ear;
        pub(crate) mod pty;
        pub(crate) mod pulse;
        pub(crate) mod signal;
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use super::call::figure::Table;
    use super::call::{ear, echo, end::Trouble, long, screen, start, work};
    use clap::{Parser, ValueEnum};
    use std::process::ExitCode;
    use std::time::Duration;

    /// What can be asked for.
    #[derive(Debug, Parser)]
    struct Options {
        /// What is measured [default: all of it]
        #[arg(value_enum)]
        parts: Vec<Part>,
        /// How often each figure is taken; the median counts
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        runs: u32,
        /// How long each call runs whose processor time is taken, seconds
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
        seconds: u64,
        /// How long the call of `long` is watched, minutes; it is measured only when asked for by name
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
        minutes: u64,
        /// Cargo's own word for "measure": without it (`cargo test --all-targets`) nothing is done
        #[arg(long, hide = true)]
        bench: bool,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
    enum Part {
        Start,
        Work,
        Ear,
        Echo,
        Screen,
        Long,
    }

    /// A call with an echo takes three quarters of a minute, and hardly differs from the next.
    const MOST_ECHOES: u32 = 3;

    pub(super) fn main() -> ExitCode {
        let options = Options::parse();
        if !options.bench {
            return ExitCode::SUCCESS;
        }
        match measure(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(trouble) => {
                println!("bench: {trouble}");
                ExitCode::FAILURE
            }
        }
    }

    fn measure(options: &Options) -> Result<(), Trouble> {
        if options.parts == [Part::Long] {
            return long::measure(options.minutes);
        }
        let asked = |part| options.parts.is_empty() || options.parts.contains(&part);
        let mut table = Table::begin(options.runs);
        if asked(Part::Start) {
            start::measure(&mut table, options.runs)?;
        }
        if asked(Part::Work) {
            work::measure(&mut table, options.runs, Duration::from_secs(options.seconds))?;
        }
        if asked(Part::Ear) {
            ear::measure(&mut table, options.runs)?;
        }
        if asked(Part::Echo) {
            echo::measure(&mut table, options.runs.min(MOST_ECHOES))?;
        }
        if asked(Part::Screen) {
            screen::measure(&mut table, options.runs)?;
        }
        table.end();
        Ok(())
    }
}
