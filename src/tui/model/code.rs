//! A code on the screen: its text, its QR, its invitation, and what became of copying it. Knows neither how codes
//! are made nor how a clipboard works.

use crate::call::event::CodeKind;
use std::time::Duration;

/// A code as shown, and what is copied and drawn of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCode {
    /// Offer or reply.
    pub kind: CodeKind,
    /// The text.
    pub code: String,
    /// One line of words with the command in it: what `c` copies.
    pub invitation: String,
    /// Its QR, where there is one.
    pub qr: Option<QrView>,
    /// When it stops working.
    pub expires: Duration,
    /// Offers: whether a reply code will have to come back; `None` when it depends on the friend's network.
    pub reply_needed: Option<bool>,
}

/// A QR code's modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrView {
    /// Rows of modules, true is dark.
    pub modules: Vec<Vec<bool>>,
    /// Width of the empty frame around them, in modules.
    pub quiet: usize,
}

/// What a code's event lacks: made by whoever knows how codes are drawn and shared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// What is copied; empty: the code alone.
    pub invitation: String,
    /// The QR, unless it is unwanted.
    pub qr: Option<QrView>,
}

/// What became of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// A clipboard tool took it.
    Certain,
    /// Handed to the terminal, which doesn't say whether it obeyed.
    ToTerminal,
    /// Too long for the terminal, and no tool there.
    Failed,
    /// Switched off by the person.
    Off,
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWhat {
    /// The invitation.
    Invitation,
    /// The code alone.
    Code,
}
