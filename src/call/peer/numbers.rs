//! The stages that give each packet its transport-wide number, read what the remote end says of it, and say as much
//! of what comes. Knows RTP and RTCP; what follows from it is the ledger's and the rate's.

use super::interceptors::Work;
use super::media::Media;
use crate::call::rate::OVERHEAD;
use bytes::Bytes;
use rtc::interceptor::{
    Interceptor, Packet, StreamInfo, TaggedPacket, TwccReceiverBuilder, TwccReceiverInterceptor, convert_twcc,
};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The extension that carries the number, as it is negotiated.
pub(super) const EXTENSION: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// How often is said what came; seldom where little comes, since each word costs some 80 bytes of the way back.
const OFTEN: Duration = Duration::from_millis(100);
const SELDOM: Duration = Duration::from_millis(200);
/// Bytes in an interval below which it is little: 120 kbit/s.
const LITTLE: usize = 15 * 100;

/// The extension's number in a stream's headers.
fn extension(info: &StreamInfo) -> Option<u8> {
    let found = info.rtp_header_extensions.iter().find(|extension| extension.uri == EXTENSION)?;
    u8::try_from(found.id).ok().filter(|id| (1..=14).contains(id))
}

/// Numbers what leaves. Next to the wire, so that it sees retransmissions, too.
pub(super) struct Numbers {
    media: Arc<Media>,
    extension: Option<u8>,
}

impl Numbers {
    pub(super) fn new(media: Arc<Media>) -> Self {
        Self { media, extension: None }
    }

    fn told(&self, feedback: &TransportLayerCc, now: Instant) {
        let zero = Duration::from_millis(64) * feedback.reference_time;
        // The last chunk may hold more symbols than there are packets to speak of.
        let packets = convert_twcc(feedback).into_iter().take(feedback.packet_status_count.into());
        let packets = packets.filter_map(|packet| match packet.arrival {
            Some(arrival) => Some((packet.sequence_number, Some(arrival.saturating_sub(zero)))),
            // That it came and not when is of no use.
            None => (!packet.arrived).then_some((packet.sequence_number, None)),
        });
        self.media.ledger().told(self.media.at(now), feedback.reference_time, packets);
    }
}

impl Work for Numbers {
    fn incoming(&mut self, packet: &mut TaggedPacket) -> bool {
        if let Packet::Rtcp(packets) = &packet.message.packet {
            for part in packets {
                if let Some(feedback) = part.as_any().downcast_ref::<TransportLayerCc>() {
                    self.told(feedback, packet.now);
                }
            }
        }
        true
    }

    fn outgoing(&mut self, packet: &mut TaggedPacket) -> bool {
        let now = self.media.at(packet.now);
        let Packet::Rtp(rtp) = &mut packet.message.packet else { return true };
        let Some(kind) = self.media.ssrcs.kind(rtp.header.ssrc) else { return true };
        let size = rtp.payload.len() as u32 + OVERHEAD;
        let mut ledger = self.media.ledger();
        ledger.leaves(now, kind, size);
        if let Some(id) = self.extension {
            let number = ledger.number(now, size).to_be_bytes();
            if let Err(error) = rtp.header.set_extension(id, Bytes::copy_from_slice(&number)) {
                log::debug!("a packet goes without its number: {error}");
            }
        }
        true
    }

    fn bind_local(&mut self, info: &StreamInfo) {
        self.extension = extension(info).or(self.extension);
    }
}

/// The stack's own stage that says what came, slowed down where little comes.
pub(super) struct Listener {
    inner: TwccReceiverInterceptor,
    due: Option<Instant>,
    came: usize,
}

impl Listener {
    pub(super) fn new() -> Self {
        let inner = TwccReceiverBuilder::new().with_interval(OFTEN).build();
        Self { inner, due: None, came: 0 }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Listener {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(rtp) = &packet.message.packet {
            self.came += rtp.payload.len();
        }
        self.inner.handle_read(packet)
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_read()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.inner.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.inner.poll_write()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let inner = self.inner.poll_timeout();
        if inner.is_none_or(|inner| now < inner) || self.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        let little = std::mem::take(&mut self.came) < LITTLE;
        self.due = Some(now + if little { SELDOM } else { OFTEN });
        self.inner.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        let inner = self.inner.poll_timeout()?;
        Some(self.due.map_or(inner, |due| due.max(inner)))
    }
}

impl Interceptor for Listener {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.bind_local_stream(info);
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.inner.unbind_local_stream(info);
    }

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.inner.bind_remote_stream(info);
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.inner.unbind_remote_stream(info);
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::Notes;
    use super::super::media::Ssrcs;
    use super::*;
    use rtc::interceptor::{AttributedPacket, RTPHeaderExtension};
    use rtc::rtp;
    use rtc::shared::TransportContext;

    const SSRCS: Ssrcs = Ssrcs { audio: 1, video: 3, repair: 4 };

    fn info(ssrc: u32) -> StreamInfo {
        let rtp_header_extensions = vec![RTPHeaderExtension { uri: EXTENSION.into(), id: 5 }];
        StreamInfo { ssrc, rtp_header_extensions, ..StreamInfo::default() }
    }

    fn packet(now: Instant, ssrc: u32, bytes: usize) -> TaggedPacket {
        let header = rtp::Header { version: 2, ssrc, ..rtp::Header::default() };
        let packet = Packet::Rtp(rtp::Packet { header, payload: vec![0; bytes].into() });
        TaggedPacket { now, transport: TransportContext::default(), message: AttributedPacket::new(packet) }
    }

    #[test]
    fn what_is_numbered_here_and_heard_there_comes_back_as_its_fate() {
        let started = tokio::time::Instant::now().into_std();
        let ms = Duration::from_millis;
        let (media, _inlets) = Media::new(SSRCS, started, Notes::new().0);
        let mut numbers = Numbers::new(Arc::clone(&media));
        let mut there = Listener::new();
        // Until a stream has it, nothing is numbered.
        let mut bare = packet(started, SSRCS.audio, 40);
        assert!(numbers.outgoing(&mut bare));
        assert!(matches!(&bare.message.packet, Packet::Rtp(rtp) if rtp.header.get_extension(5).is_none()));
        numbers.bind_local(&info(SSRCS.audio));
        there.bind_remote_stream(&info(SSRCS.audio));
        // Sound, picture and a retransmission share the numbers; the second is lost, the fourth late.
        for (n, ssrc) in [SSRCS.audio, SSRCS.video, SSRCS.repair, SSRCS.video].into_iter().enumerate() {
            let sent = started + ms(n as u64 * 10);
            let mut packet = packet(sent, ssrc, 100);
            assert!(numbers.outgoing(&mut packet));
            packet.now = sent + ms(if n == 3 { 70 } else { 30 });
            if n != 1 {
                there.handle_read(packet).unwrap();
            }
        }
        let due = there.poll_timeout().unwrap();
        there.handle_timeout(due).unwrap();
        let mut said = there.poll_write().unwrap();
        said.now = started + ms(200);
        assert!(numbers.incoming(&mut said));
        let fates = media.ledger().news(ms(200)).fates;
        let zero = fates[0].arrived.unwrap();
        let seen: Vec<_> = fates.iter().map(|fate| (fate.sent, fate.arrived.map(|at| at - zero))).collect();
        assert_eq!(
            seen,
            [(ms(0), Some(ms(0))), (ms(10), None), (ms(20), Some(ms(20))), (ms(30), Some(ms(70)))]
        );
        assert!(fates.iter().all(|fate| fate.size == 100 + OVERHEAD));
        // Little came: the next word is later.
        assert!(there.poll_timeout().unwrap() >= due + SELDOM);
    }
}
