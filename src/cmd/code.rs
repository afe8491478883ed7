//! `p2pcall code`: what a code says, without calling anyone.

use super::{answer, print};
use crate::call::session::unix_seconds;
use crate::cli::CodeArgs;
use crate::code::paste;
use crate::code::report::Report;
use crate::error::{Exit, Failure};

/// Prints what the code says.
pub fn run(args: &CodeArgs) -> Result<Exit, Failure> {
    let text = if args.code == "-" { answer::standard_input()? } else { args.code.clone() };
    let pasted =
        paste::read(&text).map_err(|wrong| Failure::new(Exit::Usage, "bad_code", wrong.to_string(), ""))?;
    let report = Report::new(&pasted, unix_seconds());
    print(&if args.json { report.to_json() + "\n" } else { report.to_text() })
}
