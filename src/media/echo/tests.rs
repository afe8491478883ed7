//! The canceller in rooms that are made up.

use super::*;
use crate::media::frame::FRAME_SAMPLES;
use crate::media::source::voice::Voice;

/// A voice's next 20 ms.
fn speak(voice: &mut Voice) -> [f32; FRAME_SAMPLES] {
    let mut frame = [0.0; FRAME_SAMPLES];
    voice.fill(&mut frame);
    frame
}

/// A room: a first echo after 50 ms and some more, quieter ones.
struct Room(VecDeque<f32>);

impl Room {
    fn new() -> Self {
        Self(std::iter::repeat_n(0.0, 6_000).collect())
    }

    /// What the microphone hears of what the speaker plays.
    fn echo(&mut self, played: f32) -> f32 {
        self.0.push_back(played);
        self.0.pop_front();
        let back = |samples: usize| self.0.get(self.0.len() - samples).copied().unwrap_or_default();
        0.4 * back(2_400) - 0.2 * back(2_777) + 0.12 * back(3_333) - 0.06 * back(4_801)
    }
}

fn energy(samples: &[f32]) -> f32 {
    samples.iter().map(|s| s * s).sum()
}

/// A call of `seconds`: far and near speech, with or without an echo. Gives what the microphone heard and
/// what is left of it.
fn call(
    canceller: &mut EchoCanceller,
    seconds: usize,
    voices: (&mut Voice, Option<&mut Voice>),
    mut room: Option<&mut Room>,
) -> (Vec<f32>, Vec<f32>) {
    let (far, mut near) = voices;
    let (mut heard, mut cleaned) = (Vec::new(), Vec::new());
    for _ in 0..seconds * 50 {
        let played = speak(far);
        let mut frame = near.as_mut().map_or([0.0; FRAME_SAMPLES], |near| speak(near));
        canceller.played(&played);
        if let Some(room) = &mut room {
            frame.iter_mut().zip(played).for_each(|(sample, played)| *sample += room.echo(played));
        }
        heard.extend(frame);
        canceller.clean(&mut frame);
        cleaned.extend(frame);
    }
    (heard, cleaned)
}

#[test]
fn an_echo_is_gone_within_two_seconds() {
    let mut canceller = EchoCanceller::new();
    let (heard, cleaned) = call(&mut canceller, 6, (&mut Voice::new(0.2), None), Some(&mut Room::new()));
    let from = 2 * 48_000;
    let erle = 10.0 * (energy(&heard[from..]) / energy(&cleaned[from..]).max(1e-12)).log10();
    assert!(erle > 30.0, "{erle} dB");
    assert!(canceller.is_cancelling());
}

#[test]
fn without_echo_it_steps_aside_and_is_back_when_there_is_one() {
    let mut canceller = EchoCanceller::new();
    let (mut far, mut near) = (Voice::new(0.2), Voice::new(0.9));
    call(&mut canceller, 9, (&mut far, Some(&mut near)), None);
    assert!(!canceller.is_cancelling(), "the friend has spoken for seconds without an echo");
    let (heard, cleaned) = call(&mut canceller, 3, (&mut far, Some(&mut near)), None);
    let kept = 10.0 * (energy(&cleaned) / energy(&heard)).log10();
    assert!(kept > -2.0, "speech became {kept} dB quieter");
    call(&mut canceller, 3, (&mut far, None), Some(&mut Room::new()));
    assert!(canceller.is_cancelling(), "the headphones were pulled out");
}

#[test]
fn while_nothing_is_played_it_steps_aside() {
    let mut canceller = EchoCanceller::new();
    let mut frame = [0.0; FRAME_SAMPLES];
    assert!(!canceller.is_cancelling());
    let loud = speak(&mut Voice::new(0.1)).map(|sample| sample + 0.01);
    canceller.played(&loud);
    canceller.clean(&mut frame);
    assert!(canceller.is_cancelling());
    for _ in 0..50 {
        canceller.played(&[0.0; FRAME_SAMPLES]);
        canceller.clean(&mut frame);
    }
    assert!(!canceller.is_cancelling(), "the echo has died away");
}

#[test]
fn headphones_switch_it_off_at_once() {
    let mut canceller = EchoCanceller::new();
    canceller.set_headphones(true);
    let (heard, cleaned) = call(&mut canceller, 2, (&mut Voice::new(0.2), None), Some(&mut Room::new()));
    assert!(!canceller.is_cancelling());
    assert!(energy(&cleaned) > energy(&heard) / 4.0, "what is not cancelled is heard");
}

#[test]
fn past_the_canceller_takes_as_long_as_through_it() {
    let mut lags = Vec::new();
    for headphones in [false, true] {
        let mut canceller = EchoCanceller::new();
        canceller.set_headphones(headphones);
        let mut voice = Voice::new(0.5);
        let (mut heard, mut cleaned) = (Vec::new(), Vec::new());
        for n in 0..100 {
            let mut frame = speak(&mut voice);
            heard.extend(frame);
            // A tick now and then, of which nothing comes back, keeps the canceller in.
            let mut tick = [0.0; FRAME_SAMPLES];
            tick[0] = if n % 20 == 0 { 0.01 } else { 0.0 };
            canceller.played(&tick);
            canceller.clean(&mut frame);
            cleaned.extend(frame);
        }
        let likeness = |lag: usize| -> f32 {
            heard[24_000..72_000].iter().zip(&cleaned[24_000 + lag..]).map(|(a, b)| a * b).sum()
        };
        lags.push((0..1_500).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap());
    }
    assert!(lags[0].abs_diff(lags[1]) <= 6, "{lags:?} samples");
    assert!(lags[0].abs_diff(DELAY) <= 24, "{lags:?} samples, and {DELAY} are told");
}

#[test]
fn more_played_than_recorded_is_bounded_and_nonsense_is_survived() {
    let mut canceller = EchoCanceller::new();
    canceller.played(&vec![0.5; 1_000_000]);
    assert!(canceller.waiting.len() <= MOST_WAITING);
    let mut frame = [1.0e9; FRAME_SAMPLES];
    canceller.clean(&mut frame);
    let mut frame = [0.1; FRAME_SAMPLES];
    canceller.clean(&mut frame);
    assert!(frame.iter().all(|sample| sample.is_finite()));
}
