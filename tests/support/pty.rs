//! A pseudo-terminal, for a program that wants a screen.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

/// Both sides of a new pseudo-terminal of so many columns and rows.
///
/// # Errors
/// The kernel gives none.
pub(crate) fn pseudo_terminal(size: (u16, u16)) -> std::io::Result<(OwnedFd, File)> {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    tcsetwinsize(&ours, Winsize { ws_col: size.0, ws_row: size.1, ws_xpixel: 0, ws_ypixel: 0 })?;
    let name = ptsname(&ours, Vec::new())?;
    let path = OsStr::from_bytes(name.as_bytes());
    // Opened by a process with a terminal of its own it does not become that process's; std opens with CLOEXEC.
    let theirs = File::options().read(true).write(true).open(path)?;
    Ok((ours, theirs))
}

/// A program with that terminal, which is its own and not of whoever runs this: setsid (util-linux) sees to it. Of
/// the environment it has the path, a terminal in 24 bits, and no configuration.
///
/// # Errors
/// The terminal's handle cannot be shared.
pub(crate) fn command_on(theirs: &File, program: &str) -> std::io::Result<Command> {
    let stdio = || theirs.try_clone().map(Stdio::from);
    let mut command = Command::new("setsid");
    command.args(["--ctty", program]);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs([("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")]);
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
    Ok(command)
}
