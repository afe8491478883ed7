//! Pictures of any size into one size: scaled, never distorted, black where they do not reach. PURE.

use crate::media::frame::VideoFrame;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// Scales pictures into one size.
#[derive(Debug)]
pub struct Fit {
    size: (u32, u32),
    resizer: Resizer,
}

impl Fit {
    /// Into this size; odd sizes are rounded up.
    pub fn new((width, height): (u32, u32)) -> Self {
        let size = (width.max(2).next_multiple_of(2), height.max(2).next_multiple_of(2));
        Self { size, resizer: Resizer::new() }
    }

    /// The picture in this size. One of this size already is handed back as it is.
    pub fn fit(&mut self, frame: VideoFrame) -> VideoFrame {
        if (frame.width, frame.height) == self.size {
            return frame;
        }
        let mut fitted = VideoFrame::black(self.size.0, self.size.1);
        fitted.at = frame.at;
        let (width, height) = inner_size((frame.width, frame.height), self.size);
        let (left, top) = ((self.size.0 - width) / 4 * 2, (self.size.1 - height) / 4 * 2);
        let planes =
            [(&frame.y, &mut fitted.y, 1), (&frame.u, &mut fitted.u, 2), (&frame.v, &mut fitted.v, 2)];
        for (from, to, per) in planes {
            let from_size = (frame.width / per, frame.height / per);
            if let Some(scaled) = self.scale(from, from_size, (width / per, height / per)) {
                let columns = (self.size.0 / per) as usize;
                paste(
                    &scaled,
                    (width / per) as usize,
                    to,
                    columns,
                    ((left / per) as usize, (top / per) as usize),
                );
            }
        }
        fitted
    }

    /// A plane in another size; `None` when its length is not its size.
    fn scale(&mut self, plane: &[u8], from: (u32, u32), to: (u32, u32)) -> Option<Vec<u8>> {
        let source = ImageRef::new(from.0, from.1, plane, PixelType::U8).ok()?;
        let mut target = Image::new(to.0, to.1, PixelType::U8);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        self.resizer.resize(&source, &mut target, &options).ok()?;
        Some(target.into_vec())
    }
}

/// The largest even size of the same shape as `from` inside `into`.
fn inner_size(from: (u32, u32), into: (u32, u32)) -> (u32, u32) {
    let by_width = u64::from(into.0) * u64::from(from.1);
    let by_height = u64::from(into.1) * u64::from(from.0);
    let even = |side: u64, limit: u32| (side as u32 & !1).clamp(2, limit);
    if by_width <= by_height {
        (into.0, even(by_width / u64::from(from.0.max(1)), into.1))
    } else {
        (even(by_height / u64::from(from.1.max(1)), into.0), into.1)
    }
}

fn paste(from: &[u8], width: usize, to: &mut [u8], columns: usize, (left, top): (usize, usize)) {
    let rows = to.chunks_exact_mut(columns.max(1)).skip(top);
    for (source, target) in from.chunks_exact(width.max(1)).zip(rows) {
        if let Some(span) = target.get_mut(left..left + width) {
            span.copy_from_slice(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kept() {
        for (from, into, inner) in [
            ((1280, 720), (640, 360), (640, 360)),
            ((640, 480), (640, 360), (480, 360)),
            ((100, 1000), (640, 360), (36, 360)),
            ((2, 2000), (640, 360), (2, 360)),
            ((4000, 2), (640, 360), (640, 2)),
        ] {
            assert_eq!(inner_size(from, into), inner, "{from:?} in {into:?}");
        }
    }

    #[test]
    fn a_white_picture_stays_white_between_black_bars() {
        let mut white = VideoFrame::black(480, 480);
        white.y.fill(235);
        let fitted = Fit::new((640, 360)).fit(white);
        let row = &fitted.y[640 * 100..640 * 101];
        assert_eq!((row[0], row[139], row[140], row[499], row[500], row[639]), (16, 16, 235, 235, 16, 16));
        assert_eq!((fitted.u.len(), fitted.v.len()), (320 * 180, 320 * 180));
    }
}
