//! Says which path to expect with the friend whose code was read, as far as gathering has learnt; again when that
//! changes. Nobody waits for it.

use super::Session;
use crate::call::event::CallEvent;
use crate::code::facts::Offer;
use crate::nat::glance::{self, Waited};
use crate::nat::meet::meeting;
use crate::nat::predict::predict;
use crate::transport::Gathered;

impl Session {
    /// Says it unless it was said before.
    pub(super) async fn expect(&mut self, gathered: &Gathered, offer: &Offer, waited: Waited) {
        let ours = glance::ours(gathered, &self.config.network, waited);
        self.trying.meeting = meeting(&ours, offer);
        let prediction = predict(&self.trying.meeting);
        if self.expected.as_ref() != Some(&prediction) {
            self.expected = Some(prediction.clone());
            self.emit(CallEvent::Prediction(prediction)).await;
        }
    }
}
