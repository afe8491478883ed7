//! What a call that runs costs each end: processor time and memory, as the kernel counts them.

use super::end::Trouble;
use super::figure::{Figure, Table};
use super::pair::{Pair, SYNTHETIC};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Before this long the call is still finding its pace.
const SETTLING: Duration = Duration::from_secs(2);
/// Linux counts processor time for programs in hundredths of a second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Measures and prints.
pub(crate) fn measure(table: &mut Table, runs: u32, span: Duration) -> Result<(), Trouble> {
    let synthetic = SYNTHETIC.map(str::to_owned);
    rows(table, &costs(runs, span, &synthetic)?, ["processor an end, test card and tone", "memory (peak)"]);
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let files = files(folder.path())?;
    rows(
        table,
        &costs(runs, span, &files)?,
        ["processor an end, film and speech from files", "memory (peak)"],
    );
    Ok(())
}

fn rows(table: &mut Table, costs: &[Cost], [processor, memory]: [&'static str; 2]) {
    let column = |value: fn(&Cost) -> f64| costs.iter().map(value).collect::<Vec<_>>();
    table.row(
        Figure { what: processor, unit: "cores", most: Some(0.3), digits: 3 },
        &column(|cost| cost.cores),
    );
    table.row(Figure { what: memory, unit: "MB", most: Some(60.0), digits: 1 }, &column(|cost| cost.memory));
}

/// What one end cost.
struct Cost {
    /// Processor time by time.
    cores: f64,
    /// The most that was resident, MB (10⁶ bytes).
    memory: f64,
}

/// Both ends of every call: 640x360 at 30 pictures a second and sound, both ways.
fn costs(runs: u32, span: Duration, options: &[String]) -> Result<Vec<Cost>, Trouble> {
    let mut costs = Vec::new();
    for _ in 0..runs {
        let mut pair = Pair::start(options)?;
        for end in pair.ends() {
            end.connected()?;
            end.first("video")?;
            end.first("audio")?;
        }
        std::thread::sleep(SETTLING);
        let ids = pair.ends().map(|end| end.id());
        let (from, before) = (Instant::now(), [ticks(ids[0])?, ticks(ids[1])?]);
        std::thread::sleep(span);
        let took = from.elapsed().as_secs_f64();
        for (id, before) in ids.into_iter().zip(before) {
            costs.push(Cost { cores: (ticks(id)? - before) / TICKS / took, memory: peak(id)? });
        }
        pair.hang_up()?;
    }
    Ok(costs)
}

/// User and system time so far (proc(5): fields 14 and 15 of `stat`), in ticks.
fn ticks(process: u32) -> Result<f64, Trouble> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The second field is a name in brackets, which may contain anything.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2));
    let times: Vec<f64> = fields.into_iter().flatten().filter_map(|field| field.parse().ok()).collect();
    if times.len() == 2 { Ok(times.iter().sum()) } else { Err(format!("{path}: {text}")) }
}

/// The most that was resident (`VmHWM`), MB.
fn peak(process: u32) -> Result<f64, Trouble> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024.0 / 1e6).ok_or_else(|| format!("{path} has no VmHWM"))
}

/// Four seconds of a moving picture and some speech, and the options that use them.
fn files(folder: &Path) -> Result<Vec<String>, Trouble> {
    let (film, speech) = (folder.join("film.y4m"), folder.join("speech.wav"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30:duration=4"]);
    run(ffmpeg.args(["-pix_fmt", "yuv420p"]).arg(&film))?;
    let mut espeak = Command::new("espeak-ng");
    run(espeak
        .arg("-w")
        .arg(&speech)
        .arg("The wind turns, the boats come and go, and the gulls never stop."))?;
    let file = |option, path: &Path| format!("--{option}=file:{}", path.display());
    Ok(vec![
        "--no-servers".to_owned(),
        file("video", &film),
        file("audio", &speech),
        "--speaker=none".to_owned(),
    ])
}

fn run(command: &mut Command) -> Result<(), Trouble> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error} (scripts/packages build test installs it)")),
    }
}
