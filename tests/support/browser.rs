//! A real Chromium, driven by the scripts of `tests/browser`.

use std::path::Path;
use std::process::Command;

fn has(program: &str, question: &str) -> bool {
    Command::new(program).arg(question).output().is_ok_and(|output| output.status.success())
}

/// Runs one of the scripts to its end, which must be a good one; `None`, loudly, where that can't be done.
pub(crate) fn run(project: &Path, script: &str, args: &[&str]) -> Option<String> {
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".into());
    for (program, question) in [("node", "--version"), ("npm", "--version"), (chromium.as_str(), "--version")]
    {
        if !has(program, question) {
            println!("SKIPPED: {program} is not installed; scripts/test installs it");
            return None;
        }
    }
    let folder = project.join("tests/browser");
    if !folder.join("node_modules/playwright-core").exists() {
        let installed = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--silent"])
            .current_dir(&folder)
            .status();
        assert!(installed.expect("npm runs").success(), "npm ci installs playwright-core");
    }
    let output = Command::new("node").arg(script).args(args).current_dir(&folder).output();
    let output = output.expect("node runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}{err}");
    Some(out.into_owned())
}
