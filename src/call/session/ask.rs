//! I/O: an answerer without a code asks for it, until a usable one is pasted.

use super::{Line, answer, classic};
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, Command, Notice};
use crate::code::paste::{self, Pasted};
use crate::config::CallConfig;

/// Joins a call whose code is pasted first.
pub async fn answer_when_asked(config: &CallConfig, mut line: Line) -> Ending {
    loop {
        match line.commands.recv().await {
            Some(Command::Paste(text)) => match paste::read_offer(&text) {
                Ok(Pasted::Offer(code)) => return answer::answer(config, code, line).await,
                Ok(Pasted::Sdp(sdp)) => return classic::answer(config, sdp, line).await,
                Ok(Pasted::Reply(_)) => {}
                Err(wrong) => {
                    let notice = Notice { code: "bad_code", message: wrong.to_string(), help: String::new() };
                    line.emit(CallEvent::Warning(notice)).await;
                }
            },
            Some(Command::Hangup) | None => return line.end(Ending::HungUp { connected: false }).await,
            Some(_) => {}
        }
    }
}
