//! Speech through networks that lose and delay packets, on a virtual clock: the real encoder, told of the loss
//! as RTCP tells it, the real jitter buffer and decoder, and a speaker that wants 5 ms every 5 ms.

use super::judge::{Judge, directory};
use super::random::{Loss, Random};
use super::speech;
use p2pcall::media::audio::Encoder;
use p2pcall::media::frame::{Codec, FRAME_SAMPLES, MediaPacket};
use p2pcall::media::jitter::JitterStats;
use p2pcall::media::sound::player::Player;
use std::time::Duration;

/// What the network takes at the least, and the moment at which the speaker wants its frames, microseconds.
const TRANSIT: f64 = 200_000.0;
const PHASE: u64 = 7_000;
/// What the speaker wants at a time, samples: 5 ms.
const PIECE: usize = 240;
/// Packets between two reports: a second.
const REPORT: usize = 50;

/// A network and what is aimed at in it.
struct Network {
    name: &'static str,
    loss: Loss,
    /// Deviation of the arrival, ms.
    jitter_ms: f64,
    pesq: Option<f64>,
    delay_ms: Option<f64>,
}

const fn network(name: &'static str, loss: Loss, jitter_ms: f64) -> Network {
    Network { name, loss, jitter_ms, pesq: None, delay_ms: None }
}

const fn bursty(fraction: f64) -> Loss {
    Loss::Bursty { fraction, mean: 4.0 }
}

const NETWORKS: [Network; 12] = [
    Network { pesq: Some(3.9), delay_ms: Some(45.0), ..network("no loss", Loss::Random(0.0), 0.0) },
    Network { pesq: Some(3.5), ..network("5 % random", Loss::Random(0.05), 0.0) },
    network("10 % random", Loss::Random(0.1), 0.0),
    network("20 % random", Loss::Random(0.2), 0.0),
    Network { delay_ms: Some(200.0), ..network("5 % bursty", bursty(0.05), 0.0) },
    Network { pesq: Some(2.6), delay_ms: Some(200.0), ..network("10 % bursty", bursty(0.1), 0.0) },
    Network { delay_ms: Some(200.0), ..network("20 % bursty", bursty(0.2), 0.0) },
    Network { delay_ms: Some(80.0), ..network("no loss", Loss::Random(0.0), 20.0) },
    network("no loss", Loss::Random(0.0), 40.0),
    network("no loss", Loss::Random(0.0), 60.0),
    network("5 % random", Loss::Random(0.05), 20.0),
    Network { delay_ms: Some(200.0), ..network("10 % bursty", bursty(0.1), 20.0) },
];

struct Heard {
    samples: Vec<f32>,
    stats: JitterStats,
    bytes: usize,
    delay_ms: f64,
}

/// The table.
pub(crate) fn measure(kbit: u32, runs: u64) {
    let speech = speech::all(&directory());
    let seconds = speech.len() as f64 / 48_000.0;
    println!("\n{kbit} kbit/s, {seconds:.0} s of speech, {runs} times; bursts of 4 packets on the mean");
    println!(
        "| loss | jitter ms | PESQ | target | concealed | restored | mean playout delay ms | target | kbit/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for network in &NETWORKS {
        let mut judge = Judge::default();
        let (mut concealed, mut restored, mut delay, mut bytes) = (0.0, 0.0, 0.0, 0);
        for run in 0..runs {
            let heard = carry(&speech, network, kbit, run + 1);
            // Frame and the codec's own delay; PESQ finds the rest.
            let late = ((TRANSIT / 1e6 + heard.delay_ms / 1000.0 + 0.0265) * 48_000.0) as usize;
            judge.add(&format!("network-{run}"), &speech, &heard.samples, late - PHASE as usize * 48 / 1000);
            concealed += heard.stats.concealed.as_secs_f64();
            restored += heard.stats.recovered.as_secs_f64();
            delay += heard.delay_ms;
            bytes += heard.bytes;
        }
        let per_run = 1.0 / runs as f64;
        let part = |sum: f64| sum * per_run / seconds * 100.0;
        let goal = |goal: Option<f64>, sign: &str, digits: usize| {
            goal.map_or_else(String::new, |goal| format!("{sign} {goal:.digits$}"))
        };
        println!(
            "| {} | {} | **{:.2}** | {} | {:.0} ms a minute ({:.1} %) | {:.1} % | **{:.0}** | {} | {:.1} |",
            network.name,
            network.jitter_ms,
            judge.score(),
            goal(network.pesq, "≥", 1),
            concealed * per_run / seconds * 60_000.0,
            part(concealed),
            part(restored),
            delay * per_run,
            goal(network.delay_ms, "≤", 0),
            bytes as f64 * 8.0 / 1000.0 * per_run / seconds,
        );
    }
}

/// One run.
fn carry(speech: &[f32], network: &Network, kbit: u32, seed: u64) -> Heard {
    let mut random = Random::new(seed);
    let frames: Vec<&[f32; FRAME_SAMPLES]> =
        speech.chunks_exact(FRAME_SAMPLES).map(|frame| frame.try_into().unwrap()).collect();
    let arrive = network.loss.arrivals(frames.len(), &mut random);
    let mut encoder = Encoder::new().unwrap();
    encoder.set_bitrate(kbit * 1000).unwrap();
    let (mut packets, mut bytes) = (Vec::new(), 0);
    for (n, frame) in frames.iter().enumerate() {
        if n % REPORT == 0 && n > 0 {
            let lost = arrive.iter().skip(n - REPORT).take(REPORT).filter(|arrives| !**arrives).count();
            encoder.set_expected_loss(lost as f32 / REPORT as f32).unwrap();
        }
        let payload = encoder.encode(frame).unwrap().to_vec();
        bytes += payload.len();
        let lateness = TRANSIT + random.normal() * network.jitter_ms * 1000.0;
        let arrived = Duration::from_micros(n as u64 * 20_000 + lateness.max(0.0) as u64);
        if arrive.get(n) == Some(&true) {
            packets.push(MediaPacket {
                codec: Codec::Opus,
                sequence: n as u16,
                timestamp: n as u32 * FRAME_SAMPLES as u32,
                marker: false,
                payload: payload.into(),
                arrived,
            });
        }
    }
    packets.sort_by_key(|packet| packet.arrived);
    play(packets, frames.len() as u64, bytes)
}

fn play(packets: Vec<MediaPacket>, frames: u64, bytes: usize) -> Heard {
    let mut player = Player::new().unwrap();
    let (mut samples, mut delays) = (Vec::new(), Vec::new());
    let mut packets = packets.into_iter().peekable();
    for n in 0..frames * 4 + TRANSIT as u64 / 5_000 {
        let now = Duration::from_micros(n * 5_000 + PHASE);
        while let Some(packet) = packets.next_if(|packet| packet.arrived <= now) {
            player.insert(packet);
        }
        let mut piece = [0.0; PIECE];
        player.fill(now, &mut piece);
        samples.extend(piece);
        if player.heard() {
            delays.push(player.stats().delay.as_secs_f64() * 1000.0);
        }
    }
    let delay_ms = delays.iter().sum::<f64>() / delays.len().max(1) as f64;
    Heard { samples, stats: player.stats(), bytes, delay_ms }
}
