//! `p2pcall relay`: the relays of the config file, and testing them. Secrets go into the file and nowhere else.

mod check;

use super::{answer, print};
use crate::cli::{RelayArgs, RelayCommand};
use crate::config::file::{self, ConfigFile};
use crate::config::{RelayLink, RelayLogin, relays};
use crate::error::{Exit, Failure};
use p2pcall_relay::link::BadLink;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Does what was asked.
pub async fn run(args: RelayArgs) -> Result<Exit, Failure> {
    match args.command {
        RelayCommand::Add { link, name } => add(&link, name.as_deref()),
        RelayCommand::List => list(),
        RelayCommand::Remove { name } => remove(&name),
        RelayCommand::Check { relays, proxy, json } => check::run(&relays, proxy, json).await,
    }
}

/// The config file: where it lies, its text, and what that says.
struct Stored {
    path: PathBuf,
    text: String,
    file: ConfigFile,
}

impl Stored {
    fn read() -> Result<Self, Failure> {
        let path = file::path(|name| std::env::var_os(name)).ok_or_else(|| {
            Failure::new(Exit::Failure, "config_file", "There is no place for a config file.", "Set HOME.")
        })?;
        let text = file::text(&path)?;
        let file = ConfigFile::parse(&text, &path)?;
        Ok(Self { path, text, file })
    }

    fn write(&self) -> Result<(), Failure> {
        file::write(&self.path, &self.text)
    }
}

fn add(link: &str, name: Option<&str>) -> Result<Exit, Failure> {
    let links = typed(link)?;
    let mut stored = Stored::read()?;
    let mut said = String::new();
    for link in links {
        let name = relays::name_for(&link, name, &stored.file.relays)?;
        stored.text = relays::with(&stored.text, &name, &link)?;
        let place = stored.path.display();
        let _ = writeln!(said, "Stored {link} as `{name}` in {place}, which only you can read.");
        if link.login == RelayLogin::None {
            said.push_str("It has neither USER:PASSWORD@ nor ?secret=: most relays refuse that.\n");
        }
        let _ = writeln!(said, "Calls use it from now on. To test it: p2pcall relay check {name}");
        stored.file.relays.insert(name, link.with_secrets());
    }
    stored.write()?;
    print(&said)
}

/// The link, or those on standard input: `p2pcall-relay link` prints one for TLS too, and a QR.
fn typed(text: &str) -> Result<Vec<RelayLink>, Failure> {
    if text != "-" {
        return Ok(vec![parse(text)?]);
    }
    let input = answer::standard_input()?;
    let links = input.lines().filter(|line| line.trim_start().to_ascii_lowercase().starts_with("turn"));
    let links: Vec<_> = links.map(parse).collect::<Result<_, _>>()?;
    match links.is_empty() {
        true => Ok(vec![parse(&input)?]),
        false => Ok(links),
    }
}

/// A link, as typed.
fn parse(text: &str) -> Result<RelayLink, Failure> {
    text.parse().map_err(|error: BadLink| {
        Failure::usage(
            format!("This is no relay's link: {error}."),
            "turn:HOST?secret=SECRET or turn:USER:PASSWORD@HOST, in quotes; turns: for TLS. `p2pcall-relay link` \
             prints that of your own.",
        )
    })
}

fn list() -> Result<Exit, Failure> {
    let relays = Stored::read()?.file.relays;
    if relays.is_empty() {
        return print("No relay is stored. `p2pcall relay add LINK` stores one.\n");
    }
    let width = relays.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, text) in &relays {
        let what = match text.parse::<RelayLink>() {
            Ok(link) => format!("{link}  ({})", login(&link)),
            Err(error) => format!("no link: {error}"),
        };
        let _ = writeln!(out, "{name:width$}  {what}");
    }
    print(&out)
}

fn login(link: &RelayLink) -> &'static str {
    match link.login {
        RelayLogin::None => "no login",
        RelayLogin::Password(_) => "user and password",
        RelayLogin::Secret(_) => "shared secret",
    }
}

fn remove(name: &str) -> Result<Exit, Failure> {
    let mut stored = Stored::read()?;
    if !stored.file.relays.contains_key(name) {
        return Err(relays::unknown(name, &stored.file.relays));
    }
    stored.text = relays::without(&stored.text, name)?;
    stored.write()?;
    print(&format!("Forgot the relay `{name}`: it is no longer in {}.\n", stored.path.display()))
}
