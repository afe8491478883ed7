//! I/O: the recording of a call: what `call::recording` decides is carried out here. The file is written by a thread of
//! its own (`media::record`), which this task starts and hears.

use super::Session;
use super::converse::Conversation;
use super::files::first_free;
use crate::call::channel::{RecordingTalk, Talk, clean};
use crate::call::event::Notice;
use crate::call::recording::{Act, Recording};
use crate::config::VideoChoice;
use crate::media::has_place;
use crate::media::record::muxer::{Setting, TrackId};
use crate::media::record::{Clock, MakeFile, News, Recorder};
use crate::share::name::{recording_name, typed_path};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// News that may wait for the session: the recording's thread waits then.
const NEWS: usize = 16;
/// A disk that hangs is not waited for at the end of a call.
const ENDING: Duration = Duration::from_secs(2);

/// A call's recordings, one at a time.
pub(super) struct Recordings {
    state: Recording,
    recorder: Option<Recorder>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    /// Where the call's files are kept.
    folder: PathBuf,
}

impl Recordings {
    /// None yet.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { state: Recording::default(), recorder: None, news: mpsc::channel(NEWS), folder }
    }

    /// What the recording's thread has to tell.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.1.recv().await
    }

    /// When time has something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        self.state.due()
    }
}

impl Conversation {
    /// A person types that it shall begin, where, or end.
    pub(super) async fn record_as_typed(&mut self, session: &Session, on: bool, typed: Option<PathBuf>) {
        let home = std::env::var("HOME").ok();
        let path = typed.map(|typed| typed_path(&typed.to_string_lossy(), home.as_deref()));
        self.record(session, on, path).await;
    }

    /// It shall begin, there, or end.
    pub(super) async fn record(&mut self, session: &Session, on: bool, path: Option<PathBuf>) {
        // Known before the friend is told that there is a recording.
        if let Some(path) = path.as_ref().filter(|path| on && !path.is_dir() && !has_place(path)) {
            let message = format!("Nothing is recorded: there is no folder for {}.", path.display());
            return session.warn("recording_failed", message, "Another place: /record on PATH.").await;
        }
        let acts = self.recordings.state.wish(session.now(), on, path);
        self.carry_out_recording(session, acts).await;
    }

    /// The friend speaks of a recording.
    pub(super) async fn heard_of_recording(&mut self, session: &Session, talk: RecordingTalk) {
        let acts = self.recordings.state.heard(&talk);
        self.carry_out_recording(session, acts).await;
    }

    /// The friend may have missed what was said.
    pub(super) async fn recording_meets_again(&mut self, session: &Session) {
        let acts = self.recordings.state.met_again();
        self.carry_out_recording(session, acts).await;
    }

    /// Time passed.
    pub(super) async fn recording_tick(&mut self, session: &Session) {
        let acts = self.recordings.state.tick(session.now());
        self.carry_out_recording(session, acts).await;
    }

    /// The recording's thread tells something.
    pub(super) async fn recording_news(&mut self, session: &Session, news: News) {
        let acts = match news {
            News::In(path) => self.recordings.state.is_in(path.display().to_string()),
            News::KeyWanted(of) => {
                match (of, &self.media) {
                    (TrackId::FriendPicture, _) => self.link.peer.request_key_frame(),
                    (_, Some(media)) => media.media().key_frame(),
                    (_, None) => {}
                }
                Vec::new()
            }
            News::Ended { error, dropped } => {
                self.recordings.recorder = None;
                self.recordings.state.ended(why(error.as_ref(), dropped))
            }
        };
        self.carry_out_recording(session, acts).await;
    }

    /// The call is over, or about to be: completes the file, also of a recording that was told to end just before.
    pub(super) async fn end_recording(&mut self, session: &Session) {
        self.recordings.recorder = None;
        if !self.recordings.state.is_on() {
            return;
        }
        let ending = async {
            loop {
                let Some(news) = self.recordings.next().await else { return };
                let last = matches!(news, News::Ended { .. });
                self.recording_news(session, news).await;
                if last {
                    return;
                }
            }
        };
        if tokio::time::timeout(ENDING, ending).await.is_err() {
            log::warn!("the disk is too slow to complete the recording");
        }
    }

    async fn carry_out_recording(&mut self, session: &Session, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Emit(event) => session.emit(event).await,
                Act::Say(talk) => self.say(Talk::Recording(talk)).await,
                Act::Begin(path) => self.begin_recording(session, path).await,
                // It tells when it has ended.
                Act::End => self.recordings.recorder = None,
            }
        }
    }

    async fn begin_recording(&mut self, session: &Session, path: Option<PathBuf>) {
        let (place, news) = (place(path, &self.recordings.folder), self.recordings.news.0.clone());
        let Some(media) = &self.media else { return };
        let own = session.config.media.video != VideoChoice::None && self.video_on;
        let pictures = media.has_pictures();
        let setting = Setting {
            names: [self.friend.clone(), session.config.name.clone()],
            pictures: [pictures, pictures && own],
            ..Setting::default()
        };
        let clock = Clock { started: session.line.started, unix: super::unix_seconds };
        let tell = move |told| {
            // Nobody listens to the last words of a call that is over.
            let _ = news.blocking_send(told);
        };
        match Recorder::start(media.media().taps(), setting, clock, file_at(place), tell) {
            Ok(recorder) => self.recordings.recorder = Some(recorder),
            Err(error) => {
                let failed = News::Ended { error: Some(error), dropped: 0 };
                let _ = self.recordings.news.0.send(failed).await;
            }
        }
    }
}

/// Where a recording goes: a folder or a file that was named, or the folder of the call's files.
enum Place {
    Named(PathBuf),
    In(PathBuf),
}

fn place(path: Option<PathBuf>, folder: &Path) -> Place {
    path.map_or_else(|| Place::In(folder.to_owned()), Place::Named)
}

/// Makes one new file after the other there, none over what is there.
fn file_at(place: Place) -> MakeFile {
    Box::new(move || {
        let (folder, name) = match &place {
            Place::Named(path) if !path.is_dir() => {
                let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                (folder.unwrap_or(Path::new(".")).to_owned(), name.to_string_lossy().into_owned())
            }
            Place::Named(folder) | Place::In(folder) => {
                fs::create_dir_all(folder)?;
                (folder.clone(), recording_name(super::unix_seconds()))
            }
        };
        // A path that stays right wherever this process goes.
        let folder = fs::canonicalize(folder)?;
        first_free(&folder, &name, |path| OpenOptions::new().write(true).create_new(true).open(path))
    })
}

/// What a person is told of a recording that did not end as it was wished.
fn why(error: Option<&io::Error>, dropped: u64) -> Option<Notice> {
    if let Some(error) = error {
        let (code, what) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ("disk_full", "the disk is full".to_owned())
            }
            _ => ("recording_failed", clean(&error.to_string(), 200)),
        };
        let message = format!("The recording has ended: {what}. The call goes on.");
        let help = "What was recorded until then can be played. Another place: /record on PATH.";
        return Some(Notice { code, message, help: help.into() });
    }
    (dropped > 0).then(|| Notice {
        code: "recording_gaps",
        message: format!("{dropped} frames are missing in the recording: the disk was too slow for them."),
        help: "Record to another disk.".into(),
    })
}
