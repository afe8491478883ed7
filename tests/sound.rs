//! Sound end to end, in real time: source, Opus, jitter buffer, sink; and with real devices, which are null
//! sinks of a PulseAudio server of our own.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, runs in real time, and prints what it measures"
)]

#[cfg(target_os = "linux")]
#[path = "sound/devices.rs"]
mod devices;
mod support;
#[path = "sound/truth.rs"]
mod truth;

use p2pcall::config::{AudioChoice, SpeakerChoice};
use p2pcall::error::Exit;
use p2pcall::media::frame::{EncodedFrame, MediaPacket};
use p2pcall::media::level::Gauge;
use p2pcall::media::sound::{Sound, SoundConfig, SoundEvent};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::signal;
use tokio::sync::mpsc;

/// Calls with themselves: what is played is what was spoken, and no echo of it is to be cancelled.
fn config(source: AudioChoice, sink: SpeakerChoice) -> SoundConfig {
    SoundConfig { source, sink, bitrate: 48_000, headphones: true, gauge: Gauge::default() }
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("p2pcall-sound-{}-{name}", std::process::id()))
}

/// What a network would make of a frame.
fn packet(n: u32, frame: &EncodedFrame, started: Instant) -> MediaPacket {
    MediaPacket {
        codec: frame.codec,
        sequence: (n as u16).wrapping_add(65_500),
        timestamp: (frame.at.as_micros() * 48 / 1000) as u32,
        marker: false,
        payload: frame.data.clone(),
        arrived: started.elapsed(),
    }
}

/// Sends what `sound` captures back to itself until `until`, and `each` at every frame.
fn loop_back(
    sound: &Sound,
    frames: &mut mpsc::Receiver<EncodedFrame>,
    started: Instant,
    until: Duration,
    mut each: impl FnMut(u32, &EncodedFrame) -> bool,
) {
    let mut n = 0;
    while started.elapsed() < until {
        while let Ok(frame) = frames.try_recv() {
            if each(n, &frame) {
                sound.packet(packet(n, &frame, started));
            }
            n += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn start(config: SoundConfig) -> (Sound, mpsc::Receiver<EncodedFrame>, mpsc::Receiver<SoundEvent>, Instant) {
    let (frames_out, frames) = mpsc::channel(4);
    let started = Instant::now();
    let (sound, events) = Sound::start(config, frames_out, started).unwrap();
    (sound, frames, events, started)
}

fn read_wav(path: &Path) -> Vec<f32> {
    let mut reader = hound::WavReader::open(path).unwrap();
    reader.samples::<i16>().map(|s| f32::from(s.unwrap()) / 32_768.0).collect()
}

#[test]
fn speech_from_a_file_is_heard_in_a_file_whole_and_in_real_time() {
    let (from, to) = (scratch("speech.wav"), scratch("heard.wav"));
    let speech = signal::speech(6);
    signal::write_wav(&from, 44_100, &signal::speech_at(6, 44_100));
    let (sound, mut frames, mut events, started) =
        start(config(AudioChoice::File(from.clone()), SpeakerChoice::File(to.clone())));
    loop_back(&sound, &mut frames, started, Duration::from_secs(6), |_, _| true);
    let (stats, levels) = (sound.stats(), sound.levels());
    drop(sound);
    assert!(
        matches!(events.try_recv(), Ok(SoundEvent::FirstRemoteFrame { at }) if at < Duration::from_millis(300))
    );
    let heard = read_wav(&to);
    assert!(heard.len().abs_diff(6 * 48_000) < 4_800, "{} samples", heard.len());
    let (correlation, lag) = signal::correlation_by_second(&speech, &heard, 9_600);
    println!("correlation {correlation:.3}, delay {:.1} ms, {stats:?}", lag as f32 / 48.0);
    assert!(correlation > 0.9, "{correlation}");
    assert!(lag < 48 * 120, "{lag} samples from source to file");
    assert!(stats.jitter.concealed < Duration::from_millis(200), "{stats:?}");
    assert!(stats.frames_sent > 290 && stats.frames_dropped == 0, "{stats:?}");
    assert!(levels.input_dbfs.is_some_and(|level| level > -60.0), "{levels:?}");
    for path in [from, to] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn mute_is_instant_and_the_stream_lives_on() {
    let to = scratch("muted.wav");
    let (sound, mut frames, _events, started) =
        start(config(AudioChoice::Tone, SpeakerChoice::File(to.clone())));
    let mut sizes = Vec::new();
    loop_back(&sound, &mut frames, started, Duration::from_secs(3), |n, frame| {
        sound.set_muted((50..100).contains(&n));
        sizes.push(frame.data.len());
        true
    });
    drop(sound);
    let heard = read_wav(&to);
    std::fs::remove_file(&to).unwrap();
    assert!(sizes.len() >= 145, "{} frames in 3 s", sizes.len());
    // Silence, and the redundancy that goes with every packet.
    assert!(sizes[60..95].iter().all(|size| *size < 90), "{sizes:?}");
    let rms = |from: usize| signal::rms(&heard[from * 480..(from + 20) * 480]);
    assert!(rms(60) > 0.05 && rms(150) < 0.001 && rms(250) > 0.05, "{} {} {}", rms(60), rms(150), rms(250));
    let hertz = signal::frequency(&heard[24_000..48_000]);
    assert!((hertz - 440.0).abs() < 1.0, "{hertz} Hz");
}

#[test]
fn every_tenth_packet_lost_leaves_no_hole() {
    let (from, to) = (scratch("lossy-speech.wav"), scratch("lossy.wav"));
    let speech = signal::speech(6);
    signal::write_wav(&from, 48_000, &speech);
    let (sound, mut frames, _events, started) =
        start(config(AudioChoice::File(from.clone()), SpeakerChoice::File(to.clone())));
    sound.set_expected_loss(0.1);
    loop_back(&sound, &mut frames, started, Duration::from_secs(6), |n, _| n % 10 != 7);
    let stats = sound.stats().jitter;
    drop(sound);
    let heard = read_wav(&to);
    for path in [from, to] {
        std::fs::remove_file(path).unwrap();
    }
    let (correlation, _) = signal::correlation_by_second(&speech, &heard, 9_600);
    println!("correlation {correlation:.3}, {stats:?}");
    assert!(correlation > 0.8, "{correlation}, {stats:?}");
    assert!(stats.lost >= 25 && stats.recovered >= stats.concealed, "{stats:?}");
}

#[test]
fn files_that_cannot_be_used_are_errors_with_a_remedy() {
    let (frames_out, _frames) = mpsc::channel(4);
    let nowhere = PathBuf::from("/dev/null/x.wav");
    for config in [
        config(AudioChoice::File(nowhere.clone()), SpeakerChoice::None),
        config(AudioChoice::None, SpeakerChoice::File(nowhere)),
    ] {
        let failure = Sound::start(config, frames_out.clone(), Instant::now()).unwrap_err();
        assert_eq!(failure.exit, Exit::Failure);
        assert!(failure.message.contains("/dev/null/x.wav") && !failure.help.is_empty(), "{failure}");
    }
}

#[test]
fn what_is_played_can_be_tapped_for_an_echo_canceller() {
    let (sound, mut frames, _events, started) = start(config(AudioChoice::Tone, SpeakerChoice::None));
    let mut tap = sound.take_reference().unwrap();
    assert!(sound.take_reference().is_none());
    loop_back(&sound, &mut frames, started, Duration::from_millis(900), |_, _| true);
    let mut tapped = vec![0.0; tap.slots()];
    tap.pop_entire_slice(&mut tapped).unwrap();
    assert!(tapped.len() > 38_000, "{}", tapped.len());
    assert!(signal::rms(&tapped[24_000..]) > 0.05);
}
