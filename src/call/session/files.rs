//! I/O: files of a call: what `share` decides is carried out here, over the connection there is. Nothing is read or
//! written by this task itself: `sending` and `keeping` do, beside it.

mod keeping;
mod sending;

use super::Session;
use super::converse::Conversation;
use crate::call::channel::{FileTalk, Stopped, Talk, clean};
use crate::call::event::{CallEvent, FileEvent, FileState, Side};
use crate::call::peer::Peer;
use crate::share::frame::Frame;
use crate::share::name::typed_path;
use crate::share::{Act, Share};
use bytes::Bytes;
pub(super) use keeping::first_free;
use sending::Sending;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often a person is told how far a file is.
const TELL_INTERVAL: Duration = Duration::from_millis(500);
/// News that may wait for the session: the threads that keep files wait then.
const NEWS: usize = 64;
/// Pieces that may wait for a disk: more than may be on their way, as small as they may be (`share/pace.rs`).
const PIECES: usize = 1_200;

/// How long a disk may take to let go of the files when the call is over.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// What came of a file.
#[derive(Debug)]
enum News {
    /// There is a place for it.
    Placed(u32),
    /// So much of it is kept.
    Has(u32, u64),
    /// It is whole, here.
    Kept(u32, PathBuf),
    /// Nothing comes of it.
    Failed(Side, u32, Stopped),
}

/// All files of a call.
pub(super) struct Files {
    share: Share,
    folder: PathBuf,
    sending: Option<Sending>,
    keeping: HashMap<u32, mpsc::Sender<Frame>>,
    /// The threads that keep them.
    keepers: JoinSet<()>,
    news: (mpsc::Sender<News>, mpsc::Receiver<News>),
    told: Option<Instant>,
}

/// Something about files for the session to hand in.
#[derive(Debug)]
pub(super) struct Arrived(News);

impl Files {
    /// None yet; those that come are kept in `folder`.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            share: Share::default(),
            folder,
            sending: None,
            keeping: HashMap::new(),
            keepers: JoinSet::new(),
            news: mpsc::channel(NEWS),
            told: None,
        }
    }

    /// The next thing that happened to one of them.
    pub(super) async fn next(&mut self) -> Option<Arrived> {
        self.news.1.recv().await.map(Arrived)
    }

    /// A message of the files' channel.
    fn frame(&mut self, bytes: &Bytes) -> Vec<Act> {
        match Frame::decode(bytes) {
            Some(Frame::Got { id, bytes }) => {
                let Some(sending) = self.sending.as_ref().filter(|sending| sending.id == id) else {
                    return Vec::new();
                };
                sending.acknowledged(bytes);
                self.share.moved(Side::Local, id, bytes)
            }
            Some(frame @ (Frame::Piece { id, .. } | Frame::End { id, .. })) => match self.keeping.get(&id) {
                // Faster than it was acknowledged: that is no p2pcall.
                Some(pieces) if pieces.try_send(frame).is_err() => {
                    self.share.failed(Side::Remote, id, Stopped::Damaged)
                }
                _ => Vec::new(),
            },
            None => Vec::new(),
        }
    }

    fn keep(&mut self, id: u32, name: String, bytes: u64) {
        let (pieces, frames) = mpsc::channel(PIECES);
        self.keeping.insert(id, pieces);
        let (folder, news) = (self.folder.clone(), self.news.0.clone());
        while self.keepers.try_join_next().is_some() {}
        self.keepers.spawn_blocking(move || keeping::keep(&folder, &name, (id, bytes), frames, &news));
    }

    fn send(&mut self, peer: &Arc<Peer>, (id, path): (u32, PathBuf), bytes: u64, from: u64) {
        self.sending = Some(Sending::begin(peer, (id, path), bytes, from, self.news.0.clone()));
    }

    /// Nothing comes or goes any more: what is whole gets its name, what is not is thrown away. Gives what became whole.
    async fn let_go(&mut self) -> Vec<(u32, PathBuf)> {
        self.sending = None;
        self.keeping.clear();
        let mut whole = Vec::new();
        let all = async {
            loop {
                tokio::select! {
                    biased;
                    Some(news) = self.news.1.recv() => {
                        if let News::Kept(id, path) = news {
                            whole.push((id, path));
                        }
                    }
                    ended = self.keepers.join_next() => if ended.is_none() { break },
                }
            }
        };
        if tokio::time::timeout(LAST_WRITE, all).await.is_err() {
            log::warn!("the disk does not let go of a file; a part of it may stay behind");
        }
        whole
    }

    /// Not every step is worth a line.
    fn worth_telling(&mut self, file: &FileEvent) -> bool {
        let now = Instant::now();
        let due = self.told.is_none_or(|told| now >= told + TELL_INTERVAL);
        let tell = file.state != FileState::Moving || due || file.done == file.bytes;
        if tell {
            self.told = Some(now);
        }
        tell
    }
}

impl Conversation {
    /// A person wants to send what was typed or dropped.
    pub(super) async fn send_file(&mut self, session: &Session, typed: &Path) {
        if !self.again.is_possible() {
            let help = "Only a call by a p2pcall code can carry files.";
            return session.warn("no_files", "The friend's end of this call takes no files.", help).await;
        }
        let home = std::env::var("HOME").ok();
        let path = typed_path(&typed.to_string_lossy(), home.as_deref());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let shown = clean(&path.display().to_string(), 200);
        match metadata(&path).await {
            Ok(about) if about.is_file() => {
                let acts = self.files.share.offer(path, &name, about.len());
                self.carry_out_files(session, acts).await;
            }
            Ok(about) => {
                let (what, help) = if about.is_dir() {
                    ("a folder", "Pack it into one file first, for example with tar or zip.")
                } else {
                    ("not a plain file", "Only what lies on a disk can be sent.")
                };
                session.warn("file_unreadable", format!("{shown} is {what}."), help).await;
            }
            Err(error) => {
                let help = "Check the path, and that you may read it.";
                session.warn("file_unreadable", format!("{shown} can't be sent: {error}."), help).await;
            }
        }
    }

    /// A person decides about a file.
    pub(super) async fn decide_file(&mut self, session: &Session, yes: bool) {
        let acts = self.files.share.decide(yes);
        self.carry_out_files(session, acts).await;
    }

    /// The other end speaks of a file.
    pub(super) async fn heard_of_file(&mut self, session: &Session, talk: FileTalk) {
        let acts = self.files.share.heard(talk);
        self.carry_out_files(session, acts).await;
    }

    /// A message of the files' channel.
    pub(super) async fn file_message(&mut self, session: &Session, bytes: &Bytes) {
        let acts = self.files.frame(bytes);
        self.carry_out_files(session, acts).await;
    }

    /// Something happened to a file at this end.
    pub(super) async fn file_news(&mut self, session: &Session, Arrived(news): Arrived) {
        let share = &mut self.files.share;
        let acts = match news {
            News::Placed(id) => share.placed(id),
            News::Has(id, done) => {
                let got = Frame::Got { id, bytes: done }.encode();
                if let Err(error) = self.link.peer.send_file(&got).await {
                    log::debug!("not acknowledged: {error}");
                }
                share.moved(Side::Remote, id, done)
            }
            News::Kept(id, path) => {
                self.files.keeping.remove(&id);
                share.kept(id, path.display().to_string())
            }
            News::Failed(side, id, why) => share.failed(side, id, why),
        };
        self.carry_out_files(session, acts).await;
    }

    /// Over another connection from now on.
    pub(super) async fn files_meet_again(&mut self, session: &Session) {
        let acts = self.files.share.met_again();
        self.carry_out_files(session, acts).await;
    }

    /// The call is over, and so are its files.
    pub(super) async fn files_end(&mut self, session: &Session) {
        let whole = self.files.let_go().await;
        let share = &mut self.files.share;
        let mut acts: Vec<Act> =
            whole.into_iter().flat_map(|(id, path)| share.kept(id, path.display().to_string())).collect();
        acts.extend(share.over());
        self.carry_out_files(session, acts).await;
    }

    async fn carry_out_files(&mut self, session: &Session, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Emit(CallEvent::File(file)) if !self.files.worth_telling(&file) => {}
                Act::Emit(event) => session.emit(event).await,
                Act::Say(talk) => self.say(Talk::File(talk)).await,
                Act::Send { id, path, bytes, from } => {
                    self.files.send(&self.link.peer, (id, path), bytes, from);
                }
                Act::Hold(id) => {
                    self.files.sending.take_if(|sending| sending.id == id);
                }
                Act::Keep { id, name, bytes } => self.files.keep(id, name, bytes),
                Act::Discard(id) => {
                    self.files.keeping.remove(&id);
                }
            }
        }
    }
}

/// On a thread that may wait for a network's disk.
async fn metadata(path: &Path) -> std::io::Result<std::fs::Metadata> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || std::fs::metadata(path)).await.map_err(std::io::Error::other)?
}

/// How a failure to write is told.
fn unkept(error: &std::io::Error) -> Stopped {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Stopped::NoSpace,
        _ => Stopped::Unwritable,
    }
}
