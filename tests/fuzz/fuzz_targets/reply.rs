//! The text of a reply: what is read can be written, and its call knows it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use p2pcall::code::{CallKeys, Pasted, ReplyCode, paste, text::reply_text};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Pasted::Reply(code)) = paste::read(&reply_text(bytes)) else { return };
    let keys = CallKeys::derive(b"an offer");
    let again = ReplyCode::new(code.reply().clone(), &keys).expect("what was read can be written");
    assert!(again.agrees(&keys) && again.reply() == code.reply());
});
