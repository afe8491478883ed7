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
        let taken = match kind {
            DescriptionKind::Offer => {
                self.link.peer.accept_media_offer(sdp).await.map(|(answer, agreement)| {
                    (Some(Talk::Description { kind: DescriptionKind::Answer, sdp: answer }), agreement)
                })
            }
            DescriptionKind::Answer => {
                self.link.peer.accept_media_answer(sdp).await.map(|agreement| (None, agreement))
            }
        };
        match taken {
            Ok((answer, agreement)) => {
                let mut effects: Vec<_> = answer.map(Effect::Send).into_iter().collect();
                effects.extend(self.media_ready(session, life, agreement).await);
                effects
            }
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
