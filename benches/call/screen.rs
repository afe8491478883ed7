//! How old the picture on a terminal is: one end sends the test card, the other draws it on a pseudo-terminal,
//! whose output is parsed, and the clock bar in it is read and compared with the clock.

use super::end::{BINARY, End, Trouble, await_end};
use super::figure::{Figure, Table, note, quantile, sorted};
use super::pair::SYNTHETIC;
use super::shown::{Reading, Shown};
use super::sound::pty::{command_on, pseudo_terminal};
use p2pcall::media::source::machine_clock;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::Read;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

/// The terminal's cells.
const SIZE: (u16, u16) = (100, 30);
/// Each call is watched so long, and its beginning left out.
const WATCHED: Duration = Duration::from_secs(7);
const SETTLING: Duration = Duration::from_secs(2);

/// Measures and prints.
pub(crate) fn measure(table: &mut Table, runs: u32) -> Result<(), Trouble> {
    watch(
        table,
        runs,
        &[],
        ["test card to 100x30 cells, middle of each run", "and its 95th of 100", "bytes a second"],
    )?;
    // A terminal behind ssh is sent no more than 250 kB/s.
    let ssh = [("SSH_TTY", "/dev/pts/0")];
    watch(
        table,
        runs,
        &ssh,
        ["the same as over ssh, middle of each run", "and its 95th of 100", "bytes a second"],
    )
}

fn watch(
    table: &mut Table,
    runs: u32,
    terminal: &[(&str, &str)],
    names: [&'static str; 3],
) -> Result<(), Trouble> {
    let calls = (0..runs).map(|_| call(terminal)).collect::<Result<Vec<Seen>, Trouble>>()?;
    let ages =
        |fraction| calls.iter().map(|seen| quantile(&sorted(&seen.ages), fraction)).collect::<Vec<_>>();
    let rates: Vec<f64> =
        calls.iter().map(|seen| seen.bytes as f64 / 1000.0 / seen.span.as_secs_f64()).collect();
    let [middle, tail, rate] = names;
    let milliseconds = |what, most| Figure { what, unit: "ms", most, digits: 0 };
    table.row(milliseconds(middle, None), &ages(0.5));
    table.row(milliseconds(tail, Some(60.0)), &ages(0.95));
    table.row(Figure { what: rate, unit: "kB/s", most: None, digits: 0 }, &rates);
    let sum = |count: fn(&Seen) -> usize| calls.iter().map(count).sum::<usize>();
    let sent: f64 = calls.iter().map(|seen| seen.span.as_secs_f64() * 30.0).sum();
    let (read, wrong, unreadable) =
        (sum(|seen| seen.ages.len()), sum(|seen| seen.wrong), sum(|seen| seen.unreadable));
    note(&format!("{read} of {sent:.0} pictures read, {wrong} wrongly; {unreadable} screens without a time"));
    Ok(())
}

/// What one call showed.
#[derive(Default)]
struct Seen {
    /// Of each picture whose time was read, ms.
    ages: Vec<f64>,
    /// Times that cannot be.
    wrong: usize,
    /// Screens whose bar showed no time.
    unreadable: usize,
    bytes: usize,
    /// For how long was counted.
    span: Duration,
}

fn call(terminal: &[(&str, &str)]) -> Result<Seen, Trouble> {
    let args: Vec<&str> = std::iter::once("offer").chain(SYNTHETIC).collect();
    let mut offerer = End::start(&args)?;
    let (_, code) = offerer.code()?;
    let (mut child, watcher) = answer_on_a_terminal(&code, terminal)?;
    let connected = offerer.connected();
    std::thread::sleep(WATCHED);
    // Fails only when it has ended.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    let ended = await_end(&mut child);
    let seen = watcher.join().map_err(|_| "the watcher panicked".to_owned())?;
    connected?;
    ended?;
    offerer.hang_up()?;
    seen
}

type Watcher = JoinHandle<Result<Seen, Trouble>>;

/// Starts `answer` on a new pseudo-terminal, which is its controlling one, and watches it.
fn answer_on_a_terminal(code: &str, terminal: &[(&str, &str)]) -> Result<(Child, Watcher), Trouble> {
    let (ours, theirs) = pseudo_terminal(SIZE).map_err(|error| format!("no pseudo-terminal: {error}"))?;
    let mut command = command_on(&theirs, BINARY).map_err(|error| error.to_string())?;
    command.args(["answer", code]).args(SYNTHETIC).envs(terminal.iter().copied());
    let child = command.spawn().map_err(|error| format!("setsid (of util-linux) does not start: {error}"))?;
    let watcher = std::thread::spawn(move || look(File::from(ours)));
    Ok((child, watcher))
}

/// Parses all that the terminal is sent until nobody writes any more, and reads every screen's clock bar.
fn look(mut output: File) -> Result<Seen, Trouble> {
    let (mut shown, mut seen, mut chunk) = (Shown::new(SIZE), Seen::default(), vec![0; 65_536]);
    let mut counted_from = None;
    // EIO, an error, is how the kernel says that the other side is closed.
    while let Ok(count @ 1..) = output.read(&mut chunk) {
        let complete = shown.feed(chunk.get(..count).unwrap_or_default());
        let now = machine_clock();
        let settled = counted_from.is_some_and(|from| now >= from);
        if let Some(from) = counted_from.filter(|_| settled) {
            seen.bytes += count;
            seen.span = now.saturating_sub(from);
        }
        if !complete {
            continue;
        }
        match shown.read(now) {
            Reading::Age(_) if counted_from.is_none() => counted_from = Some(now + SETTLING),
            _ if !settled => {}
            Reading::Age(age) => seen.ages.push(age),
            Reading::Same => {}
            Reading::Wrong => seen.wrong += 1,
            Reading::Unreadable => seen.unreadable += 1,
        }
    }
    if seen.ages.is_empty() {
        Err(format!("no clock bar on the screen:\n{}", shown.text()))
    } else {
        Ok(seen)
    }
}
