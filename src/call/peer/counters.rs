//! What a peer counts, and what the remote end reports. Pure: told the time and the facts.

use super::reception::Reception;
use super::remote_clock::RemoteClock;
use crate::media::frame::{Codec, MediaKind, SAMPLE_RATE, VIDEO_CLOCK};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Sender reports whose echo is awaited, for each kind: some seconds of them.
const AWAITED_REPORTS: usize = 8;
/// Remote streams that are counted; a browser that switches cameras opens new ones.
const MAX_STREAMS: usize = 16;

/// Packets and payload bytes since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// RTP packets.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

impl Count {
    /// One packet more.
    pub(super) fn add(&mut self, payload: usize) {
        self.packets += 1;
        self.bytes += payload as u64;
    }
}

/// The counters of one kind of media since the start; what the remote end reports is its last word.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KindSample {
    /// What left, without retransmissions.
    pub sent: Count,
    /// Packets that left again because the remote end missed them.
    pub retransmitted: u64,
    /// Coded frames that were dropped on this end because the path was full.
    pub frames_dropped: u64,
    /// New packets that came, retransmitted ones included.
    pub received: Count,
    /// Packets that should have come and have not, after retransmission.
    pub lost: u64,
    /// Packets that came by retransmission.
    pub recovered: u64,
    /// Packets that came when nobody took them in time.
    pub overflowed: u64,
    /// Interarrival jitter of what comes.
    pub jitter: Duration,
    /// Of the packets sent, those that the remote end misses for good.
    pub remote_lost: u64,
    /// Of the packets sent in its last report's interval, the fraction that it missed.
    pub remote_loss: f32,
    /// Interarrival jitter at the remote end.
    pub remote_jitter: Duration,
    /// Round trip by sender and receiver report (RFC 3550 §6.4.1).
    pub round_trip: Option<Duration>,
    /// Packets asked for again.
    pub nacks_sent: u64,
    /// Requests for packets that came.
    pub nacks_received: u64,
    /// Key frames asked for.
    pub plis_sent: u64,
    /// Requests for key frames that came, PLI or FIR.
    pub plis_received: u64,
}

impl KindSample {
    /// The sums over this connection and those before it; what is no sum is this one's.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let sum = |now: Count, then: Count| Count {
            packets: now.packets + then.packets,
            bytes: now.bytes + then.bytes,
        };
        Self {
            sent: sum(self.sent, before.sent),
            retransmitted: self.retransmitted + before.retransmitted,
            frames_dropped: self.frames_dropped + before.frames_dropped,
            received: sum(self.received, before.received),
            lost: self.lost + before.lost,
            recovered: self.recovered + before.recovered,
            overflowed: self.overflowed + before.overflowed,
            remote_lost: self.remote_lost + before.remote_lost,
            nacks_sent: self.nacks_sent + before.nacks_sent,
            nacks_received: self.nacks_received + before.nacks_received,
            plis_sent: self.plis_sent + before.plis_sent,
            plis_received: self.plis_received + before.plis_received,
            ..self
        }
    }
}

/// One block of a receiver report, about a stream of ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) kind: MediaKind,
    pub(super) fraction: u8,
    pub(super) lost: u32,
    pub(super) jitter: u32,
    /// The middle 32 bits of the NTP time of the last sender report that it heard; 0 for none.
    pub(super) heard: u32,
    /// How long ago it heard that, in 1/65536 s.
    pub(super) delay: u32,
}

/// All counters of a peer.
#[derive(Debug, Default)]
pub(super) struct Counters {
    audio: KindSample,
    video: KindSample,
    streams: HashMap<u32, (MediaKind, Reception)>,
    reports: VecDeque<(u32, Duration)>,
    /// The remote end's clock, as told for the stream that was told of last.
    clocks: HashMap<MediaKind, (u32, RemoteClock)>,
}

impl Counters {
    /// The counters of a kind, to count on.
    pub(super) fn kind(&mut self, kind: MediaKind) -> &mut KindSample {
        match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        }
    }

    /// Counts a packet that came in; `false` for a copy, or one of too many streams.
    pub(super) fn received(
        &mut self,
        codec: Codec,
        ssrc: u32,
        (sequence, timestamp): (u16, u32),
        payload: usize,
        arrived: Duration,
    ) -> bool {
        let kind = codec.kind();
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&ssrc) {
            return false;
        }
        let (_, reception) = self.streams.entry(ssrc).or_insert_with(|| (kind, Reception::new(clock(kind))));
        let new = reception.take(sequence, timestamp, arrived);
        let jitter = reception.jitter();
        if new {
            let sample = self.kind(kind);
            sample.received.add(payload);
            sample.jitter = jitter;
        }
        new
    }

    /// Remembers that a sender report left: its NTP time is what the answer names.
    pub(super) fn report_sent(&mut self, ntp: u64, now: Duration) {
        self.reports.push_back((middle(ntp), now));
        if self.reports.len() > AWAITED_REPORTS {
            self.reports.pop_front();
        }
    }

    /// The remote end said what time it was at this timestamp (NTP, RTP) of its stream.
    pub(super) fn clock_told(
        &mut self,
        ssrc: u32,
        (ntp, timestamp): (u64, u32),
        now: Duration,
        round_trip: Option<Duration>,
    ) {
        let Some((kind, _)) = self.streams.get(&ssrc) else { return };
        let fresh = || (ssrc, RemoteClock::new(clock(*kind)));
        let told = self.clocks.entry(*kind).or_insert_with(fresh);
        if told.0 != ssrc {
            *told = fresh();
        }
        told.1.reported(ntp, timestamp, now);
        if let Some(round_trip) = round_trip {
            told.1.round_trip(round_trip);
        }
    }

    /// How long before `at` the remote end captured what bears this timestamp.
    pub(super) fn age(&self, kind: MediaKind, timestamp: u32, at: Duration) -> Option<Duration> {
        self.clocks.get(&kind)?.1.age(timestamp, at)
    }

    /// Takes what the remote end says of a stream of ours.
    pub(super) fn reported(&mut self, report: &Report, now: Duration) {
        let sent = self.reports.iter().find(|(ntp, _)| *ntp == report.heard).map(|(_, sent)| *sent);
        let delay = Duration::from_secs_f64(f64::from(report.delay) / 65_536.0);
        let sample = self.kind(report.kind);
        sample.remote_loss = f32::from(report.fraction) / 256.0;
        // RFC 3550 §6.4.1: a signed 24-bit number; below zero when copies outnumber losses.
        sample.remote_lost =
            if report.lost & 0x80_0000 == 0 { u64::from(report.lost & 0x7f_ffff) } else { 0 };
        sample.remote_jitter =
            Duration::from_secs_f64(f64::from(report.jitter) / f64::from(clock(report.kind)));
        if let Some(sent) = sent
            && report.heard != 0
        {
            let round_trip = now.saturating_sub(sent).saturating_sub(delay);
            sample.round_trip = Some(round_trip);
            self.clocks.values_mut().for_each(|(_, clock)| clock.round_trip(round_trip));
        }
    }

    /// The sums: audio, then video.
    pub(super) fn sample(&self) -> (KindSample, KindSample) {
        let lost = |wanted: MediaKind| {
            let streams = self.streams.values().filter(|(kind, _)| *kind == wanted);
            streams.map(|(_, reception)| reception.lost()).sum()
        };
        (
            KindSample { lost: lost(MediaKind::Audio), ..self.audio },
            KindSample { lost: lost(MediaKind::Video), ..self.video },
        )
    }
}

/// RTP timestamps a second.
pub(super) fn clock(kind: MediaKind) -> u32 {
    match kind {
        MediaKind::Audio => SAMPLE_RATE,
        MediaKind::Video => VIDEO_CLOCK,
    }
}

/// RFC 3550 §4: the middle 32 bits of an NTP timestamp, seconds and fraction 16 bits each.
fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: Report =
        Report { kind: MediaKind::Video, fraction: 64, lost: 12, jitter: 900, heard: 0, delay: 0 };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_report_is_read_in_our_units() {
        let mut counters = Counters::default();
        counters.reported(&REPORT, ms(0));
        let (_, video) = counters.sample();
        assert!((video.remote_loss - 0.25).abs() < f32::EPSILON);
        assert_eq!((video.remote_lost, video.remote_jitter, video.round_trip), (12, ms(10), None));
    }

    #[test]
    fn a_negative_loss_is_none() {
        let mut counters = Counters::default();
        counters.reported(&Report { lost: 0xff_fffe, ..REPORT }, ms(0));
        assert_eq!(counters.sample().1.remote_lost, 0);
    }

    #[test]
    fn the_round_trip_leaves_out_the_time_at_the_remote_end() {
        let mut counters = Counters::default();
        counters.report_sent(0x0000_1234_5678_0000, ms(1_000));
        let echo = Report { heard: 0x1234_5678, delay: 65_536 / 2, ..REPORT };
        counters.reported(&echo, ms(1_580));
        assert_eq!(counters.sample().1.round_trip, Some(ms(80)));
        // An echo of a report that never left tells nothing.
        counters.reported(&Report { heard: 0x9999, ..echo }, ms(9_000));
        assert_eq!(counters.sample().1.round_trip, Some(ms(80)));
    }

    #[test]
    fn copies_do_not_count_and_losses_add_up_over_streams() {
        let mut counters = Counters::default();
        for (ssrc, sequence, new) in
            [(1, 10, true), (1, 10, false), (1, 13, true), (2, 5, true), (2, 7, true)]
        {
            assert_eq!(counters.received(Codec::Vp8, ssrc, (sequence, 0), 100, ms(0)), new);
        }
        let (audio, video) = counters.sample();
        assert_eq!(video.received, Count { packets: 4, bytes: 400 });
        assert_eq!((video.lost, audio), (3, KindSample::default()));
    }

    #[test]
    fn a_connection_counts_on_where_the_one_before_stopped() {
        let of = |packets, lost, round_trip| KindSample {
            received: Count { packets, bytes: packets * 100 },
            lost,
            round_trip,
            ..KindSample::default()
        };
        let sum = of(5, 1, Some(ms(20))).after(&of(7, 2, Some(ms(90))));
        assert_eq!(sum, of(12, 3, Some(ms(20))));
    }

    #[test]
    fn streams_are_not_counted_without_end() {
        let mut counters = Counters::default();
        for ssrc in 0..1_000 {
            counters.received(Codec::Opus, ssrc, (0, 0), 1, ms(0));
        }
        assert_eq!(counters.streams.len(), MAX_STREAMS);
    }
}
