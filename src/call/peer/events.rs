//! From the stack's callbacks to the peer's events: its states, our patience with a handshake, and the data channel.
//!
//! The stack awaits callbacks inside its own loop, so they only put a note into a queue; one task makes
//! events of the notes and waits for the session where the session is slow. Knows no media but its kinds.

use super::PeerEvent;
use super::checks::Path;
use super::nudge::NOTHING;
use super::socket::Wire;
use crate::media::frame::Codec;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{PeerConnectionEventHandler, RTCIceConnectionState, RTCPeerConnectionState};

/// From a path to an open connection: DTLS sends again after 1, 3 and 7 s (RFC 6347
/// §4.2.4.1). A handshake that fails is not always told, and a stranger may never begin one.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(6);

/// Something that happened inside the stack.
pub(super) enum Note {
    /// Data took a new path.
    Path(Path),
    /// ICE has a path; DTLS has its turn.
    Reached,
    /// ICE and DTLS together.
    State(RTCPeerConnectionState),
    /// There is a data channel, not yet open.
    Channel(Arc<dyn DataChannel>),
    /// The first packet of a codec.
    Track(Codec),
    /// Packets come no more, or again.
    Quiet(bool),
    /// Nothing at all comes from the friend's address, or something does again.
    Silent(bool),
    /// The stack's loop has ended, by itself or by a fault of its own.
    Gone,
    /// A key frame is wanted; `Notes::key_frame` sees to it that only one such note waits.
    KeyFrame,
}

/// Where notes are put, from anywhere.
#[derive(Clone)]
pub(super) struct Notes {
    queue: mpsc::UnboundedSender<Note>,
    key_frame: Arc<AtomicBool>,
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notes")
    }
}

impl Notes {
    /// The queue's two ends. It has no bound of its own: each kind of note is bounded by its nature.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Note>) {
        let (queue, notes) = mpsc::unbounded_channel();
        (Self { queue, key_frame: Arc::default() }, notes)
    }

    /// Notes something down.
    pub(super) fn put(&self, note: Note) {
        // Nobody reads any more when the peer is being closed.
        let _ = self.queue.send(note);
    }

    /// A key frame is wanted, however often that is said before somebody hears it.
    pub(super) fn key_frame(&self) {
        if !self.key_frame.swap(true, Ordering::AcqRel) {
            self.put(Note::KeyFrame);
        }
    }
}

/// The channel, once it is open, for those who send.
#[derive(Clone, Default)]
pub(super) struct OpenChannel(Arc<Mutex<Option<Arc<dyn DataChannel>>>>);

impl OpenChannel {
    /// The channel while it is open.
    pub(super) fn get(&self) -> Option<Arc<dyn DataChannel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, channel: Option<Arc<dyn DataChannel>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}

/// The callbacks.
pub(super) struct Handler(pub(super) Notes);

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.0.put(Note::State(state));
    }

    async fn on_ice_connection_state_change(&self, state: RTCIceConnectionState) {
        if state == RTCIceConnectionState::Connected {
            self.0.put(Note::Reached);
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.0.put(Note::Channel(channel));
    }
}

/// The task that makes events of notes, up to the end of the queue or of the session.
pub(super) struct Pump {
    pub(super) notes: mpsc::UnboundedReceiver<Note>,
    pub(super) key_frame: Notes,
    pub(super) events: mpsc::Sender<PeerEvent>,
    pub(super) wire: Arc<Wire>,
    pub(super) open: OpenChannel,
}

impl Pump {
    /// Runs until nobody listens.
    pub(super) async fn run(mut self) {
        let mut channel: Option<Arc<dyn DataChannel>> = None;
        let mut patience = Patience::default();
        let mut absence = Absence::default();
        loop {
            let event = tokio::select! {
                note = self.notes.recv() => match note {
                    None => return,
                    // Only the first channel is ours; a browser may open more, which nobody reads.
                    Some(Note::Channel(new)) => {
                        channel.get_or_insert(new);
                        None
                    }
                    Some(Note::State(RTCPeerConnectionState::Disconnected)) if patience.connected => {
                        absence.unanswered(true)
                    }
                    Some(Note::State(state)) => {
                        absence.unanswered(false);
                        patience.state(state)
                    }
                    Some(Note::Silent(silent)) => absence.silent(silent),
                    Some(Note::Reached) => {
                        patience.reached();
                        None
                    }
                    Some(note) => self.media_event(&note),
                },
                event = next_of(channel.as_ref()) => self.channel_event(event, &mut channel),
                () = patience.ends() => Some(PeerEvent::Failed),
            };
            if let Some(event) = event
                && self.events.send(event).await.is_err()
            {
                return;
            }
        }
    }

    fn media_event(&self, note: &Note) -> Option<PeerEvent> {
        match note {
            Note::Track(codec) => Some(PeerEvent::Track { kind: codec.kind(), codec: *codec }),
            Note::KeyFrame => {
                self.key_frame.key_frame.store(false, Ordering::Release);
                Some(PeerEvent::KeyFrameWanted)
            }
            Note::Path((port, remote)) => Some(PeerEvent::NewPath { port: *port, remote: *remote }),
            Note::Quiet(true) => Some(PeerEvent::Quiet),
            Note::Quiet(false) => Some(PeerEvent::Heard),
            Note::Gone => Some(PeerEvent::Failed),
            Note::Reached | Note::State(_) | Note::Silent(_) | Note::Channel(_) => None,
        }
    }

    fn channel_event(
        &self,
        event: Option<DataChannelEvent>,
        channel: &mut Option<Arc<dyn DataChannel>>,
    ) -> Option<PeerEvent> {
        match event {
            Some(DataChannelEvent::OnOpen) => {
                self.open.set(channel.clone());
                self.wire.settle();
                Some(PeerEvent::ChannelOpen)
            }
            Some(DataChannelEvent::OnMessage(message)) if message.data[..] == NOTHING => None,
            Some(DataChannelEvent::OnMessage(message)) => {
                Some(PeerEvent::ChannelMessage(message.data.freeze()))
            }
            Some(DataChannelEvent::OnClose) | None => {
                *channel = None;
                self.open.set(None);
                Some(PeerEvent::ChannelClosed)
            }
            Some(_) => None,
        }
    }
}

/// When to give up.
#[derive(Default)]
struct Patience {
    connected: bool,
    ends_at: Option<Instant>,
}

impl Patience {
    fn reached(&mut self) {
        if !self.connected {
            self.ends_at.get_or_insert_with(|| Instant::now() + HANDSHAKE_PATIENCE);
        }
    }

    fn state(&mut self, state: RTCPeerConnectionState) -> Option<PeerEvent> {
        match state {
            RTCPeerConnectionState::Connected => {
                (self.connected, self.ends_at) = (true, None);
                Some(PeerEvent::Connected)
            }
            RTCPeerConnectionState::Failed => {
                self.ends_at = None;
                Some(PeerEvent::Failed)
            }
            _ => None,
        }
    }

    /// Waits for the end, if there is one.
    async fn ends(&mut self) {
        match self.ends_at {
            Some(end) => tokio::time::sleep_until(end).await,
            None => std::future::pending().await,
        }
        self.ends_at = None;
    }
}

/// Whether the friend is away. Where a third of all packets is lost the agent may miss every check and answer of 2.5 s,
/// though sound comes all the time: it takes both to be sure.
struct Absence {
    unanswered: bool,
    silent: bool,
}

impl Default for Absence {
    fn default() -> Self {
        Self { unanswered: false, silent: true }
    }
}

impl Absence {
    /// The agent misses checks and answers, or has them again.
    fn unanswered(&mut self, unanswered: bool) -> Option<PeerEvent> {
        self.unanswered = unanswered;
        self.told()
    }

    /// Nothing comes, or something again.
    fn silent(&mut self, silent: bool) -> Option<PeerEvent> {
        self.silent = silent;
        self.told()
    }

    fn told(&self) -> Option<PeerEvent> {
        (self.unanswered && self.silent).then_some(PeerEvent::Disconnected)
    }
}

async fn next_of(channel: Option<&Arc<dyn DataChannel>>) -> Option<DataChannelEvent> {
    match channel {
        Some(channel) => channel.poll().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_friend_who_is_heard_is_not_away_however_many_checks_are_lost() {
        let mut absence = Absence::default();
        assert_eq!(absence.silent(false), None);
        assert_eq!(absence.unanswered(true), None);
        assert_eq!(absence.unanswered(false), None);
    }

    #[test]
    fn a_friend_of_whom_nothing_comes_is_away_whatever_is_noticed_first() {
        let mut absence = Absence::default();
        assert_eq!(absence.silent(false), None);
        assert_eq!(absence.unanswered(true), None);
        assert_eq!(absence.silent(true), Some(PeerEvent::Disconnected));
        assert_eq!((absence.silent(false), absence.unanswered(false)), (None, None));
        assert_eq!(absence.silent(true), None);
        assert_eq!(absence.unanswered(true), Some(PeerEvent::Disconnected));
    }

    #[test]
    fn before_anything_was_heard_the_agent_decides() {
        assert_eq!(Absence::default().unanswered(true), Some(PeerEvent::Disconnected));
    }
}
