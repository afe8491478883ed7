//! A link that somebody pasted: what is read is read again from what it prints.
#![no_main]
use libfuzzer_sys::fuzz_target;
use p2pcall_relay::link::Link;

fuzz_target!(|text: &str| {
    let Ok(link) = text.parse::<Link>() else { return };
    assert_eq!(link.with_secrets().parse(), Ok(link));
});
