//! When the next 20 ms of own sound are due. Pure: it is told the time and whether a frame is there.
//!
//! Files and tones are paced by the clock. A microphone paces itself, by a crystal of its own; the frames'
//! timestamps follow the clock all the same, so picture and sound stay together: when it runs fast a frame
//! is dropped now and then (in a pause if there is one), and where it delivers nothing silence is sent.

use std::time::Duration;

/// What one frame lasts, microseconds.
const FRAME: i64 = 20_000;
/// A device may be behind the clock by so much (its buffer, its crystal) before silence goes out instead.
const PATIENCE: i64 = 60_000;
/// And ahead by so much before a frame is dropped: in a pause, and in any case.
const AHEAD_QUIET: i64 = -30_000;
const AHEAD: i64 = -60_000;
/// After a stall longer than this (a suspended process) the time is skipped, not made up for.
const STALL: i64 = 500_000;
/// How often a device is looked at while it is late.
const LOOK: Duration = Duration::from_millis(4);

/// What drives the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drive {
    /// The clock: a frame is there whenever it is due.
    Clock,
    /// A device: `ready` when it has delivered a whole frame; `quiet` when nobody spoke lately.
    Device {
        /// A whole frame is there.
        ready: bool,
        /// Nobody spoke in the last one.
        quiet: bool,
    },
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take a frame from the source and send it; it began at this time.
    Send(Duration),
    /// Send silence in its place.
    SendSilence(Duration),
    /// Take a frame and drop it.
    Drop,
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
        }
        let late = micros(now) - self.due;
        match drive {
            Drive::Clock if late >= 0 => Step::Send(self.advance()),
            Drive::Clock => Step::Wait(Duration::from_micros(late.unsigned_abs())),
            Drive::Device { ready: true, quiet } => {
                if late < if quiet { AHEAD_QUIET } else { AHEAD } {
                    Step::Drop
                } else {
                    Step::Send(self.advance())
                }
            }
            Drive::Device { .. } if late > PATIENCE => Step::SendSilence(self.advance()),
            Drive::Device { .. } => Step::Wait(LOOK),
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

    /// Runs a device whose frames last `frame_us` for ten minutes; gives (sent, silence, dropped).
    fn device(frame_us: u64, quiet: bool) -> (u64, u64, u64) {
        let (mut pacer, mut delivered, mut counts) = (Pacer::new(ms(0)), 0, (0, 0, 0));
        let mut now = 0;
        while now < 600_000_000 {
            let ready = (delivered + 1) * frame_us + 7_000 <= now;
            match pacer.step(Duration::from_micros(now), Drive::Device { ready, quiet }) {
                Step::Send(_) => (delivered, counts.0) = (delivered + 1, counts.0 + 1),
                Step::Drop => (delivered, counts.2) = (delivered + 1, counts.2 + 1),
                Step::SendSilence(_) => counts.1 += 1,
                Step::Wait(wait) => now += wait.as_micros() as u64,
            }
        }
        counts
    }

    #[test]
    fn a_device_whose_crystal_is_off_stays_with_the_clock() {
        assert_eq!(device(20_000, false), (29_999, 0, 0));
        // 300 ppm: 180 ms in ten minutes.
        let (sent, silence, dropped) = device(19_994, true);
        assert!(sent.abs_diff(30_000) <= 4 && silence == 0 && (6..=9).contains(&dropped), "{sent} {dropped}");
        let (sent, silence, dropped) = device(20_006, false);
        assert!(
            (sent + silence).abs_diff(30_000) <= 4 && dropped == 0 && (5..=9).contains(&silence),
            "{silence}"
        );
    }

    #[test]
    fn a_device_that_delivers_nothing_is_replaced_by_silence() {
        let mut pacer = Pacer::new(ms(0));
        let mut silent = 0;
        for now in (0..10_000).step_by(4) {
            if let Step::SendSilence(at) = pacer.step(ms(now), Drive::Device { ready: false, quiet: true }) {
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
        assert_eq!(pacer.step(ms(60_040), Drive::Clock), Step::Send(ms(60_020)));
        assert!(matches!(pacer.step(ms(60_041), Drive::Clock), Step::Wait(_)));
    }
}
