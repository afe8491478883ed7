//! From options to a plan: reads secrets, finds out addresses; and tells the owner how it came out.

use std::io::{IsTerminal as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use crate::cli::{BackendChoice, Options};
use crate::config::{self, DEFAULT_REALM};
use crate::link::Login;
use crate::machine;
use crate::net::tls::CertificateStore;
use crate::net::{Backend, Plan, Relay};
use crate::owner::{Reach, qr};
use crate::program::{Failure, read_options};
use crate::server::{Credential, Credentials, RelayIp, Settings};
use crate::state::State;

/// Everything found out before the first socket is opened.
pub(crate) struct Prepared {
    pub(crate) options: Options,
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) login: Login,
    pub(crate) new_secret: bool,
}

/// Reads configuration and secrets, looks at the machine, finds out the public address.
pub(crate) async fn prepare(typed: &Options) -> Result<Prepared, Failure> {
    let options = read_options(typed)?;
    let state = State::open(options.state_dir.as_deref())?;
    let (credentials, login, new_secret) = credentials(&options, &state)?;
    let settings = settings(&options).await?;
    let certificate = certificate(&options, &state)?;
    let listen = config::listen(&options, &machine::look());
    let plan = Plan {
        settings,
        credentials,
        tcp: if options.no_tcp { Vec::new() } else { listen },
        tls: options.tls.clone(),
        certificate,
        backend: match options.backend.unwrap_or_default() {
            BackendChoice::Auto => Backend::Auto,
            BackendChoice::Linux => Backend::Linux,
            BackendChoice::Portable => Backend::Portable,
        },
        threads: threads(&options),
        events: Arc::new(|_| {}),
    };
    Ok(Prepared { options, plan, state, login, new_secret })
}

/// `--threads`, or one a core.
pub(crate) fn threads(options: &Options) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    options.threads.unwrap_or(cores).clamp(1, 32)
}

/// Settings for this machine, public address included.
pub(crate) async fn settings(options: &Options) -> Result<Settings, Failure> {
    let machine = machine::look();
    let locals = config::relay_ips(options, &machine);
    let named = config::external(options, &locals, &[])?;
    let unknown: Vec<IpAddr> =
        named.iter().filter(|relay| relay.local == relay.external).map(|relay| relay.local).collect();
    let found = machine::public(&unknown).await;
    let relays: Vec<RelayIp> = config::external(options, &locals, &found)?;
    Ok(config::settings(options, &machine, relays)?)
}

/// Users and secrets; with neither, a secret of its own. And how the owner logs in.
pub(crate) fn credentials(options: &Options, state: &State) -> Result<(Credentials, Login, bool), Failure> {
    let mut users = config::users("user", options.user.iter().map(String::as_str))?;
    if let Some(path) = &options.users_file {
        users.extend(config::users("users-file", read(path)?.lines())?);
    }
    let mut secrets: Vec<String> = Vec::new();
    if let Some(path) = &options.secret_file {
        secrets.extend(read(path)?.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if secrets.is_empty() {
            return Err(Failure::run(format!("{}: there is no secret in it", path.display())));
        }
    }
    if let Some(secret) = std::env::var("P2PCALL_RELAY_SECRET").ok().filter(|secret| !secret.is_empty()) {
        secrets.push(secret);
    }
    let mut new = false;
    if users.is_empty() && secrets.is_empty() {
        // Never an open relay: without anybody named there is a secret that only the owner gets to see.
        let (secret, made) = state.secret()?;
        secrets.push(secret);
        new = made;
    }
    let login = match (secrets.first(), users.first()) {
        (Some(secret), _) => Login::Secret(secret.clone()),
        (None, Some(user)) => Login::Password(Credential::clone(user)),
        (None, None) => Login::None,
    };
    let realm = options.realm.as_deref().unwrap_or(DEFAULT_REALM);
    Ok((Credentials::new(realm, &users, secrets), login, new))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::run(format!("{}: {error}", path.display())))
}

/// The certificate, where TLS is wanted.
pub(crate) fn certificate(
    options: &Options,
    state: &State,
) -> Result<Option<Arc<CertificateStore>>, Failure> {
    if options.tls.is_empty() {
        return Ok(None);
    }
    let store = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => CertificateStore::from_files(cert, key),
        _ => CertificateStore::own(state.directory()),
    };
    Ok(Some(Arc::new(store.map_err(|error| Failure::run(error.to_string()))?)))
}

/// A local address as seen from outside.
fn outside(settings: &Settings, local: SocketAddr) -> SocketAddr {
    let same = settings.peers.relays.iter().find(|relay| relay.local == local.ip());
    let family = settings.peers.relays.iter().find(|relay| relay.local.is_ipv4() == local.is_ipv4());
    let ip = match same.or(family.filter(|_| local.ip().is_unspecified())) {
        Some(relay) => relay.external,
        None => local.ip(),
    };
    SocketAddr::new(ip, local.port())
}

/// The best of several addresses: one that relays, IPv4 first.
pub(crate) fn best(settings: &Settings, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let relays = &settings.peers.relays;
    let rank = |address: &&SocketAddr| {
        let ip = address.ip();
        let known = ip.is_unspecified() || relays.iter().any(|relay| relay.local == ip);
        (!known, !address.is_ipv4())
    };
    addresses.iter().min_by_key(rank).map(|&address| outside(settings, address))
}

/// Prints links, firewall hints and the line that says ready.
pub(crate) fn announce(
    relay: &Relay,
    settings: &Settings,
    login: &Login,
    certificate: Option<&CertificateStore>,
    new_secret: bool,
) {
    let reach = Reach {
        udp: best(settings, relay.udp()),
        tcp: best(settings, relay.tcp()),
        tls: best(settings, relay.tls()),
    };
    let mut out = std::io::stdout().lock();
    // Whoever closed standard output does not want to read this; the relay runs all the same.
    let _ = match print_all(&mut out, &reach, settings, login, certificate, new_secret) {
        Ok(()) => out.flush(),
        Err(error) => Err(error),
    };
}

fn print_all(
    out: &mut impl std::io::Write,
    reach: &Reach,
    settings: &Settings,
    login: &Login,
    certificate: Option<&CertificateStore>,
    new_secret: bool,
) -> std::io::Result<()> {
    // The link holds the secret: it is shown to a person, or once to whoever started it, but never to a journal.
    if std::io::stdout().is_terminal() || (new_secret && !into_journal()) {
        print_links(out, reach, login, certificate)?;
        writeln!(out, "{}", reach.firewall((!settings.listeners.is_empty()).then_some(&settings.ports)))?;
        writeln!(out, "For a friend who wants an account: p2pcall-relay credentials")?;
    }
    writeln!(out, "{}", reach.ready())
}

/// Whether standard output is systemd's journal, which more people read than may use the relay: `JOURNAL_STREAM`
/// says which device and inode that is (systemd.exec(5)).
#[cfg(target_os = "linux")]
fn into_journal() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let output = std::fs::metadata("/proc/self/fd/1");
    let output = output.map(|output| format!("{}:{}", output.dev(), output.ino()));
    matches!((std::env::var("JOURNAL_STREAM"), output), (Ok(journal), Ok(output)) if journal == output)
}

#[cfg(not(target_os = "linux"))]
fn into_journal() -> bool {
    false
}

/// Prints the owner's links, the first with its QR where somebody can scan it.
pub(crate) fn print_links(
    out: &mut impl std::io::Write,
    reach: &Reach,
    login: &Login,
    certificate: Option<&CertificateStore>,
) -> std::io::Result<()> {
    let pin = certificate.and_then(CertificateStore::pin);
    let links = reach.links(login, pin);
    for link in &links {
        writeln!(out, "{}", link.with_secrets())?;
    }
    if let Some(code) = links.first().and_then(|link| qr(&link.with_secrets())) {
        write!(out, "{code}")?;
    }
    Ok(())
}
