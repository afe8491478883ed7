//! I/O: the second data channel, for files: its messages neither wait for those of the call nor the other way round.

use super::PeerError;
use crate::share::frame::MAX_FRAME;
use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

/// The channel's name.
pub(super) const LABEL: &str = "p2pcall-files";
/// Messages that may wait: more than may be on their way, as small as they may be (`share/pace.rs`).
const WAITING: usize = 1_200;

/// A remote end that reads nothing, or acknowledges nothing, fills a channel: nobody waits for it longer than this.
const PATIENCE: Duration = Duration::from_millis(500);

/// Sends one message by a channel.
pub(super) async fn send(channel: &dyn DataChannel, message: &[u8]) -> Result<(), PeerError> {
    let sent = tokio::time::timeout(PATIENCE, channel.send(message.into())).await;
    Ok(sent.map_err(|_| PeerError::Stack("the channel is full".into()))??)
}

/// The channel, once it is open.
#[derive(Clone)]
pub(super) struct Bulk {
    open: Arc<Mutex<Option<Arc<dyn DataChannel>>>>,
    messages: mpsc::Sender<Bytes>,
}

impl Bulk {
    /// Not open yet, and where its messages come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (messages, out) = mpsc::channel(WAITING);
        (Self { open: Arc::default(), messages }, out)
    }

    /// Runs as long as the channel does. It never waits for whoever reads, so that a full disk can't stall the call.
    pub(super) async fn run(self, channel: Arc<dyn DataChannel>) {
        while let Some(event) = channel.poll().await {
            match event {
                DataChannelEvent::OnOpen => self.set(Some(Arc::clone(&channel))),
                DataChannelEvent::OnMessage(message) => self.keep(message.data.freeze()),
                DataChannelEvent::OnClose => break,
                _ => {}
            }
        }
        self.set(None);
    }

    /// Sends one message.
    pub(super) async fn send(&self, message: &[u8]) -> Result<(), PeerError> {
        let channel = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        send(&*channel.ok_or(PeerError::Closed)?, message).await
    }

    fn keep(&self, message: Bytes) {
        if message.len() > MAX_FRAME {
            log::warn!("dropped {} bytes that are no piece of a file", message.len());
        } else if self.messages.try_send(message).is_err() {
            log::warn!("a piece of a file came faster than it could be kept");
        }
    }

    fn set(&self, channel: Option<Arc<dyn DataChannel>>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}
