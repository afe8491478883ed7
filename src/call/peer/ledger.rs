//! What was sent under which transport-wide number, and what the remote end says became of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01); where it says nothing of single packets, what its receiver
//! reports say of all. Pure: told the time and the facts.

use crate::call::rate::Fate;
use crate::media::frame::MediaKind;
use std::collections::VecDeque;
use std::time::Duration;

/// Packets whose fate is awaited: some seconds at the highest rate.
const AWAITED: usize = 4_096;
/// Fates that wait to be taken; more is a reader that stopped.
const MAX_FATES: usize = 4_096;
/// §3.1: the reference time is a signed count of 64 ms, of 24 bits.
const TICK: Duration = Duration::from_millis(64);
const TICKS: u64 = 1 << 24;
/// So long after the last word on single packets receiver reports count again.
const FORGOTTEN: Duration = Duration::from_secs(5);
/// Reports that come closer together are taken as one.
const REPORT_SPAN: Duration = Duration::from_millis(400);

/// What a receiver report says of everything since the last one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// bit/s that were sent, on the wire.
    pub sent: u32,
    /// The fraction of them that got lost.
    pub loss: f32,
}

/// What was learned since it was last asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Whether anything was sent.
    pub sent: bool,
    /// Of single packets.
    pub fates: Vec<Fate>,
    /// Of all together, from an end that does not speak of single ones.
    pub summary: Option<Summary>,
    /// The last round trip.
    pub round_trip: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Duration,
    size: u32,
    told: bool,
}

/// Packets of one kind since the last report.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    packets: u32,
    loss: Option<f32>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    next: u16,
    /// The last packets, ending with the one before `next`.
    sent: VecDeque<Sent>,
    fates: Vec<Fate>,
    /// The last reference time, unrolled.
    reference: Option<u64>,
    told: Option<Duration>,
    any: bool,
    since: [Since; 2],
    bits: u64,
    reported: Option<Duration>,
}

impl Ledger {
    /// A packet leaves, of so many bytes on the wire.
    pub(super) fn leaves(&mut self, now: Duration, kind: MediaKind, size: u32) {
        self.any = true;
        self.since_mut(kind).packets += 1;
        self.bits += u64::from(size) * 8;
        self.reported.get_or_insert(now);
    }

    /// And is given a number.
    pub(super) fn number(&mut self, now: Duration, size: u32) -> u16 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.sent.push_back(Sent { at: now, size, told: false });
        if self.sent.len() > AWAITED {
            self.sent.pop_front();
        }
        number
    }

    /// Feedback: its reference time, and each packet's number and arrival after the reference, `None` for those
    /// that have not come.
    pub(super) fn told(
        &mut self,
        now: Duration,
        reference: u32,
        packets: impl IntoIterator<Item = (u16, Option<Duration>)>,
    ) {
        self.told = Some(now);
        let zero = self.unrolled(reference);
        for (number, arrived) in packets {
            let back = usize::from(self.next.wrapping_sub(number));
            let Some(place) = self.sent.len().checked_sub(back) else { continue };
            let Some(sent) = self.sent.get_mut(place).filter(|sent| !sent.told) else { continue };
            sent.told = true;
            if self.fates.len() < MAX_FATES {
                let arrived = arrived.map(|after| TICK * zero as u32 + after);
                self.fates.push(Fate { sent: sent.at, arrived, size: sent.size });
            }
        }
    }

    /// A block of a receiver report.
    pub(super) fn reported(&mut self, kind: MediaKind, loss: f32) {
        self.since_mut(kind).loss = Some(loss);
    }

    /// What was learned since the last time.
    pub(super) fn news(&mut self, now: Duration) -> News {
        let sent = std::mem::take(&mut self.any);
        let fates = std::mem::take(&mut self.fates);
        News { sent, fates, summary: self.summary(now), round_trip: None }
    }

    fn summary(&mut self, now: Duration) -> Option<Summary> {
        let span = now.saturating_sub(self.reported?);
        if span < REPORT_SPAN || self.since.iter().all(|since| since.loss.is_none()) {
            return None;
        }
        let since = std::mem::take(&mut self.since);
        let bits = std::mem::take(&mut self.bits);
        self.reported = Some(now);
        if self.told.is_some_and(|told| now.saturating_sub(told) < FORGOTTEN) {
            return None;
        }
        // A kind that was not reported on lost nothing that is known.
        let lost: f32 = since.iter().map(|since| since.packets as f32 * since.loss.unwrap_or(0.0)).sum();
        let all: f32 = since.iter().map(|since| since.packets as f32).sum();
        let sent = (bits as f64 / span.as_secs_f64()) as u32;
        Some(Summary { sent, loss: if all > 0.0 { lost / all } else { 0.0 } })
    }

    fn since_mut(&mut self, kind: MediaKind) -> &mut Since {
        let [audio, video] = &mut self.since;
        match kind {
            MediaKind::Audio => audio,
            MediaKind::Video => video,
        }
    }

    /// 24 bits are twelve days; where they wrap, the time goes on.
    fn unrolled(&mut self, reference: u32) -> u64 {
        let reference = u64::from(reference) % TICKS;
        let last = self.reference.unwrap_or(reference);
        let turn = last / TICKS;
        let near = reference + turn * TICKS;
        let unrolled = match near {
            near if near + TICKS / 2 < last => near + TICKS,
            near if near > last + TICKS / 2 => near.saturating_sub(TICKS),
            near => near,
        };
        // Two turns at most: what claims more is no clock, and times must stay small enough to be subtracted.
        let unrolled = unrolled % (2 * TICKS);
        self.reference = Some(unrolled);
        unrolled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn sent(count: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for n in 0..count {
            ledger.leaves(ms(n * 10), MediaKind::Video, 100);
            assert_eq!(ledger.number(ms(n * 10), 100), n as u16);
        }
        ledger
    }

    #[test]
    fn each_packet_s_fate_is_told_once() {
        let mut ledger = sent(4);
        ledger.told(ms(60), 2, [(1, Some(ms(5))), (2, None), (3, Some(ms(7)))]);
        ledger.told(ms(70), 2, [(2, Some(ms(9))), (3, Some(ms(7))), (9, Some(ms(9)))]);
        let news = ledger.news(ms(80));
        let fate = |sent, arrived: Option<u64>| Fate { sent: ms(sent), arrived: arrived.map(ms), size: 100 };
        assert_eq!(news.fates, [fate(10, Some(133)), fate(20, None), fate(30, Some(135))]);
        assert!(news.sent);
        assert_eq!(ledger.news(ms(90)), News::default());
    }

    #[test]
    fn the_reference_time_goes_on_where_it_wraps() {
        let mut ledger = sent(3);
        let last = (TICKS - 1) as u32;
        ledger.told(ms(60), last, [(0, Some(ms(0)))]);
        ledger.told(ms(70), 0, [(1, Some(ms(0)))]);
        ledger.told(ms(80), last, [(2, Some(ms(0)))]);
        let times: Vec<_> = ledger.news(ms(90)).fates.iter().map(|fate| fate.arrived.unwrap()).collect();
        assert_eq!(times[1] - times[0], TICK);
        assert_eq!(times[2], times[0]);
    }

    #[test]
    fn reports_count_where_nothing_is_said_of_single_packets() {
        let mut ledger = sent(100);
        ledger.reported(MediaKind::Video, 0.25);
        assert_eq!(ledger.news(ms(1_000)).summary, Some(Summary { sent: 80_000, loss: 0.25 }));
        assert_eq!(ledger.news(ms(2_000)).summary, None);
        ledger.leaves(ms(2_000), MediaKind::Video, 100);
        ledger.told(ms(2_000), 0, []);
        ledger.reported(MediaKind::Video, 0.25);
        assert_eq!(ledger.news(ms(2_500)).summary, None);
    }

    proptest! {
        #[test]
        fn no_feedback_makes_it_panic(packets: Vec<(u32, u16, Option<u32>)>) {
            let mut ledger = sent(70);
            for (reference, number, arrived) in packets {
                let arrived = arrived.map(|us| Duration::from_micros(us.into()));
                ledger.told(ms(1), reference, [(number, arrived)]);
            }
            prop_assert!(ledger.news(ms(2)).fates.len() <= 70);
        }
    }
}
