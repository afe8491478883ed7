//! Whatever somebody pastes: a code or the words that fit, never a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use p2pcall::code::{paste, report::Report};

fuzz_target!(|text: &str| match paste::read(text) {
    Ok(pasted) => assert!(!Report::new(&pasted, 0).to_text().contains('\u{1b}')),
    Err(wrong) => assert!(!wrong.to_string().is_empty()),
});
