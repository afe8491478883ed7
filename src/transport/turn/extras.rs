//! What our own relay is told beside the standard: doorbell and guest, in Allocate and Refresh (`relay/README.md`).

use p2pcall_relay::stun::{Message, attr};
use std::time::Instant;

use super::requests::Request;
use super::{Extras, State, Taken, TurnClient, TurnEvent};

impl TurnClient {
    /// Changes the doorbell and the guest; a server that may know them is told at once.
    pub fn set_extras(&mut self, now: Instant, extras: Extras) {
        if self.extras == extras {
            return;
        }
        self.extras = extras;
        if matches!(self.state, State::Allocated { .. }) && !self.deaf {
            self.extras_asked = true;
            self.request(now, Request::Refresh, 0);
        }
    }

    /// Whether the server has answered to the extras as they are.
    pub fn is_up_to_date(&self) -> bool {
        !self.extras_asked
    }

    pub(super) fn note_taken(&mut self, message: &Message<'_>) {
        let taken = self.read_taken(message);
        // An answer to a Refresh from before the change says nothing of it.
        let answered = self.extras_asked && !self.requests.awaits(Request::Refresh);
        self.extras_asked &= !answered;
        if std::mem::replace(&mut self.taken, taken) != taken || answered {
            self.events.push_back(TurnEvent::Taken(taken));
        }
    }

    /// A server that knows doorbell and guest echoes them; one that does not says nothing.
    pub(super) fn read_taken(&self, message: &Message<'_>) -> Taken {
        let echoed = message.get(attr::DOORBELL).filter(|ufrag| !ufrag.is_empty());
        Taken {
            doorbell: echoed.is_some() && echoed == self.extras.doorbell.as_deref(),
            guest: self.extras.guest.is_some() && message.contains(attr::GUEST),
        }
    }
}
