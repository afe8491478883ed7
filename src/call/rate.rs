//! PURE: how much this end may send. From what the remote end says of each packet (when it came, or that it did not)
//! follows one target for sound and picture together; what becomes of it is the [`Plan`].
//!
//! ```text
//! packets sent, feedback -> queue    one-way delay over its least: how long packets wait in the path
//!                        -> arrival  what arrives a second, what gets lost
//!                             `-> steer -> target -> plan -> encoders, pace
//! ```
//! Delay leads: a path that queues is taken down to what it carries at once and drained, long before it loses.
//! Loss alone is believed only where it grew with the rate. Beside a flow that fills the queue whatever we do
//! (TCP), loss leads, so that the call keeps its share.
//!
//! Told the time; knows no codec, socket or thread.

mod arrival;
mod pace;
mod plan;
mod queue;
mod steer;
#[cfg(test)]
mod tests;

pub use pace::{Pace, Repairs};
pub use plan::{Picture, Plan, Planner, Sound, Wishes};

use arrival::{Arrivals, Loss};
use queue::Queue;
use std::time::Duration;
use steer::{Signal, Steer};

/// The least that is ever aimed at, bit/s on the wire: sound alone.
pub const LEAST: u32 = 26_000;
/// Until the path is known: a talking head fits, and a path that carries less shows it within half a second.
pub const START: u32 = 300_000;
/// Bytes around each payload: IP, UDP, RTP with its extension, SRTP's tag, a relay's ChannelData.
pub const OVERHEAD: u32 = 66;
/// Feedback comes ten times a second: after so long without an answer what is sent may all be lost. Receiver reports
/// come as seldom as every five seconds (RFC 3550 §6.2).
const SILENCE: Duration = Duration::from_millis(600);
const FIRST_SILENCE: Duration = Duration::from_secs(1);
const SILENCE_OF_REPORTS: Duration = Duration::from_secs(6);
/// How often the target falls while nothing is heard.
const SILENT_STEP: Duration = Duration::from_millis(300);

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// When it left, on our clock.
    pub sent: Duration,
    /// When it came, on the remote end's clock, whose zero nobody knows; `None`: not so far.
    pub arrived: Option<Duration>,
    /// Bytes on the wire.
    pub size: u32,
}

/// From feedback to the target.
#[derive(Debug)]
pub struct Controller {
    queue: Queue,
    arrivals: Arrivals,
    steer: Steer,
    /// What was sent first of that which nothing was heard of.
    unanswered: Option<Duration>,
    patience: Duration,
    fell: Duration,
    round_trip: Duration,
    base_round_trip: Duration,
    queueing: Duration,
}

impl Controller {
    /// Never aims at more than `most` bit/s.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            queue: Queue::default(),
            arrivals: Arrivals::default(),
            steer: Steer::new(LEAST.min(most), START.min(most), most),
            unanswered: None,
            patience: FIRST_SILENCE,
            fell: Duration::ZERO,
            round_trip: Duration::from_millis(100),
            base_round_trip: Duration::MAX,
            queueing: Duration::ZERO,
        }
    }

    /// Packets take another path, of which nothing is known but that it has to carry the call.
    pub fn new_path(&mut self) {
        (self.queue, self.arrivals) = (Queue::default(), Arrivals::default());
        (self.unanswered, self.patience) = (None, FIRST_SILENCE);
        (self.base_round_trip, self.queueing) = (Duration::MAX, Duration::ZERO);
        self.steer.start_again(START);
    }

    /// What is aimed at, bit/s on the wire.
    pub fn target(&self) -> u32 {
        self.steer.target()
    }

    /// How long packets wait in the path's queue, as last seen.
    pub fn queueing(&self) -> Duration {
        self.queueing
    }

    /// The round trip, measured elsewhere.
    pub fn round_trip(&mut self, measured: Duration) {
        self.round_trip = measured;
        self.base_round_trip = self.base_round_trip.min(measured);
    }

    /// Something left.
    pub fn sent(&mut self, now: Duration) {
        self.unanswered.get_or_insert(now);
    }

    /// Feedback about packets, in the order in which they were sent.
    pub fn feedback(&mut self, now: Duration, fates: &[Fate]) {
        if fates.is_empty() {
            return;
        }
        (self.unanswered, self.patience) = (None, SILENCE);
        for fate in fates {
            self.queue.take(fate);
            self.arrivals.take(fate);
        }
        let Some(queueing) = self.queue.standing() else { return };
        self.queueing = queueing;
        let loss = self.arrivals.loss();
        self.steer(now, loss);
    }

    /// A receiver report, from a remote end that says nothing of single packets: what was sent since the last one
    /// (bit/s), and the fraction of it that got lost. The round trip stands in for the one-way delay.
    pub fn report(&mut self, now: Duration, sent: u32, loss: f32) {
        (self.unanswered, self.patience) = (None, SILENCE_OF_REPORTS);
        self.queueing = self.round_trip.saturating_sub(self.base_round_trip);
        self.arrivals.report(sent, loss);
        let loss = self.arrivals.loss();
        self.steer(now, loss);
    }

    /// Time passes, with feedback or without: at least five times a second.
    pub fn tick(&mut self, now: Duration) {
        let silence = self.unanswered.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if silence > self.patience + self.round_trip && now.saturating_sub(self.fell) > SILENT_STEP {
            self.fell = now;
            self.steer.fall();
            self.arrivals.forget();
        }
    }

    fn steer(&mut self, now: Duration, loss: Option<Loss>) {
        let base = self.base_round_trip.min(self.round_trip);
        let signal = Signal { queueing: self.queueing, delivered: self.arrivals.rate(), loss, base };
        if self.steer.step(now, &signal) {
            self.arrivals.forget_losses();
        }
    }
}
