//! I/O: sound and picture are described over the data channel, and added to the connection there is.

use super::converse::Conversation;
use super::{Session, step};
use crate::call::channel::{DescriptionKind, Talk};
use crate::call::peer::PeerError;
use crate::call::{Call, Effect, Input};
use crate::error::{Exit, Failure};

impl Conversation {
    /// Describes what this end sends and takes.
    pub(super) async fn offer_media(&mut self, session: &Session, life: &mut Call) -> Vec<Effect> {
        match self.link.peer.create_media_offer().await {
            Ok(sdp) => vec![Effect::Send(Talk::Description { kind: DescriptionKind::Offer, sdp })],
            Err(error) => step(life, &session.line, Input::Broke(refused(&error))),
        }
    }

    /// Takes what the friend described.
    pub(super) async fn take_description(
        &mut self,
        session: &mut Session,
        life: &mut Call,
        kind: DescriptionKind,
        sdp: &str,
    ) -> Vec<Effect> {
        let agreed = match kind {
            DescriptionKind::Offer => match self.link.peer.accept_media_offer(sdp).await {
                Ok((sdp, agreement)) => {
                    // Before anything else: devices take their time to open.
                    self.say(Talk::Description { kind: DescriptionKind::Answer, sdp }).await;
                    self.link.peer.hold_until_acknowledged();
                    Ok(agreement)
                }
                Err(error) => Err(error),
            },
            DescriptionKind::Answer => self.link.peer.accept_media_answer(sdp).await,
        };
        match agreed {
            Ok(agreement) => self.media_ready(session, life, agreement).await,
            Err(PeerError::Glare) => Vec::new(),
            Err(error) => step(life, &session.line, Input::Broke(refused(&error))),
        }
    }
}

fn refused(error: &PeerError) -> Failure {
    let help = match error {
        PeerError::Fingerprint => "Somebody tries to get in between: end this call and verify the next one.",
        _ => "Ask which version your friend runs: `p2pcall --version`.",
    };
    let message = format!("Sound and picture could not be agreed on: {error}.");
    Failure::new(Exit::Failure, "media_refused", message, help)
}
