//! One file a subcommand: what was typed -> finished settings -> who does it. Knows how nothing works.

pub mod answer;
pub mod check;
pub mod code;
pub mod completions;
pub mod demo;
pub mod devices;
pub mod diagnose;
pub mod man;
pub mod offer;
pub mod relay;
pub mod run;
pub mod scan;
pub mod settings;

use crate::cli::{Cli, Command};
use crate::error::{Exit, Failure};

/// Does what was typed.
pub async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Offer(args) => Box::pin(offer::run(args)).await,
        Command::Answer(args) => Box::pin(answer::run(args)).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Devices(args) => devices::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Diagnose(args) => Box::pin(diagnose::run(args)).await,
        Command::Code(args) => code::run(&args),
        Command::Relay(args) => relay::run(args).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Man => man::run(),
    }
}

/// Writes a finished text to standard output; whoever stopped reading has read enough.
fn print(text: &str) -> Result<Exit, Failure> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
            Exit::Failure,
            "stdout",
            format!("Standard output can't be written: {error}."),
            "",
        )),
        _ => Ok(Exit::Ok),
    }
}
