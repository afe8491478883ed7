//! What 20 ms of sound cost: encoding, decoding, recovery, invention, and the jitter buffer around them; echo
//! and noise; stretching.

use divan::{Bencher, black_box};
use p2pcall::media::audio::{Decoder, Encoder};
use p2pcall::media::echo::EchoCanceller;
use p2pcall::media::frame::{Codec, FRAME_SAMPLES, MediaPacket};
use p2pcall::media::jitter::JitterBuffer;
use p2pcall::media::resample::Resampler;
use p2pcall::media::source::voice::Voice;
use p2pcall::media::stretch;
use std::time::Duration;

fn main() {
    divan::main();
}

/// Four seconds of the synthetic voice.
fn frames() -> Vec<[f32; FRAME_SAMPLES]> {
    let mut voice = Voice::new(0.3);
    let mut frame = [0.0; FRAME_SAMPLES];
    (0..200)
        .map(|_| {
            voice.fill(&mut frame);
            frame
        })
        .collect()
}

fn packets() -> Vec<Vec<u8>> {
    let Ok(mut encoder) = Encoder::new() else { return Vec::new() };
    let _clamped = encoder.set_bitrate(56_000);
    frames().iter().filter_map(|frame| encoder.encode(frame).ok().map(<[u8]>::to_vec)).collect()
}

#[divan::bench(args = [16_000, 32_000, 64_000])]
fn encode(bencher: Bencher, bitrate: u32) {
    let (frames, mut next) = (frames(), 0);
    let Ok(mut encoder) = Encoder::new() else { return };
    let _clamped = encoder.set_bitrate(bitrate);
    bencher.bench_local(|| {
        next = (next + 1) % frames.len();
        frames.get(next).map(|frame| encoder.encode(black_box(frame)).map(<[u8]>::len))
    });
}

/// Decodes packet after packet; every fourth is lost: restored by FEC, by DRED, or invented. `reach`: looks
/// how far back a packet's redundancy goes.
#[divan::bench(args = ["all", "reach", "fec", "dred", "conceal"])]
fn decode(bencher: Bencher, what: &str) {
    let (packets, mut next, mut out) = (packets(), 0, Vec::new());
    let Ok(mut decoder) = Decoder::new() else { return };
    bencher.bench_local(|| {
        next = (next + 1) % packets.len();
        out.clear();
        let packet = packets.get(next).map(Vec::as_slice).unwrap_or_default();
        match what {
            "reach" => {
                black_box(decoder.reach(packet));
                Ok(())
            }
            "fec" => decoder.recover(packet, FRAME_SAMPLES, FRAME_SAMPLES, &mut out).map(drop),
            "dred" => decoder.recover(packet, 3 * FRAME_SAMPLES, FRAME_SAMPLES, &mut out).map(drop),
            "conceal" if next % 4 == 3 => decoder.conceal(FRAME_SAMPLES, &mut out),
            _ => decoder.decode(packet, &mut out),
        }
    });
}

#[divan::bench]
fn jitter_buffer(bencher: Bencher) {
    let (packets, mut n, mut buffer) = (packets(), 0u32, JitterBuffer::new());
    bencher.bench_local(|| {
        n += 1;
        let at = Duration::from_millis(u64::from(n) * 20);
        let payload = packets.get(n as usize % packets.len()).cloned().unwrap_or_default().into();
        let packet = MediaPacket {
            codec: Codec::Opus,
            sequence: n as u16,
            timestamp: n.wrapping_mul(960),
            marker: false,
            payload,
            arrived: at,
        };
        buffer.insert(packet, FRAME_SAMPLES);
        buffer.pull(at + Duration::from_millis(7), false)
    });
}

#[divan::bench]
fn resample_from_44100(bencher: Bencher) {
    let (input, mut out) = (vec![0.1; 882], Vec::new());
    let Ok(mut resampler) = Resampler::new(44_100, 48_000) else { return };
    bencher.bench_local(|| {
        out.clear();
        resampler.process(black_box(&input), &mut out)
    });
}

/// Echo and noise of 20 ms, while the friend speaks.
#[divan::bench]
fn clean(bencher: Bencher) {
    let (frames, mut n, mut canceller) = (frames(), 0, EchoCanceller::new());
    bencher.bench_local(|| {
        n = (n + 1) % frames.len();
        let mut frame = frames.get((n + 70) % frames.len()).copied().unwrap_or([0.0; FRAME_SAMPLES]);
        canceller.played(frames.get(n).map_or(&[], |frame| frame));
        canceller.clean(&mut frame);
        frame
    });
}

#[divan::bench]
fn shorten(bencher: Bencher) {
    let (frames, mut n) = (frames(), 0);
    bencher.bench_local(|| {
        n = (n + 1) % frames.len();
        let mut samples = frames.get(n).map(|frame| frame.to_vec()).unwrap_or_default();
        stretch::shorten(&mut samples, 0)
    });
}
