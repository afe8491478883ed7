//! The code as a QR symbol (ISO/IEC 18004): to terminal cells, to a PNG, and back from a picture.
//!
//! Knows nothing of what the text means, of terminals beyond their cells, nor of cameras beyond their pixels.

pub mod png;
pub mod scan;
pub mod terminal;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the symbol that the standard asks for.
pub const STANDARD_QUIET: usize = 4;

/// A QR symbol, level L: the shortest, for what is read from a screen is not torn or stained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qr {
    size: usize,
    dark: Vec<bool>,
}

impl Qr {
    /// The smallest symbol that holds the text; `None` when none does.
    pub fn new(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let dark = code.to_colors().into_iter().map(|color| color == Color::Dark).collect();
        Some(Self { size: code.width(), dark })
    }

    /// Modules along a side, without a quiet zone.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Version 1 to 40.
    pub fn version(&self) -> usize {
        self.size.saturating_sub(17) / 4
    }

    /// Whether a module is dark. Outside the symbol all is light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        x < self.size && self.dark.get(y * self.size + x).copied().unwrap_or(false)
    }

    /// The same, in a symbol with `quiet` light modules around it.
    fn is_dark_within(&self, quiet: usize, x: usize, y: usize) -> bool {
        match (x.checked_sub(quiet), y.checked_sub(quiet)) {
            (Some(x), Some(y)) => self.is_dark(x, y),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::testing::typical;

    #[test]
    fn the_codes_of_this_format_are_alphanumeric_and_small() {
        assert_eq!(Qr::new(&typical(false).text()).unwrap().version(), 4);
        assert_eq!(Qr::new(&typical(true).text()).unwrap().version(), 5);
        assert_eq!(Qr::new(&"A".repeat(114)).unwrap().version(), 4);
        assert_eq!(Qr::new(&"A".repeat(195)).unwrap().version(), 6);
    }

    #[test]
    fn what_no_symbol_holds_has_none() {
        assert_eq!(Qr::new(&"A".repeat(5000)), None);
    }
}
