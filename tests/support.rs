//! What several integration tests need.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, waits by the clock, and says aloud what it skips"
)]

pub(crate) mod coturn;
#[cfg(target_os = "linux")]
pub(crate) mod ear;
pub(crate) mod film;
#[cfg(target_os = "linux")]
pub(crate) mod lab;
pub(crate) mod own_relay;
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod pulse;
pub(crate) mod signal;
pub(crate) mod stranger;

/// Says what was measured, for whoever runs the tests with `--nocapture`.
pub(crate) fn measured(what: &str, took: std::time::Duration) {
    println!("measured: {what}: {} ms", took.as_millis());
}

#[cfg(target_os = "linux")]
impl lab::Lab {
    /// A p2pcall on one of its machines, without devices.
    pub(crate) fn p2pcall(&self, machine: &str, args: &[&str]) -> process::Process {
        self.start(machine, args, &["--video", "none", "--audio", "none", "--speaker", "none"])
    }

    /// The same with something to send.
    pub(crate) fn p2pcall_with_a_tone(&self, machine: &str, args: &[&str]) -> process::Process {
        self.start(machine, args, &["--video", "none", "--audio", "tone", "--speaker", "none"])
    }

    /// The same with this sound and picture.
    pub(crate) fn start(&self, machine: &str, args: &[&str], media: &[&str]) -> process::Process {
        self.start_with(machine, &[], &[args, media].concat())
    }

    /// A p2pcall on one of its machines, with some variables in its environment.
    pub(crate) fn start_with(
        &self,
        machine: &str,
        environment: &[(&str, std::path::PathBuf)],
        args: &[&str],
    ) -> process::Process {
        let before = self.before(machine);
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        process::Process::start_with(environment, &before, args)
    }
}
