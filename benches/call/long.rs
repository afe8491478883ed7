//! A call of hours: does it still cost what it cost at first, is it as prompt, do sound and picture stay together? One
//! end sends the test card, whose top tells when it was drawn, and speech with a chirp every ten seconds; the other
//! writes what it hears to a file and what it sees into a pipe, where the bar is read at once.

use super::end::{End, Trouble};
use super::figure::{load, quantile, sorted};
use super::sound::ear::{Recording, chirp};
use super::sound::signal::write_wav;
use super::speech;
use p2pcall::media::source::{clock_bar, machine_clock};
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Samples a second.
const RATE: usize = 48_000;
/// Each piece of speech has a chirp in the silence it begins with, here.
const CHIRP_AT: usize = RATE / 10;
/// How far from its place a chirp is looked for: a quarter of a second each way.
const SEARCHED: usize = RATE / 4;
/// A WAV file's header.
const HEADER: u64 = 44;
/// How often is looked.
const ROWS: u64 = 12;
/// Chirps of a row: those of its last minute.
const CHIRPS: usize = 6;
/// Before this long the call is still finding its pace.
const SETTLING: Duration = Duration::from_secs(90);

/// Measures and prints.
pub(crate) fn measure(minutes: u64) -> Result<(), Trouble> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (voice, heard, seen) =
        (folder.path().join("voice.wav"), folder.path().join("heard.wav"), folder.path().join("seen.y4m"));
    marked_speech(folder.path(), &voice);
    let pipe = Command::new("mkfifo").arg(&seen).status();
    if !pipe.is_ok_and(|status| status.success()) {
        return Err("mkfifo (of coreutils) does not work".to_owned());
    }
    let ages = watch(seen.clone());
    let file = |option: &str, path: &Path| format!("--{option}=file:{}", path.display());
    let (speech, kept, shown) = (file("audio", &voice), file("speaker", &heard), file("video-out", &seen));
    let common = ["--no-servers", "--video=test", &speech];
    let mut talks = End::start(&[&["offer"], &common[..], &["--speaker=none"]].concat())?;
    let (_, code) = talks.code()?;
    let mut hears = End::start(&[&["answer", &code], &common[..], &[&kept, &shown]].concat())?;
    for end in [&mut talks, &mut hears] {
        end.connected()?;
        end.first("audio")?;
    }
    std::thread::sleep(SETTLING);
    println!(
        "| minute | memory MB | descriptors | sound ms | picture ms | buffer ms | concealed ms | load |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let began = Instant::now();
    let mut ear = Ear::new(heard, &chirp());
    let mut rows = Vec::new();
    for row in 0..=ROWS {
        let due = began + Duration::from_secs(minutes * 60 * row / ROWS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let row = Row::take(&mut talks, &mut hears, &mut ear, &ages)?;
        row.print(began.elapsed(), rows.first());
        rows.push(row);
    }
    talks.hang_up()?;
    hears.hang_up()?;
    summary(&rows);
    Ok(())
}

/// What both ends are like at one moment.
struct Row {
    /// Resident, MB, and open descriptors, of each end.
    memory: [f64; 2],
    descriptors: [usize; 2],
    /// Where the chirps of the last minute lie, against the first ever heard: ms.
    sound: f64,
    /// The median age of the pictures since the last row, ms.
    picture: f64,
    buffer: f64,
    concealed: f64,
}

impl Row {
    fn take(talks: &mut End, hears: &mut End, ear: &mut Ear, ages: &Ages) -> Result<Self, Trouble> {
        let ids = [talks.id(), hears.id()];
        talks.latest("stats");
        let stats = hears.latest("stats").ok_or("no stats came")?;
        let audio = |field: &str| {
            stats.pointer(&format!("/audio/{field}")).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)
        };
        let ages = std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Self {
            memory: [resident(ids[0])?, resident(ids[1])?],
            descriptors: [descriptors(ids[0])?, descriptors(ids[1])?],
            sound: ear.shift()?,
            picture: quantile(&sorted(&ages), 0.5),
            buffer: audio("buffer_ms"),
            concealed: audio("concealed_ms"),
        })
    }

    fn print(&self, at: Duration, first: Option<&Self>) {
        let Self { memory: [a, b], descriptors: [c, d], sound, picture, buffer, concealed } = self;
        let sound = sound - first.map_or(*sound, |first| first.sound);
        println!(
            "| {:.0} | {a:.1}, {b:.1} | {c}, {d} | {sound:+.1} | {picture:.0} | {buffer:.0} | {concealed:.0} | {} |",
            at.as_secs_f64() / 60.0,
            load()
        );
    }
}

/// What changed in all that time.
fn summary(rows: &[Row]) {
    let [first, .., last] = rows else { return };
    let skew = |row: &Row| row.sound - row.picture;
    let furthest = rows.iter().map(|row| (skew(row) - skew(first)).abs()).fold(0.0, f64::max);
    println!("\nSound against picture: at most {furthest:.0} ms from where it was (target: 80)");
    for (end, (first, last)) in first.memory.iter().zip(&last.memory).enumerate() {
        println!("End {}: {first:.1} MB at first, {last:.1} MB at last", end + 1);
    }
}

type Ages = Arc<Mutex<Vec<f64>>>;

/// Reads the pictures out of the pipe, and how old each is, ms.
fn watch(pipe: PathBuf) -> Ages {
    let ages = Ages::default();
    let filled = Arc::clone(&ages);
    std::thread::spawn(move || {
        // It ends with the pipe; what is missing then is missed in the table.
        let _ = File::open(pipe).and_then(|pipe| read_ages(BufReader::new(pipe), &filled));
    });
    ages
}

fn read_ages(mut pipe: impl Read, ages: &Mutex<Vec<f64>>) -> std::io::Result<()> {
    let header = line(&mut pipe)?;
    let size = |mark: char| header.split(' ').find_map(|word| word.strip_prefix(mark)?.parse::<usize>().ok());
    let (width, height) = (size('W').unwrap_or(640), size('H').unwrap_or(360));
    let mut picture = vec![0; width * height + 2 * width.div_ceil(2) * height.div_ceil(2)];
    loop {
        line(&mut pipe)?;
        pipe.read_exact(&mut picture)?;
        let bar = picture.get(..width * height).and_then(|luma| clock_bar::read(luma, width));
        if let Some(value) = bar {
            let age = clock_bar::value_of(machine_clock()).wrapping_sub(value);
            ages.lock().unwrap_or_else(PoisonError::into_inner).push(f64::from(age));
        }
    }
}

fn line(input: &mut impl Read) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        input.read_exact(&mut byte)?;
        if byte == *b"\n" {
            return Ok(String::from_utf8_lossy(&line).into_owned());
        }
        line.extend_from_slice(&byte);
    }
}

/// Where chirps lie in a file that grows.
struct Ear {
    path: PathBuf,
    chirp: Vec<f32>,
    /// Where the first one lies, in samples.
    first: Option<usize>,
}

impl Ear {
    fn new(path: PathBuf, chirp: &[f32]) -> Self {
        Self { path, chirp: chirp.to_vec(), first: None }
    }

    /// The median distance of the last chirps from where they would be if nothing had changed since the first, ms.
    fn shift(&mut self) -> Result<f64, Trouble> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = File::open(&self.path).map_err(failed)?;
        let length = (file.metadata().map_err(failed)?.len().saturating_sub(HEADER) / 2) as usize;
        let mut read = |from: usize, count: usize| -> Result<Vec<f32>, Trouble> {
            file.seek(SeekFrom::Start(HEADER + 2 * from as u64)).map_err(failed)?;
            let mut bytes = vec![0; 2 * count];
            file.read_exact(&mut bytes).map_err(failed)?;
            let samples = bytes.as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)));
            Ok(samples.collect())
        };
        let first = if let Some(first) = self.first {
            first
        } else {
            // The third piece: by then the call has found its pace.
            let from = speech::PIECE * 2;
            *self.first.insert(from + place_of(&self.chirp, read(from, speech::PIECE)?))
        };
        let pieces = (length - first).saturating_sub(2 * SEARCHED) / speech::PIECE;
        let shifts = (pieces.saturating_sub(CHIRPS)..=pieces).skip(1).map(|piece| {
            let expected = first + piece * speech::PIECE;
            let found = place_of(&self.chirp, read(expected - SEARCHED, 2 * SEARCHED)?);
            Ok((found as f64 - SEARCHED as f64) * 1_000.0 / RATE as f64)
        });
        let shifts = shifts.collect::<Result<Vec<f64>, Trouble>>()?;
        Ok(quantile(&sorted(&shifts), 0.5))
    }
}

/// Speech with a chirp at the beginning of each piece.
fn marked_speech(folder: &Path, path: &Path) {
    let (mut samples, chirp) = (speech::all(folder), chirp());
    for piece in samples.chunks_mut(speech::PIECE) {
        for (sample, chirp) in piece.iter_mut().skip(CHIRP_AT).zip(&chirp) {
            *sample += chirp;
        }
    }
    write_wav(path, RATE as u32, &samples);
}

/// Where the chirp is.
fn place_of(chirp: &[f32], samples: Vec<f32>) -> usize {
    let within = samples.len();
    let found = Recording { samples, began: 0.0 }.find(chirp, 0, within);
    found.map_or(0, |(at, _)| at)
}

/// Resident memory (proc(5): the second field of `statm`, in pages of 4 KiB), MB.
fn resident(process: u32) -> Result<f64, Trouble> {
    let path = format!("/proc/{process}/statm");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let pages = text.split(' ').nth(1).and_then(|field| field.parse::<f64>().ok());
    pages.map(|pages| pages * 4096.0 / 1e6).ok_or_else(|| format!("{path}: {text}"))
}

fn descriptors(process: u32) -> Result<usize, Trouble> {
    let path = format!("/proc/{process}/fd");
    fs::read_dir(&path).map(Iterator::count).map_err(|error| format!("{path}: {error}"))
}
