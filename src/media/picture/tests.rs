//! Two ends back to back: what one sends is packetised here and handed to the other.

#![expect(clippy::disallowed_methods, reason = "tests in real time")]

use super::*;
use crate::media::source::clock_bar;
use crate::media::video::test_pictures::{film, psnr};
use bytes::Bytes;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

/// The least payload that makes H.264 fragments as well as single units.
const MTU: usize = 900;

/// A test's packetiser: RFC 6184 single units and FU-A, RFC 7741 with the shortest descriptor.
#[derive(Default)]
struct Packetiser {
    sequence: u16,
}

impl Packetiser {
    fn packets(&mut self, frame: &EncodedFrame, now: Duration) -> Vec<MediaPacket> {
        let payloads = match frame.codec {
            Codec::H264 => openh264::nal_units(&frame.data).flat_map(h264_payloads).collect(),
            _ => vp8_payloads(&frame.data),
        };
        let last = payloads.len() - 1;
        let timestamp = (frame.at.as_micros() * 9 / 100) as u32;
        payloads
            .into_iter()
            .enumerate()
            .map(|(n, payload)| {
                self.sequence = self.sequence.wrapping_add(1);
                MediaPacket {
                    codec: frame.codec,
                    sequence: self.sequence,
                    timestamp,
                    marker: n == last,
                    payload: Bytes::from(payload),
                    arrived: now,
                }
            })
            .collect()
    }
}

fn h264_payloads(unit: &[u8]) -> Vec<Vec<u8>> {
    let unit = &unit[unit.iter().position(|&byte| byte == 1).unwrap() + 1..];
    if unit.len() <= MTU {
        return vec![unit.to_vec()];
    }
    let pieces: Vec<_> = unit[1..].chunks(MTU).collect();
    let last = pieces.len() - 1;
    let header = |n| (unit[0] & 0x1f) | if n == 0 { 0x80 } else { 0 } | if n == last { 0x40 } else { 0 };
    pieces
        .iter()
        .enumerate()
        .map(|(n, piece)| [&[(unit[0] & 0xe0) | 0x1c, header(n)], *piece].concat())
        .collect()
}

fn vp8_payloads(frame: &[u8]) -> Vec<Vec<u8>> {
    frame
        .chunks(MTU)
        .enumerate()
        .map(|(n, piece)| [&[if n == 0 { 0x10 } else { 0 }], piece].concat())
        .collect()
}

fn config(source: VideoChoice, started: Instant) -> PictureConfig {
    sized(source, (640, 360), started)
}

fn sized(source: VideoChoice, size: (u32, u32), started: Instant) -> PictureConfig {
    let aim = Some(PictureAim { kbps: 500, fps: 30, size });
    PictureConfig { source, video_out: None, size, fps: 30, aim, started }
}

/// Runs a call one way for a while: `lose` says which packets are lost. Gives both ends' counters.
fn call(
    sender: PictureConfig,
    receiver: PictureConfig,
    codec: Codec,
    lasts: Duration,
    lose: impl Fn(usize) -> bool,
) -> (PictureStats, PictureStats) {
    let started = sender.started;
    let (frames, mut frames_out) = mpsc::channel(8);
    let (alice, _alice_events) = Picture::start(sender, Some(codec), frames, &Screens::default()).unwrap();
    let (bob, mut bob_events) =
        Picture::start(receiver, None, mpsc::channel(1).0, &Screens::default()).unwrap();
    let (mut packetiser, mut count) = (Packetiser::default(), 0);
    while started.elapsed() < lasts {
        while let Ok(frame) = frames_out.try_recv() {
            for packet in packetiser.packets(&frame, started.elapsed()) {
                count += 1;
                if !lose(count) {
                    bob.packet(packet);
                }
            }
        }
        while let Ok(event) = bob_events.try_recv() {
            if event == PictureEvent::KeyFrameNeeded {
                alice.key_frame();
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let sent = alice.stats();
    std::thread::sleep(Duration::from_millis(200));
    (sent, bob.stats())
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("p2pcall-picture-{}-{name}", std::process::id()))
}

fn write_film(path: &Path, frames: &[VideoFrame]) {
    let mut bytes = b"YUV4MPEG2 W640 H360 F30:1 C420\n".to_vec();
    for frame in frames {
        bytes.extend(b"FRAME\n");
        for plane in [&frame.y, &frame.u, &frame.v] {
            bytes.extend(plane);
        }
    }
    std::fs::write(path, bytes).unwrap();
}

fn read_film(path: &Path) -> Vec<VideoFrame> {
    let bytes = std::fs::read(path).unwrap();
    let head = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    assert!(bytes.starts_with(b"YUV4MPEG2 W640 H360 F30:1 "));
    bytes[head..]
        .chunks(6 + 640 * 360 * 3 / 2)
        .map(|frame| {
            assert!(frame.starts_with(b"FRAME\n"));
            let (y, chroma) = frame[6..].split_at(640 * 360);
            let (u, v) = chroma.split_at(320 * 180);
            VideoFrame {
                width: 640,
                height: 360,
                y: y.to_vec(),
                u: u.to_vec(),
                v: v.to_vec(),
                at: Duration::ZERO,
            }
        })
        .collect()
}

#[test]
fn a_film_arrives_whole_alike_and_in_order() {
    let frames: Vec<_> = (0..60).map(|n| film(640, 360, n)).collect();
    for &codec in crate::media::video::codecs() {
        let (sent, got) = (scratch(&format!("sent-{codec:?}.y4m")), scratch(&format!("got-{codec:?}.y4m")));
        write_film(&sent, &frames);
        let started = Instant::now();
        let receiver = PictureConfig { video_out: Some(got.clone()), ..config(VideoChoice::None, started) };
        let sender = config(VideoChoice::File(sent.clone()), started);
        let (alice, bob) = call(sender, receiver, codec, Duration::from_secs(4), |_| false);
        let shown = read_film(&got);
        assert!(bob.frames_decoded as f64 >= 0.95 * alice.frames_sent as f64, "{alice:?} {bob:?}");
        assert!(alice.frames_sent >= 100, "{alice:?}");
        assert_eq!(shown.len() as u64, bob.frames_decoded, "every decoded picture once");
        let likeness: Vec<_> =
            shown.iter().enumerate().map(|(n, frame)| psnr(&frames[n % 60], frame)).collect();
        let mean = likeness.iter().sum::<f64>() / likeness.len() as f64;
        assert!(mean >= 34.0, "{codec:?}: {mean:.1} dB, {likeness:.0?}");
        assert_eq!((bob.width, bob.height, bob.codec), (640, 360, Some(codec)));
        std::fs::remove_file(sent).unwrap();
        std::fs::remove_file(got).unwrap();
    }
}

#[test]
fn a_picture_is_young_when_it_is_shown() {
    let (frames, mut frames_out) = mpsc::channel(8);
    let started = Instant::now();
    let card = config(VideoChoice::TestCard, started);
    let (_alice, _alice_events) =
        Picture::start(card, Some(Codec::H264), frames, &Screens::default()).unwrap();
    let (bob, _bob_events) =
        Picture::start(config(VideoChoice::None, started), None, mpsc::channel(1).0, &Screens::default())
            .unwrap();
    let (mut packetiser, mut ages) = (Packetiser::default(), Vec::new());
    while started.elapsed() < Duration::from_secs(4) {
        while let Ok(frame) = frames_out.try_recv() {
            packetiser.packets(&frame, started.elapsed()).into_iter().for_each(|packet| bob.packet(packet));
        }
        if let Some(frame) = bob.remote.take() {
            let drawn = clock_bar::read(&frame.y, frame.width as usize).expect("the bar is legible");
            ages.push(clock_bar::value_of(source::machine_clock()).wrapping_sub(drawn));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    ages.sort_unstable();
    let (median, p95) = (ages[ages.len() / 2], ages[ages.len() * 95 / 100]);
    println!("age of {} pictures: median {median} ms, p95 {p95} ms", ages.len());
    assert!(median <= 80, "median {median} ms, p95 {p95} ms");
}

#[test]
fn lost_packets_cost_pictures_but_never_the_call() {
    let started = Instant::now();
    let end = |source| sized(source, (320, 180), started);
    let lost = AtomicUsize::new(0);
    let lose = |count: usize| {
        let gone = count.is_multiple_of(29);
        lost.fetch_add(usize::from(gone), Ordering::Relaxed);
        gone
    };
    let (alice, bob) =
        call(end(VideoChoice::TestCard), end(VideoChoice::None), Codec::H264, Duration::from_secs(4), lose);
    assert!(lost.into_inner() > 0 && bob.packets_missing > 0 && bob.key_frames_asked > 0, "{bob:?}");
    assert!(bob.frames_decoded > alice.frames_sent / 4, "{alice:?} {bob:?}");
}

#[test]
fn switched_off_nothing_is_sent_and_back_on_a_key_frame_comes_first() {
    let started = Instant::now();
    let (frames, mut frames_out) = mpsc::channel(64);
    let card = sized(VideoChoice::TestCard, (160, 90), started);
    let (alice, _events) = Picture::start(card, Some(Codec::H264), frames, &Screens::default()).unwrap();
    let wait = |ms| std::thread::sleep(Duration::from_millis(ms));
    wait(300);
    alice.set_on(false);
    wait(150);
    while frames_out.try_recv().is_ok() {}
    wait(200);
    assert!(frames_out.try_recv().is_err(), "nothing is sent while off");
    alice.set_on(true);
    let first = frames_out.blocking_recv().unwrap();
    assert!(first.key);
    assert!(alice.local.take().is_some());
}

#[test]
fn a_network_that_takes_nothing_gets_a_key_frame_first_when_it_takes_again() {
    let started = Instant::now();
    let (frames, mut frames_out) = mpsc::channel(2);
    let card = sized(VideoChoice::TestCard, (160, 90), started);
    let (alice, _events) = Picture::start(card, Some(Codec::H264), frames, &Screens::default()).unwrap();
    while alice.stats().frames_dropped < 5 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let keys: Vec<_> = (0..4).map(|_| frames_out.blocking_recv().unwrap().key).collect();
    assert_eq!(keys, [true, false, true, false]);
}

#[test]
fn the_target_changes_size_and_rate_in_mid_call() {
    let started = Instant::now();
    let (frames, mut frames_out) = mpsc::channel(64);
    let card = sized(VideoChoice::TestCard, (320, 180), started);
    let (alice, _events) = Picture::start(card, Some(Codec::H264), frames, &Screens::default()).unwrap();
    frames_out.blocking_recv().unwrap();
    alice.set_aim(Some(PictureAim { kbps: 100, fps: 10, size: (160, 90) }));
    while !frames_out.blocking_recv().unwrap().key {}
    let times: Vec<_> = (0..4).map(|_| frames_out.blocking_recv().unwrap().at).collect();
    assert!(
        times.windows(2).all(|pair| pair[1].saturating_sub(pair[0]) > Duration::from_millis(60)),
        "{times:?}"
    );
    // Own picture stays as large as it was.
    assert_eq!(alice.local.take().map(|frame| (frame.width, frame.height)), Some((320, 180)));
}

#[test]
fn nothing_is_coded_while_the_last_picture_is_leaving_or_there_is_no_room() {
    let started = Instant::now();
    let (frames, mut frames_out) = mpsc::channel(64);
    let card = sized(VideoChoice::TestCard, (160, 90), started);
    let (alice, _events) = Picture::start(card, Some(Codec::H264), frames, &Screens::default()).unwrap();
    frames_out.blocking_recv().unwrap();
    for hold in [true, false] {
        let clear = started.elapsed() + Duration::from_millis(400);
        if hold {
            alice.leaves_until(clear);
        } else {
            alice.set_aim(None);
            std::thread::sleep(Duration::from_millis(400));
            alice.set_aim(Some(PictureAim { kbps: 500, fps: 30, size: (160, 90) }));
        }
        // One may have been under way.
        let times: Vec<_> = (0..3).map(|_| frames_out.blocking_recv().unwrap()).collect();
        let late = times.iter().find(|frame| frame.at + Duration::from_millis(40) > clear).unwrap();
        assert!(times.iter().take_while(|frame| frame.at != late.at).count() <= 1, "{times:?}");
        assert!(!late.key, "what the friend has still fits");
    }
}

#[test]
fn what_was_asked_for_by_name_and_is_not_there_is_a_failure_with_its_exit_code() {
    let missing = VideoChoice::Camera(61);
    let file = VideoChoice::File("/nowhere/film.y4m".into());
    for (choice, exit) in [(missing, Exit::NoDevice), (file, Exit::Failure)] {
        assert_eq!(check(&choice).unwrap_err().exit, exit);
        let started = Picture::start(
            config(choice, Instant::now()),
            Some(Codec::H264),
            mpsc::channel(1).0,
            &Screens::default(),
        );
        assert_eq!(started.err().unwrap().exit, exit);
    }
}
