//! Sound end to end, in real time: source, Opus, jitter buffer, sink; and with real devices, which are null
//! sinks of a PulseAudio server of our own.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, runs in real time, and prints what it measures"
)]

mod support;
#[path = "sound/truth.rs"]
mod truth;

use p2pcall::config::{AudioChoice, SpeakerChoice};
use p2pcall::error::Exit;
use p2pcall::media::frame::{EncodedFrame, MediaPacket};
use p2pcall::media::sound::{Sound, SoundConfig, SoundEvent};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::signal;
use tokio::sync::mpsc;

/// Calls with themselves: what is played is what was spoken, and no echo of it is to be cancelled.
fn config(source: AudioChoice, sink: SpeakerChoice) -> SoundConfig {
    SoundConfig { source, sink, bitrate: 48_000, headphones: true }
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

#[cfg(target_os = "linux")]
mod devices {
    use super::*;
    use p2pcall::media::audio::Encoder;
    use p2pcall::media::device::{DeviceKind, devices};
    use p2pcall::media::frame::{Codec, FRAME_SAMPLES};
    use p2pcall::media::level::Recording;
    use p2pcall::media::rehearsal;
    use p2pcall::media::source::voice::Voice;
    use support::pulse::{Pulse, in_own_process};

    fn spoken(name: &str, hertz: f64) -> PathBuf {
        let path = scratch(name);
        signal::write_wav(&path, 48_000, &signal::syllables(30, hertz));
        path
    }

    /// Waits for an event, other ones apart.
    fn await_event(
        events: &mut mpsc::Receiver<SoundEvent>,
        within: Duration,
        wanted: impl Fn(&SoundEvent) -> bool,
    ) -> SoundEvent {
        let deadline = Instant::now() + within;
        loop {
            match events.try_recv() {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => println!("event {event:?}"),
                Err(error) => {
                    assert!(Instant::now() < deadline, "the event did not come: {error}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }

    /// A whole call with itself on real devices, whose packets are carried by a thread of their own.
    struct Call {
        sound: std::sync::Arc<Sound>,
        events: mpsc::Receiver<SoundEvent>,
        carried: std::sync::Arc<std::sync::atomic::AtomicU32>,
    }

    fn call(source: AudioChoice, sink: SpeakerChoice) -> Call {
        let (sound, mut frames, events, started) = start(config(source, sink));
        let sound = std::sync::Arc::new(sound);
        let carried = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let (weak, count) = (std::sync::Arc::downgrade(&sound), carried.clone());
        std::thread::spawn(move || {
            let mut n = 0;
            while let Some(frame) = frames.blocking_recv() {
                let Some(sound) = weak.upgrade() else { return };
                sound.packet(packet(n, &frame, started));
                n += 1;
                count.store(n, std::sync::atomic::Ordering::Relaxed);
            }
        });
        Call { sound, events, carried }
    }

    impl Call {
        fn carried(&self) -> u32 {
            self.carried.load(std::sync::atomic::Ordering::Relaxed)
        }

        /// Waits until the microphone's level is above or below -40 dBFS, or there is none.
        fn await_level(&self, what: &str, wanted: impl Fn(Option<f32>) -> bool) {
            let deadline = Instant::now() + Duration::from_secs(15);
            while !wanted(self.sound.levels().input_dbfs) {
                assert!(Instant::now() < deadline, "{what}: {:?}", self.sound.levels());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn microphone() -> AudioChoice {
        AudioChoice::Microphone(Some("test-micro".into()))
    }

    #[test]
    fn a_tone_spoken_into_the_microphone_comes_out_of_the_speaker() {
        in_own_process("devices::a_tone_spoken_into_the_microphone_comes_out_of_the_speaker", |pulse| {
            let tone = spoken("997.wav", 997.0);
            let mut speech = pulse.speak(&tone);
            let call = call(microphone(), SpeakerChoice::Default);
            call.await_level("the tone", |level| level.is_some_and(|level| level > -20.0));
            std::thread::sleep(Duration::from_secs(2));
            let before = call.sound.stats();
            let heard = pulse.hear(3.0);
            let stats = call.sound.stats();
            let syllables: Vec<&[f32]> =
                heard.chunks_exact(4_800).filter(|part| signal::rms(part) > 0.12).collect();
            assert!(syllables.len() >= 10, "{} of 30 parts are loud", syllables.len());
            let mut hertz: Vec<f64> = syllables.iter().map(|s| signal::frequency(s)).collect();
            let mut rms: Vec<f32> = syllables.iter().map(|s| signal::rms(s)).collect();
            hertz.sort_by(f64::total_cmp);
            rms.sort_by(f32::total_cmp);
            println!("{hertz:?} Hz, RMS {rms:?}, before {before:?}, after {stats:?}");
            assert!((hertz[hertz.len() / 2] - 997.0).abs() < 2.0, "{hertz:?} Hz");
            assert!((rms[rms.len() / 2] - 0.212).abs() < 0.05, "{rms:?}");
            // As late as the machine's own hiccups ask for, and no later: nothing piles up.
            assert!(stats.jitter.delay < stats.jitter.target + Duration::from_millis(100), "{stats:?}");
            let level = call.sound.levels();
            assert!((level.output_dbfs + 12.0).abs() < 3.5, "{level:?}");
            speech.kill().unwrap();
            speech.wait().unwrap();
            std::fs::remove_file(tone).unwrap();
        });
    }

    #[test]
    fn what_the_speaker_plays_into_the_microphone_is_not_sent_back() {
        in_own_process("devices::what_the_speaker_plays_into_the_microphone_is_not_sent_back", |pulse| {
            pulse.cross_feed();
            let config = SoundConfig { headphones: false, ..config(microphone(), SpeakerChoice::Default) };
            let (sound, mut frames, _events, started) = start(config);
            let (mut voice, mut encoder) = (Voice::new(0.4), Encoder::new().unwrap());
            let (mut played, mut sent, mut n) = (f32::MIN, f32::MIN, 0u32);
            while n < 500 {
                while frames.try_recv().is_ok() {}
                if started.elapsed() < Duration::from_millis(20) * n {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                let mut frame = [0.0; FRAME_SAMPLES];
                voice.fill(&mut frame);
                let data = encoder.encode(&frame).unwrap().to_vec().into();
                let (at, duration) = (Duration::from_millis(20) * n, Duration::from_millis(20));
                let frame = EncodedFrame { codec: Codec::Opus, data, key: true, at, duration };
                sound.packet(packet(n, &frame, started));
                // The canceller has had some seconds; the loudest moments count.
                if n > 350 {
                    let levels = sound.levels();
                    played = played.max(levels.output_dbfs);
                    sent = sent.max(levels.input_dbfs.unwrap());
                }
                n += 1;
            }
            println!("played {played} dBFS, sent back {sent} dBFS, {:?}", sound.stats());
            assert!(sound.stats().cancelling_echo, "there is an echo");
            assert!(played > -30.0 && sent < played - 25.0, "played {played} dBFS, sent back {sent} dBFS");
        });
    }

    #[test]
    fn a_microphone_that_vanishes_is_told_and_used_again_when_it_returns() {
        in_own_process(
            "devices::a_microphone_that_vanishes_is_told_and_used_again_when_it_returns",
            |pulse| {
                let tone = spoken("vanish.wav", 500.0);
                let mut speech = pulse.speak(&tone);
                let mut call = call(microphone(), SpeakerChoice::None);
                call.await_level("the tone", |level| level.is_some_and(|level| level > -20.0));
                pulse.remove_microphone();
                let lost = await_event(&mut call.events, Duration::from_secs(10), |event| {
                    matches!(event, SoundEvent::DeviceLost { kind: DeviceKind::Microphone, .. })
                });
                println!("{lost:?}: {:?}", lost.notice());
                call.await_level("no microphone", |level| level.is_none());
                let before = call.carried();
                std::thread::sleep(Duration::from_secs(2));
                let during = call.carried() - before;
                assert!((80..=120).contains(&during), "{during} frames in 2 s without a microphone");
                pulse.add_microphone();
                await_event(&mut call.events, Duration::from_secs(10), |event| {
                    matches!(event, SoundEvent::DeviceBack { kind: DeviceKind::Microphone, .. })
                });
                call.await_level("the tone again", |level| level.is_some_and(|level| level > -20.0));
                speech.kill().unwrap();
                speech.wait().unwrap();
                std::fs::remove_file(tone).unwrap();
            },
        );
    }

    #[test]
    fn a_sound_server_that_is_killed_takes_nothing_with_it_and_comes_back() {
        in_own_process(
            "devices::a_sound_server_that_is_killed_takes_nothing_with_it_and_comes_back",
            |pulse| {
                let mut call = call(AudioChoice::Default, SpeakerChoice::Default);
                call.await_level("the microphone", |level| level.is_some());
                await_event(&mut call.events, Duration::from_secs(5), |event| {
                    matches!(event, SoundEvent::FirstRemoteFrame { .. })
                });
                pulse.kill();
                let mut lost = Vec::new();
                for _ in 0..2 {
                    let event = await_event(&mut call.events, Duration::from_secs(10), |event| {
                        matches!(event, SoundEvent::DeviceLost { .. })
                    });
                    let SoundEvent::DeviceLost { kind, .. } = event else { unreachable!() };
                    lost.push(kind);
                }
                assert!(
                    lost.contains(&DeviceKind::Microphone) && lost.contains(&DeviceKind::Speaker),
                    "{lost:?}"
                );
                let (before, packets) = (call.carried(), call.sound.stats().jitter.packets);
                std::thread::sleep(Duration::from_secs(2));
                let during = call.carried() - before;
                assert!((80..=120).contains(&during), "{during} frames in 2 s without a server");
                assert!(call.sound.stats().jitter.packets > packets + 80, "the playout goes on by the clock");
                pulse.restart();
                for _ in 0..2 {
                    await_event(&mut call.events, Duration::from_secs(15), |event| {
                        matches!(event, SoundEvent::DeviceBack { .. })
                    });
                }
                call.await_level("the microphone again", |level| level.is_some());
            },
        );
    }

    #[test]
    fn a_muted_microphone_is_noticed_after_three_seconds() {
        in_own_process("devices::a_muted_microphone_is_noticed_after_three_seconds", |pulse| {
            let tone = spoken("muted-mic.wav", 500.0);
            let mut speech = pulse.speak(&tone);
            let mut call = call(microphone(), SpeakerChoice::None);
            call.await_level("the tone", |level| level.is_some_and(|level| level > -20.0));
            pulse.mute_microphone(true);
            let muted = Instant::now();
            let silence = await_event(&mut call.events, Duration::from_secs(8), |event| {
                matches!(event, SoundEvent::Silence { .. })
            });
            assert!(muted.elapsed() > Duration::from_millis(2_500), "{:?}", muted.elapsed());
            assert_eq!(silence.notice().unwrap().code, "microphone_silent");
            pulse.mute_microphone(false);
            await_event(&mut call.events, Duration::from_secs(5), |event| *event == SoundEvent::SilenceEnded);
            speech.kill().unwrap();
            speech.wait().unwrap();
            std::fs::remove_file(tone).unwrap();
        });
    }

    #[test]
    fn devices_are_listed_and_one_that_is_not_there_is_exit_5() {
        in_own_process("devices::devices_are_listed_and_one_that_is_not_there_is_exit_5", |_pulse| {
            let list = devices();
            let names = |list: &[p2pcall::media::device::DeviceInfo]| -> Vec<(String, String, bool)> {
                list.iter().map(|d| (d.id.clone(), d.name.clone(), d.default)).collect()
            };
            assert_eq!(names(&list.audio_in), [("mic".into(), "Test-Microphone".into(), true)]);
            let out = names(&list.audio_out);
            assert!(out.contains(&("spk".into(), "Test-Speaker".into(), true)), "{out:?}");
            for (source, sink) in [
                (AudioChoice::Microphone(Some("webcam".into())), SpeakerChoice::None),
                (AudioChoice::None, SpeakerChoice::Named("headset".into())),
            ] {
                let failure =
                    Sound::start(config(source, sink), mpsc::channel(4).0, Instant::now()).unwrap_err();
                assert_eq!(failure.exit, Exit::NoDevice);
                assert!(failure.help.contains("Test-"), "{failure}");
            }
        });
    }

    #[test]
    fn looking_for_a_device_again_and_again_leaves_no_threads_behind() {
        in_own_process("devices::looking_for_a_device_again_and_again_leaves_no_threads_behind", |_pulse| {
            let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
            assert_eq!(devices().audio_in.len(), 1);
            let before = threads();
            for _ in 0..20 {
                assert_eq!(devices().audio_in.len(), 1);
            }
            assert!(threads() <= before + 1, "{before} threads became {}", threads());
        });
    }

    #[test]
    fn a_rehearsal_plays_a_tone_and_records_what_is_spoken() {
        in_own_process("devices::a_rehearsal_plays_a_tone_and_records_what_is_spoken", |pulse| {
            let file = spoken("rehearsal.wav", 700.0);
            let mut speech = pulse.speak(&file);
            std::thread::sleep(Duration::from_millis(500));
            let mut frames = 0;
            let samples = rehearsal::record(None, Duration::from_secs(1), |_| frames += 1).unwrap();
            assert_eq!((samples.len(), frames), (48_000, 50));
            let hertz = signal::frequency(&samples[24_000..]);
            assert!((hertz - 700.0).abs() < 2.0, "{hertz} Hz");
            let recording = Recording::of(&samples[24_000..], 960);
            assert!((recording.loudness.rms_dbfs + 10.5).abs() < 1.0, "{recording:?}");
            speech.kill().unwrap();
            speech.wait().unwrap();
            std::fs::remove_file(file).unwrap();
            let player =
                std::thread::spawn(|| rehearsal::play(None, &rehearsal::tone(Duration::from_secs(3))));
            let heard = pulse.hear(2.5);
            player.join().unwrap().unwrap();
            let hertz = signal::frequency(&heard[heard.len() - 24_000..]);
            assert!((hertz - 440.0).abs() < 2.0, "{hertz} Hz");
            assert!(rehearsal::record(Some("webcam"), Duration::from_secs(1), |_| ()).is_err());
            pulse.kill();
            assert!(rehearsal::play(None, &[0.0; 960]).is_err());
        });
    }

    #[test]
    fn without_any_device_the_call_goes_on_and_says_so() {
        in_own_process("devices::without_any_device_the_call_goes_on_and_says_so", |pulse: &mut Pulse| {
            pulse.kill();
            let mut call = call(AudioChoice::Default, SpeakerChoice::Default);
            for _ in 0..2 {
                let event = await_event(&mut call.events, Duration::from_secs(10), |event| {
                    matches!(event, SoundEvent::DeviceMissing { .. })
                });
                assert!(event.notice().is_some_and(|notice| notice.code.starts_with("no_")));
            }
            std::thread::sleep(Duration::from_millis(1_500));
            assert!(call.carried() > 40 && call.sound.levels().input_dbfs.is_none());
            let failure =
                Sound::start(config(microphone(), SpeakerChoice::None), mpsc::channel(4).0, Instant::now());
            assert_eq!(failure.unwrap_err().exit, Exit::NoDevice);
        });
    }
}
