//! Sound through real devices: null sinks of a PulseAudio server of the test's own.

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
    in_own_process("devices::a_microphone_that_vanishes_is_told_and_used_again_when_it_returns", |pulse| {
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
    });
}

#[test]
fn a_sound_server_that_is_killed_takes_nothing_with_it_and_comes_back() {
    in_own_process("devices::a_sound_server_that_is_killed_takes_nothing_with_it_and_comes_back", |pulse| {
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
        assert!(lost.contains(&DeviceKind::Microphone) && lost.contains(&DeviceKind::Speaker), "{lost:?}");
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
    });
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
            let failure = Sound::start(config(source, sink), mpsc::channel(4).0, Instant::now()).unwrap_err();
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
        let play = || rehearsal::play(None, &rehearsal::tone(Duration::from_secs(3)));
        let (player, heard) = pulse.hear_after(2.0, || std::thread::spawn(play));
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
