//! `p2pcall offer`.

use super::run::{self, Part, Screen};
use super::settings;
use crate::call::session;
use crate::cli::OfferArgs;
use crate::config::settle;
use crate::error::{Exit, Failure};

/// Makes a call.
pub async fn run(args: OfferArgs) -> Result<Exit, Failure> {
    settings::start_log(&args.call)?;
    let file = settings::config_file()?;
    let config = settings::call(&args.call, &file)?;
    settle::can_offer(&config.network)?;
    let screen = Screen::new(&args.call, &file, Part::Offer, args.qr);
    run::call(screen, &config.media.clone(), move |line| async move {
        match config.sdp {
            true => session::classic::offer(&config, line).await,
            false => session::offer(&config, line).await,
        }
    })
    .await
}
