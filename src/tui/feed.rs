//! Where the screen's pictures come from and who draws them, as far as the screen has to know.

use crate::media::frame::VideoFrame;
use crate::tui::model::Which;
use crate::tui::view::PictureArea;
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

    /// The bytes that remove pictures which are not made of cells, when their place is given up.
    fn remove(&mut self, which: Which) -> Vec<u8>;
}
