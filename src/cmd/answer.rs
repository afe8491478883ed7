//! `p2pcall answer`.

use super::run::{self, Part, Screen};
use super::{scan, settings};
use crate::call::ending::Ending;
use crate::call::session;
use crate::cli::AnswerArgs;
use crate::code::paste::{self, MAX_PASTE, Pasted};
use crate::error::{Exit, Failure};
use std::io::{IsTerminal, Read};

/// Joins a call.
pub async fn run(args: AnswerArgs) -> Result<Exit, Failure> {
    settings::start_log(&args.call)?;
    let file = settings::config_file()?;
    let config = settings::call(&args.call, &file)?;
    let screen = Screen::new(&args.call, &file, Part::Answer, args.qr);
    let text = match (&args.code, &args.scan) {
        (Some(dash), _) if dash == "-" => standard_input()?,
        (Some(code), _) => code.clone(),
        (None, Some(place)) => scan::text(place)?,
        (None, None) if std::io::stdin().is_terminal() => {
            let asking = screen.asking();
            return run::call(asking, &config.media.clone(), move |line| async move {
                session::answer_when_asked(&config, line).await
            })
            .await;
        }
        (None, None) => standard_input()?,
    };
    let offer = paste::read_offer(&text)
        .map_err(|wrong| Failure::new(Exit::Usage, "bad_code", wrong.to_string(), ""))?;
    run::call(screen, &config.media.clone(), move |line| async move {
        match offer {
            Pasted::Offer(code) => session::answer(&config, code, line).await,
            Pasted::Sdp(sdp) => session::classic::answer(&config, sdp, line).await,
            // `read_offer` gives offers only.
            Pasted::Reply(_) => line.end(Ending::NobodyAnswered).await,
        }
    })
    .await
}

/// All of standard input, up to what a code may be.
pub(super) fn standard_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_PASTE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("Standard input can't be read: {error}."), ""))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
