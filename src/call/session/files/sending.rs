//! I/O: one file's way out, on a thread that may wait for the disk: read, numbered, sent no faster than the call beside
//! it allows.

use super::News;
use crate::call::channel::Stopped;
use crate::call::event::Side;
use crate::call::peer::Peer;
use crate::share::frame::{Frame, MAX_PIECE};
use crate::share::pace::Pace;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How long an acknowledgement may take before what was sent last is taken for lost.
const NUDGE_INTERVAL: Duration = Duration::from_millis(50);

/// So often it is asked; then the path is silent, and others see to that.
const MOST_NUDGES: u32 = 60;

/// A file that is being sent; dropping it stops that.
pub(super) struct Sending {
    pub(super) id: u32,
    acknowledged: watch::Sender<u64>,
}

impl Sending {
    /// Sends it from byte `from` on, over this connection.
    pub(super) fn begin(
        peer: &Arc<Peer>,
        (id, path): (u32, PathBuf),
        bytes: u64,
        from: u64,
        news: mpsc::Sender<News>,
    ) -> Self {
        let (acknowledged, acks) = watch::channel(from);
        // What waits for its connection must not keep it: whoever closes it waits for the last one who has it.
        let way = Way { id, peer: Arc::downgrade(peer), acks };
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            if let Err(why) = runtime.block_on(way.send(&path, bytes, from)) {
                let _ = news.blocking_send(News::Failed(Side::Local, id, why));
            }
        });
        Self { id, acknowledged }
    }

    /// The other end has so much of it.
    pub(super) fn acknowledged(&self, bytes: u64) {
        self.acknowledged.send_replace(bytes);
    }
}

struct Way {
    id: u32,
    peer: std::sync::Weak<Peer>,
    acks: watch::Receiver<u64>,
}

impl Way {
    /// Sends all from `from` on. A connection that breaks is no failure: it goes on when the ends meet again.
    async fn send(mut self, path: &Path, bytes: u64, from: u64) -> Result<(), Stopped> {
        let started = Instant::now();
        let mut file = File::open(path).map_err(|error| unread(&error))?;
        let mut digest = Sha256::new();
        let mut piece = vec![0; MAX_PIECE];
        let mut offset = 0;
        let mut pace = Pace::new(started.elapsed(), from);
        while offset < bytes {
            let Some(most) = self.room(&mut pace, started, offset < from).await else { return Ok(()) };
            let left = if offset < from { from - offset } else { bytes - offset };
            let most = most.min(usize::try_from(left).unwrap_or(usize::MAX));
            let buffer = piece.get_mut(..most).unwrap_or_default();
            let read = file.read(buffer).map_err(|error| unread(&error))?;
            let read = buffer.get(..read).filter(|read| !read.is_empty()).ok_or(Stopped::Changed)?;
            digest.update(read);
            if offset >= from {
                let frame = Frame::Piece { id: self.id, offset, bytes: read.to_vec().into() };
                if !self.say(&frame).await {
                    return Ok(());
                }
                pace.sent(started.elapsed(), read.len() as u64);
            }
            offset += read.len() as u64;
        }
        if file.read(piece.get_mut(..1).unwrap_or_default()).map_err(|error| unread(&error))? > 0 {
            return Err(Stopped::Changed);
        }
        self.say(&Frame::End { id: self.id, digest: digest.finalize().into() }).await;
        Ok(())
    }

    /// How long the next piece may be; waits until it may be any longer than nothing. `None`: nobody wants it any more.
    async fn room(&mut self, pace: &mut Pace, started: Instant, only_reading: bool) -> Option<usize> {
        let mut nudges = 0;
        loop {
            self.acks.has_changed().ok()?;
            let total = *self.acks.borrow_and_update();
            pace.acknowledged(started.elapsed(), total);
            let room = pace.room(MAX_PIECE);
            if only_reading {
                return Some(MAX_PIECE);
            }
            if room > 0 {
                return Some(room);
            }
            match tokio::time::timeout(NUDGE_INTERVAL, self.acks.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) if nudges == MOST_NUDGES => self.acks.changed().await.ok()?,
                Err(_) => {
                    nudges += 1;
                    if let Some(peer) = self.peer.upgrade() {
                        peer.nudge().await;
                    }
                }
            }
        }
    }

    async fn say(&self, frame: &Frame) -> bool {
        match self.peer.upgrade() {
            Some(peer) => peer.send_file(&frame.encode()).await.is_ok(),
            None => false,
        }
    }
}

fn unread(error: &io::Error) -> Stopped {
    log::info!("a file can't be read: {error}");
    Stopped::Unreadable
}
