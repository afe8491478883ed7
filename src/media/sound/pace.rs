//! When the next 20 ms of own sound are due. Pure: it is told the time and whether a frame is there.
//!
//! Files and tones are paced by the clock. A microphone paces itself, by a crystal of its own; the frames'
//! timestamps follow the clock all the same, so picture and sound stay together: what it delivers is
//! shortened or lengthened by a period of the voice now and then (in a pause if there is one). Where it
//! delivers nothing silence is sent, and what it delivers all at once afterwards is dropped.

use crate::media::frame::FRAME_SAMPLES;
use crate::media::jitter::Stretch;
use std::time::Duration;

/// What one frame lasts, microseconds.
const FRAME: i64 = 20_000;
/// A device may be behind the clock by so much (its buffer, its crystal) before silence goes out instead.
const PATIENCE: i64 = 60_000;
/// And ahead by so much before a frame is dropped.
const AHEAD: i64 = -80_000;
/// It is shortened when it is ahead, and lengthened when it is behind, by more than this: in a pause, and in
/// any case.
const SHORTEN: (i64, i64) = (-25_000, -40_000);
const LENGTHEN: (i64, i64) = (30_000, 45_000);
/// After a stall longer than this (a suspended process) the time is skipped, not made up for.
const STALL: i64 = 500_000;
/// How often a device is looked at while it is late.
const LOOK: Duration = Duration::from_millis(2);

/// What drives the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drive {
    /// The clock: a frame is there whenever it is due.
    Clock,
    /// A device: `ready` when it has delivered a whole frame.
    Device {
        /// A whole frame is there.
        ready: bool,
    },
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take a frame from the source and send it; it began at this time.
    Send(Duration),
    /// Send silence in its place.
    SendSilence(Duration),
    /// Take so many frames and drop them.
    Drop(u64),
    /// Nothing is due for so long.
    Wait(Duration),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pacer {
    /// When the next frame's last sample is captured, microseconds.
    due: i64,
}

impl Pacer {
    /// The first frame begins now.
    pub(super) fn new(now: Duration) -> Self {
        Self { due: micros(now) + FRAME }
    }

    /// What to do at `now`.
    pub(super) fn step(&mut self, now: Duration, drive: Drive) -> Step {
        let late = micros(now) - self.due;
        if late > STALL {
            self.due += late / FRAME * FRAME;
            // What a clock drives goes on with the clock: a file is where it would be without the stall.
            if drive == Drive::Clock {
                return Step::Drop((late / FRAME).unsigned_abs());
            }
        }
        let late = micros(now) - self.due;
        match drive {
            Drive::Clock if late >= 0 => Step::Send(self.advance()),
            Drive::Clock => Step::Wait(Duration::from_micros(late.unsigned_abs())),
            Drive::Device { ready: true } => {
                if late < AHEAD {
                    Step::Drop(1)
                } else {
                    Step::Send(self.advance())
                }
            }
            Drive::Device { .. } if late > PATIENCE => Step::SendSilence(self.advance()),
            Drive::Device { .. } => Step::Wait(LOOK),
        }
    }

    /// Which way to stretch what a device has just delivered, at `now`, `waiting` samples with it; `quiet`
    /// when nobody is speaking.
    pub(super) fn drift(&self, now: Duration, waiting: usize, quiet: bool) -> Option<Stretch> {
        let surplus = (waiting as i64 - FRAME_SAMPLES as i64) * 125 / 6;
        let late = micros(now) - self.due - surplus;
        let edge = |(in_a_pause, ever): (i64, i64)| if quiet { in_a_pause } else { ever };
        if late < edge(SHORTEN) {
            Some(Stretch::Shorten)
        } else if late > edge(LENGTHEN) {
            Some(Stretch::Lengthen)
        } else {
            None
        }
    }

    /// The beginning of the frame that was due.
    fn advance(&mut self) -> Duration {
        let began = self.due - FRAME;
        self.due += FRAME;
        Duration::from_micros(began.unsigned_abs())
    }
}

fn micros(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    #[test]
    fn a_clocked_source_gives_one_frame_every_20_ms_however_unevenly_it_is_asked() {
        let mut pacer = Pacer::new(ms(100));
        let mut sent = Vec::new();
        let mut now = ms(100);
        while now < ms(2100) {
            match pacer.step(now, Drive::Clock) {
                Step::Send(at) => sent.push(at),
                Step::Wait(wait) => now += wait + ms(sent.len() as u64 % 13),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent.len(), 99 + usize::from(now == ms(2100)));
        assert!(sent.iter().enumerate().all(|(n, at)| *at == ms(100 + 20 * n as u64)));
    }

    /// Runs a device whose frames last `frame_us` for ten minutes; gives (sent, silence, dropped, stretched).
    fn device(frame_us: u64, quiet: bool) -> (u64, u64, u64, u64) {
        let (mut pacer, mut delivered, mut waiting) = (Pacer::new(ms(0)), 0, 0);
        let (mut sent, mut silence, mut dropped, mut stretched) = (0, 0, 0, 0);
        let mut now = 0;
        while now < 600_000_000 {
            while (delivered + 1) * frame_us + 7_000 <= now {
                delivered += 1;
                waiting += FRAME_SAMPLES;
                match pacer.drift(Duration::from_micros(now), waiting, quiet) {
                    Some(Stretch::Shorten) => (waiting, stretched) = (waiting - 240, stretched + 1),
                    Some(Stretch::Lengthen) => (waiting, stretched) = (waiting + 240, stretched + 1),
                    None => {}
                }
            }
            match pacer.step(Duration::from_micros(now), Drive::Device { ready: waiting >= FRAME_SAMPLES }) {
                Step::Send(_) => (waiting, sent) = (waiting - FRAME_SAMPLES, sent + 1),
                Step::Drop(frames) => {
                    (waiting, dropped) = (waiting - FRAME_SAMPLES * frames as usize, dropped + frames);
                }
                Step::SendSilence(_) => silence += 1,
                Step::Wait(wait) => now += wait.as_micros() as u64,
            }
        }
        (sent, silence, dropped, stretched)
    }

    #[test]
    fn a_device_whose_crystal_is_off_stays_with_the_clock_and_loses_nothing() {
        assert_eq!(device(20_000, false), (29_999, 0, 0, 0));
        // 300 ppm: 180 ms in ten minutes, in steps of 5 ms.
        for (frame_us, quiet) in [(19_994, true), (19_994, false), (20_006, true), (20_006, false)] {
            let (sent, silence, dropped, stretched) = device(frame_us, quiet);
            assert!(sent.abs_diff(30_000) <= 4, "{frame_us} {quiet}: {sent} sent");
            assert_eq!((silence, dropped), (0, 0), "{frame_us} {quiet}");
            assert!((25..=36).contains(&stretched), "{frame_us} {quiet}: {stretched} stretched");
        }
    }

    #[test]
    fn a_device_that_delivers_nothing_is_replaced_by_silence() {
        let mut pacer = Pacer::new(ms(0));
        let mut silent = 0;
        for now in (0..10_000).step_by(4) {
            if let Step::SendSilence(at) = pacer.step(ms(now), Drive::Device { ready: false }) {
                assert_eq!(at, ms(silent * 20));
                silent += 1;
            }
        }
        assert!((494..=498).contains(&silent), "{silent}");
    }

    #[test]
    fn a_long_stall_is_skipped() {
        let mut pacer = Pacer::new(ms(0));
        assert_eq!(pacer.step(ms(20), Drive::Clock), Step::Send(ms(0)));
        assert_eq!(pacer.step(ms(60_040), Drive::Clock), Step::Drop(3_000));
        assert_eq!(pacer.step(ms(60_040), Drive::Clock), Step::Send(ms(60_020)));
        assert!(matches!(pacer.step(ms(60_041), Drive::Clock), Step::Wait(_)));
    }
}
