use super::*;
use crate::media::audio::Encoder;
use crate::media::frame::FRAME_SAMPLES;
use crate::media::source::tone::Tone;
use crate::media::video::test_pictures::film as pictures;
use crate::media::video::{VideoEncoder, VideoTarget, encoder};
use proptest::prelude::*;
use std::process::Command;

fn ms(at: u64) -> Duration {
    Duration::from_millis(at)
}

fn setting(pictures: [bool; 2]) -> Setting {
    Setting { names: ["Bob".into(), "Alice".into()], pictures, start: ms(5_000), unix: 1_800_000_000 }
}

/// A file as a disk has it.
#[derive(Default)]
struct Disk(Vec<u8>);

impl Disk {
    fn write(&mut self, written: Written) {
        self.0.extend(written.append);
        for (at, bytes) in written.patches {
            let at = at as usize;
            self.0[at..at + bytes.len()].copy_from_slice(&bytes);
        }
    }
}

/// What one end sends: a tone, and a film whose size may change.
struct Sender {
    tone: Tone,
    sound: Encoder,
    picture: Box<dyn VideoEncoder>,
    codec: Codec,
}

impl Sender {
    fn new(codec: Codec) -> Self {
        let target = VideoTarget { kbps: 200, fps: 30 };
        Self {
            tone: Tone::new(),
            sound: Encoder::new().unwrap(),
            picture: encoder(codec, target).unwrap(),
            codec,
        }
    }

    fn sound(&mut self, track: TrackId, at: Duration) -> CodedFrame {
        let mut frame = [0.0; FRAME_SAMPLES];
        self.tone.fill(&mut frame);
        let data = Bytes::copy_from_slice(self.sound.encode(&frame).unwrap());
        CodedFrame { track, codec: Codec::Opus, data, key: true, at, torn: false }
    }

    fn picture(&mut self, track: TrackId, at: Duration, n: u32, size: (u32, u32)) -> Option<CodedFrame> {
        let coded = self.picture.encode(&pictures(size.0, size.1, n)).unwrap()?;
        Some(CodedFrame { track, codec: self.codec, data: coded.data, key: coded.key, at, torn: false })
    }
}

/// So many milliseconds of a call between two ends.
fn record(length: u64, codecs: [Codec; 2], whole: bool) -> Vec<u8> {
    let mut muxer = Muxer::new(setting([true, true]));
    let mut disk = Disk::default();
    let (mut bob, mut alice) = (Sender::new(codecs[0]), Sender::new(codecs[1]));
    for n in 0..length / 20 {
        let at = ms(5_000 + n * 20);
        assert_eq!(muxer.put(bob.sound(TrackId::FriendSound, at + ms(15))), Taken::Kept);
        assert_eq!(muxer.put(alice.sound(TrackId::OwnSound, at)), Taken::Kept);
        if n % 2 == 0 {
            let size = if n * 20 < length / 2 { (320, 180) } else { (160, 90) };
            for (sender, track) in [(&mut bob, TrackId::FriendPicture), (&mut alice, TrackId::OwnPicture)] {
                if let Some(frame) = sender.picture(track, at, n as u32 / 2, size) {
                    assert_eq!(muxer.put(frame), Taken::Kept);
                }
            }
        }
        disk.write(muxer.poll(at + ms(20)));
    }
    if whole {
        disk.write(muxer.finish());
    }
    disk.0
}

/// What a tool of ffmpeg's says of a file; `None` where there is no ffmpeg.
fn tool(name: &str, arguments: &[&str], file: &[u8]) -> Option<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mkv");
    std::fs::write(&path, file).unwrap();
    let mut words: Vec<&str> = vec!["-v", "warning"];
    words.extend(arguments.iter().map(|word| if *word == "FILE" { path.to_str().unwrap() } else { word }));
    let output = Command::new(name).args(words).output().ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

fn decode(file: &[u8]) -> Option<(String, String)> {
    let every = ["-map", "0:0", "-map", "0:1", "-map", "0:2", "-map", "0:3"];
    tool("ffmpeg", &[&["-xerror", "-i", "FILE"], &every[..], &["-f", "null", "-"]].concat(), file)
}

fn probe(file: &[u8]) -> Option<String> {
    let show =
        ["-show_entries", "stream=codec_name,width,channels:format=duration", "-of", "csv=p=0", "FILE"];
    tool("ffprobe", &show, file).map(|(out, errors)| out + &errors)
}

#[test]
fn a_recording_is_played_with_its_four_tracks_though_pictures_change_their_size() {
    for codecs in crate::media::video_codecs().iter().map(|&codec| [codec, codec]) {
        let file = record(3_000, codecs, true);
        let Some((_, errors)) = decode(&file) else { return };
        assert_eq!(errors, "");
        let name = if codecs[0] == Codec::H264 { "h264" } else { "vp8" };
        let shown = probe(&file).unwrap();
        assert!(shown.starts_with(&format!("{name},320\nopus,1\n{name},320\nopus,1\n2.9")), "{shown}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_played_up_to_there() {
    let file = record(3_000, [Codec::H264; 2], false);
    let Some(shown) = probe(&file) else { return };
    assert!(shown.starts_with("h264,320\nopus,1\nh264,320\nopus,1\n2."), "{shown}");
    let cut = &file[..file.len() - 5_000];
    let arguments = ["-show_entries", "packet=stream_index", "-of", "csv=p=0", "FILE"];
    let (packets, _) = tool("ffprobe", &arguments, cut).unwrap();
    assert!(packets.lines().count() > 200, "{}", packets.lines().count());
}

#[test]
fn a_picture_waits_for_its_key_and_one_that_was_not_foreseen_needs_another_file() {
    let (mut bob, mut alice) = (Sender::new(Codec::H264), Sender::new(Codec::H264));
    let mut muxer = Muxer::new(setting([false, true]));
    let mut key = None;
    for n in 0..10 {
        let at = ms(5_000 + n * 33);
        let Some(frame) = alice.picture(TrackId::OwnPicture, at, n as u32, (160, 90)) else { continue };
        if key.is_none() {
            key = Some(frame);
            continue;
        }
        assert_eq!(muxer.put(frame), Taken::KeyWanted);
    }
    assert_eq!(muxer.poll(ms(5_900)), Written::default(), "the head waits for own picture");
    assert_eq!(muxer.put(key.unwrap()), Taken::Kept);
    let torn =
        CodedFrame { torn: true, ..alice.picture(TrackId::OwnPicture, ms(5_950), 10, (160, 90)).unwrap() };
    assert_eq!(muxer.put(torn), Taken::KeyWanted);
    assert!(!muxer.poll(ms(6_500)).append.is_empty());
    let late = bob.picture(TrackId::FriendPicture, ms(6_600), 0, (160, 90)).unwrap();
    assert_eq!(muxer.put(late.clone()), Taken::NextPart(late.clone()));
    let mut next = muxer.next(late.at, 0);
    assert_eq!(next.put(late), Taken::Kept);
    assert_eq!(next.setting.pictures, [false, true]);
}

#[test]
fn a_head_that_waits_for_nobody_is_written_at_once_and_one_that_waits_in_vain_after_a_while() {
    let mut sender = Sender::new(Codec::H264);
    for (pictures, at) in [([false; 2], 5_600), ([true; 2], 9_100)] {
        let mut muxer = Muxer::new(setting(pictures));
        muxer.put(sender.sound(TrackId::OwnSound, ms(5_000)));
        assert!(muxer.poll(ms(at - 200)).append.is_empty(), "{pictures:?}");
        assert!(!muxer.poll(ms(at + 300)).append.is_empty(), "{pictures:?}");
    }
}

fn any_frame() -> impl Strategy<Value = CodedFrame> {
    let track = prop_oneof![
        Just(TrackId::FriendPicture),
        Just(TrackId::FriendSound),
        Just(TrackId::OwnPicture),
        Just(TrackId::OwnSound)
    ];
    let codec = prop_oneof![Just(Codec::H264), Just(Codec::Vp8), Just(Codec::Opus)];
    let key_vp8 = Just(vec![0, 0, 0, 0x9D, 1, 0x2A, 4, 0, 4, 0]);
    let data = prop_oneof![proptest::collection::vec(any::<u8>(), 0..80), key_vp8];
    (track, codec, data, any::<bool>(), prop_oneof![0..200_000_u64, any::<u64>()], any::<bool>()).prop_map(
        |(track, codec, data, key, at, torn)| CodedFrame {
            track,
            codec,
            data: data.into(),
            key,
            at: Duration::from_millis(at),
            torn,
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_it_never_panics_and_patches_only_what_was_written(
        frames in proptest::collection::vec((any_frame(), 0..100_000_u64), 0..60), pictures in any::<[bool; 2]>(),
    ) {
        let mut muxer = Muxer::new(setting(pictures));
        let mut disk = Disk::default();
        let mut now = 5_000;
        for (frame, pause) in frames {
            now += pause / 100;
            if let Taken::NextPart(frame) = muxer.put(frame) {
                disk.write(muxer.finish());
                muxer = muxer.next(frame.at, 0);
                disk = Disk::default();
                prop_assert_eq!(muxer.put(frame), Taken::Kept);
            }
            disk.write(muxer.poll(ms(now)));
        }
        disk.write(muxer.finish());
        prop_assert!(disk.0.starts_with(&[0x1A, 0x45, 0xDF, 0xA3]));
    }
}
