//! `p2pcall completions SHELL`.

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use clap::CommandFactory;

/// Prints the completion script.
pub fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "p2pcall", &mut std::io::stdout());
    Ok(Exit::Ok)
}
