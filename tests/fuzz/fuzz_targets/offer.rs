//! The text of an offer: what is read can be written, and reads as the same.
#![no_main]
use libfuzzer_sys::fuzz_target;
use p2pcall::code::{OfferCode, Pasted, bytes::offer_check, paste, text::offer_text};

fuzz_target!(|body: &[u8]| {
    // The check is mended, so that what lies behind it is reached too.
    let Ok(Pasted::Offer(code)) = paste::read(&offer_text(&[body, &offer_check(body)].concat())) else { return };
    let again = OfferCode::new(code.offer().clone()).expect("what was read can be written");
    assert_eq!(paste::read(&again.text()), Ok(Pasted::Offer(again)));
});
