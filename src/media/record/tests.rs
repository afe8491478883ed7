#![expect(clippy::disallowed_methods, reason = "tests in real time")]

use super::*;
use std::fs::OpenOptions;
use std::path::Path;

const SOON: Duration = Duration::from_secs(10);

fn start(make: MakeFile) -> (Tap, Recorder, Receiver<News>) {
    let (tell, told) = std::sync::mpsc::channel();
    let taps = [Tap::default(), Tap::default()];
    let clock = Clock { started: Instant::now(), unix: || 0 };
    let setting = Setting { names: ["Bob".into(), "Alice".into()], ..Setting::default() };
    let tell = move |news| tell.send(news).unwrap();
    let recorder = Recorder::start(taps.clone(), setting, clock, make, tell).unwrap();
    (taps[0].clone(), recorder, told)
}

fn into(path: &Path) -> MakeFile {
    let path = path.to_owned();
    Box::new(move || {
        OpenOptions::new().write(true).create_new(true).open(&path).map(|file| (path.clone(), file))
    })
}

fn sound(tap: &Tap, n: u64) {
    tap.put(
        TrackId::OwnSound,
        Codec::Opus,
        &Bytes::from_static(&[0x78, 0, 0]),
        true,
        Duration::from_millis(1_000 + n * 20),
    );
}

#[test]
fn what_is_put_in_is_in_the_file_when_the_recording_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mkv");
    let (tap, recorder, told) = start(into(&path));
    assert!(matches!(told.recv_timeout(SOON), Ok(News::In(at)) if at == path));
    (0..100).for_each(|n| sound(&tap, n));
    drop(recorder);
    assert!(!tap.is_on());
    sound(&tap, 101);
    assert!(matches!(told.recv_timeout(SOON), Ok(News::Ended { error: None, dropped: 0 })));
    let file = std::fs::read(&path).unwrap();
    assert_eq!(file.windows(3).filter(|bytes| bytes == &[0x78, 0, 0]).count(), 100);
}

#[test]
fn a_file_that_is_there_or_a_disk_that_is_full_ends_it_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mkv");
    std::fs::write(&path, "mine").unwrap();
    let (_tap, _recorder, told) = start(into(&path));
    let Ok(News::Ended { error: Some(error), .. }) = told.recv_timeout(SOON) else { panic!("it ends") };
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    if cfg!(target_os = "linux") {
        let full: MakeFile = Box::new(|| {
            OpenOptions::new().write(true).open("/dev/full").map(|file| ("/dev/full".into(), file))
        });
        let (tap, _recorder, told) = start(full);
        assert!(matches!(told.recv_timeout(SOON), Ok(News::In(_))));
        (0..100).for_each(|n| sound(&tap, n));
        let Ok(News::Ended { error: Some(error), .. }) = told.recv_timeout(SOON) else { panic!("it ends") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        sound(&tap, 101);
    }
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_and_what_it_missed_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.mkv");
    let (free, wait) = std::sync::mpsc::channel::<()>();
    let mut make = into(&path);
    let hanging: MakeFile = Box::new(move || {
        let _ = wait.recv_timeout(SOON);
        make()
    });
    let (tap, recorder, told) = start(hanging);
    let began = Instant::now();
    (0..FRAMES as u64 + 50).for_each(|n| sound(&tap, n));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    free.send(()).unwrap();
    assert!(matches!(told.recv_timeout(SOON), Ok(News::In(_))));
    drop(recorder);
    let Ok(News::Ended { error: None, dropped }) = told.recv_timeout(SOON) else { panic!("it ends well") };
    assert_eq!(dropped, 50);
}

#[test]
fn a_picture_whose_coding_changes_all_the_time_fills_no_folder() {
    let made = Arc::new(AtomicU64::new(0));
    let (folder, counter) = (tempfile::tempdir().unwrap(), Arc::clone(&made));
    let place = folder.path().to_owned();
    let make: MakeFile = Box::new(move || {
        let path = place.join(counter.fetch_add(1, Ordering::Relaxed).to_string());
        File::create(&path).map(|file| (path, file))
    });
    let (tap, recorder, told) = start(make);
    let key = |codec: Codec| -> Bytes {
        use crate::media::frame::VideoFrame;
        use crate::media::video::{VideoTarget, encoder};
        let coded =
            encoder(codec, VideoTarget { kbps: 100, fps: 10 }).unwrap().encode(&VideoFrame::black(64, 48));
        coded.unwrap().unwrap().data
    };
    let pictures: Vec<(Codec, Bytes)> =
        crate::media::video_codecs().into_iter().map(|codec| (codec, key(codec))).collect();
    // Without VP8 there is nothing to change to.
    if pictures.len() < 2 {
        return;
    }
    for n in 0..100_u64 {
        let (codec, data) = &pictures[n as usize % pictures.len()];
        tap.put(TrackId::FriendPicture, *codec, data, true, Duration::from_millis(1_000 + n * 40));
    }
    drop(recorder);
    while !matches!(told.recv_timeout(SOON), Ok(News::Ended { error: None, .. })) {}
    assert_eq!(made.load(Ordering::Relaxed), u64::from(MOST_FILES));
}
