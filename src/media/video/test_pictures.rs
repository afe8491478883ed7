//! Pictures in motion and a measure of likeness, for tests.

use crate::media::frame::VideoFrame;

/// PSNR of the luma, dB; 99 for equal pictures.
pub(crate) fn psnr(a: &VideoFrame, b: &VideoFrame) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let squares: u64 = a.y.iter().zip(&b.y).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
    if squares == 0 {
        return 99.0;
    }
    10.0 * (255.0 * 255.0 * a.y.len() as f64 / squares as f64).log10()
}

/// A textured picture whose content drifts and in which a disc moves: the `n`th of an endless film.
pub(crate) fn film(width: u32, height: u32, n: u32) -> VideoFrame {
    let mut frame = VideoFrame::black(width, height);
    frame.at = std::time::Duration::from_micros(u64::from(n) * 1_000_000 / 30);
    let (cx, cy) = (f64::from(width) * 0.5 + f64::from(n % 60) * 2.0 - 60.0, f64::from(height) * 0.5);
    for row in 0..frame.height {
        for column in 0..frame.width {
            let (x, y) = (f64::from(column + n * 2), f64::from(row + n));
            let mut luma = 120.0 + 50.0 * (x / 37.0).sin() + 30.0 * (y / 23.0).cos();
            let (dx, dy) = (f64::from(column) - cx, f64::from(row) - cy);
            if dx.mul_add(dx, dy * dy) < f64::from(height).powi(2) / 25.0 {
                luma = 220.0 - dx.abs();
            }
            frame.y[(row * frame.width + column) as usize] = luma.clamp(16.0, 235.0) as u8;
        }
    }
    let columns = frame.width / 2;
    for (index, (u, v)) in frame.u.iter_mut().zip(frame.v.iter_mut()).enumerate() {
        let (x, y) = (index as u32 % columns + n, index as u32 / columns);
        *u = (128.0 + 30.0 * (f64::from(x) / 40.0).sin()) as u8;
        *v = (128.0 + 30.0 * (f64::from(y) / 30.0).cos()) as u8;
    }
    frame
}
