//! `p2pcall man`: the manual page, made of the same texts as `--help`.

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use crate::tui::keys::TABLE;
use crate::tui::model::Place;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::io::Write;

/// What can be typed without a screen.
const COMMANDS: &str = ".SH COMMANDS\n\
With --headless or --json, each on a line of standard input; a line that is a code is taken as one.\n\
.IP \"/mute, /unmute\"\nThe microphone off, and on again.\n\
.IP \"/headphones on|off\"\nNo echo to cancel, or some.\n\
.IP \"/video on|off\"\nThe camera on or off.\n\
.IP \"/say TEXT\"\nA line of text for the friend.\n\
.IP \"/send PATH\"\nA file for the friend, who is asked.\n\
.IP \"/accept, /refuse\"\nWhoever answered is let in or not; in the call: the file that the friend offers is taken or not.\n\
.IP \"/record on [PATH], /record off\"\nBoth sides are recorded, once the friend\\(aqs screen says so, or no longer.\n\
.IP \"/verify\"\nThe safety words were compared and agree.\n\
.IP \"/stats, /hangup\"\nA line of statistics now; the end of the call.\n";

/// What `--help` has no place for.
const CODES: &str = ".SH EXIT STATUS\n\
.IP 0\nThe call took place and ended well, or the command did what it was asked.\n\
.IP 1\nAny other failure.\n\
.IP 2\nBad usage or a bad code.\n\
.IP 3\nNo connection: nobody answered, or there is no path; the message says which.\n\
.IP 4\nThe call was lost after it had connected and could not be recovered.\n\
.IP 5\nA device asked for by name is not there.\n\
.IP 130\nCtrl-C before it connected.\n\
.PP\nOf diagnose:\n\
.IP 0\nDirect calls are likely.\n\
.IP 10\nCalls need a relay, and one that works is configured.\n\
.IP 20\nCalls need a relay, and none works.\n\
.IP 30\nThere is no network.\n\
.SH FILES\n\
.I $XDG_CONFIG_HOME/p2pcall/config.toml\n\
holds the same names as the flags, without their dashes; relays stand under [relays] by name (`p2pcall relay` keeps them).\n\
.SH ENVIRONMENT\n\
Where --help names one, a flag has a variable, too, P2PCALL_ and its name: P2PCALL_NAME, P2PCALL_RELAY and so on. \
A flag wins over its variable, the variable over the file.\n";

/// Prints the manual page.
pub fn run() -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failure, "stdout", format!("The page could not be written: {error}."), "")
    };
    let mut page = Vec::new();
    let command = Cli::command();
    Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        options(subcommand, "p2pcall", &mut page).map_err(failed)?;
    }
    keys(&mut page).map_err(failed)?;
    page.extend_from_slice(COMMANDS.as_bytes());
    page.extend_from_slice(CODES.as_bytes());
    super::print(&String::from_utf8_lossy(&page))
}

/// The keys of a call, from the table that the screen's help is printed from.
fn keys(page: &mut Vec<u8>) -> std::io::Result<()> {
    writeln!(page, ".SH KEYS IN A CALL")?;
    for line in TABLE.iter().filter(|line| line.works_in(Place::Call)) {
        writeln!(page, ".IP \"{}\" 14\n{}", line.keys_text(), line.help.replace('-', "\\-"))?;
    }
    Ok(())
}

/// One subcommand's options as a section of their own, and those of its own subcommands.
fn options(command: &Command, parent: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let name = format!("{parent} {}", command.get_name());
    writeln!(page, ".SH {}", name.to_uppercase())?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}", about.replace('-', "\\-"))?;
    let plain = command.clone().disable_help_flag(true).disable_version_flag(true);
    Man::new(plain).render_options_section(page)?;
    command.get_subcommands().try_for_each(|one| options(one, &name, page))
}
