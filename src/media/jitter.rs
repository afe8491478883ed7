//! The jitter buffer for sound: packets go in as the network brings them, what to play comes out whenever
//! the speaker wants more. Pure: it is told the time, decodes nothing, and never sees a sample.
//!
//! ```text
//! insert(packet) -> [ ordered by timestamp, bounded ] -> pull(now, quiet) -> Playout
//!                         |
//!                   jitter/delay.rs: how late do packets come? -> target delay
//! ```
//! One number rules all: the *delay* of the frame that is due, measured from the quickest packet of the
//! last seconds. It is held between the target and a little more than a frame above it:
//! - a packet that is not there when the buffer is empty may only be late: sound is invented and the delay
//!   grows by it. If it turns out to be lost, the next packet takes its place and the delay is as before;
//! - a packet that is missing while a later one is there is lost: restored from that later one's FEC;
//! - too much delay is shortened by merging two frames into the time of one, in pauses if there are any;
//! - too little is lengthened in pauses, by invented (that is: faded) sound.

mod delay;
mod packet;

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
/// Delay above the target that is let be: a frame, which the phase of the pulls may cost, and a little.
const EXCESS: i64 = FRAME + 5_000;
/// Excess that is cut off at once: there was a stall, and what it piled up is stale.
const STALE: i64 = 150_000;
/// How short of the target the delay may fall by skipping what was lost.
const SHORT: i64 = 5_000;
/// Pulls (of 20 ms) that the least excess must last before two frames are merged: in a pause, and in speech.
/// The more excess there is, the fewer.
const PATIENCE_QUIET: i64 = 10;
const PATIENCE_SPEECH: i64 = 25;

/// What to do for the next stretch of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout {
    /// Nothing has come yet, or nothing comes any more: 20 ms of silence.
    Silence,
    /// Decode this packet and play all of it.
    Decode(Bytes),
    /// Decode both, and cross-fade them into the time of one: the delay is too long.
    Merge(Bytes, Bytes),
    /// The packet before `next` is lost: restore it from `next`, which comes itself at the next pull.
    Recover {
        /// The packet that carries the redundancy.
        next: Bytes,
        /// What is missing, samples.
        samples: usize,
    },
    /// Nothing is there: invent.
    Conceal {
        /// How much, samples.
        samples: usize,
    },
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
    /// Sound restored from FEC.
    pub recovered: Duration,
    /// Sound cut out to shorten the delay.
    pub shortened: Duration,
    /// Sound put in to lengthen it, in pauses.
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
    window: DelayWindow,
    late_in_a_row: u32,
    /// Samples invented since the last packet was played.
    invented: usize,
    /// Pulls in a row with too much delay.
    excess_for: i64,
    stats: JitterStats,
    /// Moving mean of the wait, microseconds.
    wait: Option<i64>,
}

impl JitterBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a packet, in whatever order and however often it came. Memory is bounded.
    pub fn insert(&mut self, packet: MediaPacket) {
        let Some(samples) = packet::duration(&packet.payload) else {
            self.stats.refused += 1;
            return;
        };
        let Some(timestamp) = self.unwrap(packet.timestamp) else {
            self.beyond_jump(packet);
            return;
        };
        self.stats.packets += 1;
        self.suspect = None;
        self.newest = Some(self.newest.map_or(timestamp, |newest| newest.max(timestamp)));
        let arrived = micros(packet.arrived);
        self.window.arrival(arrived, timestamp);
        if self.cursor.is_some_and(|cursor| timestamp < cursor) {
            self.late(&packet);
            return;
        }
        self.late_in_a_row = 0;
        if self.slots.contains_key(&timestamp) {
            self.stats.duplicates += 1;
            return;
        }
        let slot =
            Slot { payload: packet.payload, sequence: packet.sequence, samples: samples as i64, arrived };
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
        let Some(cursor) = self.cursor else { return Playout::Silence };
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
                let (first, next, missing) = (*first, slot.payload.clone(), *first - cursor);
                let after_skip = delay - samples_to_micros(missing) - target;
                if after_skip >= -SHORT {
                    self.cursor = Some(first);
                    self.play_due(now, after_skip, quiet)
                } else if delay + FRAME / 2 <= target {
                    self.conceal(FRAME_SAMPLES)
                } else {
                    self.pass_over(missing, next)
                }
            }
        }
    }

    /// Counters, and the delay of late.
    pub fn stats(&self) -> JitterStats {
        let delay = Duration::from_micros(self.wait.unwrap_or(0).unsigned_abs());
        JitterStats { delay, ..self.stats }
    }

    /// The packet at the cursor is there: plays it, merges it with the next, or waits a frame in a pause.
    fn play_due(&mut self, now: i64, excess: i64, quiet: bool) -> Playout {
        self.excess_for = if excess > EXCESS { self.excess_for + 1 } else { 0 };
        if quiet && excess < -FRAME / 2 {
            self.stats.lengthened += Duration::from_micros(FRAME as u64);
            return Playout::Conceal { samples: FRAME_SAMPLES };
        }
        let Some((timestamp, slot)) = self.slots.pop_first() else { return self.starve() };
        let payload = self.played(now, timestamp, &slot);
        let patience = if quiet { PATIENCE_QUIET } else { PATIENCE_SPEECH };
        if self.excess_for * excess < patience * EXCESS {
            return Playout::Decode(payload);
        }
        let follows = self.slots.first_key_value().is_some_and(|(next, next_slot)| {
            *next == timestamp + slot.samples && next_slot.samples == slot.samples
        });
        match follows.then(|| self.slots.pop_first()).flatten() {
            Some((timestamp, next)) => {
                self.excess_for = 0;
                self.stats.shortened += Duration::from_micros(samples_to_micros(next.samples).unsigned_abs());
                Playout::Merge(payload, self.played(now, timestamp, &next))
            }
            None => Playout::Decode(payload),
        }
    }

    /// Books a packet as played and moves the cursor behind it.
    fn played(&mut self, now: i64, timestamp: i64, slot: &Slot) -> Bytes {
        if let Some(last) = self.last_sequence {
            let gap = slot.sequence.wrapping_sub(last).wrapping_sub(1);
            if (1..1000).contains(&gap) {
                self.stats.lost += u64::from(gap);
            }
        }
        self.last_sequence = Some(slot.sequence);
        self.cursor = Some(timestamp + slot.samples);
        self.invented = 0;
        let wait = (now - slot.arrived).max(0);
        self.wait = Some(self.wait.map_or(wait, |mean| mean + (wait - mean) / 16));
        slot.payload.clone()
    }

    /// `missing` samples before `next` are lost: restores what FEC reaches, invents the rest.
    fn pass_over(&mut self, missing: i64, next: Bytes) -> Playout {
        let step = missing.min(FRAME_SAMPLES as i64);
        self.cursor = self.cursor.map(|cursor| cursor + step);
        if missing > step {
            return self.conceal(step as usize);
        }
        self.stats.recovered += Duration::from_micros(samples_to_micros(step).unsigned_abs());
        Playout::Recover { next, samples: step as usize }
    }

    /// The buffer is empty: the cursor stays, for what is due may still come.
    fn starve(&mut self) -> Playout {
        if self.invented >= MAX_INVENTED {
            self.cursor = None;
            self.last_sequence = None;
            return Playout::Silence;
        }
        self.conceal(FRAME_SAMPLES)
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

    fn late(&mut self, packet: &MediaPacket) {
        self.stats.late += 1;
        self.late_in_a_row += 1;
        if self.late_in_a_row >= LATE_IS_RESTART {
            self.restart();
            self.insert(packet.clone());
        }
    }

    /// A packet far away in time: two that agree are a new stream, a single one is an accident.
    fn beyond_jump(&mut self, packet: MediaPacket) {
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
        self.insert(first);
        self.insert(packet);
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
