//! A rehearsal without a call, for `check`: record, play back, play a tone. Each function blocks for as long
//! as its sound lasts (and some seconds more where there is no device): call it on a thread of its own.
//! What a recording is like says [`crate::media::level::Recording`].
//!
//! ```ignore
//! let samples = rehearsal::record(None, Duration::from_secs(3), |level| meter(level))?;
//! let recording = Recording::of(&samples, 960);      // loudness, noise floor, voice, clipping
//! rehearsal::play(None, &samples)?;
//! rehearsal::play(None, &rehearsal::tone(Duration::from_secs(1)))?;
//! ```
#![expect(clippy::disallowed_methods, reason = "I/O: waits for devices by the wall clock")]

use crate::media::device::keeper::DeviceChange;
use crate::media::device::{DeviceError, DeviceKind};
use crate::media::frame::{FRAME_SAMPLES, SAMPLE_RATE};
use crate::media::level::Loudness;
use crate::media::sink::speaker::{Speaker, Want};
use crate::media::source::microphone::Microphone;
use crate::media::source::tone::Tone;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A device that has delivered nothing for so long will not.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a device is looked at.
const LOOK: Duration = Duration::from_millis(4);
/// What is still in the ring and in the device's own buffer when the last frame has been handed on.
const TAIL: Duration = Duration::from_millis(120);

/// Records from a microphone (the default one, or by id or part of its name): mono at 48 kHz, a whole number
/// of 20 ms frames. `each` hears how loud every one of them is.
///
/// # Errors
/// When there is no such microphone, or it delivers nothing or stops.
pub fn record(
    microphone: Option<&str>,
    length: Duration,
    mut each: impl FnMut(Loudness),
) -> Result<Vec<f32>, DeviceError> {
    let (tell, changes) = channel();
    let wanted = microphone.map(str::to_owned);
    let mut microphone =
        Microphone::start(wanted, Arc::default(), Instant::now(), move |change| drop(tell.send(change)))
            .map_err(|e| no_thread(&e))?;
    let wanted = (length.as_secs_f64() * f64::from(SAMPLE_RATE)) as usize;
    let (mut samples, mut last) = (Vec::with_capacity(wanted + FRAME_SAMPLES), Instant::now());
    let mut frame = [0.0; FRAME_SAMPLES];
    while samples.len() < wanted {
        failed(&changes)?;
        if !microphone.poll(FRAME_SAMPLES) {
            patient(last, DeviceKind::Microphone)?;
            std::thread::sleep(LOOK);
            continue;
        }
        microphone.take(&mut frame);
        each(Loudness::of(&frame));
        samples.extend_from_slice(&frame);
        last = Instant::now();
    }
    Ok(samples)
}

/// Plays samples (mono at 48 kHz) on a speaker (the default one, or by id or part of its name), and returns
/// when they have been heard.
///
/// # Errors
/// When there is no such speaker, or it takes nothing or stops.
pub fn play(speaker: Option<&str>, samples: &[f32]) -> Result<(), DeviceError> {
    let (tell, changes) = channel();
    let wanted = speaker.map(str::to_owned);
    let (started, mut last) = (Instant::now(), Instant::now());
    let mut speaker = Speaker::start(wanted, Arc::default(), started, move |change| drop(tell.send(change)))
        .map_err(|e| no_thread(&e))?;
    let mut frame = [0.0; FRAME_SAMPLES];
    for piece in samples.chunks(FRAME_SAMPLES) {
        frame.fill(0.0);
        for (to, from) in frame.iter_mut().zip(piece) {
            *to = *from;
        }
        loop {
            failed(&changes)?;
            match speaker.want(started.elapsed()) {
                Want::Sound => break,
                Want::Nothing(wait) => std::thread::sleep(wait),
                Want::Absent => std::thread::sleep(LOOK),
            }
            patient(last, DeviceKind::Speaker)?;
        }
        speaker.play(&frame);
        last = Instant::now();
    }
    std::thread::sleep(TAIL);
    Ok(())
}

/// The tone of `--audio tone`, so long.
pub fn tone(length: Duration) -> Vec<f32> {
    let mut tone = Tone::new();
    let mut frame = [0.0; FRAME_SAMPLES];
    let frames = (length.as_secs_f64() * f64::from(SAMPLE_RATE)) as usize / FRAME_SAMPLES;
    (0..frames)
        .flat_map(|_| {
            tone.fill(&mut frame);
            frame
        })
        .collect()
}

/// In a rehearsal a device that is missing or goes is the end.
fn failed(changes: &Receiver<DeviceChange>) -> Result<(), DeviceError> {
    match changes.try_recv() {
        Ok(DeviceChange::Missing(error)) => Err(error),
        Ok(DeviceChange::Lost { name }) => Err(DeviceError::Unusable { name, reason: "it has gone".into() }),
        Ok(DeviceChange::Back { .. }) | Err(_) => Ok(()),
    }
}

fn patient(since: Instant, kind: DeviceKind) -> Result<(), DeviceError> {
    if since.elapsed() < PATIENCE {
        return Ok(());
    }
    let reason = match kind {
        DeviceKind::Microphone => "it delivers nothing",
        DeviceKind::Speaker => "it takes nothing",
    };
    Err(DeviceError::Unusable { name: kind.name().to_owned(), reason: reason.to_owned() })
}

fn no_thread(error: &std::io::Error) -> DeviceError {
    DeviceError::Unusable { name: "no thread".to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tone_is_as_long_as_asked() {
        assert_eq!(tone(Duration::from_millis(500)).len(), 24_000);
    }
}
