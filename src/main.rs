//! The `p2pcall` binary: parse, run, exit code.

use clap::Parser;
use p2pcall::cli::Cli;
use p2pcall::error::{Exit, Failure};
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "the last word of a program that failed")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("p2pcall: {failure}");
            failure.exit.into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().map_err(
            |error| Failure::new(Exit::Failure, "runtime", format!("No threads to run on: {error}."), ""),
        )?;
    let result = runtime.block_on(p2pcall::cmd::dispatch(cli));
    // A thread may still wait for standard input, which nobody can interrupt.
    runtime.shutdown_background();
    result
}
