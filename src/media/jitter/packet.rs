//! How long an Opus packet lasts, read from its first two bytes (RFC 6716 §3.1 and §3.2). Decodes nothing.

/// RFC 6716 §3.2.5: 120 ms at 48 kHz.
const MAX_SAMPLES: usize = 5760;

/// The samples (at 48 kHz) of an Opus packet; `None` when it cannot be one.
pub(in crate::media) fn duration(payload: &[u8]) -> Option<usize> {
    let toc = *payload.first()?;
    let config = toc >> 3;
    // RFC 6716 §3.1, table 2.
    let frame = match (config, config & 3) {
        (16.., 0) => 120,
        (16.., 1) => 240,
        (0..12, 0) | (12..16, 0 | 2) | (16.., 2) => 480,
        (0..12, 2) => 1920,
        (0..12, 3) => 2880,
        _ => 960,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(*payload.get(1)? & 0x3F),
    };
    let samples = frame * frames;
    (1..=MAX_SAMPLES).contains(&samples).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_table() {
        for (payload, expected) in [
            (&[0x00u8][..], Some(480)),
            (&[0x08], Some(960)),
            (&[0x18], Some(2880)),
            (&[0x78], Some(960)),
            (&[0x80], Some(120)),
            (&[0xF8], Some(960)),
            (&[0xF9], Some(1920)),
            (&[0xFB, 0x06], Some(5760)),
            (&[0xFB, 0x07], None),
            (&[0xFB, 0x00], None),
            (&[0xFB], None),
            (&[], None),
        ] {
            assert_eq!(duration(payload), expected, "{payload:02x?}");
        }
    }

    #[test]
    fn libopus_agrees() {
        let mut encoder = crate::media::audio::Encoder::new().unwrap();
        assert_eq!(duration(encoder.encode(&[0.0; 960]).unwrap()), Some(960));
    }
}
