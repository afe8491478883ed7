//! What can be typed: the clap types, and nothing else. Lasting flags also have a `P2PCALL_*` variable.
#![allow(rustdoc::broken_intra_doc_links, reason = "the comments are what --help prints, brackets and all")]

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

/// Private video calls between two terminals: one short code, end to end encrypted, nobody's server.
#[derive(Debug, Parser)]
#[command(name = "p2pcall", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a call: shows the code (and its QR) and waits for the friend
    Offer(OfferArgs),
    /// Join a call by its code; without CODE it asks for it
    Answer(AnswerArgs),
    /// A whole call on this machine, with a test card and a synthetic voice
    Demo(DemoArgs),
    /// Try this machine's microphone, speaker, camera and terminal, without a call
    Check(CheckArgs),
    /// What this network does to calls: which paths there are, and what to do (nat)
    #[command(visible_alias = "nat")]
    Diagnose(DiagnoseArgs),
    /// List what can be captured and played
    Devices(JsonArgs),
    /// Say what a code contains, without calling anyone
    Code(CodeArgs),
    /// Keep the relays that your calls use, and test them
    Relay(RelayArgs),
    /// Print the completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `p2pcall offer`.
#[derive(Debug, Args)]
pub struct OfferArgs {
    /// Options of the call.
    #[command(flatten)]
    pub call: CallArgs,
    /// How the code is shown.
    #[command(flatten)]
    pub qr: QrArgs,
}

/// `p2pcall answer`.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The code, with whatever was pasted around it; `-` reads standard input
    pub code: Option<String>,
    /// Read the code from a QR: the word `camera`, or a picture file
    #[arg(long, value_name = "camera|IMAGE", conflicts_with = "code")]
    pub scan: Option<String>,
    /// Options of the call.
    #[command(flatten)]
    pub call: CallArgs,
    /// How a reply code is shown.
    #[command(flatten)]
    pub qr: QrArgs,
}

/// How the code that this end makes is shown.
#[derive(Debug, Clone, Default, Args)]
pub struct QrArgs {
    /// Show the QR of this end's code: when it fits, always, or never
    #[arg(long, value_enum, default_value = "auto", env = "P2PCALL_QR")]
    pub qr: When,
    /// Also write the QR of this end's code to this PNG file
    #[arg(long, value_name = "PATH")]
    pub qr_png: Option<PathBuf>,
}

/// `p2pcall demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Options of the call.
    #[command(flatten)]
    pub call: CallArgs,
}

/// `p2pcall check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// Devices to check.
    #[command(flatten)]
    pub media: MediaArgs,
}

/// `p2pcall diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// STUN server, HOST:PORT, instead of the default public ones (repeat); one with RFC 5780 tells most
    #[arg(long, value_name = "HOST:PORT", env = "P2PCALL_STUN", value_delimiter = ',')]
    pub stun: Vec<String>,
    /// Relay to test instead of the configured ones, as for a call (repeat)
    #[arg(long, value_name = "LINK", env = "P2PCALL_RELAY", value_delimiter = ',', hide_env_values = true)]
    pub relay: Vec<String>,
    /// Use only this local address (repeat)
    #[arg(long, value_name = "ADDR", env = "P2PCALL_BIND", value_delimiter = ',')]
    pub bind: Vec<IpAddr>,
    /// Reach relays over TCP and TLS by this proxy, as a call would [default: $https_proxy or $ALL_PROXY]
    #[arg(long, value_name = "URL", env = "P2PCALL_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
    /// Also say which path to expect with the friend who made this code; `-` reads standard input
    #[arg(long, value_name = "CODE")]
    pub with: Option<String>,
    /// One JSON object on standard output
    #[arg(long, conflicts_with = "report")]
    pub json: bool,
    /// Without addresses and names, to show to others
    #[arg(long)]
    pub report: bool,
    /// How each line was found out
    #[arg(long)]
    pub explain: bool,
    /// Also measure how long the router keeps an unused mapping: five minutes
    #[arg(long)]
    pub long: bool,
}

/// Commands whose only option is `--json`.
#[derive(Debug, Args)]
pub struct JsonArgs {
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `p2pcall code`.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// The code, with whatever was pasted around it; `-` reads standard input
    pub code: String,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `p2pcall relay`.
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RelayCommand,
}

/// The subcommands of `p2pcall relay`.
#[derive(Debug, Subcommand)]
pub enum RelayCommand {
    /// Store a relay in the config file: all calls use it from then on
    Add {
        /// turn:[USER:PASSWORD@]HOST[:PORT][?secret=…], turns:… for TLS; `-` reads it from standard input
        link: String,
        /// What to call it [default: its host]
        #[arg(long)]
        name: Option<String>,
    },
    /// List the stored relays, without their secrets
    List,
    /// Forget a stored relay
    Remove {
        /// What it is called
        name: String,
    },
    /// Test relays from here: a verdict a line, and what to do; without LINK all that are stored
    Check {
        /// A link, the name of a stored relay, or `-` for a link on standard input (repeat)
        #[arg(value_name = "LINK", env = "P2PCALL_RELAY", value_delimiter = ',', hide_env_values = true)]
        relays: Vec<String>,
        /// Reach them over TCP and TLS by this proxy, as a call would [default: $https_proxy or $ALL_PROXY]
        #[arg(long, value_name = "URL", env = "P2PCALL_PROXY", hide_env_values = true)]
        proxy: Option<String>,
        /// One JSON object a relay on standard output
        #[arg(long)]
        json: bool,
    },
}

/// What is captured and played.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Sound and picture")]
pub struct MediaArgs {
    /// camera[:N], test, file:PATH or none [default: the camera if there is one, else test]
    #[arg(long, value_name = "SOURCE", env = "P2PCALL_VIDEO")]
    pub video: Option<String>,
    /// mic[:NAME], tone, file:PATH or none [default: the microphone if there is one, else none]
    #[arg(long, value_name = "SOURCE", env = "P2PCALL_AUDIO")]
    pub audio: Option<String>,
    /// default, NAME, file:PATH or none; file:PATH writes what would be heard as WAV
    #[arg(long, value_name = "SINK", env = "P2PCALL_SPEAKER")]
    pub speaker: Option<String>,
    /// file:PATH writes the decoded remote picture as Y4M
    #[arg(long, value_name = "SINK", env = "P2PCALL_VIDEO_OUT")]
    pub video_out: Option<String>,
    /// Frames a second of the own picture [default: 30]
    #[arg(long, value_name = "N", env = "P2PCALL_FPS", value_parser = clap::value_parser!(u32).range(1..=60))]
    pub fps: Option<u32>,
    /// Size of the own picture [default: 640x360]
    #[arg(long, value_name = "WxH", env = "P2PCALL_SIZE")]
    pub size: Option<String>,
    /// Sound and picture together, at the most, kbit/s [default: 600]
    #[arg(long, value_name = "KBIT", env = "P2PCALL_BITRATE", value_parser = clap::value_parser!(u32).range(24..=50_000))]
    pub bitrate: Option<u32>,
    /// You wear headphones: no echo to expect
    #[arg(long, env = "P2PCALL_HEADPHONES", value_parser = FalseyValueParser::new())]
    pub headphones: bool,
}

/// Where addresses come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// STUN server, HOST:PORT, instead of the default public ones (repeat)
    #[arg(long, value_name = "HOST:PORT", env = "P2PCALL_STUN", value_delimiter = ',')]
    pub stun: Vec<String>,
    /// Relay, turn:[USER:PASSWORD@]HOST[:PORT][?transport=udp|tcp] or turns:…, or ?secret=… (repeat)
    #[arg(long, value_name = "LINK", env = "P2PCALL_RELAY", value_delimiter = ',', hide_env_values = true)]
    pub relay: Vec<String>,
    /// Neither STUN nor relay: not one packet leaves but to the friend
    #[arg(long, env = "P2PCALL_NO_SERVERS", value_parser = FalseyValueParser::new())]
    pub no_servers: bool,
    /// Use relayed addresses only: hides your address from the friend
    #[arg(long, conflicts_with = "no_servers", env = "P2PCALL_RELAY_ONLY", value_parser = FalseyValueParser::new())]
    pub relay_only: bool,
    /// Use only this local address (repeat)
    #[arg(long, value_name = "ADDR", env = "P2PCALL_BIND", value_delimiter = ',')]
    pub bind: Vec<IpAddr>,
    /// Don't ask the router for a port (PCP, NAT-PMP, UPnP)
    #[arg(long, env = "P2PCALL_NO_PORTMAP", value_parser = FalseyValueParser::new())]
    pub no_portmap: bool,
    /// Reach relays over TCP and TLS by this proxy, http://HOST:PORT or socks5://HOST:PORT, with
    /// USER:PASSWORD@ if it wants them [default: $https_proxy or $ALL_PROXY, but for $no_proxy]
    #[arg(long, value_name = "URL", env = "P2PCALL_PROXY", hide_env_values = true)]
    pub proxy: Option<String>,
}

/// Options that offer, answer and demo share.
#[derive(Debug, Clone, Default, Args)]
pub struct CallArgs {
    /// What is captured and played.
    #[command(flatten)]
    pub media: MediaArgs,
    /// Where addresses come from.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// How the other side sees you [default: the login name]
    #[arg(long, env = "P2PCALL_NAME")]
    pub name: Option<String>,
    /// The classic exchange with any other WebRTC endpoint: a whole session description
    #[arg(long, env = "P2PCALL_SDP", value_parser = FalseyValueParser::new())]
    pub sdp: bool,
    /// How pictures are drawn
    #[arg(long, value_enum, env = "P2PCALL_RENDER")]
    pub render: Option<Render>,
    /// How many colours are used
    #[arg(long, value_enum, env = "P2PCALL_COLOR")]
    pub color: Option<Color>,
    /// Don't copy the invitation to the clipboard
    #[arg(long, env = "P2PCALL_NO_CLIPBOARD", value_parser = FalseyValueParser::new())]
    pub no_clipboard: bool,
    /// No full-screen display: plain lines on standard output, commands on standard input
    #[arg(long, env = "P2PCALL_HEADLESS", value_parser = FalseyValueParser::new())]
    pub headless: bool,
    /// One JSON object a line on standard output; implies --headless
    #[arg(long, env = "P2PCALL_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Let in whoever answered without being asked; implied by --headless
    #[arg(long, env = "P2PCALL_AUTO_ACCEPT", value_parser = FalseyValueParser::new())]
    pub auto_accept: bool,
    /// Hang up after so many seconds connected
    #[arg(long, value_name = "SECONDS", env = "P2PCALL_DURATION")]
    pub duration: Option<f64>,
    /// In mid-call, try so many seconds to get a lost connection back [default: 120]
    #[arg(long, value_name = "SECONDS", env = "P2PCALL_RECONNECT")]
    pub reconnect: Option<f64>,
    /// Keep the friend's files in this folder [default: the working directory]
    #[arg(long, value_name = "DIR", env = "P2PCALL_SAVE_TO")]
    pub save_to: Option<PathBuf>,
    /// Record both sides to this Matroska file, or to a new one in this folder, once connected; the friend is told, and
    /// sees it as long as it lasts
    #[arg(long, value_name = "PATH", env = "P2PCALL_RECORD")]
    pub record: Option<PathBuf>,
    /// Give up if not connected by then
    #[arg(long, value_name = "SECONDS", env = "P2PCALL_TIMEOUT")]
    pub timeout: Option<f64>,
    /// Write a log here (never to the screen)
    #[arg(long, value_name = "PATH", env = "P2PCALL_LOG_FILE")]
    pub log_file: Option<PathBuf>,
    /// More in the log (repeat)
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Only what is asked for on standard output
    #[arg(short, long)]
    pub quiet: bool,
}

/// auto, always or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Where it fits.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Render {
    /// The best the terminal says that it takes, or is known to draw.
    #[default]
    Auto,
    /// The kitty graphics protocol.
    Kitty,
    /// Sixel graphics.
    Sixel,
    /// Half blocks.
    Half,
    /// Block sextants.
    Sextant,
    /// Braille dots.
    Braille,
    /// Letters.
    Ascii,
}

/// How many colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// As many as the terminal says.
    #[default]
    Auto,
    /// 24 bits.
    True,
    /// The 256-colour palette.
    #[value(name = "256")]
    #[serde(rename = "256")]
    Palette,
    /// The 16 named colours.
    #[value(name = "16")]
    #[serde(rename = "16")]
    Named,
    /// None.
    Never,
}
