//! The target itself: falls at a queue to what the path carries and below, until the queue is gone; grows fast where
//! nothing is known, and gently near what the path carried last.

use super::arrival::Loss;
use std::time::Duration;

/// A queue over this is one: pictures' bursts and a radio's jitter stay below. On a narrow path a single packet of so
/// many bits lies above it and is none.
const HIGH: Duration = Duration::from_millis(50);
const PACKET: f64 = 1_500.0;
/// Below this there is none. What stays above it for so long is one as well, and at once where the path was full at
/// this part of the rate before: what sound waits in the queue is then half as much.
const LOW: Duration = Duration::from_millis(25);
const LINGERS: Duration = Duration::from_secs(1);
const FULL: f64 = 0.95;
/// A queue of so much would take the target to nothing: it falls in proportion, so that any queue drains within
/// half a second.
const DRAIN: f64 = 0.5;
/// A queue that is smaller than this part of what it was is draining.
const SHRUNK: f64 = 0.8;
/// Of what arrived when the path was full, so much is aimed at after the queue has drained.
const RESUME: f64 = 0.92;
/// So many cuts, each given its time, must drain any queue of our own; what still stands is others'. Where there was
/// nothing left to cut it takes longer: a narrow path may be filled by what a call begins with.
const OWN_CUTS: u32 = 4;
const OWN_QUEUE: Duration = Duration::from_secs(6);
/// How long others are believed to fill the queue before that is tried again.
const YIELD_AGAIN: Duration = Duration::from_secs(20);
/// A second's growth, far from and near to what the path carried, and beside others; and the least of it in bit/s.
const FAR: (f64, f64) = (0.5, 8_000.0);
const NEAR: (f64, f64) = (0.04, 3_000.0);
const BESIDE: (f64, f64) = (0.08, 3_000.0);
/// Feedback stands for no more than so much time, s: the interval of receiver reports.
const STEP: f64 = 1.0;
/// Beyond what arrives, the target is a guess: so far it may go.
const BEYOND: f64 = 1.5;
/// The least is never all used: what arrives or was carried then limits nothing up to here, where the smallest picture
/// has its place.
const FIRST_PICTURE: f64 = 1.3;
/// What the path carried last is not exceeded while less than this part of the target is used; it is remembered for
/// so long.
const USED: f64 = 0.8;
const REMEMBERED: Duration = Duration::from_secs(15);
/// Loss over what the path loses anyway that is taken for ours.
const EXCESS: f64 = 0.08;
/// How fast a loss that does not depend on the rate is recognised as the path's own.
const ACCUSTOMED: f64 = 4.0;
/// The path's own loss is believed to be so much, and a sudden one is not. On a path that is so young, what is more is
/// tried: whether it is there at so much of what arrives, for so long. A queue that was there first is seen by nothing
/// else.
const BELIEVED: f64 = 0.1;
const SUDDEN: f64 = 0.15;
const TRIED_AT: f64 = 0.5;
const TRIED_FOR: Duration = Duration::from_millis(600);
const TRY_AGAIN: Duration = Duration::from_secs(3);
const TRIALS: u32 = 2;
const YOUNG: Duration = Duration::from_secs(6);
/// After a cut, until what it does is seen: beside the round trip and the queue, feedback's interval and the encoders.
const EFFECT: Duration = Duration::from_millis(200);

/// What the feedback says, as of now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signal {
    pub(super) queueing: Duration,
    /// bit/s that arrive.
    pub(super) delivered: Option<f64>,
    pub(super) loss: Option<Loss>,
    /// The round trip without a queue.
    pub(super) base: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    /// The queue is ours: none may stand.
    Alone,
    /// Others fill it: loss leads.
    Crowded { since: Duration, calm: Option<Duration> },
}

#[derive(Debug)]
pub(super) struct Steer {
    least: f64,
    most: f64,
    rate: f64,
    mode: Mode,
    /// What the path carried when it was full.
    carried: Option<f64>,
    /// Cuts since there was no queue; the first, and the target before it.
    cuts: u32,
    first_cut: Duration,
    before: f64,
    last_cut: Option<Duration>,
    /// The queue at the last cut.
    found: Duration,
    last_step: Option<Duration>,
    /// The path's first step.
    first_step: Option<Duration>,
    /// There was some queue ever since.
    queue_since: Option<Duration>,
    /// The path's own loss.
    usual_loss: f64,
    /// How often less was sent to see whether the loss stays, and when last.
    trials: u32,
    tried: Duration,
}

impl Steer {
    pub(super) fn new(least: u32, start: u32, most: u32) -> Self {
        Self {
            least: least.into(),
            most: most.into(),
            rate: start.into(),
            mode: Mode::Alone,
            carried: None,
            cuts: 0,
            first_cut: Duration::ZERO,
            before: 0.0,
            last_cut: None,
            found: Duration::ZERO,
            last_step: None,
            first_step: None,
            queue_since: None,
            usual_loss: 0.0,
            trials: 0,
            tried: Duration::ZERO,
        }
    }

    pub(super) fn target(&self) -> u32 {
        self.rate as u32
    }

    /// Another path: as much as was sent, but not less than at the start of a call.
    pub(super) fn start_again(&mut self, start: u32) {
        (self.mode, self.carried, self.cuts, self.last_cut) = (Mode::Alone, None, 0, None);
        (self.usual_loss, self.trials, self.first_step) = (0.0, 0, None);
        self.set(self.rate.max(start.into()));
    }

    /// Nothing is heard.
    pub(super) fn fall(&mut self) {
        self.carried = None;
        self.cuts = 0;
        self.set(self.rate * 0.6);
    }

    /// `true` when it was cut: what was counted before is answered.
    pub(super) fn step(&mut self, now: Duration, signal: &Signal) -> bool {
        let passed = self.last_step.map_or(0.0, |last| now.saturating_sub(last).as_secs_f64()).min(STEP);
        self.last_step = Some(now);
        self.first_step.get_or_insert(now);
        let excess = self.excess_loss(signal, passed);
        match self.mode {
            Mode::Alone => self.alone(now, signal, passed, excess),
            Mode::Crowded { since, calm } => self.crowded(now, signal, passed, excess, (since, calm)),
        }
    }

    fn alone(&mut self, now: Duration, signal: &Signal, passed: f64, excess: f64) -> bool {
        let packet = Duration::from_secs_f64(PACKET / self.rate.max(self.least));
        let low = signal.queueing < LOW + packet;
        self.queue_since = if low { None } else { self.queue_since.or(Some(now)) };
        let full = self.carried.is_some_and(|carried| self.rate > carried * FULL);
        let patience = if full { Duration::ZERO } else { LINGERS };
        let lingers = self.queue_since.is_some_and(|since| now.saturating_sub(since) >= patience);
        if lingers || signal.queueing > HIGH + packet {
            return self.seen(now, signal) && !self.drains(now, signal) && self.drain(now, signal);
        }
        if low && self.cuts > 0 {
            self.cuts = 0;
            if let Some(carried) = self.carried {
                self.set(self.rate.max(carried * RESUME));
            }
        }
        if self.tries(now) {
            return false;
        }
        if self.doubts(now, excess) {
            (self.trials, self.tried) = (self.trials + 1, now);
            self.carried = None;
            self.set(self.rate.min(signal.delivered.unwrap_or(self.rate)) * TRIED_AT);
            return true;
        }
        if excess > EXCESS && self.seen(now, signal) {
            self.set(self.rate * (1.0 - 0.5 * excess));
            self.last_cut = Some(now);
            return true;
        }
        if low && excess <= EXCESS {
            // The more waits already, the gentler.
            let room = 1.0 - signal.queueing.as_secs_f64() / (LOW + packet).as_secs_f64();
            self.grow(now, signal, passed * room);
        }
        false
    }

    /// Whether a heavy loss without a queue is being tried at less.
    fn tries(&self, now: Duration) -> bool {
        self.trials > 0 && now.saturating_sub(self.tried) < TRIED_FOR
    }

    /// Whether one is to be.
    fn doubts(&self, now: Duration, excess: f64) -> bool {
        let heavy = self.usual_loss > BELIEVED || excess > SUDDEN;
        let rested = self.trials == 0 || now.saturating_sub(self.tried) > TRY_AGAIN;
        let young = self.first_step.is_some_and(|first| now.saturating_sub(first) < YOUNG);
        heavy && rested && young && self.trials < TRIALS
    }

    fn drain(&mut self, now: Duration, signal: &Signal) -> bool {
        if self.cuts == 0 {
            (self.before, self.first_cut) = (self.rate, now);
        }
        let cut = self.rate > self.least || now.saturating_sub(self.first_cut) > OWN_QUEUE;
        if self.cuts >= OWN_CUTS && cut {
            self.cuts = 0;
            self.set(self.rate.max(self.before * 0.6));
            self.mode = Mode::Crowded { since: now, calm: None };
            self.carried = None;
            return true;
        }
        let delivered = signal.delivered.unwrap_or(self.rate);
        self.cuts += 1;
        if self.cuts == 1 || self.carried.is_none_or(|carried| delivered < carried) {
            self.carried = Some(delivered);
        }
        let keep = (1.0 - signal.queueing.as_secs_f64() / DRAIN).clamp(0.5, 0.9);
        self.set(self.rate.min(delivered) * keep);
        (self.last_cut, self.found) = (Some(now), signal.queueing);
        true
    }

    fn crowded(
        &mut self,
        now: Duration,
        signal: &Signal,
        passed: f64,
        excess: f64,
        (since, calm): (Duration, Option<Duration>),
    ) -> bool {
        let calm = (signal.queueing < LOW).then(|| calm.unwrap_or(now));
        self.mode = Mode::Crowded { since, calm };
        let left = calm.is_some_and(|calm| now.saturating_sub(calm) > Duration::from_secs(1));
        if left || now.saturating_sub(since) > YIELD_AGAIN {
            self.mode = Mode::Alone;
            self.carried = None;
            self.cuts = 0;
        } else if excess > EXCESS / 4.0 {
            if self.seen(now, signal) {
                self.set(self.rate * 0.8);
                self.last_cut = Some(now);
                return true;
            }
        } else {
            self.grow_by(signal, BESIDE, passed);
        }
        false
    }

    /// Whether the last cut is doing what it should: that takes its time.
    fn drains(&self, now: Duration, signal: &Signal) -> bool {
        let patience = signal.base + EFFECT + Duration::from_secs_f64(DRAIN);
        self.cuts > 0
            && signal.queueing < self.found.mul_f64(SHRUNK)
            && self.last_cut.is_some_and(|cut| now.saturating_sub(cut) < patience)
    }

    /// Whether what the last cut does can be seen by now.
    fn seen(&self, now: Duration, signal: &Signal) -> bool {
        self.last_cut.is_none_or(|cut| now.saturating_sub(cut) > signal.base + signal.queueing + EFFECT)
    }

    fn grow(&mut self, now: Duration, signal: &Signal, passed: f64) {
        if self.last_cut.is_some_and(|cut| now.saturating_sub(cut) > REMEMBERED) {
            self.carried = None;
        }
        let near = match self.carried {
            Some(carried) if self.rate > carried * 1.15 => {
                self.carried = None;
                false
            }
            Some(carried) => self.rate > carried * 0.8,
            None => false,
        };
        self.grow_by(signal, if near { NEAR } else { FAR }, passed);
    }

    fn grow_by(&mut self, signal: &Signal, (part, least): (f64, f64), passed: f64) {
        let growth = (self.rate * part).max(least) * passed;
        let delivered = signal.delivered.unwrap_or(self.rate);
        let least = self.least * FIRST_PICTURE;
        let mut limit = (delivered * BEYOND).max(least);
        if let Some(carried) = self.carried.filter(|_| delivered < self.rate * USED) {
            limit = limit.min(carried.max(least));
        }
        self.set((self.rate + growth).min(limit.max(self.rate)));
    }

    /// Loss beyond what the path loses at any rate.
    fn excess_loss(&mut self, signal: &Signal, passed: f64) -> f64 {
        let Some(Loss { part, of }) = signal.loss else { return 0.0 };
        // Of few packets chance alone may take so many more or less.
        let chance = |part: f64| (part * (1.0 - part) / of.max(1) as f64).sqrt();
        let towards = (part - self.usual_loss) * (passed / ACCUSTOMED).min(1.0);
        self.usual_loss = (self.usual_loss + towards).min(part + chance(part)).min(0.35);
        part - self.usual_loss - chance(self.usual_loss)
    }

    fn set(&mut self, rate: f64) {
        self.rate = rate.clamp(self.least, self.most);
    }
}
