//! `p2pcall check`: this machine's own part of a call, rehearsed: microphone, speaker, camera, terminal.

mod judge;
mod preview;

use super::settings;
use crate::cli::{self, CheckArgs};
use crate::config::{AudioChoice, MediaConfig, SpeakerChoice, VideoChoice, settle};
use crate::error::{Exit, Failure};
use crate::media::device::{DeviceError, DeviceKind};
use crate::media::frame::{SAMPLE_RATE, VideoFrame};
use crate::media::level::{Loudness, Recording};
use crate::media::rehearsal;
use crate::media::source::{self, SourceConfig};
use crate::picture::Facts;
use crate::report::{self, Level, Line};
use crate::tui::terminal;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How long is recorded: long enough for a sentence and a pause.
const RECORDING: Duration = Duration::from_secs(3);
/// How long the tone is.
const TONE: Duration = Duration::from_secs(1);
/// Pictures that are taken to measure the rate.
const PICTURES: u32 = 15;

/// Rehearses.
pub async fn run(args: CheckArgs) -> Result<Exit, Failure> {
    let file = settings::config_file()?;
    let config = settle::media(&args.media, &file)?;
    let rehearsal = move || {
        // What is read by a program has nothing in it but the result, so the terminal is not asked.
        let facts = if args.json { terminal::known() } else { terminal::facts(cli::Render::Auto).0 };
        Check { quiet: args.json, facts, lines: Vec::new(), exit: Exit::Ok }.all(&config)
    };
    let (lines, exit) = tokio::task::spawn_blocking(rehearsal).await.map_err(|error| {
        Failure::new(Exit::Failure, "internal", format!("The rehearsal broke: {error}."), "")
    })?;
    if args.json {
        super::print(&report::json(&lines))?;
    }
    Ok(exit)
}

/// A rehearsal under way.
struct Check {
    /// Nothing on the screen but the result.
    quiet: bool,
    /// What the terminal can show.
    facts: Facts,
    lines: Vec<Line>,
    exit: Exit,
}

impl Check {
    fn all(mut self, config: &MediaConfig) -> (Vec<Line>, Exit) {
        let recording = self.microphone(&config.audio);
        self.speaker(&config.speaker, recording.as_deref());
        self.camera(config);
        self.say(judge::terminal(&self.facts));
        (self.lines, self.exit)
    }

    fn say(&mut self, line: Line) {
        if !self.quiet {
            let _ = write!(std::io::stdout(), "{}", line.text());
        }
        self.lines.push(line);
    }

    /// Tells what comes next, where somebody watches.
    fn announce(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stdout(), "     {text}");
        }
    }

    fn microphone(&mut self, choice: &AudioChoice) -> Option<Vec<f32>> {
        let name = match choice {
            AudioChoice::Default => None,
            AudioChoice::Microphone(name) => name.as_deref(),
            _ => {
                self.say(Line::new("microphone", Level::Note, "not asked for", ""));
                return None;
            }
        };
        self.announce("Say a sentence now: three seconds are recorded.");
        let metered = !self.quiet && std::io::stdout().is_terminal();
        let recorded = rehearsal::record(name, RECORDING, |loudness| {
            if metered {
                meter(loudness);
            }
        });
        if metered {
            let _ = write!(std::io::stdout(), "\r\x1b[K");
        }
        match recorded {
            Ok(samples) => {
                // 50 ms: shorter than a syllable.
                self.say(judge::recording(&Recording::of(&samples, SAMPLE_RATE as usize / 20)));
                Some(samples)
            }
            Err(error) => {
                self.missing(DeviceKind::Microphone, &error, name.is_some());
                None
            }
        }
    }

    fn speaker(&mut self, choice: &SpeakerChoice, recording: Option<&[f32]>) {
        let name = match choice {
            SpeakerChoice::Default => None,
            SpeakerChoice::Named(name) => Some(name.as_str()),
            _ => return self.say(Line::new("speaker", Level::Note, "not asked for", "")),
        };
        self.announce("A tone, and then what was recorded.");
        let heard = rehearsal::play(name, &rehearsal::tone(TONE))
            .and_then(|()| recording.map_or(Ok(()), |samples| rehearsal::play(name, samples)));
        match heard {
            Ok(()) => {
                let why =
                    "Heard nothing? Check the volume and which speaker is the default: p2pcall devices.";
                self.say(Line::new("speaker", Level::Ok, "took a tone and the recording", why));
            }
            Err(error) => self.missing(DeviceKind::Speaker, &error, name.is_some()),
        }
    }

    fn missing(&mut self, kind: DeviceKind, error: &DeviceError, by_name: bool) {
        let failure = error.failure(kind);
        if by_name {
            self.exit = failure.exit;
        }
        let level = if by_name { Level::Fail } else { Level::Warn };
        self.say(Line::new(kind.name(), level, failure.message, failure.help));
    }

    fn camera(&mut self, config: &MediaConfig) {
        if config.video == VideoChoice::Default && source::cameras().is_empty() {
            let why = "A call shows the test card instead; --video none shows nothing.";
            return self.say(Line::new("camera", Level::Warn, "there is none", why));
        }
        match Self::take_pictures(config) {
            Ok(Some((picture, rate))) => {
                if !self.quiet && std::io::stdout().is_terminal() {
                    preview::show(&picture, &self.facts);
                }
                self.say(judge::picture(&picture, rate));
            }
            Ok(None) => self.say(Line::new("camera", Level::Note, "not asked for", "")),
            Err(error) => {
                let by_name = matches!(config.video, VideoChoice::Camera(_));
                if by_name {
                    self.exit = Exit::NoDevice;
                }
                let level = if by_name { Level::Fail } else { Level::Warn };
                let why = "p2pcall devices lists what there is.";
                self.say(Line::new("camera", level, error.to_string(), why));
            }
        }
    }

    /// The last of some pictures, and how many came a second.
    #[expect(clippy::disallowed_methods, reason = "the edge where the clock is read")]
    fn take_pictures(config: &MediaConfig) -> Result<Option<(VideoFrame, f32)>, source::SourceError> {
        let started = Instant::now();
        let source_config = SourceConfig { size: config.size, fps: config.fps, started };
        let Some(mut source) = source::open(&config.video, source_config)? else { return Ok(None) };
        let mut last = None;
        let mut first_at = started;
        for number in 0..PICTURES {
            last = source.next()?.or(last);
            if number == 0 {
                first_at = Instant::now();
            }
        }
        let rate = (PICTURES - 1) as f32 / first_at.elapsed().as_secs_f32().max(0.001);
        Ok(last.map(|picture| (picture, rate)))
    }
}

/// A bar of the present loudness, on one line that is written over.
fn meter(loudness: Loudness) {
    // -60 dBFS is empty, 0 is full.
    let filled = ((loudness.rms_dbfs + 60.0).clamp(0.0, 60.0) / 2.0) as usize;
    let bar: String = (0..30).map(|place| if place < filled { '#' } else { '.' }).collect();
    let mut out = std::io::stdout();
    let _ = write!(out, "\r     [{bar}] {:>5.0} dBFS", loudness.rms_dbfs);
    let _ = out.flush();
}
