//! The classic exchange: two complete session descriptions, carried by whatever means, with any WebRTC
//! endpoint. The stack compares the certificate with the description's fingerprint; nobody else does.

use super::events::Note;
use super::{Agreement, CHANNEL_LABEL, Candidate, Peer, PeerError, sdp};

impl Peer {
    /// A complete offer: sound, picture and a data channel, with these candidates.
    ///
    /// # Errors
    /// `Stack` when already started.
    pub async fn classic_offer(&self, candidates: &[Candidate]) -> Result<String, PeerError> {
        let channel = self.connection.create_data_channel(CHANNEL_LABEL, None).await?;
        self.notes.put(Note::Channel(channel));
        Ok(sdp::with_candidates(&self.negotiator.offer().await?, candidates))
    }

    /// Takes a complete offer and gives the complete answer, with these candidates.
    ///
    /// # Errors
    /// `Description` and `Stack` for an offer that can't be taken.
    pub async fn classic_answer(
        &self,
        offer: &str,
        candidates: &[Candidate],
    ) -> Result<(String, Agreement), PeerError> {
        self.negotiator.set_polite(true);
        let (answer, agreement) = self.negotiator.answer(&usable(offer)?).await?;
        self.wire.open();
        Ok((sdp::with_candidates(&answer, candidates), agreement))
    }

    /// Takes the answer to `classic_offer`.
    ///
    /// # Errors
    /// `Description` and `Stack` for an answer that can't be taken.
    pub async fn classic_accept(&self, answer: &str) -> Result<Agreement, PeerError> {
        let agreement = self.negotiator.finish(&usable(answer)?).await?;
        self.wire.open();
        Ok(agreement)
    }
}

fn usable(description: &str) -> Result<String, PeerError> {
    if description.len() > sdp::MAX_DESCRIPTION {
        return Err(PeerError::Description("too long"));
    }
    Ok(sdp::cleaned(description))
}
