//! `p2pcall completions SHELL`.

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use clap::CommandFactory;

/// Prints the completion script.
pub fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "p2pcall", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
