//! Notices a camera that shows nothing. PURE.

use super::PictureEvent;
use crate::media::frame::VideoFrame;
use std::time::Duration;

/// So long only black is more than a dark moment.
const PATIENCE: Duration = Duration::from_secs(3);
/// Luma of what counts as black: 16 is black, and a sensor in the dark makes a little noise.
const DARK: u8 = 28;
/// Every so many pixels are looked at; odd, so that columns vary from row to row.
const STRIDE: usize = 61;

/// Watches one camera's pictures.
#[derive(Debug, Default)]
pub(super) struct BlackWatch {
    since: Option<Duration>,
    told: bool,
}

impl BlackWatch {
    /// What this picture changes.
    pub(super) fn look(&mut self, frame: &VideoFrame) -> Option<PictureEvent> {
        let lit = frame.y.iter().step_by(STRIDE).filter(|&&luma| luma > DARK).count();
        if lit * 200 > frame.y.len() / STRIDE {
            self.since = None;
            return std::mem::take(&mut self.told).then_some(PictureEvent::BlackEnded);
        }
        let since = *self.since.get_or_insert(frame.at);
        if self.told || frame.at < since + PATIENCE {
            return None;
        }
        self.told = true;
        Some(PictureEvent::Black)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_seconds_of_black_are_said_once_and_so_is_their_end() {
        let mut watch = BlackWatch::default();
        let mut black = VideoFrame::black(64, 48);
        let mut lit = black.clone();
        lit.y.fill(90);
        let mut events = Vec::new();
        for tenth in 0..80 {
            let frame = if tenth == 10 || tenth > 70 { &mut lit } else { &mut black };
            frame.at = Duration::from_millis(tenth * 100);
            events.extend(watch.look(frame).map(|event| (tenth, event)));
        }
        assert_eq!(events, [(41, PictureEvent::Black), (71, PictureEvent::BlackEnded)]);
    }
}
