//! I/O: keeps the data channel quick where packets go missing. SCTP sends a lost message again after a second
//! or more (RFC 9260 §6.3.1: RTO.Min), but at once when three later ones arrive before it (§7.2.4). A call's
//! messages come one by one, each waiting for the answer to the last; so whatever is said is followed by a few
//! that say nothing, until it is acknowledged.

use super::events::OpenChannel;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The message that says nothing; the channel's receiver drops it.
pub(super) const NOTHING: [u8; 1] = [0];
/// How far apart they are at first: enough to have one loss noticed at once.
const INTERVAL: Duration = Duration::from_millis(50);
const QUICK: u32 = 8;
/// And then: SCTP has sent it again by itself, and on a narrow path they would be in its way.
const LATER_INTERVAL: Duration = Duration::from_millis(150);
/// How many follow one message at the most: as long as SCTP's first two attempts take.
const MOST: u32 = QUICK + 18;
/// With so many bytes on their way, later messages see to it by themselves.
const BUSY: usize = 8 * 1024;

/// Told of each message; the task that follows them up.
#[derive(Clone, Default)]
pub(super) struct Nudge(Arc<Notify>);

impl Nudge {
    /// Something was said.
    pub(super) fn said(&self) {
        self.0.notify_one();
    }

    /// Somebody waits for an acknowledgement on another channel of the same association.
    pub(super) async fn now(channel: &OpenChannel) {
        if let Some(channel) = channel.get() {
            let _ = channel.send(NOTHING[..].into()).await;
        }
    }

    /// Runs for as long as the peer does.
    pub(super) async fn run(self, channel: OpenChannel) {
        loop {
            self.0.notified().await;
            let mut left = MOST;
            while left > 0 {
                let interval = if left > MOST - QUICK { INTERVAL } else { LATER_INTERVAL };
                let more = tokio::time::timeout(interval, self.0.notified()).await.is_ok();
                left = if more { MOST } else { left - 1 };
                if !more && !nudge(&channel).await {
                    break;
                }
            }
        }
    }
}

/// `false` when there is no need: all is acknowledged, or there is no channel any more.
async fn nudge(channel: &OpenChannel) -> bool {
    let Some(channel) = channel.get() else { return false };
    match channel.outstanding_bytes().await {
        Ok(0) | Err(_) => false,
        Ok(BUSY..) => true,
        Ok(_) => channel.send(NOTHING[..].into()).await.is_ok(),
    }
}
