//! Our own stages in the stack's chain of interceptors.
//!
//! ```text
//! wire   2000 Numbers    transport-wide numbers, and what the remote end says of them
//!        3500 Watch      reads RTCP both ways, counts what leaves, asks for key frames
//!        4000 (stack)    answers NACKs           10000, 11000 (stack) receiver and sender reports
//!        6000 Listener   says what comes, padding included
//!        6500 Undo       retransmissions become the packets that they repeat
//!        7000 (stack)    asks for what is missing
//! app   13500 Tap        takes incoming media out of the stack
//! ```
//! Media leaves the stack here and not by its tracks: a track exists only after the first packets, drops
//! when its reader is slow and logs each one. Knows RTP and RTCP, no codec.

use super::counters::Report;
use super::media::Media;
use super::nacks::Asked;
use super::numbers::{Listener, Numbers};
use super::socket::Wire;
use crate::call::rate::OVERHEAD;
use crate::media::frame::MediaKind;
use rtc::interceptor::{
    Attribute, AttributedPacket, Interceptor, NackGeneratorBuilder, NackResponderBuilder, Packet,
    ReceiverReportBuilder, Registry, SenderReportBuilder, Slot, StreamInfo, TaggedPacket,
};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    NackPair, TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon a missing packet is asked for; how soon again is decided in `Watch`, by the round trip.
const NACK_INTERVAL: Duration = Duration::from_millis(20);
/// Packet by packet it is told elsewhere how the path is; on a narrow one each report takes from sound.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The whole chain of one peer.
pub(super) fn registry(media: &Arc<Media>, wire: &Arc<Wire>, now: Instant) -> Registry {
    let nacks = NackGeneratorBuilder::new().with_interval(NACK_INTERVAL);
    let wire = Arc::clone(wire);
    let watch = Watch::new(Arc::clone(media), now, Box::new(move || wire.round_trip()));
    Registry::new()
        .with(Slot::from(2_000), Stage::new(Numbers::new(Arc::clone(media))))
        .with(Slot::from(3_500), Stage::new(watch))
        .with(Slot::NackResponder, NackResponderBuilder::new().build())
        .with(Slot::from(6_000), Listener::new())
        .with(Slot::from(6_500), Stage::new(Undo { media: Arc::clone(media), repairs: HashMap::new() }))
        .with(Slot::NackGenerator, nacks.build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::SenderReport, SenderReportBuilder::new().with_interval(REPORT_INTERVAL).build())
        .with(Slot::from(13_500), Stage::new(Tap { media: Arc::clone(media) }))
}

/// What a stage of ours does with packets; `false` takes one out.
pub(super) trait Work: Send + Sync {
    fn incoming(&mut self, _: &mut TaggedPacket) -> bool {
        true
    }

    fn outgoing(&mut self, _: &mut TaggedPacket) -> bool {
        true
    }

    /// A packet of its own.
    fn emit(&mut self) -> Option<TaggedPacket> {
        None
    }

    fn bind_local(&mut self, _: &StreamInfo) {}

    fn bind_remote(&mut self, _: &StreamInfo) {}
}

/// The queues around a stage's work, as the chain wants them.
struct Stage<W> {
    work: W,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl<W> Stage<W> {
    fn new(work: W) -> Self {
        Self { work, reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

impl<W: Work> Protocol<TaggedPacket, TaggedPacket, ()> for Stage<W> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if self.work.incoming(&mut packet) {
            self.reads.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, mut packet: TaggedPacket) -> Result<(), Error> {
        if self.work.outgoing(&mut packet) {
            self.writes.push_back(packet);
        }
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front().or_else(|| self.work.emit())
    }
}

impl<W: Work> Interceptor for Stage<W> {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.work.bind_local(info);
    }

    fn unbind_local_stream(&mut self, _: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.work.bind_remote(info);
    }

    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}

/// Reads RTCP both ways, counts what leaves, and asks for nothing twice within a round trip.
struct Watch {
    media: Arc<Media>,
    now: Instant,
    round_trip: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
    asked: Asked,
}

impl Work for Watch {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        self.now = packet.now;
        if let Packet::Rtcp(packets) = &packet.message.packet {
            for packet in packets {
                self.feedback(packet.as_any());
            }
        }
        true
    }

    fn outgoing(&mut self, packet: &mut TaggedPacket) -> bool {
        self.now = packet.now;
        let again = packet.message.has(&Attribute::Retransmission);
        match &mut packet.message.packet {
            Packet::Rtp(rtp) => {
                let Some(kind) = self.media.ssrcs.kind(rtp.header.ssrc) else { return true };
                let now = self.media.at(self.now);
                if again && !self.media.may_repeat(now, rtp.payload.len() as u32 + OVERHEAD) {
                    return false;
                }
                let mut counters = self.media.counters();
                let sample = counters.kind(kind);
                if again {
                    sample.retransmitted += 1;
                } else {
                    sample.sent.add(rtp.payload.len());
                }
            }
            Packet::Rtcp(packets) => {
                packets.retain_mut(|packet| self.says(packet));
                return !packets.is_empty();
            }
            _ => {}
        }
        true
    }

    fn emit(&mut self) -> Option<TaggedPacket> {
        let media_ssrc = self.media.take_key_frame_request()?;
        self.media.counters().kind(MediaKind::Video).plis_sent += 1;
        let request = PictureLossIndication { sender_ssrc: self.media.ssrcs.video, media_ssrc };
        let message = AttributedPacket::new(Packet::Rtcp(vec![Box::new(request)]));
        Some(TaggedPacket { now: self.now, transport: TransportContext::default(), message })
    }
}

impl Watch {
    fn new(
        media: Arc<Media>,
        now: Instant,
        round_trip: Box<dyn Fn() -> Option<Duration> + Send + Sync>,
    ) -> Self {
        Self { media, now, round_trip, asked: Asked::default() }
    }

    fn feedback(&self, packet: &dyn std::any::Any) {
        if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
            self.reports(&report.reports);
        } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
            self.reports(&report.reports);
            let (now, round_trip) = (self.media.at(self.now), (self.round_trip)());
            self.media.counters().clock_told(
                report.ssrc,
                (report.ntp_time, report.rtp_time),
                now,
                round_trip,
            );
        } else if packet.is::<PictureLossIndication>() || packet.is::<FullIntraRequest>() {
            self.media.counters().kind(MediaKind::Video).plis_received += 1;
            self.media.key_frame_wanted();
        } else if let Some(nack) = packet.downcast_ref::<TransportLayerNack>()
            && let Some(kind) = self.media.ssrcs.kind(nack.media_ssrc)
        {
            self.media.counters().kind(kind).nacks_received += 1;
        }
    }

    fn reports(&self, reports: &[ReceptionReport]) {
        let now = self.media.at(self.now);
        for report in reports {
            // What is said of the retransmissions' own stream is not of the picture.
            if report.ssrc == self.media.ssrcs.repair {
                continue;
            }
            let Some(kind) = self.media.ssrcs.kind(report.ssrc) else { continue };
            let report = Report {
                kind,
                fraction: report.fraction_lost,
                lost: report.total_lost,
                jitter: report.jitter,
                heard: report.last_sender_report,
                delay: report.delay,
            };
            self.media.counters().reported(&report, now);
            self.media.ledger().reported(kind, f32::from(report.fraction) / 256.0);
        }
    }

    /// Looks at a packet of feedback on its way out; `false` when nothing of it is left to say.
    fn says(&mut self, packet: &mut Box<dyn rtc::rtcp::Packet>) -> bool {
        if let Some(report) = packet.as_any().downcast_ref::<SenderReport>() {
            self.media.counters().report_sent(report.ntp_time, self.media.at(self.now));
            // The stack names the timestamp of what leaves now, RFC 3550 §6.4.1 wants that of what is captured now.
            if let Some(rtp_time) = self.media.stamp(report.ssrc, self.now) {
                *packet = Box::new(SenderReport { rtp_time, ..report.clone() });
            }
        }
        let Some(nack) = packet.as_any().downcast_ref::<TransportLayerNack>() else { return true };
        let missing = nack.nacks.iter().flat_map(NackPair::packet_list);
        let now = self.media.at(self.now);
        let due = self.asked.now(now, (self.round_trip)(), nack.media_ssrc, missing);
        if due.is_empty() {
            return false;
        }
        self.media.counters().kind(MediaKind::Video).nacks_sent += due.len() as u64;
        let nacks = nack_pairs_from_sequence_numbers(&due);
        *packet = Box::new(TransportLayerNack { nacks, ..nack.clone() });
        true
    }
}

/// A stream that repeats another's packets (RFC 4588).
#[derive(Clone, Copy)]
struct Repair {
    ssrc: u32,
    payload_type: u8,
}

/// Turns a retransmission into the packet that it repeats, before anyone asks for that one again.
struct Undo {
    media: Arc<Media>,
    repairs: HashMap<u32, Repair>,
}

impl Work for Undo {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        let Packet::Rtp(rtp) = &mut packet.message.packet else { return true };
        let Some(repair) = self.repairs.get(&rtp.header.ssrc) else { return true };
        // RFC 4588 §4: the payload begins with the original sequence number. With no more than that it is
        // padding, sent to probe the path.
        let Some((sequence, payload)) = rtp.payload.split_first_chunk::<2>() else { return false };
        if payload.is_empty() {
            return false;
        }
        rtp.header.sequence_number = u16::from_be_bytes(*sequence);
        rtp.header.ssrc = repair.ssrc;
        rtp.header.payload_type = repair.payload_type;
        rtp.payload = rtp.payload.slice(2..);
        self.media.counters().kind(MediaKind::Video).recovered += 1;
        true
    }

    fn bind_remote(&mut self, info: &StreamInfo) {
        if let (Some(repair), Some(_)) = (info.ssrc_rtx, info.payload_type_rtx) {
            let primary = Repair { ssrc: info.ssrc, payload_type: info.payload_type };
            self.repairs.insert(repair, primary);
        }
    }
}

/// Takes media out of the stack.
struct Tap {
    media: Arc<Media>,
}

impl Work for Tap {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        let Packet::Rtp(rtp) = &packet.message.packet else { return true };
        self.media.arrived(rtp, packet.now);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::{Note, Notes};
    use super::super::media::{Inlets, Ssrcs};
    use super::*;
    use crate::media::frame::Codec;
    use rtc::rtcp::payload_feedbacks::full_intra_request::FirEntry;
    use rtc::rtp;
    use tokio::sync::mpsc::UnboundedReceiver;

    const PRIMARY: u32 = 70;
    const REPAIR: u32 = 71;

    fn media() -> (Arc<Media>, Inlets, UnboundedReceiver<Note>, Instant) {
        let now = tokio::time::Instant::now().into_std();
        let (notes, queue) = Notes::new();
        let (media, inlets) = Media::new(Ssrcs { audio: 1, video: 3, repair: 4 }, now, notes);
        media.accept(vec![(102, Codec::H264), (111, Codec::Opus)]);
        (media, inlets, queue, now)
    }

    fn tagged(now: Instant, packet: Packet) -> TaggedPacket {
        let message = AttributedPacket::new(packet);
        TaggedPacket { now, transport: TransportContext::default(), message }
    }

    fn rtp_packet(
        now: Instant,
        ssrc: u32,
        payload_type: u8,
        sequence_number: u16,
        payload: &[u8],
    ) -> TaggedPacket {
        let header =
            rtp::Header { version: 2, ssrc, payload_type, sequence_number, ..rtp::Header::default() };
        tagged(now, Packet::Rtp(rtp::Packet { header, payload: payload.to_vec().into() }))
    }

    fn watch(media: &Arc<Media>, now: Instant) -> Stage<Watch> {
        Stage::new(Watch::new(Arc::clone(media), now, Box::new(|| Some(Duration::from_millis(80)))))
    }

    fn undo(media: &Arc<Media>) -> Stage<Undo> {
        let mut stage = Stage::new(Undo { media: Arc::clone(media), repairs: HashMap::new() });
        stage.bind_remote_stream(&StreamInfo {
            ssrc: PRIMARY,
            payload_type: 102,
            ssrc_rtx: Some(REPAIR),
            payload_type_rtx: Some(103),
            ..StreamInfo::default()
        });
        stage
    }

    #[test]
    fn a_retransmission_becomes_the_packet_that_it_repeats() {
        let (media, _inlets, _, now) = media();
        let mut stage = undo(&media);
        stage.handle_read(rtp_packet(now, REPAIR, 103, 9, &[0x12, 0x34, 7, 8])).unwrap();
        let Some(Packet::Rtp(undone)) = stage.poll_read().map(|packet| packet.message.packet) else {
            panic!()
        };
        assert_eq!((undone.header.ssrc, undone.header.payload_type), (PRIMARY, 102));
        assert_eq!((undone.header.sequence_number, &undone.payload[..]), (0x1234, &[7, 8][..]));
        assert_eq!(media.sample().1.recovered, 1);
    }

    #[test]
    fn padding_among_retransmissions_goes_no_further() {
        let (media, _inlets, _, now) = media();
        let mut stage = undo(&media);
        for payload in [&[][..], &[1], &[1, 2]] {
            stage.handle_read(rtp_packet(now, REPAIR, 103, 9, payload)).unwrap();
            assert!(stage.poll_read().is_none(), "{payload:?}");
        }
        stage.handle_read(rtp_packet(now, PRIMARY, 102, 9, &[1])).unwrap();
        assert!(stage.poll_read().is_some());
    }

    #[test]
    fn media_leaves_at_the_tap_and_copies_and_padding_do_not() {
        let (media, mut inlets, mut notes, now) = media();
        let mut tap = Stage::new(Tap { media: Arc::clone(&media) });
        for (sequence, payload) in [(1, &[5][..]), (1, &[5]), (2, &[]), (3, &[6])] {
            tap.handle_read(rtp_packet(now, PRIMARY, 102, sequence, payload)).unwrap();
        }
        tap.handle_read(rtp_packet(now, 99, 50, 1, &[5])).unwrap();
        assert!(tap.poll_read().is_none());
        let taken: Vec<u16> =
            std::iter::from_fn(|| inlets.video.try_recv().ok()).map(|p| p.sequence).collect();
        assert_eq!(taken, [1, 3]);
        assert_eq!(media.sample().1.lost, 0, "padding came, too");
        assert!(matches!(notes.try_recv(), Ok(Note::Track(Codec::H264))));
        assert!(notes.try_recv().is_err());
    }

    #[test]
    fn the_first_picture_is_asked_for_once() {
        let (media, _inlets, _, now) = media();
        let mut watch = watch(&media, now);
        assert!(watch.poll_write().is_none());
        for sequence in 0..3 {
            let Packet::Rtp(packet) = rtp_packet(now, PRIMARY, 102, sequence, &[5]).message.packet else {
                panic!()
            };
            media.arrived(&packet, now);
        }
        let Some(Packet::Rtcp(asked)) = watch.poll_write().map(|packet| packet.message.packet) else {
            panic!()
        };
        let request = asked[0].as_any().downcast_ref::<PictureLossIndication>().unwrap();
        assert_eq!(request.media_ssrc, PRIMARY);
        assert!(watch.poll_write().is_none());
    }

    #[test]
    fn key_frames_are_asked_for_at_most_five_times_a_second() {
        let (media, _inlets, _, now) = media();
        let asked = (0..100).filter(|n| media.ask_for_key_frame(now + Duration::from_millis(n * 10))).count();
        assert_eq!(asked, 5);
    }

    #[test]
    fn requests_for_key_frames_are_heard_whatever_they_name() {
        let (media, _inlets, mut notes, now) = media();
        let mut watch = watch(&media, now);
        let loss = PictureLossIndication { sender_ssrc: 9, media_ssrc: 3 };
        let full = FullIntraRequest {
            fir: vec![FirEntry { ssrc: 3, sequence_number: 1 }],
            ..FullIntraRequest::default()
        };
        watch.handle_read(tagged(now, Packet::Rtcp(vec![Box::new(loss)]))).unwrap();
        watch.handle_read(tagged(now, Packet::Rtcp(vec![Box::new(full)]))).unwrap();
        assert_eq!(media.sample().1.plis_received, 2);
        assert!(matches!(notes.try_recv(), Ok(Note::KeyFrame)));
        assert!(notes.try_recv().is_err(), "a flood of requests is one note");
        assert!(watch.poll_read().is_some(), "the stack's own interceptors read on");
    }

    #[test]
    fn reports_about_our_streams_are_read_out_of_both_kinds() {
        let (media, _inlets, _, now) = media();
        let mut watch = watch(&media, now);
        let about =
            |ssrc, fraction_lost| ReceptionReport { ssrc, fraction_lost, ..ReceptionReport::default() };
        let receiver = ReceiverReport {
            reports: vec![about(1, 128), about(4, 255), about(9, 255)],
            ..ReceiverReport::default()
        };
        let sender = SenderReport { reports: vec![about(3, 64)], ..SenderReport::default() };
        watch.handle_read(tagged(now, Packet::Rtcp(vec![Box::new(receiver), Box::new(sender)]))).unwrap();
        let (audio, video) = media.sample();
        assert_eq!((audio.remote_loss, video.remote_loss), (0.5, 0.25));
    }

    #[test]
    fn what_is_sent_again_is_counted_apart() {
        let (media, _inlets, _, now) = media();
        let mut watch = watch(&media, now);
        watch.handle_write(rtp_packet(now, 3, 102, 1, &[1, 2, 3])).unwrap();
        let mut again = rtp_packet(now, 4, 103, 1, &[0, 1, 1, 2, 3]);
        again.message.add(Attribute::Retransmission);
        watch.handle_write(again).unwrap();
        let video = media.sample().1;
        assert_eq!((video.sent.packets, video.sent.bytes, video.retransmitted), (1, 3, 1));
    }

    #[test]
    fn a_packet_on_its_way_is_not_asked_for_again() {
        let (media, _inlets, _, now) = media();
        let mut watch = watch(&media, now);
        let mut ask = |ms, missing: &[u16]| {
            let nacks = nack_pairs_from_sequence_numbers(missing);
            let nack = TransportLayerNack { sender_ssrc: 3, media_ssrc: PRIMARY, nacks };
            let at = now + Duration::from_millis(ms);
            watch.handle_write(tagged(at, Packet::Rtcp(vec![Box::new(nack)]))).unwrap();
            let Some(Packet::Rtcp(said)) = watch.poll_write().map(|packet| packet.message.packet) else {
                return Vec::new();
            };
            let nack = said[0].as_any().downcast_ref::<TransportLayerNack>().unwrap();
            nack.nacks.iter().flat_map(NackPair::packet_list).collect()
        };
        assert_eq!(ask(0, &[5, 7]), [5, 7]);
        assert_eq!(ask(20, &[5, 7, 9]), [9]);
        assert_eq!(ask(40, &[5, 7]), Vec::<u16>::new());
        assert_eq!(ask(100, &[5]), [5]);
        assert_eq!(media.sample().1.nacks_sent, 4);
    }
}
