//! Recordings of calls between two real processes, looked at with ffmpeg's tools.

use super::support::process::Process;
use super::support::{film, signal};
use super::{SOON, alone, folder};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Two ends in a call with sound and pictures, of which the first was given more options.
fn call(alices: &[&str], bobs: &[&str]) -> (Process, Process) {
    let common = ["--no-servers", "--size", "320x180", "--speaker", "none"];
    let mut alice = Process::start(&[&["offer", "--name", "Alice"], &common[..], alices].concat());
    let code = alice.wait_for_code(SOON);
    let mut bob = Process::start(&[&["answer", &code, "--name", "Bob"], &common[..], bobs].concat());
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", SOON);
    }
    (alice, bob)
}

fn recording(end: &mut Process, from: &str, on: bool) -> Value {
    end.wait_for("recording", SOON, |event| {
        event["event"] == "recording" && event["from"] == from && event["on"] == on
    })
}

fn file_of(event: &Value) -> PathBuf {
    event["path"].as_str().unwrap().into()
}

/// What a tool of ffmpeg's says, on standard output and standard error.
fn tool(name: &str, words: &[&str], file: &Path) -> (String, String) {
    let words: Vec<&str> =
        words.iter().map(|word| if *word == "FILE" { file.to_str().unwrap() } else { word }).collect();
    let output = Command::new(name).args(words).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The codecs of the tracks, and how long the file is.
fn probe(file: &Path) -> (Vec<String>, f64) {
    let words =
        ["-v", "error", "-show_entries", "stream=codec_name:format=duration", "-of", "csv=p=0", "FILE"];
    let (said, errors) = tool("ffprobe", &words, file);
    assert_eq!(errors, "");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let duration = lines.pop().unwrap().parse().unwrap();
    (lines, duration)
}

/// All tracks are decoded without a complaint.
fn decodes(file: &Path) {
    let words =
        ["-v", "warning", "-xerror", "-i", "FILE", "-map", "0", "-enc_time_base", "-1", "-f", "null", "-"];
    assert_eq!(tool("ffmpeg", &words, file).1, "");
}

/// The pitch of a track's sound, Hz, from its third second on.
fn pitch(file: &Path, track: &str) -> f64 {
    let words = ["-v", "error", "-ss", "2", "-i", "FILE", "-map", track, "-t", "2", "-f", "s16le", "-"];
    let words: Vec<&str> =
        words.iter().map(|word| if *word == "FILE" { file.to_str().unwrap() } else { word }).collect();
    let samples = Command::new("ffmpeg").args(words).output().unwrap().stdout;
    let sample = |pair: &[u8]| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0;
    signal::frequency(&samples.chunks_exact(2).map(sample).collect::<Vec<f32>>())
}

/// A film with a white flash, and a sound with a beep, at the beginning of each second.
fn flash_and_beep(folder: &Path) -> (String, String) {
    let film = folder.join("flash.y4m");
    let white = "color=white:size=320x180:rate=30,drawbox=color=black:t=fill:enable='gt(mod(t,1),0.1)'";
    film::make(&film, white, 4);
    let wav = folder.join("beep.wav");
    let beep = |n: u32| if n % 48_000 < 4_800 { (n as f32 * 0.13).sin() * 0.4 } else { 0.0 };
    signal::write_wav(&wav, 48_000, &(0..4 * 48_000).map(beep).collect::<Vec<f32>>());
    (format!("--video=file:{}", film.display()), format!("--audio=file:{}", wav.display()))
}

/// How much later than the flash a beep comes, ms, in the middle of the seconds that were recorded.
fn beep_after_flash(file: &Path, picture: &str, sound: &str) -> f64 {
    let after = |line: &str, word: &str| {
        line.split(word).nth(1)?.split_whitespace().next()?.trim_end_matches(']').parse::<f64>().ok()
    };
    let light = "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-";
    let (said, _) = tool(
        "ffmpeg",
        &["-v", "error", "-i", "FILE", "-map", picture, "-vf", light, "-f", "null", "-"],
        file,
    );
    let (mut at, mut dark, mut flashes) = (0.0, true, Vec::new());
    for line in said.lines() {
        at = after(line, "pts_time:").unwrap_or(at);
        if let Some(bright) = after(line, "YAVG=").map(|light| light > 100.0) {
            if bright && dark {
                flashes.push(at);
            }
            dark = !bright;
        }
    }
    let quiet = "silencedetect=noise=-30dB:d=0.3";
    let (_, said) =
        tool("ffmpeg", &["-hide_banner", "-i", "FILE", "-map", sound, "-af", quiet, "-f", "null", "-"], file);
    let beeps: Vec<f64> = said.lines().filter_map(|line| after(line, "silence_end: ")).collect();
    let mut apart: Vec<f64> = beeps
        .iter()
        .filter_map(|beep| {
            flashes.iter().map(|flash| (beep - flash) * 1_000.0).min_by(|a, b| a.abs().total_cmp(&b.abs()))
        })
        .collect();
    assert!(apart.len() >= 3, "{beeps:?} {flashes:?}");
    apart.sort_by(f64::total_cmp);
    apart[apart.len() / 2]
}

#[test]
fn both_sides_are_in_one_file_as_they_were_sent_and_the_friend_sees_it() {
    let _alone = alone();
    let folder = folder();
    let path = folder.path().join("call.mkv");
    std::fs::write(&path, "mine").unwrap();
    let beep = folder.path().join("pitch.wav");
    let tone = (0..48_000).map(|n| (n as f32 * 1_500.0 / 48_000.0 * std::f32::consts::TAU).sin() * 0.25);
    signal::write_wav(&beep, 48_000, &tone.collect::<Vec<f32>>());
    let bobs = format!("--audio=file:{}", beep.display());
    let record = format!("--record={}", path.display());
    let (mut alice, mut bob) =
        call(&["--audio", "tone", "--video", "test", &record], &["--video", "test", &bobs]);
    assert_eq!(recording(&mut bob, "remote", true)["path"], Value::Null);
    let kept = file_of(&recording(&mut alice, "local", true));
    assert_eq!(kept.file_name().unwrap(), "call (2).mkv");
    std::thread::sleep(Duration::from_secs(7));
    alice.type_line("/record off");
    assert_eq!(file_of(&recording(&mut alice, "local", false)), kept);
    recording(&mut bob, "remote", false);
    // The call goes on, and can be recorded again.
    alice.type_line(&format!("/record on {}", folder.path().display()));
    let second = file_of(&recording(&mut alice, "local", true));
    assert!(second.file_name().unwrap().to_str().unwrap().starts_with("p2pcall-20"), "{second:?}");
    recording(&mut bob, "remote", true);
    std::thread::sleep(Duration::from_secs(2));
    bob.type_line("/hangup");
    assert_eq!(file_of(&recording(&mut alice, "local", false)), second);
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));

    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let (tracks, duration) = probe(&kept);
    assert_eq!(tracks, ["h264", "opus", "h264", "opus"]);
    assert!((6.0..14.0).contains(&duration), "{duration}");
    decodes(&kept);
    let (friends, own) = (pitch(&kept, "0:1"), pitch(&kept, "0:3"));
    assert!((friends - 1_500.0).abs() < 5.0 && (own - 440.0).abs() < 5.0, "{friends} {own}");
    decodes(&second);
}

#[test]
fn sound_stays_with_its_picture() {
    let _alone = alone();
    let folder = folder();
    let (film, beep) = flash_and_beep(folder.path());
    let record = |name: &str| format!("--record={}", folder.path().join(name).display());
    let (mut alice, mut bob) =
        call(&[&film, &beep, &record("alice.mkv")], &[&film, &beep, &record("bob.mkv")]);
    let files =
        [file_of(&recording(&mut alice, "local", true)), file_of(&recording(&mut bob, "local", true))];
    std::thread::sleep(Duration::from_secs(9));
    alice.type_line("/hangup");
    assert_eq!((alice.exit(SOON), bob.exit(SOON)), (0, 0));
    let own = files.each_ref().map(|file| beep_after_flash(file, "0:2", "0:3"));
    let friends = files.each_ref().map(|file| beep_after_flash(file, "0:0", "0:1"));
    println!("beep after flash, ms: own {own:?}, as the friend recorded it {:?}", [friends[1], friends[0]]);
    for (own, friends) in own.into_iter().zip([friends[1], friends[0]]) {
        assert!((friends - own).abs() < 150.0, "{own} {friends}");
    }
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_has_recorded() {
    let _alone = alone();
    let folder = folder();
    let record = format!("--record={}", folder.path().display());
    let (mut alice, _bob) =
        call(&["--audio", "tone", "--video", "test", &record], &["--audio", "tone", "--video", "test"]);
    let file = file_of(&recording(&mut alice, "local", true));
    std::thread::sleep(Duration::from_secs(5));
    alice.signal("KILL");
    alice.wait(SOON);
    let (tracks, duration) = probe(&file);
    assert_eq!(tracks, ["h264", "opus", "h264", "opus"]);
    assert!(duration >= 3.0, "{duration}");
    decodes(&file);
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let _alone = alone();
    let folder = folder();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=128k", "tmpfs"]).arg(folder.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: a small disk can't be mounted here (it takes root)");
        return;
    }
    let _unmount = Unmount(folder.path());
    let record = format!("--record={}", folder.path().join("call.mkv").display());
    let (mut alice, mut bob) =
        call(&["--audio", "tone", "--video", "test", &record], &["--audio", "tone", "--video", "test"]);
    let file = file_of(&recording(&mut alice, "local", true));
    recording(&mut bob, "remote", true);
    let warned = alice.wait_for("disk_full", SOON * 2, |event| event["code"] == "disk_full");
    assert!(warned["message"].as_str().unwrap().contains("the disk is full"), "{warned}");
    recording(&mut alice, "local", false);
    recording(&mut bob, "remote", false);
    alice.type_line("/say still there");
    bob.wait_for("chat", SOON, |event| event["event"] == "chat");
    decodes(&file);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
