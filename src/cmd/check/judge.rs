//! What a rehearsal's measurements mean for a call.

use crate::cli;
use crate::media::frame::VideoFrame;
use crate::media::level::Recording;
use crate::picture::Facts;
use crate::report::{Level, Line};
use crate::tui;

/// Nobody speaks so softly.
const FAINT_DBFS: f32 = -45.0;
/// A voice must stand so far above the noise to be understood well, dB.
const LEAST_DISTANCE: f32 = 12.0;
/// Of all samples, so many at full scale are heard as distortion.
const CLIPPING: f32 = 0.001;
/// Mean luma of a picture in which nothing is seen (black is 16).
const DARK: u32 = 24;

/// A recording of somebody who was asked to speak.
pub(super) fn recording(recording: &Recording) -> Line {
    let (voice, floor) = (recording.speech_dbfs, recording.noise_floor_dbfs);
    let text = format!("voice {voice:.0} dBFS, noise floor {floor:.0} dBFS");
    let (level, why) = if recording.loudness.digital_silence {
        (
            Level::Warn,
            "Nothing but silence: it is muted, or this terminal may not use the microphone (system settings, privacy).",
        )
    } else if voice < FAINT_DBFS {
        (Level::Warn, "Very soft: turn the microphone up, or come nearer.")
    } else if recording.clipped > CLIPPING {
        (Level::Warn, "Too loud: it is clipped. Turn the microphone down.")
    } else if voice - floor < LEAST_DISTANCE {
        (Level::Warn, "The room is nearly as loud as the voice: come nearer, or use a headset.")
    } else {
        (Level::Ok, "")
    };
    Line::new("microphone", level, text, why)
}

/// A picture, and how many came a second.
pub(super) fn picture(picture: &VideoFrame, rate: f32) -> Line {
    let sum: u64 = picture.y.iter().map(|luma| u64::from(*luma)).sum();
    let mean = (sum / (picture.y.len() as u64).max(1)) as u32;
    let text = format!(
        "{}x{}, {rate:.0} pictures a second, brightness {} %",
        picture.width,
        picture.height,
        mean * 100 / 255
    );
    let (level, why) = if mean < DARK {
        (
            Level::Warn,
            "Nearly black: is the lens covered, or may this terminal not use the camera (system settings, privacy)?",
        )
    } else if rate < 8.0 {
        (Level::Warn, "Slow: more light often helps; or another program uses the camera.")
    } else {
        (Level::Ok, "")
    };
    Line::new("camera", level, text, why)
}

/// What the terminal can show.
pub(super) fn terminal(facts: &Facts) -> Line {
    let Ok((columns, rows)) = crossterm::terminal::size() else {
        return Line::new(
            "terminal",
            Level::Note,
            "standard output is none",
            "A call without one: --headless.",
        );
    };
    let (_, look) = tui::theme::looks(cli::Render::Auto, cli::Color::Auto, facts);
    let text = format!("{columns}x{rows} cells, pictures as {:?} in {:?} colours", look.mode, look.color)
        .to_lowercase();
    if columns < 40 || rows < 12 {
        return Line::new("terminal", Level::Warn, text, "Too small for a call's screen: 40x12 at least.");
    }
    Line::new("terminal", Level::Ok, text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::level::Loudness;

    fn heard(speech_dbfs: f32, noise_floor_dbfs: f32, clipped: f32, digital_silence: bool) -> Level {
        let loudness = Loudness { rms_dbfs: speech_dbfs, peak_dbfs: speech_dbfs, digital_silence };
        recording(&Recording { loudness, noise_floor_dbfs, speech_dbfs, clipped }).level
    }

    #[test]
    fn recordings_are_judged_by_what_a_friend_would_hear() {
        let table = [
            (heard(-20.0, -60.0, 0.0, false), Level::Ok),
            (heard(-100.0, -100.0, 0.0, true), Level::Warn),
            (heard(-55.0, -80.0, 0.0, false), Level::Warn),
            (heard(-3.0, -60.0, 0.02, false), Level::Warn),
            (heard(-30.0, -35.0, 0.0, false), Level::Warn),
        ];
        for (index, (seen, expected)) in table.into_iter().enumerate() {
            assert_eq!(seen, expected, "{index}");
        }
    }

    #[test]
    fn a_black_picture_names_the_lens() {
        let black = picture(&VideoFrame::black(64, 36), 30.0);
        assert!(black.level == Level::Warn && black.why.contains("lens"));
    }
}
