//! The thread that turns remote packets into pictures and shows each at its time.

use super::PictureEvent;
use super::events::Teller;
use super::shared::Shared;
use crate::media::assemble::playout::Playout;
use crate::media::assemble::{AccessUnit, AssembleEvent, Assembler};
use crate::media::frame::{Codec, MediaPacket, VIDEO_CLOCK, VideoFrame};
use crate::media::record::muxer::TrackId;
use crate::media::record::places::Places;
use crate::media::sink::y4m::Y4mWriter;
use crate::media::slot::Slot;
use crate::media::video::{self, VideoDecoder, VideoError};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// The thread looks up at least this often, to follow a changed round trip.
const IDLE: Duration = Duration::from_millis(200);
/// Coded pictures that wait for their time: more is a sender that plays tricks with time stamps, and they are
/// shown at once.
const MAX_WAITING: usize = 64;
/// In a recording pictures keep the sender's intervals, as long as that is no further from when they were shown.
const RECORDING_SLACK: Duration = Duration::from_millis(40);

pub(super) struct Show {
    shared: Arc<Shared>,
    remote: Slot<VideoFrame>,
    sink: Option<Y4mWriter>,
    events: Teller,
    assembler: Assembler,
    playout: Playout,
    /// Whole pictures and when they are to be shown.
    waiting: VecDeque<(Duration, AccessUnit)>,
    decoder: Option<(Codec, Box<dyn VideoDecoder>)>,
    /// The decoder lost its way: pictures are left out until a key frame.
    key_needed: bool,
    any_shown: bool,
    asked: u64,
    places: Places,
    /// The last shown picture's RTP timestamp.
    last: u64,
}

impl Show {
    pub(super) fn new(
        shared: Arc<Shared>,
        remote: Slot<VideoFrame>,
        sink: Option<Y4mWriter>,
        events: Teller,
    ) -> Self {
        Self {
            assembler: Assembler::new(shared.wait()),
            shared,
            remote,
            sink,
            events,
            playout: Playout::new(),
            waiting: VecDeque::new(),
            decoder: None,
            key_needed: false,
            any_shown: false,
            asked: 0,
            places: Places::new(RECORDING_SLACK),
            last: 0,
        }
    }

    pub(super) fn run(mut self, packets: &Receiver<MediaPacket>) {
        loop {
            match packets.recv_timeout(self.pause()) {
                Ok(packet) => {
                    let all = std::iter::once(packet).chain(packets.try_iter());
                    let now = self.shared.now();
                    all.for_each(|packet| self.packet(now, packet));
                }
                Err(RecvTimeoutError::Timeout) => self.assembler.handle_timeout(self.shared.now()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.sort();
            self.show_due();
            self.assembler.set_wait(self.shared.wait());
            self.shared.received(self.playout.delay(), self.assembler.stats().missing, self.asked);
        }
    }

    fn packet(&mut self, now: Duration, mut packet: MediaPacket) {
        packet.arrived = packet.arrived.min(now);
        self.assembler.handle_packet(now, packet);
        if self.waiting.len() < MAX_WAITING {
            self.sort();
        }
    }

    /// How long nothing is to be done unless a packet comes.
    fn pause(&self) -> Duration {
        let shown = self.waiting.front().map(|(due, _)| *due);
        let next = shown.into_iter().chain(self.assembler.poll_timeout()).min();
        next.map_or(IDLE, |next| next.saturating_sub(self.shared.now()).min(IDLE))
    }

    /// Gives each whole picture its time, and passes on requests.
    fn sort(&mut self) {
        while let Some(event) = self.assembler.poll_event() {
            match event {
                AssembleEvent::Unit(unit) => {
                    let due = self.playout.arrival(unit.timestamp, unit.arrived);
                    self.waiting.push_back((due, unit));
                }
                AssembleEvent::KeyFrameNeeded => {
                    self.asked += 1;
                    self.events.tell(PictureEvent::KeyFrameNeeded);
                }
            }
        }
    }

    fn show_due(&mut self) {
        loop {
            let now = self.shared.now();
            let crowded = self.waiting.len() > MAX_WAITING;
            if !self.waiting.front().is_some_and(|(due, _)| *due <= now || crowded) {
                return;
            }
            let Some((due, unit)) = self.waiting.pop_front() else { return };
            self.show(due, &unit);
        }
    }

    /// Decodes a picture and shows it. Every picture is decoded, late or not: the next ones build on it.
    fn show(&mut self, due: Duration, unit: &AccessUnit) {
        if self.key_needed && !unit.key {
            return;
        }
        match self.decode(unit) {
            Ok(Some(mut frame)) => {
                self.key_needed = false;
                self.record(due, unit);
                let since_first = unit.timestamp.saturating_sub(1 << 32);
                frame.at =
                    Duration::from_micros(since_first.saturating_mul(1000) / u64::from(VIDEO_CLOCK / 1000));
                self.shared.frame_shown(&frame, unit.codec, unit.timestamp);
                if !std::mem::replace(&mut self.any_shown, true) {
                    self.events.tell(PictureEvent::FirstRemoteFrame { at: self.shared.now() });
                }
                if let Some(sink) = &self.sink {
                    sink.write(frame.clone());
                }
                self.remote.put(frame);
            }
            Ok(None) => {}
            Err(error) => {
                log::debug!("remote picture: {error}");
                self.key_needed = true;
                self.assembler.handle_decode_error(self.shared.now());
            }
        }
    }

    /// Hands a picture in that was due at that time.
    fn record(&mut self, due: Duration, unit: &AccessUnit) {
        let since = unit.timestamp.saturating_sub(std::mem::replace(&mut self.last, unit.timestamp));
        self.places
            .advance(Duration::from_micros(since.saturating_mul(1_000) / u64::from(VIDEO_CLOCK / 1_000)));
        let at = self.places.place(due);
        if self.shared.tap.is_on() {
            let data = Bytes::copy_from_slice(&unit.data);
            self.shared.tap.put(TrackId::FriendPicture, unit.codec, &data, unit.key, at);
        }
    }

    fn decode(&mut self, unit: &AccessUnit) -> Result<Option<VideoFrame>, VideoError> {
        let kept = self.decoder.take().filter(|(codec, _)| *codec == unit.codec);
        let decoder = match kept {
            Some(decoder) => decoder,
            None => (unit.codec, video::decoder(unit.codec)?),
        };
        let (_, decoder) = self.decoder.insert(decoder);
        decoder.decode(&unit.data)
    }
}
