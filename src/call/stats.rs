//! PURE: two samples of counters -> what a person reads once a second.

use super::event::{AudioStats, CodecNames, DirectionStats, StatsEvent, VideoStats};
use super::peer::KindSample;
use std::time::Duration;

/// Everything that is counted, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Sound's packets.
    pub audio: KindSample,
    /// Picture's packets.
    pub video: KindSample,
    /// Round trip of the last connectivity check.
    pub check_rtt: Option<Duration>,
    /// Frames that the picture's encoder gave.
    pub frames_sent: u64,
    /// Remote frames that reached the screen's slot.
    pub frames_shown: u64,
    /// What the picture's pipeline says of itself; rates are computed here.
    pub picture: VideoStats,
    /// What the sound's pipeline says of itself.
    pub sound: AudioStats,
    /// What the encoders aim at, kbit/s.
    pub target_kbps: u32,
    /// Bytes that went through a relay.
    pub relayed_bytes: u64,
    /// Names.
    pub codecs: CodecNames,
}

/// Rates of less time than this are chance: of a moment after a stop, or when they are asked for just after they were
/// told.
const SHORTEST: Duration = Duration::from_millis(500);

/// Turns samples into rates.
#[derive(Debug, Default)]
pub struct Meter {
    /// The sample that rates are since, and the latest that may follow it.
    base: Option<(Duration, Sample)>,
    latest: Option<(Duration, Sample)>,
}

impl Meter {
    /// Takes a sample; rates are those since one that is half a second old at least, and a second or so as a rule.
    pub fn take(&mut self, now: Duration, sample: Sample) -> StatsEvent {
        let is_old = |(at, _): &mut (Duration, Sample)| now.saturating_sub(*at) >= SHORTEST;
        if let Some(latest) = self.latest.take_if(is_old) {
            self.base = Some(latest);
        }
        let none = (now.saturating_sub(Duration::from_secs(1)), sample.clone());
        let (then, before) = self.base.as_ref().unwrap_or(&none);
        let seconds = now.saturating_sub(*then).as_secs_f32().max(0.001);
        let per_second = |now: u64, before: u64| now.saturating_sub(before) as f32 / seconds;
        let kbps = |now: u64, before: u64| (per_second(now, before) * 8.0 / 1_000.0).round() as u32;
        let sent_packets = sample.audio.sent.packets + sample.video.sent.packets;
        let sent_lost = sample.audio.remote_lost + sample.video.remote_lost;
        let received = |sample: &Sample| sample.audio.received.packets + sample.video.received.packets;
        let lost = |sample: &Sample| sample.audio.lost + sample.video.lost;
        let (came, missing) = (
            received(&sample) - received(before).min(received(&sample)),
            lost(&sample).saturating_sub(lost(before)),
        );
        let event = StatsEvent {
            rtt_ms: sample
                .audio
                .round_trip
                .or(sample.video.round_trip)
                .or(sample.check_rtt)
                .map(milliseconds),
            sent: DirectionStats {
                audio_kbps: kbps(sample.audio.sent.bytes, before.audio.sent.bytes),
                video_kbps: kbps(sample.video.sent.bytes, before.video.sent.bytes),
                packets: sent_packets,
                lost: sent_lost,
                loss: sample.audio.remote_loss.max(sample.video.remote_loss),
            },
            received: DirectionStats {
                audio_kbps: kbps(sample.audio.received.bytes, before.audio.received.bytes),
                video_kbps: kbps(sample.video.received.bytes, before.video.received.bytes),
                packets: received(&sample),
                lost: lost(&sample),
                loss: fraction(missing, came),
            },
            jitter_ms: Some(milliseconds(sample.audio.jitter)),
            video: VideoStats {
                sent_fps: per_second(sample.frames_sent, before.frames_sent),
                shown_fps: per_second(sample.frames_shown, before.frames_shown),
                ..sample.picture.clone()
            },
            audio: sample.sound.clone(),
            target_kbps: sample.target_kbps,
            relayed_bytes: sample.relayed_bytes,
            codecs: sample.codecs.clone(),
        };
        self.latest.get_or_insert((now, sample));
        event
    }
}

/// As it is told: to a tenth.
pub(super) fn milliseconds(duration: Duration) -> f32 {
    (duration.as_secs_f32() * 10_000.0).round() / 10.0
}

/// Of all that should have come.
fn fraction(missing: u64, came: u64) -> f32 {
    if missing == 0 { 0.0 } else { missing as f32 / (missing + came) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::peer::Count;

    fn sample(packets: u64, lost: u64, frames: u64) -> Sample {
        let audio = KindSample {
            received: Count { packets, bytes: packets * 100 },
            sent: Count { packets, bytes: packets * 50 },
            lost,
            ..KindSample::default()
        };
        Sample { audio, frames_shown: frames, frames_sent: frames * 2, ..Sample::default() }
    }

    #[test]
    fn rates_are_differences_by_time_and_counters_stay_counters() {
        let mut meter = Meter::default();
        meter.take(Duration::from_secs(1), sample(100, 0, 10));
        let stats = meter.take(Duration::from_secs(3), sample(180, 20, 70));
        assert_eq!(stats.received.audio_kbps, 32);
        assert_eq!(stats.sent.audio_kbps, 16);
        assert_eq!((stats.received.packets, stats.received.lost), (180, 20));
        assert!((stats.received.loss - 0.2).abs() < 1e-6);
        assert!((stats.video.shown_fps - 30.0).abs() < 1e-3);
        assert!((stats.video.sent_fps - 60.0).abs() < 1e-3);
    }

    #[test]
    fn a_moment_is_no_time_for_a_rate() {
        let mut meter = Meter::default();
        let mut shown = Vec::new();
        // A program that was stopped for seven seconds tells twice at once afterwards.
        for (at, frames) in [(1_000, 0), (2_000, 30), (9_000, 30), (9_030, 50), (10_000, 80), (10_010, 81)] {
            let stats = meter.take(Duration::from_millis(at), sample(0, 0, frames));
            shown.push(stats.video.shown_fps.round() as u32);
        }
        assert_eq!(shown, [0, 30, 0, 3, 50, 50]);
    }

    #[test]
    fn counters_that_go_back_are_no_rate() {
        let mut meter = Meter::default();
        meter.take(Duration::from_secs(1), sample(100, 50, 10));
        let stats = meter.take(Duration::from_secs(2), sample(10, 5, 1));
        assert_eq!(stats.received.audio_kbps, 0);
        assert!(stats.received.loss.abs() < f32::EPSILON);
    }
}
