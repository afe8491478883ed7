use super::testing::{Shot, View, photo};
use super::*;
use crate::code::qr::Qr;
use crate::code::testing::typical;

const FACE_ON: View = View { width: 640, height: 480, module: 8.0, degrees: 0.0, tilt: 0.0 };

fn symbol(full: bool) -> (String, Qr) {
    let text = typical(full).text();
    let qr = Qr::new(&text).unwrap();
    (text, qr)
}

#[track_caller]
fn check(shot: &Shot, text: &str, what: &str) {
    assert_eq!(scan(&shot.luma, shot.width, shot.height).as_deref(), Some(text), "{what}");
}

#[test]
fn a_symbol_is_read_at_any_angle() {
    let (text, qr) = symbol(false);
    for degrees in [0.0, 15.0, 30.0, 45.0, 75.0, 90.0, 135.0, 180.0, 200.0, 270.0, 345.0] {
        for module in [4.0, 8.0] {
            let shot = photo(&qr, View { module, degrees, ..FACE_ON });
            check(&shot, &text, &format!("{degrees} degrees, {module} pixels a module"));
        }
    }
}

#[test]
fn a_symbol_is_read_from_aside() {
    let (text, qr) = symbol(false);
    for tilt in [-0.3, 0.1, 0.3] {
        check(&photo(&qr, View { tilt, ..FACE_ON }), &text, &format!("tilt {tilt}"));
    }
}

#[test]
fn a_blurred_symbol_is_read() {
    let (text, qr) = symbol(false);
    // A radius of 3, twice, spreads each point over 13 pixels.
    for (module, radius) in [(4.0, 1), (6.0, 2), (8.0, 2), (8.0, 3), (8.0, 4), (10.0, 4)] {
        for degrees in [0.0, 20.0, 45.0] {
            let shot = photo(&qr, View { module, degrees, ..FACE_ON }).blurred(radius);
            check(&shot, &text, &format!("{degrees} degrees, {module} pixels a module, radius {radius}"));
        }
    }
}

#[test]
fn a_badly_lit_symbol_is_read() {
    let (text, qr) = symbol(false);
    let shot = || photo(&qr, View { degrees: 10.0, ..FACE_ON });
    check(&shot().unevenly_lit(0.15), &text, "from bright to dark");
    check(&shot().with_contrast(100.0, 140.0), &text, "low contrast");
    check(&shot().with_contrast(10.0, 60.0), &text, "dark");
    check(&shot().noisy(50), &text, "noise");
    check(&shot().with_contrast(60.0, 160.0).noisy(30), &text, "low contrast and noise");
    check(&shot().blurred(2).unevenly_lit(0.3).noisy(15), &text, "blur, shadow and noise");
}

#[test]
fn a_mirrored_and_a_negative_symbol_are_read() {
    let (text, qr) = symbol(true);
    check(&photo(&qr, FACE_ON).mirrored(), &text, "mirrored");
    check(&photo(&qr, FACE_ON).negative(), &text, "negative");
}

#[test]
fn a_small_symbol_in_a_large_photo_is_read() {
    let (text, qr) = symbol(false);
    let view = View { width: 4000, height: 3000, module: 16.0, degrees: 7.0, tilt: 0.05 };
    check(&photo(&qr, view), &text, "12 megapixels");
    check(&photo(&qr, View { module: 2.5, ..FACE_ON }), &text, "two and a half pixels a module");
}

#[test]
fn a_picture_without_a_symbol_or_of_a_wrong_size_has_none() {
    for (luma, width, height) in [
        (vec![], 0, 0),
        (vec![0; 100], 10, 10),
        (vec![0; 99], 640, 480),
        (vec![0; 4], usize::MAX, usize::MAX),
    ] {
        assert_eq!(scan(&luma, width, height), None);
    }
    for shade in [0, 128, 255] {
        assert_eq!(scan(&vec![shade; 640 * 480], 640, 480), None);
    }
    assert_eq!(scan_file(b"hello").err().map(|_| ()), Some(()));
    assert_eq!(scan_file(&[]).err().map(|_| ()), Some(()));
}

#[test]
fn a_jpeg_is_read() {
    let (text, qr) = symbol(false);
    let shot = photo(&qr, View { degrees: 12.0, ..FACE_ON });
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::GrayImage::from_raw(640, 480, shot.luma).unwrap();
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    assert_eq!(scan_file(bytes.get_ref()).unwrap(), Some(text));
}

/// Rectangles, noise and pieces of symbols and of finder patterns, each in its own size.
fn rubble(qr: &Qr, dice: &mut impl FnMut(usize) -> usize) -> Shot {
    let (width, height) = (21 + dice(160), 21 + dice(120));
    let mut luma: Vec<u8> = (0..width * height).map(|_| dice(256) as u8).collect();
    for _ in 0..dice(12) {
        let (left, top, module, what) = (dice(width), dice(height), 1 + dice(4), dice(4));
        let (w, h) =
            [(7 * module, 7 * module), (33 * module, 33 * module), (1 + dice(60), 1 + dice(60))][dice(3)];
        for y in top..(top + h).min(height) {
            for x in left..(left + w).min(width) {
                let dark = match what {
                    0 | 1 => qr.is_dark((x - left) / module, (y - top) / module),
                    2 => dice(2) == 0,
                    _ => module % 2 == 0,
                };
                luma[y * width + x] = if dark { 10 } else { 240 };
            }
        }
    }
    Shot { luma, width, height }
}

#[test]
fn any_picture_is_scanned_without_a_panic() {
    let (_, qr) = symbol(false);
    let mut state = 1_u64;
    let mut dice = move |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for _ in 0..60 {
        let shot = rubble(&qr, &mut dice);
        let _ = scan(&shot.luma, shot.width, shot.height);
    }
}
