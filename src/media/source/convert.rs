//! Other pixel layouts to I420 (BT.601 limited range). PURE. What is too short for its size gives `None`.

use crate::media::frame::VideoFrame;

/// An empty picture of the even size within `width` by `height`, and its columns and rows.
fn even_frame(width: u32, height: u32) -> Option<(VideoFrame, usize, usize)> {
    let (width, height) = (width & !1, height & !1);
    (width >= 2 && height >= 2).then(|| (VideoFrame::black(width, height), width as usize, height as usize))
}

/// RGB, three bytes a pixel.
pub fn from_rgb(rgb: &[u8], width: u32, height: u32) -> Option<VideoFrame> {
    let (mut frame, columns, rows) = even_frame(width, height)?;
    let stride = width as usize * 3;
    let lines: Vec<&[u8]> = rgb.chunks_exact(stride).take(rows).collect();
    if lines.len() < rows {
        return None;
    }
    for (line, luma) in lines.iter().zip(frame.y.chunks_exact_mut(columns)) {
        for (pixel, y) in line.chunks_exact(3).zip(luma) {
            if let &[r, g, b] = pixel {
                *y = luma_of(r, g, b);
            }
        }
    }
    let chroma = frame.u.chunks_exact_mut(columns / 2).zip(frame.v.chunks_exact_mut(columns / 2));
    for (pair, (u_line, v_line)) in lines.chunks_exact(2).zip(chroma) {
        let [above, below] = pair else { continue };
        let blocks = above.chunks_exact(6).zip(below.chunks_exact(6));
        for ((above, below), (u, v)) in blocks.zip(u_line.iter_mut().zip(v_line)) {
            let mean = |channel: usize| {
                let channel_of =
                    |side: &[u8]| side.iter().skip(channel).step_by(3).map(|&c| i32::from(c)).sum::<i32>();
                (channel_of(above) + channel_of(below) + 2) / 4
            };
            let (r, g, b) = (mean(0), mean(1), mean(2));
            *u = (((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128).clamp(16, 240) as u8;
            *v = (((112 * r - 94 * g - 18 * b + 128) >> 8) + 128).clamp(16, 240) as u8;
        }
    }
    Some(frame)
}

fn luma_of(r: u8, g: u8, b: u8) -> u8 {
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    (((66 * r + 129 * g + 25 * b + 128) >> 8) + 16) as u8
}

/// YUYV 4:2:2, two bytes a pixel.
pub fn from_yuyv(bytes: &[u8], width: u32, height: u32) -> Option<VideoFrame> {
    let (mut frame, columns, rows) = even_frame(width, height)?;
    let lines: Vec<&[u8]> = bytes.chunks_exact(width as usize * 2).take(rows).collect();
    if lines.len() < rows {
        return None;
    }
    for (line, luma) in lines.iter().zip(frame.y.chunks_exact_mut(columns)) {
        for (y, &sample) in luma.iter_mut().zip(line.iter().step_by(2)) {
            *y = sample;
        }
    }
    for (plane, offset) in [(&mut frame.u, 1), (&mut frame.v, 3)] {
        for (line, chroma) in lines.iter().step_by(2).zip(plane.chunks_exact_mut(columns / 2)) {
            for (c, &sample) in chroma.iter_mut().zip(line.iter().skip(offset).step_by(4)) {
                *c = sample;
            }
        }
    }
    Some(frame)
}

/// NV12: luma, then interleaved chroma of half the rows.
pub fn from_nv12(bytes: &[u8], width: u32, height: u32) -> Option<VideoFrame> {
    let (mut frame, columns, rows) = even_frame(width, height)?;
    let stride = width as usize;
    let (luma, chroma) = bytes.split_at_checked(stride * height as usize)?;
    for (line, to) in luma.chunks_exact(stride).zip(frame.y.chunks_exact_mut(columns)) {
        to.copy_from_slice(line.get(..columns)?);
    }
    if chroma.len() < stride * rows / 2 {
        return None;
    }
    for (plane, offset) in [(&mut frame.u, 0), (&mut frame.v, 1)] {
        for (line, to) in chroma.chunks_exact(stride).zip(plane.chunks_exact_mut(columns / 2)) {
            for (c, &sample) in to.iter_mut().zip(line.iter().skip(offset).step_by(2)) {
                *c = sample;
            }
        }
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_colours_become_their_bt601_values() {
        for (rgb, yuv) in [
            ([255, 255, 255], [235, 128, 128]),
            ([0, 0, 0], [16, 128, 128]),
            ([255, 0, 0], [82, 90, 240]),
            ([0, 0, 255], [41, 240, 110]),
        ] {
            let frame = from_rgb(&rgb.repeat(4), 2, 2).unwrap();
            let near = |a: u8, b: u8| a.abs_diff(b) <= 1;
            assert!(
                near(frame.y[3], yuv[0]) && near(frame.u[0], yuv[1]) && near(frame.v[0], yuv[2]),
                "{rgb:?}"
            );
        }
    }

    #[test]
    fn camera_layouts_are_taken_apart() {
        let yuyv = from_yuyv(&[1, 50, 2, 60, 3, 51, 4, 61], 2, 2).unwrap();
        assert_eq!((yuyv.y, yuyv.u, yuyv.v), (vec![1, 2, 3, 4], vec![50], vec![60]));
        let nv12 = from_nv12(&[1, 2, 3, 4, 50, 60], 2, 2).unwrap();
        assert_eq!((nv12.y, nv12.u, nv12.v), (vec![1, 2, 3, 4], vec![50], vec![60]));
    }

    proptest! {
        #[test]
        fn bytes_of_any_length_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), width in 0u32..20, height in 0u32..20) {
            let _ = (from_rgb(&bytes, width, height), from_yuyv(&bytes, width, height), from_nv12(&bytes, width, height));
        }
    }
}
