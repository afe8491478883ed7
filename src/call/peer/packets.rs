//! Coded frames to RTP packets. Knows the payload formats, not the connection; pure but for its random start.

use super::counters::clock;
use crate::media::frame::{Codec, EncodedFrame, MediaKind};
use bytes::Bytes;
use rtc::rtp;
use rtc::rtp::codec::h264::H264Payloader;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::packetizer::Payloader;
use std::time::Duration;

/// Payload bytes of a packet: with all headers under 1,280, what every IPv6 path carries (RFC 8200 §5). The
/// encoder's slices of 1,100 bytes fit whole.
pub(super) const MAX_PAYLOAD: usize = 1_160;

/// What a stream is called on the wire, as negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// The codec that the payload type stands for.
    pub(super) codec: Codec,
    /// RFC 3550 §5.1.
    pub(super) payload_type: u8,
    /// RFC 3550 §5.1.
    pub(super) ssrc: u32,
}

/// The sender's end of one stream.
#[derive(Debug)]
pub(super) struct Packetizer {
    sequence: u16,
    offset: u32,
    h264: H264Payloader,
    vp8: Vp8Payloader,
}

impl Packetizer {
    /// A stream that starts at a random place: RFC 3550 §5.1 wants both unpredictable.
    pub(super) fn new(seed: u64) -> Self {
        let mut vp8 = Vp8Payloader::default();
        vp8.enable_picture_id = true;
        Self { sequence: (seed >> 33) as u16, offset: seed as u32, h264: H264Payloader::default(), vp8 }
    }

    /// The packets of one frame, the last one marked where it is a picture; none for an empty frame. A picture's
    /// hold at most `payload` bytes each.
    pub(super) fn packets(&mut self, frame: &EncodedFrame, label: Label, payload: usize) -> Vec<rtp::Packet> {
        let payloads = match frame.codec {
            Codec::Opus if frame.data.is_empty() => Vec::new(),
            // RFC 7587 §4.2: exactly one Opus packet.
            Codec::Opus => vec![frame.data.clone()],
            Codec::H264 => self.h264.payload(payload, &frame.data).unwrap_or_default(),
            Codec::Vp8 => self.vp8.payload(payload, &frame.data).unwrap_or_default(),
        };
        let kind = frame.codec.kind();
        let timestamp = self.timestamp(kind, frame.at);
        let last = payloads.len().saturating_sub(1);
        let marked = |index: usize| kind == MediaKind::Video && index == last;
        payloads
            .into_iter()
            .enumerate()
            .map(|(index, payload)| self.packet(label, timestamp, marked(index), payload))
            .collect()
    }

    /// What a frame captured at this time is stamped with.
    pub(super) fn timestamp(&self, kind: MediaKind, at: Duration) -> u32 {
        let ticks = at.as_nanos() * u128::from(clock(kind)) / 1_000_000_000;
        self.offset.wrapping_add(ticks as u32)
    }

    fn packet(&mut self, label: Label, timestamp: u32, marker: bool, payload: Bytes) -> rtp::Packet {
        self.sequence = self.sequence.wrapping_add(1);
        let header = rtp::Header {
            version: 2,
            marker,
            payload_type: label.payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: label.ssrc,
            ..rtp::Header::default()
        };
        rtp::Packet { header, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(codec: Codec) -> Label {
        Label { codec, payload_type: 100, ssrc: 7 }
    }

    fn frame(codec: Codec, data: Vec<u8>, ms: u64) -> EncodedFrame {
        let at = Duration::from_millis(ms);
        EncodedFrame { codec, data: data.into(), key: true, at, duration: Duration::from_millis(20) }
    }

    fn nal(kind: u8, len: usize) -> Vec<u8> {
        let mut nal = vec![0, 0, 0, 1, kind];
        nal.resize(4 + len, 0xAA);
        nal
    }

    #[test]
    fn sound_is_one_packet_and_time_goes_by_its_clock() {
        let mut packetizer = Packetizer::new(0);
        let first = packetizer.packets(&frame(Codec::Opus, vec![1; 80], 0), label(Codec::Opus), MAX_PAYLOAD);
        let second =
            packetizer.packets(&frame(Codec::Opus, vec![1; 80], 20), label(Codec::Opus), MAX_PAYLOAD);
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_eq!(second[0].header.timestamp - first[0].header.timestamp, 960);
        assert_eq!(second[0].header.sequence_number - first[0].header.sequence_number, 1);
        assert!(!first[0].header.marker);
    }

    #[test]
    fn slices_stay_whole_and_the_last_packet_of_a_picture_is_marked() {
        let picture =
            [nal(0x67, 12), nal(0x68, 4), nal(0x65, 1_100), nal(0x65, 1_100), nal(0x65, 300)].concat();
        let mut packetizer = Packetizer::new(1);
        let packets = packetizer.packets(&frame(Codec::H264, picture, 40), label(Codec::H264), MAX_PAYLOAD);
        let sizes: Vec<usize> = packets.iter().map(|packet| packet.payload.len()).collect();
        assert_eq!(sizes, [1 + 2 + 12 + 2 + 4, 1_100, 1_100, 300]);
        let marks: Vec<bool> = packets.iter().map(|packet| packet.header.marker).collect();
        assert_eq!(marks, [false, false, false, true]);
        assert!(packets.iter().all(|packet| packet.header.timestamp == packets[0].header.timestamp));
    }

    #[test]
    fn nothing_is_larger_than_a_path_carries() {
        for codec in [Codec::H264, Codec::Vp8] {
            let data = if codec == Codec::H264 { nal(0x65, 9_000) } else { vec![0x10; 9_000] };
            let packets = Packetizer::new(2).packets(&frame(codec, data, 0), label(codec), MAX_PAYLOAD);
            assert!(packets.len() >= 8);
            assert!(packets.iter().all(|packet| packet.payload.len() <= MAX_PAYLOAD));
        }
    }

    #[test]
    fn an_empty_frame_is_no_packet() {
        for codec in [Codec::Opus, Codec::H264, Codec::Vp8] {
            assert!(
                Packetizer::new(3)
                    .packets(&frame(codec, Vec::new(), 0), label(codec), MAX_PAYLOAD)
                    .is_empty()
            );
        }
    }

    #[test]
    fn sequence_numbers_and_timestamps_wrap() {
        let mut packetizer = Packetizer::new(u64::MAX);
        let last = packetizer.packets(&frame(Codec::Opus, vec![1], 0), label(Codec::Opus), MAX_PAYLOAD);
        let next = packetizer.packets(&frame(Codec::Opus, vec![1], 20), label(Codec::Opus), MAX_PAYLOAD);
        assert_eq!(next[0].header.sequence_number, last[0].header.sequence_number.wrapping_add(1));
        assert_eq!(next[0].header.timestamp.wrapping_sub(last[0].header.timestamp), 960);
    }
}
