//! The `p2pcall-relay` program: one function a subcommand, and the exit code.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::check;
use crate::cli::{Cli, Command, Options};
use crate::config::{self, BadOption};
use crate::link::{BadLink, Link, Login};
use crate::machine;
use crate::net::{StartError, now};
use crate::owner::Reach;
use crate::serve;
use crate::server::time_limited;
use crate::state::State;

/// Why the program ends with something else than 0, in a line that a person can act on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    code: u8,
}

impl Failure {
    /// Something went wrong: exit code 1.
    pub(crate) fn run(message: String) -> Self {
        Self { message, code: 1 }
    }

    /// It was asked for wrongly: exit code 2.
    fn usage(message: String) -> Self {
        Self { message, code: 2 }
    }
}

impl From<BadOption> for Failure {
    fn from(error: BadOption) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::run(error.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let hint = match &error {
            StartError::Listen { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => "; another program has this port, see `ss -lunpt`",
                std::io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
                std::io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
                _ => "",
            },
            _ => "",
        };
        Self::run(format!("{error}{hint}"))
    }
}

/// Parses, runs, and turns what came of it into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "p2pcall-relay: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    match cli.command.unwrap_or_else(|| Command::Serve(Box::new(cli.serve))) {
        Command::Serve(options) => block_on(&options, serve::serve(options.as_ref().clone()))?,
        Command::Link(options) => block_on(&options, link(&options))?,
        Command::Credentials { ttl, name, options } => credentials(&ttl, name.as_deref(), &options)?,
        Command::Check { link, json, options } => return block_on(&options, check(link, json, &options)),
        Command::Man => clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "p2pcall-relay", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs on as many threads as the portable backend may use; the batched one has its own.
fn block_on<T>(options: &Options, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let portable = options.backend == Some(crate::cli::BackendChoice::Portable) || !cfg!(target_os = "linux");
    let runtime = if portable {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(serve::threads(options))
            .enable_all()
            .build()?
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?
    };
    runtime.block_on(future)
}

/// What was typed and what the file says.
pub(crate) fn read_options(typed: &Options) -> Result<Options, Failure> {
    let default = Path::new("/etc/p2pcall-relay.toml");
    let path = match &typed.config {
        Some(path) => path.as_path(),
        None if default.exists() => default,
        None => return Ok(typed.clone()),
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::run(format!("{}: {error}", path.display())))?;
    let file: Options =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(typed.clone().or(file))
}

async fn link(typed: &Options) -> Result<(), Failure> {
    let options = read_options(typed)?;
    let state = State::open(options.state_dir.as_deref())?;
    let (_, login, _) = serve::credentials(&options, &state)?;
    let certificate = serve::certificate(&options, &state)?;
    let reach = reach(&options).await?;
    serve::print_links(&mut std::io::stdout().lock(), &reach, &login, certificate.as_deref())?;
    Ok(())
}

/// Where a relay with these options is reached.
pub(crate) async fn reach(options: &Options) -> Result<Reach, Failure> {
    let settings = serve::settings(options).await?;
    let udp: Vec<_> =
        settings.listeners.iter().filter(|l| !l.optional).map(|listener| listener.local).collect();
    let tcp = if options.no_tcp { Vec::new() } else { config::listen(options, &machine::look()) };
    Ok(Reach {
        udp: serve::best(&settings, &udp),
        tcp: serve::best(&settings, &tcp),
        tls: serve::best(&settings, &options.tls),
    })
}

fn credentials(ttl: &str, name: Option<&str>, typed: &Options) -> Result<(), Failure> {
    let options = read_options(typed)?;
    let seconds = config::duration("ttl", ttl)?.as_secs();
    let state = State::open(options.state_dir.as_deref())?;
    let (_, login, _) = serve::credentials(&options, &state)?;
    let Login::Secret(secret) = login else {
        return Err(Failure::run(
            "this relay has users but no secret; give it one with --secret-file".to_owned(),
        ));
    };
    let credential = time_limited(&secret, now().unix.saturating_add(seconds), name);
    let mut out = std::io::stdout().lock();
    writeln!(out, "user {}\npassword {}", credential.user, credential.password)?;
    Ok(())
}

/// Tests the relay of the link, or this machine's own.
async fn check(link: Option<String>, json: bool, typed: &Options) -> Result<ExitCode, Failure> {
    let link: Link = if let Some(link) = link {
        link.parse().map_err(|error: BadLink| Failure::usage(error.to_string()))?
    } else {
        let options = read_options(typed)?;
        let state = State::open(options.state_dir.as_deref())?;
        let (_, login, _) = serve::credentials(&options, &state)?;
        let links = reach(&options).await?.links(&login, None);
        links.into_iter().next().ok_or_else(|| Failure::run("this relay listens nowhere".to_owned()))?
    };
    let mut out = std::io::stdout();
    let terminal = out.is_terminal();
    let report = check::run(&link, now().unix, |progress| {
        if !json {
            // Whoever closed standard output does not want to read this.
            let _ = progress.write(&mut out, terminal);
        }
    })
    .await;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", report.json())?;
    } else {
        writeln!(out, "{}", report.summary())?;
    }
    Ok(if report.works() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
