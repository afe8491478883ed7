//! The config file and the environment, read once, and the log.

use crate::cli::CallArgs;
use crate::config::CallConfig;
use crate::config::file::{self, ConfigFile};
use crate::config::settle;
use crate::error::{Exit, Failure};
use crate::media;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// The config file, wherever it lies; where it names no proxy, the environment may.
pub fn config_file() -> Result<ConfigFile, Failure> {
    let mut file = file::path(|name| std::env::var_os(name))
        .map_or_else(|| Ok(ConfigFile::default()), |path| ConfigFile::read(&path))?;
    file.proxy = file.proxy.or_else(|| variable(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]));
    file.no_proxy = variable(&["no_proxy", "NO_PROXY"]);
    Ok(file)
}

/// The first of these variables that says something.
fn variable(names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

/// A call's settings.
pub fn call(args: &CallArgs, file: &ConfigFile) -> Result<CallConfig, Failure> {
    let login = std::env::var("USER").or_else(|_| std::env::var("USERNAME")).unwrap_or_default();
    let config = settle::call(args, file, &login)?;
    config.record.as_deref().map_or(Ok(()), can_record)?;
    can_keep(&config.save_to)?;
    Ok(config)
}

/// Where files are kept is a folder, or becomes one.
fn can_keep(folder: &Path) -> Result<(), Failure> {
    if folder.is_dir() || !folder.exists() {
        return Ok(());
    }
    let message = format!("Files cannot be kept in {}: that is no folder.", folder.display());
    Err(Failure::new(Exit::Failure, "save_to", message, "Give --save-to a folder."))
}

/// Better said before the call than in it.
fn can_record(path: &Path) -> Result<(), Failure> {
    if path.is_dir() || media::has_place(path) {
        return Ok(());
    }
    let message = format!("Nothing can be recorded to {}: there is no such folder.", path.display());
    Err(Failure::new(
        Exit::Failure,
        "record_file",
        message,
        "Give --record a file in a folder that is there.",
    ))
}

/// Starts the log, each line with the seconds since then: to a file, or (without a screen, when asked for with -v) to
/// standard error.
#[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
pub fn start_log(args: &CallArgs) -> Result<(), Failure> {
    let level = match args.verbose {
        0 if args.log_file.is_none() => return Ok(()),
        0 => log::LevelFilter::Info,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    let target = match &args.log_file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                let message = format!("The log file {} can't be written: {error}.", path.display());
                Failure::new(Exit::Failure, "log_file", message, "Check --log-file.")
            })?;
            env_logger::Target::Pipe(Box::new(file))
        }
        None if args.headless || args.json => env_logger::Target::Stderr,
        None => {
            return Err(Failure::usage(
                "-v needs --log-file: the screen is the call's.",
                "Add --log-file PATH.",
            ));
        }
    };
    // The stack's own chatter only when everything is wanted: its errors print whole packets.
    let others = if args.verbose > 1 { level } else { log::LevelFilter::Error };
    let began = Instant::now();
    env_logger::Builder::new()
        .filter_level(others)
        .filter_module("p2pcall", level)
        .target(target)
        .format(move |line, record| {
            let (level, module) = (record.level(), record.target());
            writeln!(line, "[{:8.3} {level:5} {module}] {}", began.elapsed().as_secs_f64(), record.args())
        })
        .init();
    Ok(())
}
