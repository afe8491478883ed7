//! In which format a device is used: 48 kHz mono floats where it can, its own format where not. Pure.

use cpal::{BufferSize, SampleFormat, StreamConfig, SupportedBufferSize, SupportedStreamConfigRange};

/// The rate that needs no resampling.
const RATE: u32 = crate::media::frame::SAMPLE_RATE;

/// A device's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// What its samples are.
    pub sample: SampleFormat,
    /// Channels, at least 1.
    pub channels: u16,
    /// Hz.
    pub rate: u32,
    /// Frames per callback that are asked for; the device may grant others.
    pub buffer: BufferSize,
}

impl Format {
    /// As cpal wants it.
    pub fn config(&self) -> StreamConfig {
        StreamConfig { channels: self.channels, sample_rate: self.rate, buffer_size: self.buffer }
    }
}

/// How little there is to convert from a sample format; `None` where it is not supported here.
fn rank(sample: SampleFormat) -> Option<u32> {
    Some(match sample {
        SampleFormat::F32 => 0,
        SampleFormat::I16 => 1,
        SampleFormat::I32 => 2,
        SampleFormat::U16 => 3,
        SampleFormat::U8 => 4,
        _ => return None,
    })
}

/// The best of what a device offers: 48 kHz before anything else, then the simplest samples, then the fewest
/// channels. `None` when nothing of it can be used. `period`: frames at 48 kHz that are asked for per callback.
pub fn best(offers: impl Iterator<Item = SupportedStreamConfigRange>, period: u32) -> Option<Format> {
    let usable = offers.filter(|offer| offer.channels() > 0);
    let ranked = usable.filter_map(|offer| {
        let rate = RATE.clamp(offer.min_sample_rate(), offer.max_sample_rate());
        let format = Format {
            sample: offer.sample_format(),
            channels: offer.channels(),
            rate,
            buffer: buffer(*offer.buffer_size(), rate, period),
        };
        Some(((rate.abs_diff(RATE), rank(format.sample)?, format.channels), format))
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, format)| format)
}

/// The period (frames at 48 kHz) that is asked for, or as near to it as the device can.
fn buffer(range: SupportedBufferSize, rate: u32, period: u32) -> BufferSize {
    let wanted = (u64::from(period) * u64::from(rate) / u64::from(RATE)) as u32;
    match range {
        SupportedBufferSize::Range { min, max } if min <= max && max > 0 => {
            BufferSize::Fixed(wanted.clamp(min.max(1), max))
        }
        _ => BufferSize::Fixed(wanted.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(channels: u16, rates: (u32, u32), sample: SampleFormat) -> SupportedStreamConfigRange {
        let buffer = SupportedBufferSize::Range { min: 64, max: 8192 };
        SupportedStreamConfigRange::new(channels, rates.0, rates.1, buffer, sample)
    }

    #[test]
    fn what_needs_least_conversion_is_chosen() {
        let cases = [
            (
                vec![
                    offer(2, (1, 384_000), SampleFormat::F32),
                    offer(1, (1, 384_000), SampleFormat::F32),
                    offer(1, (1, 384_000), SampleFormat::U8),
                ],
                (SampleFormat::F32, 1, 48_000),
            ),
            (
                vec![
                    offer(2, (44_100, 44_100), SampleFormat::F32),
                    offer(2, (48_000, 48_000), SampleFormat::I16),
                ],
                (SampleFormat::I16, 2, 48_000),
            ),
            (vec![offer(1, (8_000, 16_000), SampleFormat::I16)], (SampleFormat::I16, 1, 16_000)),
            (vec![offer(1, (96_000, 192_000), SampleFormat::I32)], (SampleFormat::I32, 1, 96_000)),
        ];
        for (offers, (sample, channels, rate)) in cases {
            let format = best(offers.into_iter(), 480).unwrap();
            assert_eq!((format.sample, format.channels, format.rate), (sample, channels, rate));
        }
        assert_eq!(best(std::iter::once(offer(1, (48_000, 48_000), SampleFormat::DsdU8)), 480), None);
        assert_eq!(best(std::iter::empty(), 480), None);
    }

    #[test]
    fn a_period_is_asked_for_or_what_is_nearest() {
        let range = |min, max| SupportedBufferSize::Range { min, max };
        for (offered, rate, expected) in [
            (range(1, 9000), 48_000, 480),
            (range(1, 9000), 44_100, 441),
            (range(1024, 4096), 48_000, 1024),
            (range(16, 128), 48_000, 128),
            (SupportedBufferSize::Unknown, 48_000, 480),
        ] {
            assert_eq!(buffer(offered, rate, 480), BufferSize::Fixed(expected));
        }
    }
}
