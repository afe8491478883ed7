//! RTP packets into coded pictures, in order. PURE: it is told the time, and asks to be told again.
//!
//! ```text
//! handle_packet(now, packet) --> window of packets in order --> whole pictures --> poll_event()
//! handle_timeout(now) ----------^ gives up what is missing       | lost one: drop until the next key frame
//! poll_timeout() says when       after `wait`                    +--> KeyFrameNeeded, again and again, slowly
//! ```
//! A gap is waited for as long as a retransmission may take, but never longer than the next whole key frame
//! behind it. Memory is bounded, whatever arrives. It does not know codecs beyond their payload formats.

pub mod payload;
pub mod playout;

use super::frame::{Codec, MediaPacket};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// The most packets held back: some seconds of video.
const MAX_PACKETS: usize = 2048;
/// The most payload held back.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Pictures ready and not yet taken; more are a reader that stopped.
const MAX_READY: usize = 256;
/// A key frame is not asked for again sooner than this.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// What is missing is given so long, for packets that only changed places, though a whole key frame is there.
const KEY_PATIENCE: Duration = Duration::from_millis(20);
/// How many beginnings of key frames are looked at: more is a sender that plays tricks.
const MAX_KEYS: usize = 8;
/// RFC 3550 Appendix A.1: a packet this far behind is old, or the sender started anew.
const MAX_MISORDER: i64 = 1000;

/// A coded picture, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// What codes it.
    pub codec: Codec,
    /// H.264: Annex B. VP8: the frame.
    pub data: Vec<u8>,
    /// Whether decoding can start here.
    pub key: bool,
    /// The RTP timestamp without its wrap, 90 kHz.
    pub timestamp: u64,
    /// When its last packet arrived.
    pub arrived: Duration,
}

/// What the packets amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssembleEvent {
    /// The next picture.
    Unit(AccessUnit),
    /// A picture is lost: ask the sender for a key frame.
    KeyFrameNeeded,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AssembleStats {
    /// Packets that came twice, or too late.
    pub late: u64,
    /// Packets that never came in time.
    pub missing: u64,
    /// Whole pictures handed out.
    pub units: u64,
    /// Pictures left out: incomplete, malformed, or waiting for a key frame.
    pub dropped: u64,
}

/// A packet in the window.
#[derive(Debug)]
struct Held {
    packet: MediaPacket,
    timestamp: u64,
    starts: bool,
    starts_key: bool,
}

/// Puts pictures together.
#[derive(Debug)]
pub struct Assembler {
    wait: Duration,
    held: BTreeMap<i64, Held>,
    bytes: usize,
    /// The packet that comes next, on the axis without wraps; `None` before the first.
    next: Option<i64>,
    /// Whether any packet was used; until then earlier ones may still come.
    used: bool,
    highest: i64,
    timestamp: Option<u64>,
    /// A far jump backwards was seen once: where the stream goes on if it is a new start.
    restart: Option<u16>,
    /// What comes next may be the rest of a picture whose head is lost.
    torn: bool,
    /// Nothing can be decoded until a key frame.
    broken: bool,
    key_asked: Option<Duration>,
    events: VecDeque<AssembleEvent>,
    stats: AssembleStats,
}

impl Assembler {
    /// `wait`: how long a missing packet is waited for.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait,
            held: BTreeMap::new(),
            bytes: 0,
            next: None,
            used: false,
            highest: 0,
            timestamp: None,
            restart: None,
            torn: true,
            broken: true,
            key_asked: None,
            events: VecDeque::new(),
            stats: AssembleStats::default(),
        }
    }

    /// How long a missing packet is waited for, from now on: the time a retransmission takes.
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait;
    }

    /// Counters since the start.
    pub fn stats(&self) -> AssembleStats {
        self.stats
    }

    /// The decoder lost its way: nothing but a key frame helps.
    pub fn handle_decode_error(&mut self, now: Duration) {
        self.broken = true;
        self.ask(now);
    }

    /// A packet arrived. One without payload only fills its place in the sequence.
    pub fn handle_packet(&mut self, now: Duration, packet: MediaPacket) {
        let Some(index) = self.place(packet.sequence) else { return };
        let timestamp = self.unwrap_timestamp(packet.timestamp);
        let starts = payload::starts_picture(packet.codec, &packet.payload);
        let starts_key = payload::starts_key_picture(packet.codec, &packet.payload);
        self.bytes += packet.payload.len();
        self.held.insert(index, Held { packet, timestamp, starts, starts_key });
        self.advance(now);
        if self.held.len() > MAX_PACKETS || self.bytes > MAX_BYTES {
            self.give_up(now);
        }
        self.ask_again(now);
    }

    /// Time went by.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        self.ask_again(now);
    }

    /// The next thing to do, in order.
    pub fn poll_event(&mut self) -> Option<AssembleEvent> {
        self.events.pop_front()
    }

    /// When `handle_timeout` has something to do.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let patience =
            if self.whole_key_picture().is_some() { KEY_PATIENCE.min(self.wait) } else { self.wait };
        let gap = self.gap_since().map(|since| since + patience);
        let asked = self.key_asked.filter(|_| self.broken).map(|asked| asked + KEY_FRAME_INTERVAL);
        gap.into_iter().chain(asked).min()
    }

    /// Where a sequence number stands on the axis without wraps; `None` for a packet to leave out.
    fn place(&mut self, sequence: u16) -> Option<i64> {
        let Some(next) = self.next else {
            self.highest = i64::from(sequence);
            self.next = Some(self.highest);
            return self.next;
        };
        let step = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        let index = self.highest + step;
        if index < next {
            let early = !self.used && next - index < 64;
            if early {
                self.next = Some(index);
                return Some(index);
            }
            self.stats.late += 1;
            return (step < -MAX_MISORDER).then(|| self.restarted(sequence)).flatten();
        }
        if self.held.contains_key(&index) {
            self.stats.late += 1;
            return None;
        }
        self.restart = None;
        self.highest = self.highest.max(index);
        Some(index)
    }

    /// RFC 3550 Appendix A.1: two packets in a row far behind are a sender that started anew.
    fn restarted(&mut self, sequence: u16) -> Option<i64> {
        if self.restart.replace(sequence.wrapping_add(1)) != Some(sequence) {
            return None;
        }
        self.restart = None;
        self.held.clear();
        self.bytes = 0;
        self.torn = true;
        self.broken = true;
        self.used = false;
        self.timestamp = None;
        self.highest = i64::from(sequence);
        self.next = Some(self.highest);
        self.next
    }

    /// RTP timestamps without their wrap; starts at 2^32, so that earlier ones stay positive.
    fn unwrap_timestamp(&mut self, timestamp: u32) -> u64 {
        let unwrapped = match self.timestamp {
            None => (1 << 32) + u64::from(timestamp),
            Some(last) => {
                let step = i64::from(timestamp.wrapping_sub(last as u32) as i32);
                last.saturating_add_signed(step)
            }
        };
        self.timestamp = Some(unwrapped);
        unwrapped
    }

    /// Takes all that is whole, and gives up gaps that were waited for long enough.
    fn advance(&mut self, now: Duration) {
        loop {
            if self.take_picture(now) {
                continue;
            }
            let Some(since) = self.gap_since() else { return };
            let patience = if self.broken { Duration::ZERO } else { KEY_PATIENCE.min(self.wait) };
            let key = self.whole_key_picture().filter(|_| now >= since + patience);
            if let Some(key) = key {
                self.skip_to(key);
            } else if now >= since + self.wait {
                self.give_up(now);
            } else {
                return;
            }
        }
    }

    /// When the packet behind the gap arrived; `None` when nothing is missing.
    fn gap_since(&self) -> Option<Duration> {
        let behind = (self.next?..).zip(&self.held).find(|(expected, (index, _))| expected != *index);
        behind.map(|(_, (_, held))| held.packet.arrived)
    }

    /// The end (exclusive) of the picture that begins at `from`, if all of it is there.
    fn picture_end(&self, from: i64) -> Option<i64> {
        let mut expected = from;
        let mut timestamp = None;
        for (&index, held) in self.held.range(from..) {
            if index != expected {
                return None;
            }
            if timestamp.is_some_and(|timestamp| timestamp != held.timestamp) {
                return Some(index);
            }
            expected += 1;
            if !held.packet.payload.is_empty() {
                timestamp = Some(held.timestamp);
            }
            if held.packet.marker {
                return Some(expected);
            }
        }
        None
    }

    /// Takes the picture at the front, if it is whole.
    fn take_picture(&mut self, now: Duration) -> bool {
        let Some(from) = self.next else { return false };
        if self.held.get(&from).is_some_and(|held| held.packet.payload.is_empty() && !held.packet.marker) {
            self.drop_until(from + 1);
            return true;
        }
        let Some(end) = self.picture_end(from) else { return false };
        let later = self.held.split_off(&end);
        let packets: Vec<Held> = std::mem::replace(&mut self.held, later).into_values().collect();
        self.bytes = self.bytes.saturating_sub(packets.iter().map(|held| held.packet.payload.len()).sum());
        self.next = Some(end);
        self.used = true;
        self.finish(&packets, now);
        true
    }

    /// A picture's packets become a unit, or are left out.
    fn finish(&mut self, packets: &[Held], now: Duration) {
        let mut parts = packets.iter().filter(|held| !held.packet.payload.is_empty());
        let Some(first) = parts.next() else { return };
        let codec = first.packet.codec;
        let payloads =
            std::iter::once(first).chain(parts).map(|held| (held.packet.codec, &*held.packet.payload));
        let picture = payload::assemble(codec, payloads);
        let whole = !std::mem::take(&mut self.torn) || first.starts;
        let usable = picture.filter(|picture| whole && (picture.key || !self.broken));
        let Some(picture) = usable else {
            self.stats.dropped += 1;
            self.broken = true;
            self.ask(now);
            return;
        };
        self.broken = false;
        self.stats.units += 1;
        if self.events.len() >= MAX_READY {
            self.events.clear();
            self.broken = true;
            return;
        }
        self.events.push_back(AssembleEvent::Unit(AccessUnit {
            codec,
            data: picture.data,
            key: picture.key,
            timestamp: first.timestamp,
            arrived: packets.iter().map(|held| held.packet.arrived).max().unwrap_or(now),
        }));
    }

    /// The first whole key picture behind the gap.
    fn whole_key_picture(&self) -> Option<i64> {
        let next = self.next?;
        let starts = self.held.iter().filter(|&(&index, held)| index > next && held.starts_key);
        starts.map(|(&index, _)| index).take(MAX_KEYS).find(|&index| self.picture_end(index).is_some())
    }

    /// Goes on behind the first gap: what it tore is lost.
    fn give_up(&mut self, now: Duration) {
        let Some(next) = self.next else { return };
        let mut expected = next;
        let behind = self.held.keys().copied().find(|&index| {
            let gap = index != expected;
            expected = index + 1;
            gap
        });
        match behind {
            Some(behind) => self.skip_to(behind),
            // One endless picture without a gap: nothing of it is kept.
            None => self.skip_to(expected),
        }
        self.ask(now);
    }

    /// Leaves out everything before `index`, there or missing.
    fn skip_to(&mut self, index: i64) {
        let all = index - self.next.unwrap_or(index);
        let before = self.held.len();
        self.drop_until(index);
        let held = (before - self.held.len()) as i64;
        self.stats.dropped += 1;
        self.stats.missing += u64::try_from(all - held).unwrap_or(0);
        self.used = true;
        self.broken = true;
        self.torn = true;
    }

    fn drop_until(&mut self, index: i64) {
        let later = self.held.split_off(&index);
        let gone = std::mem::replace(&mut self.held, later);
        self.bytes = self.bytes.saturating_sub(gone.values().map(|held| held.packet.payload.len()).sum());
        self.next = Some(index);
    }

    /// Asks for a key frame, unless that was done a moment ago.
    fn ask(&mut self, now: Duration) {
        if self.key_asked.is_none_or(|asked| now >= asked + KEY_FRAME_INTERVAL) {
            self.key_asked = Some(now);
            self.events.push_back(AssembleEvent::KeyFrameNeeded);
        }
    }

    /// The last request may be lost too.
    fn ask_again(&mut self, now: Duration) {
        if self.broken && self.key_asked.is_some_and(|asked| now >= asked + KEY_FRAME_INTERVAL) {
            self.ask(now);
        }
    }
}

#[cfg(test)]
mod tests;
