use super::*;
use crate::code::invitation::invitation;
use crate::code::testing::{short_reply, typical};

fn wrong(text: &str) -> Wrong {
    read_offer(text).expect_err(text)
}

/// The code in lines of `width`, each after `mark`.
fn wrapped(code: &str, width: usize, mark: &str) -> String {
    let lines: Vec<&str> = code.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("{mark}{}", lines.join(&format!("\n{mark}")))
}

#[test]
fn a_code_is_found_in_whatever_surrounds_it() {
    for full in [false, true] {
        let code = typical(full);
        let text = code.text();
        let look_alikes = text[4..].replace('0', "o").replace('1', "l");
        for pasted in [
            text.clone(),
            text.to_lowercase(),
            format!("P2P4{look_alikes}"),
            format!("p2p4{}", look_alikes.replace('l', "I")),
            format!("  \"{text}\"\n"),
            format!("**{text}**"),
            format!("```\n{text}\n```"),
            format!("<https://example.org/call#{text}>"),
            format!("https://p2p.example/P2P/#{text}"),
            wrapped(&text, 40, "> "),
            wrapped(&text, 13, ">> > "),
            wrapped(&text, 7, "\t"),
            wrapped(&text, 1, " "),
            wrapped(&text, 1, "\u{200B}"),
            invitation(&text),
            wrapped(&invitation(&text), 60, "> "),
            format!("The p2p call: {text} See you at 5!"),
            format!("p2p P2P P2PP2P {text}P2P"),
            format!("{} {text}", &text[..50]),
            format!("\u{1b}[200~{text}\u{1b}[201~"),
        ] {
            assert_eq!(read(&pasted), Ok(Pasted::Offer(code.clone())), "{pasted}");
        }
    }
}

#[test]
fn a_code_that_contains_the_prefix_is_found_from_its_beginning() {
    let mut offer = typical(false).offer().clone();
    // 1_0110_000 10_10110_0: P2P within the first bytes of the fingerprint, whatever the five-bit phase.
    for shift in 0..5 {
        let bits = u128::from(0b10110_00010_10110_u16) << (96 - shift) | 1;
        offer.fingerprint = crate::code::facts::Fingerprint::Half(bits.to_be_bytes());
        let code = OfferCode::new(offer.clone()).unwrap();
        assert_eq!(read(&code.text()), Ok(Pasted::Offer(code)));
    }
}

#[test]
fn a_cut_code_is_said_to_be_cut_wherever_the_cut_is() {
    for full in [false, true] {
        let text = typical(full).text();
        for chars in PREFIX_LEN..text.len() {
            let cut = &text[..chars];
            assert_eq!(wrong(cut), Wrong::CutOff { chars }, "{cut}");
            if chars > 20 {
                assert_eq!(wrong(&format!("{cut} (see you at five!)")), Wrong::CutOff { chars });
                assert_eq!(wrong(&format!("Call me: p2pcall answer {cut}")), Wrong::CutOff { chars });
            }
        }
    }
}

const PREFIX_LEN: usize = 3;

#[test]
fn one_wrong_character_is_said_and_mostly_found() {
    let text = typical(false).text();
    let mut found = 0;
    for index in 4..text.len() {
        let other = if text.as_bytes()[index] == b'7' { "8" } else { "7" };
        let mut mistyped = text.clone();
        mistyped.replace_range(index..=index, other);
        let Wrong::WrongCharacter { at } = wrong(&mistyped) else {
            panic!("{mistyped}: {}", wrong(&mistyped))
        };
        found += usize::from(at == Some(index + 1));
    }
    assert!(found > 85, "{found} of {}", text.len() - 4);
}

#[test]
fn a_letter_that_stands_for_nothing_is_found() {
    let text = typical(false).text();
    for index in [20, 60, text.len() - 1] {
        let mut mistyped = text.clone();
        mistyped.replace_range(index..=index, "U");
        assert_eq!(wrong(&mistyped), Wrong::WrongCharacter { at: Some(index + 1) });
    }
}

#[test]
fn spare_bits_are_checked() {
    let code = typical(false).text();
    assert!(code.len() == 99, "60 bytes have no spare bits: {code}");
    let text = typical(true).text();
    let last = text.chars().last().unwrap();
    for other in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|other| *other != last) {
        let mistyped = format!("{}{other}", &text[..text.len() - 1]);
        assert!(matches!(wrong(&mistyped), Wrong::WrongCharacter { .. }), "{mistyped}");
    }
}

#[test]
fn a_later_version_is_told_from_a_mistake() {
    let code = typical(false);
    let mut bytes = code.bytes().to_vec();
    bytes[0] = bytes[0] & 0x1F | 2 << 5;
    assert_eq!(wrong(&crate::code::text::offer_text(&bytes)), Wrong::WrongCharacter { at: Some(4) });
    bytes[5] ^= 1;
    assert_eq!(wrong(&crate::code::text::offer_text(&bytes)), Wrong::NewerOrWrong);
    let end = bytes.len() - 2;
    let check = crate::code::bytes::offer_check(&bytes[..end]);
    bytes[end..].copy_from_slice(&check);
    let newer = crate::code::text::offer_text(&bytes);
    assert_eq!(wrong(&newer), Wrong::Newer);
    assert_eq!(wrong(&invitation(&newer)), Wrong::Newer);
}

#[test]
fn text_without_a_code_is_said_to_have_none() {
    for text in [
        "",
        " \n",
        "hello",
        "let us do a p2p call at 5 o'clock",
        "p2p is great and so is p2pcall, said 5 people on the 25th",
        "p2p 4 you",
        "https://p2p4.example/",
        "\u{1b}[31m",
        "日本語",
        "531N-2G6 is my flat",
    ] {
        assert_eq!(read(text), Err(Wrong::NoCode), "{text:?}");
    }
}

#[test]
fn a_reply_is_found_by_its_own_call() {
    let offer = typical(false);
    let keys = offer.keys();
    let reply = ReplyCode::new(short_reply(), &keys).unwrap();
    let text = reply.text();
    for pasted in [
        text.clone(),
        text.to_lowercase(),
        text.replace('-', ""),
        text.replace('-', " "),
        format!("> {}\n> {}", &text[..10], &text[10..]),
        format!("`{text}`"),
        format!("the 5 of us: {text}, right?"),
    ] {
        assert_eq!(read_reply(&pasted, &offer, &keys), Ok(reply.clone()), "{pasted}");
        assert_eq!(read(&pasted), Ok(Pasted::Reply(reply.clone())), "{pasted}");
        assert_eq!(wrong(&pasted), Wrong::ReplyForOffer);
    }
}

#[test]
fn what_is_not_the_reply_gets_the_right_words() {
    let (offer, other) = (typical(false), typical(true));
    let keys = offer.keys();
    let reply = ReplyCode::new(short_reply(), &keys).unwrap().text();
    let foreign = ReplyCode::new(short_reply(), &other.keys()).unwrap().text();
    let check = |text: &str, expected: Wrong| {
        assert_eq!(read_reply(text, &offer, &keys), Err(expected), "{text}");
    };
    check(&foreign, Wrong::NotTheReply);
    check("hello", Wrong::NotTheReply);
    check(" ", Wrong::NoCode);
    check(&offer.text(), Wrong::OwnOffer);
    check(&invitation(&offer.text()), Wrong::OwnOffer);
    check(&other.text(), Wrong::OfferForReply);
    check(&other.text()[..60], Wrong::OfferForReply);
    for chars in 4..16 {
        check(&reply.replace('-', "")[..chars], Wrong::CutOff { chars });
    }
    for index in 0..16 {
        let plain = reply.replace('-', "");
        let other = if plain.as_bytes()[index] == b'Z' { "Y" } else { "Z" };
        let mut mistyped = plain.clone();
        mistyped.replace_range(index..=index, other);
        check(&mistyped, Wrong::NotTheReply);
    }
}

#[test]
fn both_kinds_of_code_are_told_apart() {
    let sdp = Sdp { kind: SdpKind::Offer, sdp: "v=0\r\n".into() };
    assert_eq!(read_offer(&sdp.to_json_line()), Ok(Pasted::Sdp(sdp.clone())));
    assert_eq!(read_sdp_answer(&sdp.to_json_line()), Err(Wrong::OfferForReply));
    let offer = typical(false);
    assert_eq!(read_reply(&sdp.to_base64(), &offer, &offer.keys()), Err(Wrong::OfferForReply));
    let answer = Sdp { kind: SdpKind::Answer, ..sdp };
    assert_eq!(read_offer(&answer.to_base64()), Err(Wrong::ReplyForOffer));
    assert_eq!(read_sdp_answer(&answer.to_base64()), Ok(answer));
}

/// xorshift64*: enough to mutate with, and the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A mutated code and whether the complaint about it fits.
fn mutated(text: &str, dice: &mut Dice) -> (String, fn(Wrong) -> bool) {
    let mut bytes = text.as_bytes().to_vec();
    let at = 4 + dice.below(bytes.len() - 5);
    let is_wrong: fn(Wrong) -> bool = |wrong| matches!(wrong, Wrong::WrongCharacter { .. });
    let is_cut: fn(Wrong) -> bool = |wrong| matches!(wrong, Wrong::CutOff { .. });
    let is_either: fn(Wrong) -> bool =
        |wrong| matches!(wrong, Wrong::WrongCharacter { .. } | Wrong::CutOff { .. });
    let fits = match dice.below(20) {
        0 | 1 => {
            let index = ALPHABET.iter().position(|symbol| *symbol == bytes[at]).unwrap();
            bytes[at] = ALPHABET[(index + 1 + dice.below(31)) % 32];
            is_wrong
        }
        5..=12 => {
            bytes.truncate(at);
            is_cut
        }
        2 => {
            let other = (at..bytes.len()).find(|other| bytes[*other] != bytes[at]).unwrap_or(4);
            bytes.swap(at, other);
            is_either
        }
        3 => {
            bytes.remove(at);
            is_either
        }
        4 => {
            for _ in 0..3 {
                let at = 4 + dice.below(bytes.len() - 4);
                bytes[at] = ALPHABET[dice.below(32)];
            }
            is_either
        }
        _ => {
            let foreign: Vec<u8> = (0..bytes.len()).map(|_| b' ' + dice.below(95) as u8).collect();
            bytes.splice(at.., foreign);
            |_| true
        }
    };
    (String::from_utf8(bytes).unwrap(), fits)
}

#[test]
fn ten_thousand_mutated_codes_get_the_message_that_fits() {
    let mut dice = Dice(1);
    let codes = [typical(false), typical(true)];
    let (mut slipped, mut unfitting) = (0, 0);
    for round in 0..10_000 {
        let code = &codes[round % 2];
        let text = code.text();
        let (pasted, fits) = mutated(&text, &mut dice);
        match read_offer(&pasted) {
            // A swap of equals, or three changes that change nothing.
            Ok(Pasted::Offer(read)) if read == *code => {}
            Ok(_) => slipped += 1,
            Err(wrong) => unfitting += usize::from(!fits(wrong)),
        }
    }
    // 16 check bits let one in 65,536 slip; a changed length may look like a cut.
    assert!(slipped <= 2, "{slipped} slipped");
    assert!(unfitting <= 2, "{unfitting} got another message");
}

#[test]
fn a_megabyte_of_anything_is_refused() {
    let mut dice = Dice(7);
    let noise: String = (0..1_000_000).map(|_| char::from(dice.below(128) as u8)).collect();
    let code = typical(false).text();
    for garbage in [
        noise,
        "P2P".repeat(333_333),
        "P2P4".repeat(250_000),
        "5 ".repeat(500_000),
        "5Z".repeat(500_000),
        "{\"sdp\":".repeat(140_000),
        "eyJ".repeat(333_333),
        "[".repeat(1_000_000),
        code[..98].repeat(10_000),
        "é".repeat(500_000),
    ] {
        let start = &garbage[..8];
        assert!(read_offer(&garbage).is_err(), "{start}");
        let own = typical(true);
        assert!(read_reply(&garbage, &own, &own.keys()).is_err(), "{start}");
    }
    assert_eq!(wrong(&"P".repeat(MAX_PASTE + 1)), Wrong::TooLong { bytes: MAX_PASTE + 1 });
    let hidden = format!("{} {code}", "x ".repeat(400_000));
    assert!(read_offer(&hidden).is_ok(), "a code is found at the end of a long text");
}
