//! Calls with a real Chromium, in both roles, by whole session descriptions; `tests/browser/call.mjs` plays the
//! other end and judges.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "support/browser.rs"]
mod browser;

use std::path::Path;

#[test]
fn sound_picture_and_text_go_both_ways_with_chromium_in_both_roles() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = browser::run(project, "call.mjs", &[env!("CARGO_BIN_EXE_p2pcall")]);
    assert!(said.is_none_or(|said| said.contains("all calls went through")));
}
