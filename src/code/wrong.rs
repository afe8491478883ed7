//! What is wrong with a wrong code, in the words that the person who pasted it reads.

use thiserror::Error;

/// Why a text is not the code that was asked for. Each says what to do where there is something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// Nothing in it looks like a code.
    #[error("There is no code in this text. A code begins with P2P and is one long word.")]
    NoCode,
    /// An offer where a reply was awaited.
    #[error("This is an offer; you want `p2pcall answer`.")]
    OfferForReply,
    /// The call's own offer where the reply to it was awaited.
    #[error("This is the code of this very call; your friend types it after `p2pcall answer`.")]
    OwnOffer,
    /// A reply where an offer was awaited.
    #[error("This is a reply, not an offer; it belongs to where `p2pcall offer` is waiting.")]
    ReplyForOffer,
    /// A reply whose check does not agree with this call's offer.
    #[error("This is not the reply to this call, or a character is wrong.")]
    NotTheReply,
    /// The structure says that more follows.
    #[error("The code is cut off after {chars} characters. Copy the whole of it.")]
    CutOff {
        /// Characters of it that are there.
        chars: usize,
    },
    /// The check bytes do not agree.
    #[error("A character is wrong{}. Copy the code again.", place(*.at))]
    WrongCharacter {
        /// Which one, counted from 1 with the prefix, where it can be told.
        at: Option<usize>,
    },
    /// Made by a later version of the format, for its check agrees.
    #[error("This code was made by a newer p2pcall. Update yours to join this call.")]
    Newer,
    /// As [`Wrong::Newer`], but the check does not agree either.
    #[error("This code was made by a newer p2pcall, or a character is wrong.")]
    NewerOrWrong,
    /// For the call: somebody else has answered with it, or it is burnt.
    #[error("This code was already used. Ask for a new one: a code is good for one call.")]
    Used,
    /// For the call: valid as far as can be told, but nobody waits with it.
    #[error("Nobody waits with this code any more, or a character is wrong.")]
    NobodyWaits,
    /// A session description that ends before it does.
    #[error("The session description is cut off or damaged. Copy the whole line, from {{ to }}.")]
    BrokenSdp,
    /// More text than anybody pastes.
    #[error("This text is too long to hold a code ({bytes} bytes).")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

fn place(at: Option<usize>) -> String {
    at.map(|at| format!(" (probably the {})", ordinal(at))).unwrap_or_default()
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_says_what_is_wrong() {
        for (wrong, says) in [
            (Wrong::OfferForReply, "This is an offer; you want `p2pcall answer`."),
            (Wrong::NotTheReply, "This is not the reply to this call, or a character is wrong."),
            (Wrong::CutOff { chars: 61 }, "The code is cut off after 61 characters. Copy the whole of it."),
            (Wrong::WrongCharacter { at: None }, "A character is wrong. Copy the code again."),
            (
                Wrong::WrongCharacter { at: Some(22) },
                "A character is wrong (probably the 22nd). Copy the code again.",
            ),
            (
                Wrong::BrokenSdp,
                "The session description is cut off or damaged. Copy the whole line, from { to }.",
            ),
        ] {
            assert_eq!(wrong.to_string(), says);
        }
    }

    #[test]
    fn ordinals_end_as_they_are_said() {
        let said: Vec<String> = [1, 2, 3, 4, 11, 12, 13, 21, 101, 111].map(ordinal).into();
        assert_eq!(said.join(" "), "1st 2nd 3rd 4th 11th 12th 13th 21st 101st 111th");
    }
}
