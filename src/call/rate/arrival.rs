//! What arrives a second, and what gets lost, over the last moments.

use super::Fate;
use std::collections::VecDeque;
use std::time::Duration;

/// The delivery rate is that of so much arrival time: short enough to see a path become narrow.
const RATE_WINDOW: Duration = Duration::from_millis(400);
/// Losses are counted over so much sending time.
const LOSS_WINDOW: Duration = Duration::from_millis(1_500);
/// More packets are not remembered, whatever times are claimed.
const MOST: usize = 4_096;
/// Of fewer packets no fraction is taken.
const ENOUGH: usize = 20;

/// A receiver report is of at least so many packets: a second of sound.
const REPORTED: usize = 50;

/// The fraction of so many packets that was lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    pub(super) part: f64,
    pub(super) of: usize,
}

#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Arrival and bits.
    came: VecDeque<(Duration, u32)>,
    /// Sending, and whether it was lost.
    fates: VecDeque<(Duration, bool)>,
    reported: Option<(f64, f64)>,
}

impl Arrivals {
    pub(super) fn take(&mut self, fate: &Fate) {
        self.reported = None;
        self.fates.push_back((fate.sent, fate.arrived.is_none()));
        while self.fates.front().is_some_and(|(sent, _)| *sent + LOSS_WINDOW < fate.sent) {
            self.fates.pop_front();
        }
        let Some(arrived) = fate.arrived else { return };
        self.came.push_back((arrived, fate.size * 8));
        while self.came.len() > MOST || self.came.front().is_some_and(|(at, _)| *at + RATE_WINDOW < arrived) {
            self.came.pop_front();
        }
    }

    /// What a receiver report says instead.
    pub(super) fn report(&mut self, sent: u32, loss: f32) {
        let loss = f64::from(loss).clamp(0.0, 1.0);
        self.reported = Some((f64::from(sent) * (1.0 - loss), loss));
    }

    /// Bits that came a second.
    pub(super) fn rate(&self) -> Option<f64> {
        if let Some((rate, _)) = self.reported {
            return Some(rate);
        }
        let first = self.came.front()?.0;
        let last = self.came.iter().map(|(at, _)| *at).max()?;
        let span = last.saturating_sub(first);
        if span < RATE_WINDOW / 4 {
            return None;
        }
        // The first packet's bits came before the span began.
        let bits: u64 = self.came.iter().skip(1).map(|(_, bits)| u64::from(*bits)).sum();
        Some(bits as f64 / span.as_secs_f64())
    }

    /// What was lost; `None` while too few were sent.
    pub(super) fn loss(&self) -> Option<Loss> {
        if let Some((_, part)) = self.reported {
            return Some(Loss { part, of: REPORTED });
        }
        if self.fates.len() < ENOUGH {
            return None;
        }
        let lost = self.fates.iter().filter(|(_, lost)| *lost).count();
        Some(Loss { part: lost as f64 / self.fates.len() as f64, of: self.fates.len() })
    }

    /// Losses up to now are answered: only later ones count.
    pub(super) fn forget_losses(&mut self) {
        self.fates.clear();
    }

    pub(super) fn forget(&mut self) {
        self.came.clear();
        self.fates.clear();
        self.reported = None;
    }
}
