//! Calls with a real Chromium, in both roles, by whole session descriptions; `tests/browser/call.mjs` plays the
//! other end and judges.

use std::path::Path;
use std::process::Command;

fn has(program: &str, question: &str) -> bool {
    Command::new(program).arg(question).output().is_ok_and(|output| output.status.success())
}

#[test]
fn sound_picture_and_text_go_both_ways_with_chromium_in_both_roles() {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    for (program, question) in [("node", "--version"), ("npm", "--version"), (chromium.as_str(), "--version")]
    {
        if !has(program, question) {
            println!("SKIPPED: {program} is not installed; scripts/test installs it");
            return;
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    if !folder.join("node_modules/playwright-core").exists() {
        let installed = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .status();
        assert!(installed.expect("npm runs").success(), "npm ci installs playwright-core");
    }
    let output =
        Command::new("node").arg("call.mjs").arg(env!("CARGO_BIN_EXE_p2pcall")).current_dir(&folder).output();
    let output = output.expect("node runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success() && out.contains("all calls went through"), "{err}");
}
