//! One file a subcommand: what was typed -> finished settings -> who does it. Knows how nothing works.

pub mod answer;
pub mod completions;
pub mod man;
pub mod offer;
pub mod run;
pub mod scan;
pub mod settings;

use crate::cli::{Cli, Command};
use crate::error::{Exit, Failure};

/// Does what was typed.
pub async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Offer(args) => offer::run(args).await,
        Command::Answer(args) => answer::run(args).await,
        Command::Completions { shell } => completions::run(shell),
        Command::Man => man::run(),
        _ => Err(Failure::usage("not yet", "")),
    }
}
