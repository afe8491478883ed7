//! `p2pcall diagnose`: what this network does to calls, measured within seconds.

use super::{answer, print, settings};
use crate::call::session::unix_seconds;
use crate::cli::{Color, DiagnoseArgs, NetworkArgs};
use crate::code::facts::Offer;
use crate::code::{Pasted, paste};
use crate::config::file::ConfigFile;
use crate::config::{NetworkConfig, settle};
use crate::error::{Exit, Failure};
use crate::nat::meet::{Ours, meeting};
use crate::nat::predict::predict;
use crate::nat::report::{Report, Style, Verdict};
use crate::nat::run::{self, Plan};
use std::io::{IsTerminal, Write};

/// Measures, and says what it means.
pub async fn run(args: DiagnoseArgs) -> Result<Exit, Failure> {
    let file = settings::config_file()?;
    let friend = args.with.as_deref().map(friend).transpose()?;
    let network = network(&args, &file)?;
    let default_servers = args.stun.is_empty() && file.stun.is_none();
    let plan = Plan { network, default_servers, long: args.long, unix: unix_seconds() };
    let progress = Progress { shown: !args.json && std::io::stderr().is_terminal() };
    let facts = run::run(&plan, |what| progress.say(what)).await;
    progress.clear();
    let facts = facts.map_err(|error| {
        Failure::new(Exit::Failure, "no_socket", format!("Nothing could be measured: {error}."), "")
    })?;
    let prediction = friend.map(|friend| predict(&meeting(&Ours::of(&facts), &friend)));
    let report = Report::new(facts, prediction);
    let color = std::io::stdout().is_terminal() && wants_color(&file);
    let style = Style { color, explain: args.explain };
    print(&match (args.json, args.report) {
        (true, _) => report.to_json(),
        (false, true) => report.to_public_text(),
        (false, false) => report.to_text(style),
    })?;
    Ok(match report.verdict {
        Verdict::Direct | Verdict::DirectIpv6 => Exit::Ok,
        Verdict::Relay => Exit::RelayNeeded,
        Verdict::RelayMissing => Exit::RelayMissing,
        Verdict::Offline => Exit::Offline,
    })
}

/// Whom to ask. What a call leaves out, `relay-only` say, is measured all the same: nobody is called.
fn network(args: &DiagnoseArgs, file: &ConfigFile) -> Result<NetworkConfig, Failure> {
    if file.no_servers == Some(true) && args.stun.is_empty() && args.relay.is_empty() {
        let message = "The config file says no-servers: there is nobody to ask.";
        return Err(Failure::usage(message, "Name a server with --stun HOST:PORT or --relay LINK."));
    }
    let file = ConfigFile { relay_only: None, no_servers: None, ..file.clone() };
    let typed = NetworkArgs {
        stun: args.stun.clone(),
        relay: args.relay.clone(),
        bind: args.bind.clone(),
        proxy: args.proxy.clone(),
        ..NetworkArgs::default()
    };
    settle::network(&typed, &file)
}

/// The friend's offer.
fn friend(text: &str) -> Result<Offer, Failure> {
    let text = if text == "-" { answer::standard_input()? } else { text.to_owned() };
    match paste::read_offer(&text) {
        Ok(Pasted::Offer(code)) => Ok(code.offer().clone()),
        Ok(_) => {
            let message = "A session description says nothing of its network.";
            Err(Failure::usage(message, "--with takes the code of `p2pcall offer`."))
        }
        Err(wrong) => Err(Failure::new(Exit::Usage, "bad_code", wrong.to_string(), "")),
    }
}

fn wants_color(file: &ConfigFile) -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && file.color != Some(Color::Never)
}

/// What goes on, in one line that is overwritten, where somebody watches.
struct Progress {
    shown: bool,
}

impl Progress {
    fn say(&self, what: &str) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K{what} …");
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
