//! I/O: the end of a conversation: the last word is said until it is heard, then everything is closed.

use super::converse::Conversation;
use crate::call::channel::Talk;
use crate::call::ending::Ending;
use crate::call::peer::PeerEvent;
use std::sync::Arc;
use std::time::Duration;

/// How long a hang-up waits for the other end to hear it; one that does goes at once, so this is for lossy paths: SCTP
/// sends again after 1 and 3 s (RFC 9260 §6.3).
const LINGER: Duration = Duration::from_secs(4);
/// And how often it is said again: a lost message is repeated after a second only, unless three later ones arrive
/// (RFC 9260 §7.2.4).
const LAST_WORD_INTERVAL: Duration = Duration::from_millis(50);

impl Conversation {
    /// Says it again and again until the other end has gone.
    async fn insist(&mut self, talk: &Talk) {
        loop {
            let heard = async {
                while let Some(event) = self.link.streams.events.recv().await {
                    if matches!(event, PeerEvent::ChannelClosed | PeerEvent::Failed) {
                        return;
                    }
                }
            };
            if tokio::time::timeout(LAST_WORD_INTERVAL, heard).await.is_ok() {
                return;
            }
            self.say_now(talk.clone()).await;
        }
    }

    /// Gives the last word time to arrive, then closes everything.
    pub(super) async fn close(mut self, ending: &Ending) {
        if let Some(media) = self.media.take() {
            media.stop().await;
        }
        if let Some(last_word) = ending.last_word() {
            let _ = tokio::time::timeout(LINGER, self.insist(&last_word)).await;
        }
        if let Ok(peer) = Arc::try_unwrap(self.link.peer) {
            peer.close().await;
        }
    }
}
