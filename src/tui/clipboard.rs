//! Copying: through the desktop's own tool where there is one, which says whether it worked, and through the
//! terminal (OSC 52), which doesn't. Never holds up the screen.

use crate::tui::model::Copied;
use base64::Engine as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Terminals cut OSC 52 off at 100,000 bytes or so; this much text makes 99,992 of base64.
const OSC52_LIMIT: usize = 74_994;
/// A tool that takes longer hangs.
const TOOL_PATIENCE: Duration = Duration::from_secs(2);

/// A clipboard tool and its arguments.
pub type Tool = (&'static str, &'static [&'static str]);

/// The environment variable that says that a tool can work here, and the tool.
const TOOLS: &[(&str, Tool)] = &[
    ("WAYLAND_DISPLAY", ("wl-copy", &["--type", "text/plain"])),
    ("DISPLAY", ("xclip", &["-selection", "clipboard"])),
    ("DISPLAY", ("xsel", &["--clipboard", "--input"])),
    ("WSL_DISTRO_NAME", ("clip.exe", &[])),
];

/// The tool that can work in this environment, if any. `exists` says whether a program is in the path.
pub fn tool(env: impl Fn(&str) -> Option<String>, exists: impl Fn(&str) -> bool) -> Option<Tool> {
    // Over ssh the desktop's clipboard is the wrong one: it is the terminal's that the person pastes from.
    if env("SSH_CONNECTION").is_some_and(|value| !value.is_empty()) {
        return None;
    }
    if cfg!(target_os = "macos") {
        return Some(("pbcopy", &[]));
    }
    let there = |variable: &str| env(variable).is_some_and(|value| !value.is_empty());
    TOOLS.iter().find(|(variable, (program, _))| there(variable) && exists(program)).map(|(_, tool)| *tool)
}

/// The sequence that asks the terminal to copy; `None` when it is too long for one.
pub fn osc52(text: &str) -> Option<Vec<u8>> {
    (text.len() <= OSC52_LIMIT).then(|| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        format!("\x1b]52;c;{encoded}\x07").into_bytes()
    })
}

/// Whether a program is in the path.
pub fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(Path::new(program)).is_file())
}

/// Copies by the tool and says what became of it; `sent` is whether the terminal was asked too.
pub async fn copy(tool: Option<Tool>, text: String, sent: bool) -> Copied {
    let done = match tool {
        Some(tool) => tokio::time::timeout(TOOL_PATIENCE, run(tool, &text)).await.is_ok_and(|done| done),
        None => false,
    };
    match (done, sent) {
        (true, _) => Copied::Certain,
        (false, true) => Copied::ToTerminal,
        (false, false) => Copied::Failed,
    }
}

async fn run((program, arguments): Tool, text: &str) -> bool {
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return false };
    let Some(mut input) = child.stdin.take() else { return false };
    if input.write_all(text.as_bytes()).await.is_err() {
        return false;
    }
    drop(input);
    child.wait().await.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(env: &[&str], programs: &[&str]) -> Option<&'static str> {
        let tool =
            tool(|name| env.contains(&name).then(|| "1".to_owned()), |program| programs.contains(&program));
        tool.map(|(program, _)| program)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_tool_is_used_where_its_display_is() {
        let all = &["wl-copy", "xclip", "xsel", "clip.exe"];
        assert_eq!(found(&["WAYLAND_DISPLAY", "DISPLAY"], all), Some("wl-copy"));
        assert_eq!(found(&["WAYLAND_DISPLAY", "DISPLAY"], &["xsel"]), Some("xsel"));
        assert_eq!(found(&["WSL_DISTRO_NAME"], all), Some("clip.exe"));
        assert_eq!(found(&[], all), None);
        assert_eq!(found(&["DISPLAY", "SSH_CONNECTION"], all), None);
    }

    #[test]
    fn the_terminal_is_asked_only_for_what_it_takes() {
        assert_eq!(osc52("hi").as_deref(), Some(&b"\x1b]52;c;aGk=\x07"[..]));
        assert_eq!(osc52(&"x".repeat(OSC52_LIMIT)).map(|bytes| bytes.len()), Some(99_992 + 8));
        assert_eq!(osc52(&"x".repeat(OSC52_LIMIT + 1)), None);
    }

    #[tokio::test]
    async fn only_a_tool_that_succeeds_makes_a_copy_certain() {
        for (tool, sent, want) in [
            (Some(("cat", &[][..])), true, Copied::Certain),
            (Some(("false", &[][..])), true, Copied::ToTerminal),
            (Some(("no-such-program", &[][..])), false, Copied::Failed),
            (None, true, Copied::ToTerminal),
        ] {
            assert_eq!(copy(tool, "text".to_owned(), sent).await, want, "{tool:?}");
        }
    }
}
