//! The jitter buffer for sound: packets go in as the network brings them, what to play comes out whenever
//! the speaker wants more. Pure: it is told the time, decodes nothing, and never sees a sample.
//!
//! ```text
//! insert(packet) -> [ ordered by timestamp, bounded ] -> pull(now, quiet) -> Playout
//!                         |
//!                   jitter/delay.rs: how late do packets come? -> target delay
//! ```
//! One number rules all: the *delay* of the frame that is due, measured from the quickest packet of the
//! last seconds. It is held between the target and half a frame above it:
//! - a packet that is not there when the buffer is empty may only be late: sound is invented and the delay
//!   grows by it. If it turns out to be lost, that much of the gap is skipped, and the delay is as before;
//! - packets that are missing while a later one is there are lost: restored from that later one's redundancy
//!   (FEC, DRED) as far as it reaches. After bursts the target makes room for more of them;
//! - too much delay is shortened, and too little lengthened, by a period of the voice at a time
//!   ([`crate::media::stretch`]), sooner in pauses. So are two sound cards kept together whose clocks drift.

mod delay;
pub(super) mod packet;

use crate::media::frame::{FRAME_SAMPLES, MediaPacket};
use bytes::Bytes;
use delay::{DelayWindow, micros, samples_to_micros};
use std::collections::BTreeMap;
use std::time::Duration;

/// Packets kept at the most: two seconds of 20 ms packets. More only comes from a broken sender.
const MAX_PACKETS: usize = 100;
/// A timestamp further than this (5 s at 48 kHz) from the newest one belongs to another stream.
const MAX_JUMP: i64 = 240_000;
/// Two packets within this (1 s) of each other beyond a jump are that other stream.
const SAME_STREAM: i64 = 48_000;
/// So many late packets in a row are not late: the sender's clock went back.
const LATE_IS_RESTART: u32 = 50;
/// Sound is invented for so many samples (1 s) at the most; then the stream has stopped.
const MAX_INVENTED: usize = 48_000;
/// Microseconds of one frame.
const FRAME: i64 = 20_000;
/// Delay above the target that is let be: what a cut in a pause takes out, and the phase of the pulls may cost
/// where a device asks for 10 ms at a time.
const EXCESS: i64 = 10_000;
/// Excess that is cut off at once: there was a stall, and what it piled up is stale.
const STALE: i64 = 150_000;
/// How short of the target the delay may fall by skipping what was lost.
const SHORT: i64 = 5_000;
/// Pulls (of 20 ms) that the least excess, or want, must last before the sound is stretched: in a pause, and
/// in speech. The more there is of it, the fewer.
const PATIENCE_QUIET: i64 = 5;
const PATIENCE_SPEECH: i64 = 100;
/// From one stretch to the next in speech, pulls.
const REST: u32 = 10;

/// What to do for the next stretch of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout {
    /// Nothing has come yet, or nothing comes any more: 20 ms of silence.
    Silence,
    /// Decode this packet and play all of it.
    Decode(Bytes),
    /// Decode this packet, and shorten or lengthen it by a period, if that is not heard.
    Stretch(Bytes, Stretch),
    /// A packet is lost: restore its sound from what a later one carries, which comes itself in its turn.
    Recover {
        /// The packet that carries the redundancy.
        from: Bytes,
        /// How long before the beginning of `from` the missing sound begins, samples.
        ahead: usize,
        /// How much is missing, samples.
        samples: usize,
    },
    /// Nothing is there: invent.
    Conceal {
        /// How much, samples.
        samples: usize,
    },
}

/// Which way the delay goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// It is too long.
    Shorten,
    /// It is too short.
    Lengthen,
}

/// What the buffer has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken in.
    pub packets: u64,
    /// Packets that were not there when they were due.
    pub lost: u64,
    /// Packets that came when their time was over.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that were no Opus, too many, or alone on a strange timestamp.
    pub refused: u64,
    /// Times the stream began anew.
    pub restarts: u64,
    /// Sound invented for lack of packets.
    pub concealed: Duration,
    /// Silence after that, while nothing came.
    pub silent: Duration,
    /// Sound restored from redundancy (FEC or DRED).
    pub recovered: Duration,
    /// Sound cut out to shorten the delay.
    pub shortened: Duration,
    /// Sound put in to lengthen it.
    pub lengthened: Duration,
    /// Mean time between a packet's arrival and its playout, lately.
    pub delay: Duration,
    /// The delay that is aimed at.
    pub target: Duration,
}

#[derive(Debug)]
struct Slot {
    payload: Bytes,
    sequence: u16,
    samples: i64,
    arrived: i64,
    /// How many samples before this packet its redundancy begins.
    reach: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    /// By unwrapped timestamp.
    slots: BTreeMap<i64, Slot>,
    /// The newest timestamp, unwrapped.
    newest: Option<i64>,
    /// A packet beyond a jump, waiting for a second one.
    suspect: Option<MediaPacket>,
    /// The timestamp that is due; `None` while not playing.
    cursor: Option<i64>,
    last_sequence: Option<u16>,
    /// The timestamp played last.
    played: Option<i64>,
    window: DelayWindow,
    late_in_a_row: u32,
    /// Samples invented since the last packet was played.
    invented: usize,
    /// Pulls in a row with too much delay, and with too little.
    excess_for: i64,
    want_for: i64,
    /// Pulls since the last stretch.
    rested: u32,
    stats: JitterStats,
    /// Moving mean of the wait, microseconds.
    wait: Option<i64>,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a packet, in whatever order and however often it came. `reach`: how many samples before it
    /// its redundancy begins, 0 where it carries none. Memory is bounded.
    pub fn insert(&mut self, packet: MediaPacket, reach: usize) {
        let Some(samples) = packet::duration(&packet.payload) else {
            self.stats.refused += 1;
            return;
        };
        let Some(timestamp) = self.unwrap(packet.timestamp) else {
            self.beyond_jump(packet, reach);
            return;
        };
        self.stats.packets += 1;
        self.suspect = None;
        self.newest = Some(self.newest.map_or(timestamp, |newest| newest.max(timestamp)));
        let arrived = micros(packet.arrived);
        self.window.arrival(arrived, timestamp);
        if self.cursor.is_some_and(|cursor| timestamp < cursor) {
            self.late(&packet, reach);
            return;
        }
        self.late_in_a_row = 0;
        if self.slots.contains_key(&timestamp) {
            self.stats.duplicates += 1;
            return;
        }
        let (samples, reach) = (samples as i64, reach as i64);
        let slot = Slot { payload: packet.payload, sequence: packet.sequence, samples, arrived, reach };
        self.slots.insert(timestamp, slot);
        if self.slots.len() > MAX_PACKETS {
            self.slots.pop_first();
            self.stats.refused += 1;
        }
    }

    /// Another stream begins (a new SSRC): what was learnt about the old one is forgotten, counters go on.
    pub fn restart(&mut self) {
        *self = Self { stats: self.stats, ..Self::default() };
        self.stats.restarts += 1;
    }

    /// What to play next. To be called when the previous answer's samples are about to run out, at `now` on
    /// the clock of the packets' arrival. `quiet`: what was played last was a pause, where a cut or a
    /// stretch is not heard.
    pub fn pull(&mut self, now: Duration, quiet: bool) -> Playout {
        let now = micros(now);
        let target = self.window.target();
        self.stats.target = Duration::from_micros(target.unsigned_abs());
        if self.cursor.is_none() {
            self.cursor = self.latest_due(now, target);
        }
        let Some(cursor) = self.cursor else { return self.silence() };
        let delay = self.window.delay(now, cursor);
        if delay > target + STALE {
            self.skip_stale(now, target);
        }
        let cursor = self.cursor.unwrap_or(cursor);
        let delay = self.window.delay(now, cursor);
        match self.slots.first_key_value() {
            None => self.starve(),
            Some((first, _)) if *first <= cursor => self.play_due(now, delay - target, quiet),
            Some((first, slot)) => {
                let missing = *first - cursor;
                if delay + FRAME / 2 <= self.window.patience() {
                    return self.conceal(FRAME_SAMPLES);
                }
                let (carrier, reach) = (slot.payload.clone(), slot.reach);
                self.window.lost(*first, missing, reach);
                self.bridge(now, quiet, missing, carrier, reach)
            }
        }
    }

    /// `missing` samples before `carrier` are lost. What was invented while nothing came took the time of the
    /// first of them; the others are restored as far as the redundancy reaches.
    fn bridge(&mut self, now: i64, quiet: bool, missing: i64, carrier: Bytes, reach: i64) -> Playout {
        let cursor = self.cursor.unwrap_or_default();
        let excess = self.window.delay(now, cursor) - self.window.target();
        let frames = (excess + SHORT).max(0) / FRAME;
        let skipped = (frames * FRAME_SAMPLES as i64).min(missing);
        let missing = missing - skipped;
        self.cursor = Some(cursor + skipped);
        if missing == 0 {
            return self.play_due(now, excess - samples_to_micros(skipped), quiet);
        }
        let step = match missing % FRAME_SAMPLES as i64 {
            0 => FRAME_SAMPLES as i64,
            odd => odd,
        };
        self.cursor = Some(cursor + skipped + step);
        if reach < missing - step + 1 {
            return self.conceal(step as usize);
        }
        self.stats.recovered += Duration::from_micros(samples_to_micros(step).unsigned_abs());
        Playout::Recover { from: carrier, ahead: missing as usize, samples: step as usize }
    }

    /// Packets that wait to be played.
    pub fn waiting(&self) -> usize {
        self.slots.len()
    }

    /// The timestamp of the packet that was given out last, without its wrap.
    pub fn played(&self) -> Option<i64> {
        self.played
    }

    /// Counters, and the delay of late.
    pub fn stats(&self) -> JitterStats {
        let delay = Duration::from_micros(self.wait.unwrap_or(0).unsigned_abs());
        JitterStats { delay, ..self.stats }
    }

    /// The packet at the cursor is there: plays it, stretched if the delay has been off for long enough.
    fn play_due(&mut self, now: i64, excess: i64, quiet: bool) -> Playout {
        self.excess_for = if excess > EXCESS { self.excess_for + 1 } else { 0 };
        self.want_for = if excess < -SHORT { self.want_for + 1 } else { 0 };
        self.rested = self.rested.saturating_add(1);
        let Some((timestamp, slot)) = self.slots.pop_first() else { return self.starve() };
        let payload = self.book(now, timestamp, &slot);
        let (patience, rest) = if quiet { (PATIENCE_QUIET, 1) } else { (PATIENCE_SPEECH, REST) };
        if self.rested < rest {
            return Playout::Decode(payload);
        }
        let stretch = if self.excess_for * excess >= patience * EXCESS {
            Stretch::Shorten
        } else if self.want_for * -excess >= patience * SHORT {
            Stretch::Lengthen
        } else {
            return Playout::Decode(payload);
        };
        self.rested = 0;
        Playout::Stretch(payload, stretch)
    }

    /// Books a packet as played and moves the cursor behind it.
    fn book(&mut self, now: i64, timestamp: i64, slot: &Slot) -> Bytes {
        if let Some(last) = self.last_sequence {
            let gap = slot.sequence.wrapping_sub(last).wrapping_sub(1);
            if (1..1000).contains(&gap) {
                self.stats.lost += u64::from(gap);
            }
        }
        self.last_sequence = Some(slot.sequence);
        self.played = Some(timestamp);
        self.cursor = Some(timestamp + slot.samples);
        self.invented = 0;
        let wait = (now - slot.arrived).max(0);
        self.wait = Some(self.wait.map_or(wait, |mean| mean + (wait - mean) / 16));
        slot.payload.clone()
    }

    /// The buffer is empty: the cursor stays, for what is due may still come.
    fn starve(&mut self) -> Playout {
        if self.invented >= MAX_INVENTED {
            self.cursor = None;
            self.last_sequence = None;
            return self.silence();
        }
        self.conceal(FRAME_SAMPLES)
    }

    /// Nothing has come yet, or nothing for so long that nothing more is invented.
    fn silence(&mut self) -> Playout {
        if self.played.is_some() {
            self.stats.silent += Duration::from_micros(FRAME.unsigned_abs());
        }
        Playout::Silence
    }

    fn conceal(&mut self, samples: usize) -> Playout {
        self.invented += samples;
        self.stats.concealed += Duration::from_micros(samples_to_micros(samples as i64).unsigned_abs());
        Playout::Conceal { samples }
    }

    /// The latest packet whose delay has reached the target: where to begin.
    fn latest_due(&self, now: i64, target: i64) -> Option<i64> {
        let due = self.slots.keys().rev().find(|timestamp| self.window.delay(now, **timestamp) >= target);
        due.copied()
    }

    /// Drops what a stall has piled up.
    fn skip_stale(&mut self, now: i64, target: i64) {
        let Some(fresh) = self.latest_due(now, target) else { return };
        let kept = self.slots.split_off(&fresh);
        let stale = std::mem::replace(&mut self.slots, kept);
        let samples: i64 = stale.values().map(|slot| slot.samples).sum();
        self.stats.shortened += Duration::from_micros(samples_to_micros(samples).unsigned_abs());
        // What was dropped on purpose was not lost.
        self.last_sequence = stale.values().next_back().map(|slot| slot.sequence).or(self.last_sequence);
        self.cursor = Some(fresh);
    }

    fn late(&mut self, packet: &MediaPacket, reach: usize) {
        self.stats.late += 1;
        self.late_in_a_row += 1;
        if self.late_in_a_row >= LATE_IS_RESTART {
            self.restart();
            self.insert(packet.clone(), reach);
        }
    }

    /// A packet far away in time: two that agree are a new stream, a single one is an accident.
    fn beyond_jump(&mut self, packet: MediaPacket, reach: usize) {
        let Some(first) = self.suspect.take() else {
            self.suspect = Some(packet);
            return;
        };
        if i64::from(packet.timestamp.wrapping_sub(first.timestamp) as i32).abs() > SAME_STREAM {
            self.stats.refused += 1;
            self.suspect = Some(packet);
            return;
        }
        self.restart();
        // What the first carried is not asked for: nothing was played before it.
        self.insert(first, 0);
        self.insert(packet, reach);
    }

    /// RFC 3550 §5.1: timestamps wrap. `None` beyond a jump.
    fn unwrap(&self, timestamp: u32) -> Option<i64> {
        let Some(newest) = self.newest else { return Some(i64::from(timestamp)) };
        let step = i64::from(timestamp.wrapping_sub(newest as u32) as i32);
        (step.abs() <= MAX_JUMP).then_some(newest + step)
    }
}

#[cfg(test)]
mod tests;
