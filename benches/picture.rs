//! What a frame costs: bytes and PSNR are printed first, beside those of ratatui's diff of the same picture in
//! half blocks; then divan takes the time.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops where it is wrong"
)]

use std::time::Duration;

use divan::{Bencher, counter::ItemsCount};
use p2pcall::picture::{
    CellSize, ColorDepth, Frame, Look, Mode, Painter, PictureSource, Plane, Rgb, palette_color, readback,
};
use ratatui::{
    backend::{Backend, CrosstermBackend},
    buffer::Buffer,
    layout::Rect,
    style::Color,
};
use readback::Raster;

#[path = "../src/picture/testing.rs"]
mod testing;
use testing::{Picture, Terminal};

/// Twenty-four frames of 1/30 s, and the noise of a camera in a lit room.
const FRAMES: usize = 24;
const FRAME: Duration = Duration::from_millis(33);
const NOISE: f32 = 2.5;

const TEXT: [(&str, Mode); 6] = [
    ("half", Mode::Half),
    ("quadrant", Mode::Quadrant),
    ("sextant", Mode::Sextant),
    ("octant", Mode::Octant),
    ("braille", Mode::Braille),
    ("ascii", Mode::Ascii),
];

/// Of these only the bytes are known: vt100 does not show pixels.
const PIXELS: [(&str, Mode); 3] = [("kitty", Mode::Kitty), ("sixel", Mode::Sixel), ("iterm", Mode::Iterm)];

fn main() {
    // Whoever asks for one benchmark by name wants its time only.
    if std::env::args().skip(1).all(|argument| argument.starts_with('-')) {
        print_figures(&talk());
    }
    divan::main();
}

fn print_figures(frames: &[Picture]) {
    for (columns, rows) in [(200, 60), (100, 30)] {
        let area = Rect::new(0, 0, columns, rows);
        println!("{columns}x{rows}            bytes/frame mean (max)   PSNR dB");
        let (diff_bytes, diff_psnr) = ratatui_diff(frames, area);
        println!("  ratatui diff, half    {diff_bytes:7}           {diff_psnr:5.2}");
        for (name, mode) in TEXT {
            for color in [ColorDepth::True, ColorDepth::Indexed] {
                let (bytes, most, psnr) = measure(frames, area, mode, color, 50_000_000);
                println!(
                    "  {name:9} {color:8?}    {bytes:7} ({most:6})  {psnr:5.2}   1/{:.1} of the diff, {:+.2} dB, {:.2} ms",
                    diff_bytes as f64 / bytes as f64,
                    psnr - diff_psnr,
                    cpu_time(frames, area, mode, color),
                );
            }
        }
        let (bytes, most, psnr) = measure(frames, area, Mode::Sextant, ColorDepth::True, 250_000);
        for (name, mode) in PIXELS {
            let (bytes, most, _) = measure(frames, area, mode, ColorDepth::True, 50_000_000);
            let time = cpu_time(frames, area, mode, ColorDepth::True);
            println!("  {name:9} 640x360     {bytes:7} ({most:6})          {time:.2} ms");
            let rate = if mode == Mode::Kitty { 4_000_000 } else { 1_500_000 };
            let (bytes, most, _) = measure(frames, area, mode, ColorDepth::True, rate);
            println!("  {name:9} at {:.1} MB/s {bytes:7} ({most:6})", f64::from(rate) / 1e6);
        }
        println!("  sextant at 250 kB/s   {bytes:7} ({most:6})  {psnr:5.2}");
    }
}

fn talk() -> Vec<Picture> {
    (0..FRAMES).map(|frame| Picture::talking_head(640, frame as f32 / 30.0, NOISE)).collect()
}

fn painter(area: Rect, mode: Mode, color: ColorDepth, bytes_per_second: u32) -> Painter {
    Painter::new(Look { mode, color, cell: CELL, bytes_per_second }, area)
}

/// In cells of this size a picture of 16:9 fills areas whose sides are as 10 to 3.
const CELL: CellSize = CellSize { width: 8, height: 15 };

/// Mean and greatest bytes a frame, and the mean PSNR, the first half of the frames left out.
fn measure(frames: &[Picture], area: Rect, mode: Mode, color: ColorDepth, rate: u32) -> (usize, usize, f64) {
    let (mut painter, mut terminal) =
        (painter(area, mode, color, rate), Terminal::new(area.width, area.height));
    let (mut bytes, mut psnr) = (Vec::new(), Vec::new());
    for (at, picture) in frames.iter().enumerate() {
        let out = painter.paint(&Frame { picture: picture.source(), holes: &[], elapsed: FRAME });
        terminal.feed(&out);
        if at >= FRAMES / 2 {
            bytes.push(out.len());
            psnr.push(terminal.raster(area).psnr(&Raster::of_picture(
                area.width,
                area.height,
                &picture.source(),
            )));
        }
    }
    (bytes.iter().sum::<usize>() / bytes.len(), bytes.iter().copied().max().unwrap_or(0), mean(&psnr))
}

/// Milliseconds of processor time a frame, which other processes do not lengthen; NaN where there is no such
/// clock.
fn cpu_time(frames: &[Picture], area: Rect, mode: Mode, color: ColorDepth) -> f64 {
    let clock = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(f64::NAN)
    };
    let mut painter = painter(area, mode, color, 50_000_000);
    let mut paint =
        |picture: &Picture| painter.paint(&Frame { picture: picture.source(), holes: &[], elapsed: FRAME });
    for picture in frames {
        paint(picture);
    }
    let start = clock();
    // There and back: a film without a cut.
    let film = frames.iter().rev().chain(frames);
    let painted =
        film.cycle().take(FRAMES * 4).map(|picture| paint(picture).len()).filter(|&bytes| bytes > 0).count();
    (clock() - start) / 1e6 / painted.max(1) as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What the usual way costs: every half block in its exact colours, and the cells that differ written.
fn ratatui_diff(frames: &[Picture], area: Rect) -> (usize, f64) {
    let mut terminal = Terminal::new(area.width, area.height);
    let (mut before, mut bytes, mut psnr) = (Buffer::empty(area), Vec::new(), Vec::new());
    for (at, picture) in frames.iter().enumerate() {
        let meant = Raster::of_picture(area.width, area.height, &picture.source());
        let after = half_blocks(&meant, area);
        let mut out = Vec::new();
        CrosstermBackend::new(&mut out)
            .draw(before.diff(&after).into_iter())
            .expect("a Vec takes everything");
        terminal.feed(&out);
        if at >= FRAMES / 2 {
            bytes.push(out.len());
            psnr.push(terminal.raster(area).psnr(&meant));
        }
        before = after;
    }
    (bytes.iter().sum::<usize>() / bytes.len(), mean(&psnr))
}

fn half_blocks(meant: &Raster, area: Rect) -> Buffer {
    let mut buffer = Buffer::empty(area);
    for at in area.positions() {
        let block = |half: usize| {
            let pixels = (0..12).map(|pixel| {
                let (x, y) =
                    (usize::from(at.x) * 2 + pixel % 2, usize::from(at.y) * 12 + half * 6 + pixel / 2);
                meant.pixel(x, y)
            });
            let sum = pixels.fold([0u32; 3], |[red, green, blue], [r, g, b]| {
                [red + u32::from(r), green + u32::from(g), blue + u32::from(b)]
            });
            let [red, green, blue] = sum.map(|part| ((part + 6) / 12) as u8);
            Color::Rgb(red, green, blue)
        };
        buffer[at].set_char('▀').set_fg(block(0)).set_bg(block(1));
    }
    buffer
}

#[divan::bench(args = TEXT.map(|text| text.0))]
fn paint_200x60(bencher: Bencher, mode: &str) {
    let area = Rect::new(0, 0, 200, 60);
    let mode = TEXT.iter().find(|text| text.0 == mode).expect("one of the modes").1;
    let frames = talk();
    let mut painter = painter(area, mode, ColorDepth::True, 50_000_000);
    let mut next = frames.iter().chain(frames.iter().rev()).cycle();
    bencher.counter(ItemsCount::new(1u32)).bench_local(|| {
        let picture = next.next().expect("an endless film").source();
        painter.paint(&Frame { picture, holes: &[], elapsed: FRAME })
    });
}
