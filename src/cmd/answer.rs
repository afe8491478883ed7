//! `p2pcall answer`.

use super::run::{self, Screen};
use super::settings;
use crate::call::session;
use crate::cli::AnswerArgs;
use crate::code::paste::{self, MAX_PASTE, Pasted};
use crate::error::{Exit, Failure};
use std::io::Read;

/// Joins a call.
pub async fn run(args: AnswerArgs) -> Result<Exit, Failure> {
    settings::start_log(&args.call)?;
    let file = settings::config_file()?;
    let config = settings::call(&args.call, &file)?;
    let text = match (&args.code, &args.scan) {
        (Some(dash), _) if dash == "-" => standard_input()?,
        (Some(code), _) => code.clone(),
        _ => standard_input()?,
    };
    let code = match paste::read_offer(&text)
        .map_err(|wrong| Failure::new(Exit::Usage, "bad_code", wrong.to_string(), ""))?
    {
        Pasted::Offer(code) => code,
        _ => return Err(Failure::usage("session descriptions come later", "")),
    };
    let screen = Screen::new(&args.call, &file, args.qr, args.qr_png);
    run::call(screen, move |line| async move { session::answer(&config, code, line).await }).await
}

/// All of standard input, up to what a code may be.
fn standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_PASTE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("Standard input can't be read: {error}."), ""))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
