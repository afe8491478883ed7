//! What a terminal is asked about pictures, and what it says: pure, bytes out and bytes in.
//!
//! One question whose answer says whether there are more to come: kitty's graphics protocol, then the primary device
//! attributes, which every terminal answers and in order.

use super::Answers;

/// A query of kitty's graphics protocol with one pixel, which it checks and does not keep; then the primary device
/// attributes (ECMA-48 DA, as xterm's control sequences have it). Some terminals know no such sequences as the first
/// and print it: the line is cleared.
pub const QUESTION: &[u8] = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c\r\x1b[2K";

/// Sixel graphics, among the primary device attributes (DEC's VT340).
const SIXEL: &[u8] = b"4";

/// What was heard so far.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// What the terminal said; its cells' size is not in it.
    pub answers: Answers,
    /// The last answer is there.
    pub complete: bool,
    /// What is no part of an answer: somebody typed it meanwhile.
    pub typed: Vec<u8>,
}

/// Takes what came since the question apart.
pub fn hear(mut bytes: &[u8]) -> Heard {
    let mut heard = Heard { answers: Answers::default(), complete: false, typed: Vec::new() };
    while let Some((first, rest)) = bytes.split_first() {
        bytes = if let Some((answer, rest)) = between(bytes, b"\x1b_Gi=31;", b"\x1b\\") {
            heard.answers.kitty = answer == b"OK";
            rest
        } else if let Some((attributes, rest)) = between(bytes, b"\x1b[?", b"c") {
            heard.answers.sixel = attributes.split(|byte| *byte == b';').any(|number| number == SIXEL);
            heard.complete = true;
            rest
        } else {
            heard.typed.push(*first);
            rest
        };
    }
    heard
}

/// What stands between these two at the beginning, and what comes after. A number list or a word: nothing that begins
/// another sequence.
fn between<'a>(bytes: &'a [u8], begin: &[u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = bytes.strip_prefix(begin)?;
    let length = rest.windows(end.len()).position(|window| window == end)?;
    let (inside, rest) = (rest.get(..length)?, rest.get(length + end.len()..)?);
    let plain = inside.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    plain.then_some((inside, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], kitty: bool, sixel: bool, complete: bool, typed: &[u8]) {
        let answers = Answers { kitty, sixel, cell: None };
        assert_eq!(
            hear(bytes),
            Heard { answers, complete, typed: typed.to_vec() },
            "{}",
            bytes.escape_ascii()
        );
    }

    #[test]
    fn terminals_are_understood() {
        // kitty, foot, xterm as a VT340, xterm as it comes, the Linux console.
        check(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", true, false, true, b"");
        check(b"\x1b[?62;4;22;28c", false, true, true, b"");
        check(b"\x1b[?63;1;2;4;6;9;15;16;22;28c", false, true, true, b"");
        check(b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c", false, false, true, b"");
        check(b"\x1b[?6c", false, false, true, b"");
        check(b"\x1b_Gi=31;ENOTSUPPORTED:no such medium\x1b\\\x1b[?62c", false, false, true, b"");
    }

    #[test]
    fn what_was_typed_meanwhile_is_kept() {
        check(b"P2P4\x1b_Gi=31;OK\x1b\\AB\x1b[?62;4cC\r", true, true, true, b"P2P4ABC\r");
        check("ä\x1b[A".as_bytes(), false, false, false, "ä\x1b[A".as_bytes());
    }

    #[test]
    fn half_an_answer_is_none_yet() {
        check(b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4", true, false, false, b"\x1b[?62;4");
        check(b"", false, false, false, b"");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_nothing_is_made_up(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let heard = hear(&bytes);
            prop_assert!(heard.typed.len() <= bytes.len());
        }
    }
}
