use super::test_pictures::{film, psnr};
use super::*;
use proptest::prelude::*;

const TARGET: VideoTarget = VideoTarget { kbps: 500, fps: 30 };

/// Codes and decodes `frames`, and gives the pictures' likeness and the coded sizes.
fn there_and_back(codec: Codec, frames: &[VideoFrame]) -> (Vec<f64>, Vec<usize>) {
    let (mut encoder, mut decoder) = (encoder(codec, TARGET).unwrap(), decoder(codec).unwrap());
    let (mut likeness, mut sizes) = (Vec::new(), Vec::new());
    for frame in frames {
        let coded = encoder.encode(frame).unwrap().expect("no picture is left out");
        let shown = decoder.decode(&coded.data).unwrap().expect("no delay");
        likeness.push(psnr(frame, &shown));
        sizes.push(coded.data.len());
    }
    (likeness, sizes)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn rate_kbps(sizes: &[usize]) -> f64 {
    sizes.iter().sum::<usize>() as f64 * 8.0 * 30.0 / sizes.len() as f64 / 1000.0
}

#[test]
fn every_picture_comes_back_alike_at_about_the_rate_asked_for() {
    let frames: Vec<_> = (0..60).map(|n| film(640, 360, n)).collect();
    for &codec in codecs() {
        let (likeness, sizes) = there_and_back(codec, &frames);
        let (likeness, rate) = (mean(&likeness), rate_kbps(&sizes));
        println!("{}: {likeness:.1} dB at {rate:.0} kbit/s", codec.name());
        assert!(likeness >= 34.0, "{}: {likeness:.1} dB", codec.name());
        assert!(rate <= 650.0, "{}: {rate:.0} kbit/s", codec.name());
    }
}

#[test]
fn the_size_may_change_at_any_picture_with_a_key_frame() {
    for &codec in codecs() {
        let (mut encoder, mut decoder) = (encoder(codec, TARGET).unwrap(), decoder(codec).unwrap());
        for (n, &(width, height)) in
            [(320, 180), (320, 180), (640, 360), (160, 120), (640, 360)].iter().enumerate()
        {
            let frame = film(width, height, n as u32);
            let coded = encoder.encode(&frame).unwrap().unwrap();
            assert_eq!(coded.key, n != 1, "{codec:?} picture {n}");
            let shown = decoder.decode(&coded.data).unwrap().unwrap();
            assert_eq!((shown.width, shown.height), (width, height));
            assert!(psnr(&frame, &shown) > 25.0);
        }
    }
}

#[test]
fn a_key_frame_comes_when_asked_for_and_a_new_decoder_starts_there() {
    for &codec in codecs() {
        let mut encoder = encoder(codec, TARGET).unwrap();
        let mut keys = Vec::new();
        for n in 0..10 {
            if n == 6 {
                encoder.request_key_frame();
            }
            let coded = encoder.encode(&film(320, 180, n)).unwrap().unwrap();
            if coded.key {
                keys.push(n);
                assert!(decoder(codec).unwrap().decode(&coded.data).unwrap().is_some());
            }
        }
        assert_eq!(keys, [0, 6], "{codec:?}");
    }
}

#[test]
fn the_rate_moves_both_ways_in_mid_stream() {
    for &codec in codecs() {
        let mut encoder = encoder(codec, TARGET).unwrap();
        let mut rate_at = |kbps, from: u32| {
            encoder.set_target(VideoTarget { kbps, fps: 30 }).unwrap();
            let sizes: Vec<_> = (from..from + 60)
                .filter_map(|n| encoder.encode(&film(640, 360, n)).unwrap())
                .map(|c| c.data.len())
                .collect();
            rate_kbps(&sizes[20..])
        };
        let (low, high, low_again) = (rate_at(150, 0), rate_at(1200, 60), rate_at(150, 120));
        println!("{}: {low:.0} {high:.0} {low_again:.0}", codec.name());
        assert!(low < 260.0 && low_again < 260.0 && high > 1.8 * low, "{codec:?}: {low} {high} {low_again}");
    }
}

#[test]
fn h264_slices_fit_one_packet_and_key_frames_carry_their_parameter_sets() {
    let mut encoder = encoder(Codec::H264, VideoTarget { kbps: 2000, fps: 30 }).unwrap();
    for n in 0..20 {
        if n == 10 {
            encoder.request_key_frame();
        }
        let coded = encoder.encode(&film(640, 360, n * 7)).unwrap().unwrap();
        let units: Vec<_> = openh264::nal_units(&coded.data).collect();
        assert!(units.iter().all(|unit| unit.len() <= 1_104), "{:?}", units.iter().map(|u| u.len()).max());
        let kinds: Vec<_> =
            units.iter().map(|unit| unit[unit.iter().position(|&b| b == 1).unwrap() + 1] & 31).collect();
        assert_eq!(coded.key, kinds.starts_with(&[7, 8, 5]), "{kinds:?}");
    }
}

#[test]
fn a_decoder_that_missed_pictures_refuses_until_the_next_key_frame() {
    let mut encoder = encoder(Codec::H264, TARGET).unwrap();
    let mut decoder = decoder(Codec::H264).unwrap();
    let units: Vec<_> = (0..8)
        .map(|n| {
            if n == 5 {
                encoder.request_key_frame();
            }
            encoder.encode(&film(320, 180, n * 5)).unwrap().unwrap().data
        })
        .collect();
    assert!(decoder.decode(&units[3]).map_or(true, |frame| frame.is_none()));
    assert!(decoder.decode(&units[5]).unwrap().is_some());
    assert!(decoder.decode(&units[6]).unwrap().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn decoders_live_through_garbage_and_recover(flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..40), cut in any::<usize>(), noise in prop::collection::vec(any::<u8>(), 0..600)) {
        for &codec in codecs() {
            let mut encoder = encoder(codec, TARGET).unwrap();
            let mut decoder = decoder(codec).unwrap();
            let _ = decoder.decode(&noise);
            for n in 0..4 {
                let mut unit = encoder.encode(&film(64, 48, n)).unwrap().unwrap().data.to_vec();
                for &(at, value) in &flips {
                    let at = at % unit.len();
                    unit[at] ^= value;
                }
                unit.truncate(1 + cut % unit.len());
                let _ = decoder.decode(&unit);
            }
            for attempt in 0..5 {
                encoder.request_key_frame();
                let whole = encoder.encode(&film(64, 48, 9)).unwrap().unwrap();
                if matches!(decoder.decode(&whole.data), Ok(Some(_))) {
                    break;
                }
                prop_assert!(attempt < 4, "{codec:?} never recovers");
            }
        }
    }
}
