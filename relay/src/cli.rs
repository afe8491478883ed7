//! The command line's types, which are the configuration file's too. No behaviour but merging the two.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::server::Cidr;

/// A STUN and TURN relay for a spare server.
///
/// Without any option it serves UDP and TCP 3478 on every address, makes itself a secret, finds out its public
/// address and prints the link that lets you use it.
#[derive(Debug, Parser)]
#[command(name = "p2pcall-relay", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Options of `serve`.
    #[command(flatten)]
    pub(crate) serve: Options,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the relay (this is what happens without a command)
    Serve(Box<Options>),
    /// Print the owner's link again, with its QR
    Link(Box<Options>),
    /// Print one time-limited user and password, for a friend
    Credentials {
        /// How long it is good, such as 90m, 24h or 7d
        #[arg(long, default_value = "24h")]
        ttl: String,
        /// A name to know it by in the log
        #[arg(long)]
        name: Option<String>,
        /// Options of `serve`.
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Test a relay from this machine: every transport, login, an echo through it
    Check {
        /// The relay's link; without it, the relay of this machine
        link: Option<String>,
        /// One JSON object instead of text
        #[arg(long)]
        json: bool,
        /// Options of `serve`.
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Print the manual page
    Man,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which implementation serves UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BackendChoice {
    /// The batched one on Linux.
    #[default]
    Auto,
    /// Batched, one thread a core.
    Linux,
    /// Tokio.
    Portable,
}

/// What can be configured, by flag, by environment or in the file, under the same names.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody types")]
pub(crate) struct Options {
    /// Listen here for UDP and TCP [default: port 3478 on every address]
    #[arg(long, value_name = "ADDR:PORT", env = "P2PCALL_RELAY_LISTEN", value_delimiter = ',')]
    pub(crate) listen: Vec<SocketAddr>,
    /// No UDP
    #[arg(long, env = "P2PCALL_RELAY_NO_UDP")]
    pub(crate) no_udp: bool,
    /// No TCP
    #[arg(long, env = "P2PCALL_RELAY_NO_TCP")]
    pub(crate) no_tcp: bool,
    /// Listen here for TLS
    #[arg(long, value_name = "ADDR:PORT", env = "P2PCALL_RELAY_TLS", value_delimiter = ',')]
    pub(crate) tls: Vec<SocketAddr>,
    /// Certificate chain for TLS (PEM), read again when it changes [default: a key of its own, pinned in the link]
    #[arg(long, value_name = "PEM", requires = "key", env = "P2PCALL_RELAY_CERT")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key for TLS (PEM)
    #[arg(long, value_name = "PEM", requires = "cert", env = "P2PCALL_RELAY_KEY")]
    pub(crate) key: Option<PathBuf>,
    /// Relay from this address [default: the listening one, or the one of the default route]
    #[arg(long, value_name = "ADDR", env = "P2PCALL_RELAY_RELAY_IP", value_delimiter = ',')]
    pub(crate) relay_ip: Vec<IpAddr>,
    /// The public address, if this machine has another one [default: found out]
    #[arg(long, value_name = "PUBLIC[/PRIVATE]", env = "P2PCALL_RELAY_EXTERNAL_IP", value_delimiter = ',')]
    pub(crate) external_ip: Vec<String>,
    /// Ports of relayed addresses [default: 49152-65535]
    #[arg(long, value_name = "FIRST-LAST", env = "P2PCALL_RELAY_PORT_RANGE")]
    pub(crate) port_range: Option<String>,
    /// A second address of this machine, for NAT behavior discovery (RFC 5780)
    #[arg(long, value_name = "ADDR", env = "P2PCALL_RELAY_ALTERNATE_IP")]
    pub(crate) alternate_ip: Option<IpAddr>,
    /// The realm of users [default: p2p]
    #[arg(long, env = "P2PCALL_RELAY_REALM")]
    pub(crate) realm: Option<String>,
    /// A user; others on this machine can see it here: better in --users-file
    #[arg(
        long,
        value_name = "NAME:PASSWORD",
        env = "P2PCALL_RELAY_USER",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) user: Vec<String>,
    /// Users, one NAME:PASSWORD a line
    #[arg(long, value_name = "PATH", env = "P2PCALL_RELAY_USERS_FILE")]
    pub(crate) users_file: Option<PathBuf>,
    /// The secret behind time-limited credentials, one a line; the first makes links [default: made once]
    #[arg(long, value_name = "PATH", env = "P2PCALL_RELAY_SECRET_FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Let nobody reach these addresses
    #[arg(long, value_name = "CIDR", env = "P2PCALL_RELAY_DENY_PEER", value_delimiter = ',')]
    #[serde(deserialize_with = "networks")]
    pub(crate) deny_peer: Vec<Cidr>,
    /// Let clients reach these addresses, whatever else says no
    #[arg(long, value_name = "CIDR", env = "P2PCALL_RELAY_ALLOW_PEER", value_delimiter = ',')]
    #[serde(deserialize_with = "networks")]
    pub(crate) allow_peer: Vec<Cidr>,
    /// No doorbell: friends without an account cannot ring
    #[arg(long, env = "P2PCALL_RELAY_NO_DOORBELL")]
    pub(crate) no_doorbell: bool,
    /// No guests: friends without an account cannot log in for one call
    #[arg(long, env = "P2PCALL_RELAY_NO_GUEST")]
    pub(crate) no_guest: bool,
    /// Offer SHA-256 credentials (RFC 8489); replies to strangers get longer
    #[arg(long, env = "P2PCALL_RELAY_SHA256")]
    pub(crate) sha256: bool,
    /// Which implementation serves UDP [default: auto]
    #[arg(long, value_enum, env = "P2PCALL_RELAY_BACKEND")]
    pub(crate) backend: Option<BackendChoice>,
    /// Allocations at a time [default: as many as there are ports]
    #[arg(long, value_name = "N", env = "P2PCALL_RELAY_MAX_ALLOCATIONS")]
    pub(crate) max_allocations: Option<u32>,
    /// Allocations of one user at a time [default: no limit]
    #[arg(long, value_name = "N", env = "P2PCALL_RELAY_USER_QUOTA")]
    pub(crate) user_quota: Option<u32>,
    /// Allocations from one address at a time [default: no limit]
    #[arg(long, value_name = "N", env = "P2PCALL_RELAY_ADDRESS_QUOTA")]
    pub(crate) address_quota: Option<u32>,
    /// Bandwidth of one allocation, both directions together [default: no limit]
    #[arg(long, value_name = "KBIT", env = "P2PCALL_RELAY_MAX_BITRATE")]
    pub(crate) max_bitrate: Option<u32>,
    /// Replies per second to one /24 or /56 that has not logged in [default: 200]
    #[arg(long, value_name = "N", env = "P2PCALL_RELAY_STRANGER_RATE")]
    pub(crate) stranger_rate: Option<u32>,
    /// Threads for UDP [default: one a core]
    #[arg(long, value_name = "N", env = "P2PCALL_RELAY_THREADS")]
    pub(crate) threads: Option<usize>,
    /// What may be relayed in a calendar month, such as 1T/month; kept across restarts
    #[arg(long, value_name = "BYTES/month", env = "P2PCALL_RELAY_MAX_TRANSFER")]
    pub(crate) max_transfer: Option<String>,
    /// Serve /metrics (Prometheus) and /healthz here
    #[arg(long, value_name = "ADDR:PORT", env = "P2PCALL_RELAY_METRICS")]
    pub(crate) metrics: Option<SocketAddr>,
    /// How log lines look, on standard error [default: text]
    #[arg(long, value_enum, env = "P2PCALL_RELAY_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// How long to wait for calls to end after SIGTERM [default: 30s]
    #[arg(long, value_name = "TIME", env = "P2PCALL_RELAY_DRAIN")]
    pub(crate) drain: Option<String>,
    /// Where clients are sent while this relay drains
    #[arg(long, value_name = "ADDR:PORT", env = "P2PCALL_RELAY_ALTERNATE_SERVER")]
    pub(crate) alternate_server: Option<SocketAddr>,
    /// Where the secret, the own TLS key and the month's transfer are kept
    #[arg(long, value_name = "PATH", env = "P2PCALL_RELAY_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Configuration file (TOML), with the same names
    #[arg(long, value_name = "PATH", env = "P2PCALL_RELAY_CONFIG")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
}

fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Cidr>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

impl Options {
    /// What was typed, and from the file what was not.
    #[must_use]
    pub(crate) fn or(self, file: Self) -> Self {
        fn list<T>(typed: Vec<T>, file: Vec<T>) -> Vec<T> {
            if typed.is_empty() { file } else { typed }
        }
        Self {
            listen: list(self.listen, file.listen),
            no_udp: self.no_udp || file.no_udp,
            no_tcp: self.no_tcp || file.no_tcp,
            tls: list(self.tls, file.tls),
            cert: self.cert.or(file.cert),
            key: self.key.or(file.key),
            relay_ip: list(self.relay_ip, file.relay_ip),
            external_ip: list(self.external_ip, file.external_ip),
            port_range: self.port_range.or(file.port_range),
            alternate_ip: self.alternate_ip.or(file.alternate_ip),
            realm: self.realm.or(file.realm),
            user: list(self.user, file.user),
            users_file: self.users_file.or(file.users_file),
            secret_file: self.secret_file.or(file.secret_file),
            deny_peer: list(self.deny_peer, file.deny_peer),
            allow_peer: list(self.allow_peer, file.allow_peer),
            no_doorbell: self.no_doorbell || file.no_doorbell,
            no_guest: self.no_guest || file.no_guest,
            sha256: self.sha256 || file.sha256,
            backend: self.backend.or(file.backend),
            max_allocations: self.max_allocations.or(file.max_allocations),
            user_quota: self.user_quota.or(file.user_quota),
            address_quota: self.address_quota.or(file.address_quota),
            max_bitrate: self.max_bitrate.or(file.max_bitrate),
            stranger_rate: self.stranger_rate.or(file.stranger_rate),
            threads: self.threads.or(file.threads),
            max_transfer: self.max_transfer.or(file.max_transfer),
            metrics: self.metrics.or(file.metrics),
            log_format: self.log_format.or(file.log_format),
            drain: self.drain.or(file.drain),
            alternate_server: self.alternate_server.or(file.alternate_server),
            state_dir: self.state_dir.or(file.state_dir),
            config: self.config,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_work_with_and_without_serve() {
        let bare = Cli::try_parse_from(["p2pcall-relay", "--listen", "127.0.0.1:1", "--sha256"]).unwrap();
        assert!(bare.command.is_none() && bare.serve.sha256 && bare.serve.listen.len() == 1);
        let named =
            Cli::try_parse_from(["p2pcall-relay", "serve", "--user", "a:b", "--user", "c:d"]).unwrap();
        let Some(Command::Serve(options)) = named.command else { panic!("serve") };
        assert_eq!(options.user, ["a:b", "c:d"]);
    }

    #[test]
    fn the_file_has_the_same_names_and_what_is_typed_wins() {
        let file: Options = toml::from_str(
            "listen = ['127.0.0.1:9']\nuser-quota = 7\nno-guest = true\nallow-peer = ['10.0.0.0/8']\nrealm = 'file'",
        )
        .unwrap();
        let typed = Options { realm: Some("typed".into()), ..Options::default() };
        let both = typed.or(file);
        assert_eq!((both.realm.as_deref(), both.user_quota, both.no_guest), (Some("typed"), Some(7), true));
        assert!(toml::from_str::<Options>("lissen = []").is_err());
        assert!(toml::from_str::<Options>("deny-peer = ['x']").is_err());
    }
}
