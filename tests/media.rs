//! Sound and picture between two real processes: real speech and a real film in, what came out compared with it.
//! Nothing is mocked; the sound cards are null sinks of sound servers of the tests' own.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and prints what it measured"
)]

#[path = "media/recording.rs"]
mod recording;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use support::process::Process;
#[cfg(target_os = "linux")]
use support::pulse::Pulse;
use support::{film, signal};

const SOON: Duration = Duration::from_secs(15);
/// Seconds of the calls with files.
const CALL: u32 = 20;

/// Calls in real time do not share the processors with each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder that goes with the test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Speech as a WAV file at 22,050 Hz, as espeak-ng writes it, and as samples at 48 kHz.
fn speech(folder: &Path, name: &str, voice: &str, text: &str) -> Option<(PathBuf, Vec<f32>)> {
    let (path, resampled) = (folder.join(format!("{name}.wav")), folder.join(format!("{name}-48k.wav")));
    let spoken = Command::new("espeak-ng").args(["-v", voice, "-w"]).arg(&path).arg(text).status();
    if !spoken.is_ok_and(|status| status.success()) {
        println!("SKIPPED: espeak-ng is not installed");
        return None;
    }
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(&path).args(["-ar", "48000", "-ac", "1"]).arg(&resampled);
    assert!(ffmpeg.status().is_ok_and(|status| status.success()), "ffmpeg resamples");
    let samples = hound::WavReader::open(&resampled).unwrap().into_samples::<i16>();
    Some((path, samples.map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect()))
}

/// The sound that a looped file makes, so many seconds of it.
fn looped(samples: &[f32], seconds: usize) -> Vec<f32> {
    samples.iter().copied().cycle().take(seconds * 48_000).collect()
}

fn read_wav(path: &Path) -> Vec<f32> {
    let reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (48_000, 1, 16));
    reader.into_samples::<i16>().map(|sample| f32::from(sample.unwrap()) / 32_768.0).collect()
}

const TEXTS: [&str; 2] = [
    "The quick brown fox jumps over the lazy dog, while seven wizards brew a strong black coffee in the kitchen. \
     Nobody knows how long it takes, but everybody agrees that it is worth the wait.",
    "She sells sea shells by the sea shore, and on a clear day the lighthouse can be seen from the other side of \
     the bay. Boats come and go, the wind turns, and the gulls never stop talking.",
];

#[test]
fn four_streams_arrive_as_they_were_sent() {
    let _alone = alone();
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let Some((speech_a, samples_a)) = speech(folder.path(), "a", "en-gb", TEXTS[0]) else { return };
    let Some((speech_b, samples_b)) = speech(folder.path(), "b", "en-us", TEXTS[1]) else { return };
    let film_a = film::make(&at("a.y4m"), "testsrc2=size=640x360:rate=30", 4);
    let film_b = film::make(&at("b.y4m"), "testsrc=size=640x360:rate=30", 4);
    let options = |film: &Path, speech: &Path, heard: &str, seen: &str| {
        vec![
            "--no-servers".to_owned(),
            "--bitrate".into(),
            "540".into(),
            format!("--video=file:{}", film.display()),
            format!("--audio=file:{}", speech.display()),
            format!("--speaker=file:{}", at(heard).display()),
            format!("--video-out=file:{}", at(seen).display()),
        ]
    };
    let offer = [
        vec!["offer".to_owned(), format!("--duration={CALL}")],
        options(&film_a, &speech_a, "b-heard.wav", "b-seen.y4m"),
    ];
    let mut alice = Process::start(&offer.concat());
    let code = alice.wait_for_code(SOON);
    let mut bob = Process::start(
        &[vec!["answer".to_owned(), code], options(&film_b, &speech_b, "a-heard.wav", "a-seen.y4m")].concat(),
    );
    assert_eq!((alice.exit(SOON * 3), bob.exit(SOON)), (0, 0));

    for (end, name) in [(&alice, "alice"), (&bob, "bob")] {
        let kinds: Vec<_> = end.of_kind("media").map(|event| event["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"audio") && kinds.contains(&"video"), "{name}: {kinds:?}");
    }
    for (sent, seen) in [("a.y4m", "a-seen.y4m"), ("b.y4m", "b-seen.y4m")] {
        let comparison = film::compare(&at(sent), &at(seen));
        println!("{sent}: {comparison:?}");
        assert!(comparison.mean_psnr >= 34.0, "{sent}: {comparison:?}");
        assert!(comparison.arrived >= 0.95, "{sent}: {comparison:?}");
        assert!(comparison.frames >= (CALL as usize - 2) * 28, "{sent}: {comparison:?}");
    }
    for (sent, heard) in [(samples_a, "a-heard.wav"), (samples_b, "b-heard.wav")] {
        let (correlation, lag) =
            signal::correlation_by_second(&looped(&sent, CALL as usize - 3), &read_wav(&at(heard)), 72_000);
        println!("{heard}: correlation {correlation:.3}, delayed {} ms", lag / 48);
        assert!(correlation >= 0.9, "{heard}: {correlation}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn speech_goes_through_real_sound_devices_both_ways() {
    let _alone = alone();
    let folder = folder();
    let (Some(mut alices), Some(mut bobs)) = (Pulse::start(), Pulse::start()) else { return };
    let Some((_, samples_a)) = speech(folder.path(), "a", "en-gb", TEXTS[0]) else { return };
    let Some((_, samples_b)) = speech(folder.path(), "b", "en-us", TEXTS[1]) else { return };
    // Headphones: nothing is cancelled; noise is still suppressed, so loudness is compared and not waves.
    let options = [
        "--no-servers",
        "--video",
        "test",
        "--size",
        "160x90",
        "--audio",
        "mic",
        "--speaker",
        "default",
        "--headphones",
    ];
    let mut alice = Process::start_with(&alices.environment(), &[], &[&["offer"], &options[..]].concat());
    let code = alice.wait_for_code(SOON);
    let mut bob = Process::start_with(&bobs.environment(), &[], &[&["answer", &code], &options[..]].concat());
    for end in [&mut alice, &mut bob] {
        end.wait_for("first sound", SOON, |event| event["event"] == "media" && event["kind"] == "audio");
    }
    for (mouth, ear, name, sent) in
        [(&alices, &bobs, "a-48k.wav", &samples_a), (&bobs, &alices, "b-48k.wav", &samples_b)]
    {
        let (mut speaking, heard) = ear.hear_after(9.0, || mouth.speak(&folder.path().join(name)));
        let _ = speaking.kill();
        let _ = speaking.wait();
        let seconds = sent.len().min(6 * 48_000);
        let (correlation, lag) = signal::loudness_by_second(&sent[..seconds], &heard, 48_000);
        println!("{name}: correlation {correlation:.3}, delayed {} ms", lag / 48);
        assert!(correlation >= 0.8, "{name}: {correlation}");
    }
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
    alices.kill();
    bobs.kill();
}

#[test]
fn a_call_without_any_device_works_and_says_so() {
    let _alone = alone();
    let nothing: [(&str, PathBuf); 3] = [
        ("PULSE_SERVER", "unix:/proc/none".into()),
        ("ALSA_CONFIG_PATH", "/proc/none".into()),
        ("XDG_RUNTIME_DIR", "/proc/none".into()),
    ];
    let options = ["--no-servers", "--size", "160x90"];
    let mut alice = Process::start_with(&nothing, &[], &[&["offer"], &options[..]].concat());
    let code = alice.wait_for_code(SOON);
    let mut bob = Process::start_with(&nothing, &[], &[&["answer", &code], &options[..]].concat());
    for end in [&mut alice, &mut bob] {
        end.wait_for("first picture", SOON, |event| event["event"] == "media" && event["kind"] == "video");
        for code in ["no_microphone", "no_speaker"] {
            if !end.of_kind("warning").any(|event| event["code"] == code) {
                end.wait_for(code, SOON, |event| event["event"] == "warning" && event["code"] == code);
            }
        }
    }
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
}

#[test]
fn a_device_asked_for_by_name_that_is_not_there_ends_with_5() {
    for arguments in
        [["--video", "camera:61"], ["--audio", "mic:no such thing"], ["--speaker", "no such thing"]]
    {
        let mut alice = Process::start(&[&["offer", "--no-servers"], &arguments[..]].concat());
        assert_eq!(alice.exit(SOON), 5, "{arguments:?}");
    }
}
