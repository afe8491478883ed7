//! Where the screen's pictures come from and who draws them, as far as the screen has to know.

use crate::media::frame::VideoFrame;
use crate::media::slot::Slot;
use crate::picture::{Frame, Look, Painter, PictureSource, Plane};
use crate::tui::model::Which;
use crate::tui::view::PictureArea;
use ratatui::layout::Rect;
use std::sync::Arc;
use std::time::Duration;

/// One stream of pictures. A slow screen never holds it up: pictures that nobody took are replaced.
#[async_trait::async_trait]
pub trait PictureFeed: Send + Sync {
    /// Waits for a picture newer than the last one taken. Safe to cancel; waits for ever once no more will come.
    async fn next(&self) -> Arc<VideoFrame>;
}

/// Turns pictures into what the terminal understands.
pub trait DrawPictures: Send {
    /// The bytes that show a picture, to be written after the rest of the screen; they leave the cursor and
    /// the attributes as they found them and never touch a hole. `elapsed` is the time since the last one.
    fn draw(&mut self, frame: &VideoFrame, area: &PictureArea, elapsed: Duration) -> Vec<u8>;

    /// The screen was cleared: nothing that was drawn is there any more.
    fn forget(&mut self);

    /// The bytes that take away what would outlive the cells of a picture whose place is given up.
    fn remove(&mut self, which: Which) -> Vec<u8>;
}

#[async_trait::async_trait]
impl PictureFeed for Slot<Arc<VideoFrame>> {
    async fn next(&self) -> Arc<VideoFrame> {
        Slot::next(self).await
    }
}

#[async_trait::async_trait]
impl PictureFeed for Slot<VideoFrame> {
    async fn next(&self) -> Arc<VideoFrame> {
        Arc::new(Slot::next(self).await)
    }
}

/// The painters of both pictures.
pub struct Painters {
    remote: Painter,
    local: Painter,
}

impl Painters {
    /// Painters that draw like this; `mirrored`: the own picture as a mirror shows it.
    pub fn new(look: Look, mirrored: bool) -> Self {
        let local = Painter::new(look, Rect::ZERO);
        let local = if mirrored { local.mirrored() } else { local };
        Self { remote: Painter::new(look, Rect::ZERO), local }
    }

    fn of(&mut self, which: Which) -> &mut Painter {
        match which {
            Which::Remote => &mut self.remote,
            Which::Local => &mut self.local,
        }
    }
}

impl DrawPictures for Painters {
    fn draw(&mut self, frame: &VideoFrame, area: &PictureArea, elapsed: Duration) -> Vec<u8> {
        let painter = self.of(area.which);
        let mut bytes = painter.resize(area.rect);
        let half = frame.width as usize / 2;
        let plane = |samples, stride| Plane { samples, stride };
        let planes = [plane(&frame.y, half * 2), plane(&frame.u, half), plane(&frame.v, half)];
        match PictureSource::new(frame.width, frame.height, planes) {
            Ok(picture) => bytes.extend(painter.paint(&Frame { picture, holes: &area.holes, elapsed })),
            Err(error) => log::warn!("a picture that can't be shown: {error}"),
        }
        bytes
    }

    fn forget(&mut self) {
        self.remote.invalidate();
        self.local.invalidate();
    }

    fn remove(&mut self, which: Which) -> Vec<u8> {
        self.of(which).remove()
    }
}
