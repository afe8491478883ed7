//! The buffer on a virtual clock: synthetic arrivals in, playout out.

use super::*;
use crate::media::frame::Codec;

/// What the redundancy of these packets reaches: one frame, as FEC does.
const REACH: usize = FRAME_SAMPLES;
/// What a stretch takes out or puts in here.
const STRETCH: i64 = 300;

/// An Opus-looking 20 ms packet that says which one it is.
fn packet(n: u64, arrived_us: i64) -> MediaPacket {
    shifted(n, arrived_us, 0, 0)
}

fn shifted(n: u64, arrived_us: i64, sequence: u16, timestamp: u32) -> MediaPacket {
    let mut payload = vec![0x78];
    payload.extend(n.to_be_bytes());
    MediaPacket {
        codec: Codec::Opus,
        sequence: sequence.wrapping_add(n as u16),
        timestamp: timestamp.wrapping_add((n as u32).wrapping_mul(960)),
        marker: false,
        payload: payload.into(),
        arrived: Duration::from_micros(arrived_us.max(0) as u64),
    }
}

fn number(payload: &Bytes) -> u64 {
    u64::from_be_bytes(payload[1..9].try_into().unwrap())
}

fn us(at: i64) -> Duration {
    Duration::from_micros(at as u64)
}

/// A small generator: the same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

struct Run {
    stats: JitterStats,
    played: Vec<u64>,
    mean_delay_ms: f64,
    most_ms: f64,
}

/// Plays `count` packets that arrive at `arrival(n)` microseconds (negative: never), pulled by a speaker that
/// wants 20 ms every `period` from `phase` on, a quarter at a time.
fn run(count: u64, phase: i64, quiet: bool, arrival: impl FnMut(u64) -> i64) -> Run {
    run_reaching(count, (phase, 20_000), quiet, REACH, arrival)
}

fn run_reaching(
    count: u64,
    (phase, period): (i64, i64),
    quiet: bool,
    reach: usize,
    mut arrival: impl FnMut(u64) -> i64,
) -> Run {
    let mut arrivals: Vec<(i64, u64)> =
        (0..count).map(|n| (arrival(n), n)).filter(|(at, _)| *at >= 0).collect();
    arrivals.sort_unstable();
    let at: std::collections::HashMap<u64, i64> = arrivals.iter().map(|(at, n)| (*n, *at)).collect();
    let mut arrivals = arrivals.into_iter().peekable();
    let (mut buffer, mut played, mut waits) = (JitterBuffer::new(), Vec::new(), Vec::new());
    let (mut now, mut pending, mut most_ms) = (phase, 0, 0.0f64);
    while arrivals.peek().is_some() {
        while let Some((at, n)) = arrivals.next_if(|(at, _)| *at <= now) {
            buffer.insert(packet(n, at), reach);
        }
        while pending < 240 {
            let (payload, samples) = match buffer.pull(us(now), quiet) {
                Playout::Decode(payload) => (Some(payload), 960),
                Playout::Stretch(payload, Stretch::Shorten) => (Some(payload), 960 - STRETCH),
                Playout::Stretch(payload, Stretch::Lengthen) => (Some(payload), 960 + STRETCH),
                Playout::Recover { samples, .. } | Playout::Conceal { samples } => (None, samples as i64),
                Playout::Silence => (None, 960),
            };
            if let Some(payload) = payload {
                let n = number(&payload);
                let wait = (now - at[&n]) as f64 / 1000.0 + pending as f64 / 48.0;
                waits.push(wait);
                most_ms = if n > 100 { most_ms.max(wait) } else { 0.0 };
                played.push(n);
            }
            pending += samples;
        }
        pending -= 240;
        now += period / 4;
    }
    let mean_delay_ms = waits.iter().sum::<f64>() / waits.len().max(1) as f64;
    Run { stats: buffer.stats(), played, mean_delay_ms, most_ms }
}

#[test]
fn a_perfect_network_is_played_whole_with_little_delay_whatever_the_phase() {
    for phase in (0..20_000).step_by(1_000) {
        let run = run(1000, phase, false, |n| 5_000 + n as i64 * 20_000);
        assert_eq!(run.stats.concealed, Duration::ZERO, "phase {phase}");
        assert_eq!((run.stats.lost, run.stats.late), (0, 0));
        assert!(run.played.windows(2).all(|w| w[1] == w[0] + 1));
        assert!(run.played.len() > 995);
        assert!(run.mean_delay_ms <= 45.0, "phase {phase}: {} ms", run.mean_delay_ms);
    }
}

#[test]
fn jitter_of_20_ms_costs_at_most_80_ms_and_little_invention() {
    for (quiet, seed) in [(false, 1), (true, 2), (false, 3), (true, 4)] {
        let mut random = Random(seed);
        let run =
            run(3000, 3_000, quiet, |n| 100_000 + n as i64 * 20_000 + (random.normal() * 20_000.0) as i64);
        let concealed = run.stats.concealed.as_secs_f64() / 60.0;
        println!("quiet {quiet}: {:.1} ms, concealed {:.2} %", run.mean_delay_ms, concealed * 100.0);
        assert!(run.mean_delay_ms <= 80.0, "{} ms", run.mean_delay_ms);
        assert!(concealed < 0.03, "{concealed} invented; {:?}", run.stats);
    }
}

#[test]
fn single_losses_are_restored_from_the_next_packet() {
    let run = run(1000, 3_000, false, |n| if n % 20 == 10 { -1 } else { 5_000 + n as i64 * 20_000 });
    assert_eq!(run.stats.lost, 50);
    let recovered = run.stats.recovered.as_millis() / 20;
    assert!(recovered >= 45, "{recovered} of 50: {:?}", run.stats);
    assert!(run.mean_delay_ms < 50.0, "{} ms", run.mean_delay_ms);
}

#[test]
fn a_burst_of_loss_is_invented_and_leaves_no_delay_behind() {
    let run =
        run(1000, 3_000, false, |n| if (500..510).contains(&n) { -1 } else { 5_000 + n as i64 * 20_000 });
    assert_eq!(run.stats.lost, 10);
    let concealed = run.stats.concealed.as_millis();
    assert!((160..=220).contains(&concealed), "{:?}", run.stats);
    assert!(run.stats.delay < Duration::from_millis(45), "{:?}", run.stats);
}

#[test]
fn reordered_packets_are_played_in_order() {
    let run = run(500, 3_000, false, |n| {
        let lateness = if n % 10 == 4 { 25_000 } else { 0 };
        5_000 + n as i64 * 20_000 + lateness
    });
    assert!(run.played.windows(2).all(|w| w[1] > w[0]));
    assert!(run.stats.lost + run.stats.late <= 4, "{:?}", run.stats);
    assert!(run.played.len() > 485);
}

#[test]
fn duplicates_are_counted_and_played_once() {
    let mut buffer = JitterBuffer::new();
    for n in 0..10 {
        buffer.insert(packet(n, n as i64 * 20_000), REACH);
        buffer.insert(packet(n, n as i64 * 20_000), REACH);
    }
    assert_eq!(buffer.stats().duplicates, 10);
}

#[test]
fn sequence_and_timestamp_wrap_unnoticed() {
    let mut buffer = JitterBuffer::new();
    let mut played = Vec::new();
    for n in 0..200 {
        buffer.insert(shifted(n, n as i64 * 20_000, 65_436, u32::MAX - 96_000), REACH);
        if let Playout::Decode(payload) = buffer.pull(us(n as i64 * 20_000 + 12_000), false) {
            played.push(number(&payload));
        }
    }
    assert_eq!(played, (0..199).collect::<Vec<_>>());
    assert_eq!((buffer.stats().lost, buffer.stats().restarts), (0, 0));
}

#[test]
fn a_new_stream_takes_over_at_its_second_packet_and_one_stray_packet_does_not() {
    let mut buffer = JitterBuffer::new();
    let mut played = Vec::new();
    for n in 0..300u64 {
        let at = n as i64 * 20_000;
        if n == 50 {
            buffer.insert(shifted(9999, at, 7, 0x9000_0000), REACH);
        }
        let offset = if n < 100 { 0 } else { 0x7000_0000 };
        buffer.insert(shifted(n, at, offset as u16, offset), REACH);
        if let Playout::Decode(payload) = buffer.pull(us(at + 12_000), false) {
            played.push(number(&payload));
        }
    }
    assert_eq!(buffer.stats().restarts, 1);
    assert!(!played.contains(&9999));
    assert!(played.len() > 294, "{} {:?}", played.len(), buffer.stats());
}

#[test]
fn a_sender_whose_clock_went_back_a_little_is_heard_again_after_a_second() {
    let mut buffer = JitterBuffer::new();
    let mut last = 0;
    for n in 0..300u64 {
        let at = n as i64 * 20_000;
        let offset = if n < 100 { 96_000 } else { 0 };
        buffer.insert(shifted(n, at, 0, offset), REACH);
        if let Playout::Decode(payload) = buffer.pull(us(at + 12_000), false) {
            last = number(&payload);
        }
    }
    assert!(last > 290, "{last}: {:?}", buffer.stats());
    assert_eq!(buffer.stats().restarts, 1);
}

#[test]
fn a_stall_is_not_heard_for_long_afterwards() {
    // Nothing for 800 ms, then all at once.
    let stall = |n: u64| {
        let at = 5_000 + n as i64 * 20_000;
        if (200..240).contains(&n) { 5_000 + 240 * 20_000 } else { at }
    };
    let run = run(1500, 3_000, false, stall);
    assert!(run.stats.delay < Duration::from_millis(100), "{:?}", run.stats);
    assert!(run.stats.shortened >= Duration::from_millis(400), "{:?}", run.stats);
}

#[test]
fn more_jitter_lengthens_the_delay_and_less_shortens_it_again() {
    let mut random = Random(5);
    let mut delays = Vec::new();
    for jitter_until in [1000u64, 3000] {
        let mut random = Random(random.next().to_bits());
        let run = run(jitter_until, 3_000, true, |n| {
            let spread = if (500..1000).contains(&n) { 60_000.0 } else { 0.0 };
            5_000 + n as i64 * 20_000 + (random.next() * spread) as i64
        });
        delays.push(run.stats.delay);
    }
    assert!(delays[0] > Duration::from_millis(30), "{delays:?}");
    assert!(delays[1] < Duration::from_millis(45), "{delays:?}");
}

#[test]
fn a_drifting_clock_is_followed_without_invention_beyond_the_drift() {
    // The sender is 200 ppm slow, then fast: 60 ms in 300 s.
    for ppm in [-200, 200] {
        let run = run(15_000, 3_000, true, |n| 5_000 + n as i64 * (20_000 + 20_000 * ppm / 1_000_000));
        assert!(run.stats.delay < Duration::from_millis(60), "{ppm}: {:?}", run.stats);
        assert!(run.stats.concealed <= Duration::from_millis(100), "{ppm}: {:?}", run.stats);
    }
}

#[test]
fn a_stream_that_stops_fades_into_silence_and_comes_back() {
    let mut buffer = JitterBuffer::new();
    let mut last = Playout::Silence;
    for n in 0..20u64 {
        buffer.insert(packet(n, n as i64 * 20_000), REACH);
        last = buffer.pull(us(n as i64 * 20_000 + 12_000), false);
    }
    assert!(matches!(last, Playout::Decode(_)));
    for n in 20..120 {
        last = buffer.pull(us(n * 20_000 + 12_000), false);
    }
    assert_eq!(last, Playout::Silence);
    assert!(buffer.stats().concealed <= Duration::from_secs(1));
    let lost = buffer.stats().lost;
    for n in 500..510u64 {
        buffer.insert(packet(n, n as i64 * 20_000), REACH);
        last = buffer.pull(us(n as i64 * 20_000 + 12_000), false);
    }
    assert!(matches!(last, Playout::Decode(_)), "{last:?}");
    assert_eq!(buffer.stats().lost, lost);
}

#[test]
fn packets_of_other_lengths_are_played_whole() {
    for (toc, samples) in [(0x80u8, 120u32), (0xF0, 480), (0x18, 2880)] {
        let (mut buffer, mut played, mut pending, mut sent) = (JitterBuffer::new(), 0, 0i64, 0u32);
        for tick in 0..200i64 {
            let now = tick * 20_000;
            while i64::from(sent * samples) <= tick * 960 {
                let mut p = packet(0, now);
                (p.sequence, p.timestamp) = (sent as u16, sent * samples);
                p.payload = vec![toc, 1, 2].into();
                buffer.insert(p, 0);
                sent += 1;
            }
            while pending < 960 {
                pending += match buffer.pull(us(now + 12_000), false) {
                    Playout::Decode(_) | Playout::Stretch(..) => {
                        played += 1;
                        i64::from(samples)
                    }
                    Playout::Recover { samples, .. } | Playout::Conceal { samples } => samples as i64,
                    Playout::Silence => 960,
                };
            }
            pending -= 960;
        }
        let missing = sent as i64 - played;
        assert!(missing * i64::from(samples) <= 8 * 960, "{samples}: {missing} of {sent}");
        assert!(buffer.stats().concealed <= Duration::from_millis(120), "{samples}: {:?}", buffer.stats());
    }
}

proptest::proptest! {
    #[test]
    fn whatever_comes_the_memory_is_bounded_and_nothing_panics(
        packets in proptest::collection::vec((0u16.., 0u32.., 0u64..10_000_000, 0u8..), 0..400),
        near in 0u8..2,
    ) {
        let mut buffer = JitterBuffer::new();
        for (sequence, timestamp, arrived, toc) in packets {
            let timestamp = if near == 1 { timestamp % 200_000 } else { timestamp };
            buffer.insert(MediaPacket {
                codec: Codec::Opus,
                sequence,
                timestamp,
                marker: false,
                payload: vec![toc, 3].into(),
                arrived: Duration::from_micros(arrived),
            }, usize::from(toc) * 200);
            let pulled = buffer.pull(Duration::from_micros(arrived + 7), toc & 1 == 0);
            if let Playout::Conceal { samples } | Playout::Recover { samples, .. } = pulled {
                proptest::prop_assert!((1..=960).contains(&samples));
            }
            proptest::prop_assert!(buffer.slots.len() <= MAX_PACKETS + 1);
        }
    }
}

#[test]
fn a_burst_is_restored_once_there_is_room_and_the_room_is_given_back() {
    let lost = |n: u64| n % 100 >= 94 && (300..2_000).contains(&n);
    let run = run_reaching(6_000, (3_000, 20_000), false, 48_000, |n| {
        if lost(n) { -1 } else { 5_000 + n as i64 * 20_000 }
    });
    let all = (0..6_000).filter(|n| lost(*n)).count() as u128;
    let restored = run.stats.recovered.as_millis() / 20;
    assert!(restored * 10 >= all * 9, "{restored} of {all}: {:?}", run.stats);
    assert!(run.most_ms < 200.0, "{} ms", run.most_ms);
    assert!(run.stats.delay < Duration::from_millis(50), "{:?}", run.stats);
}

#[test]
fn without_redundancy_that_reaches_back_no_room_is_made() {
    let run = run_reaching(2_000, (3_000, 20_000), false, REACH, |n| {
        if n % 100 >= 94 { -1 } else { 5_000 + n as i64 * 20_000 }
    });
    assert!(run.mean_delay_ms < 60.0, "{} ms", run.mean_delay_ms);
}

#[test]
fn two_clocks_that_drift_apart_cost_neither_invention_nor_delay() {
    // Ten minutes: the sender's crystal, the speaker's, or both against each other.
    for (sender, speaker) in [(200, 0), (-200, 0), (0, 200), (0, -200), (200, -200), (-200, 200)] {
        for quiet in [false, true] {
            // 20 ms at 200 ppm are 4 microseconds.
            let period = 20_000 - 20_000 * i64::from(speaker) / 1_000_000;
            let run = run_reaching(30_000, (3_000, period), quiet, REACH, |n| {
                5_000 + (n as f64 * 20_000.0 * (1.0 - f64::from(sender) / 1e6)) as i64
            });
            let about = format!("{sender} {speaker} quiet {quiet}: {:?} {}", run.stats, run.most_ms);
            assert_eq!(run.stats.concealed, Duration::ZERO, "{about}");
            assert_eq!((run.stats.late, run.stats.lost), (0, 0), "{about}");
            assert!(run.most_ms < 75.0 && run.mean_delay_ms < 60.0, "{about}");
        }
    }
}
