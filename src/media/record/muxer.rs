//! PURE: a call's recording: coded frames of four tracks in, the bytes of a Matroska file out. It is told the time.
//!
//! ```text
//! put(frame) -> [ held until all that belongs before it has come ] -> poll(now) -> bytes to append, places to fill in
//!                 the head waits for the first key picture of whoever sends pictures
//! ```
//! Nothing is coded anew. A picture is left out until a key picture comes where one before it is missing. What was not
//! foreseen in the head, a picture that begins later or in another codec, needs another file ([`Taken::NextPart`]).

use super::avc;
use super::matroska::{Block, Coding, Head, Patch, Track, cluster};
use crate::media::frame::Codec;
use bytes::Bytes;
use std::time::Duration;

/// The head is written without the pictures that have not begun by then: a camera may take seconds to open.
const HEAD_PATIENCE: u64 = 4_000;
/// Frames come from four threads, and are sorted as long as they come no later than this, ms.
const HOLD: u64 = 300;
/// What a Cluster spans, ms: with `HOLD`, what a crash may cost.
const CLUSTER: u64 = 500;
/// A Cluster's blocks count from its beginning by 16 bits.
const LONGEST_CLUSTER: u64 = 30_000;
/// Places in the index; one more costs a player little, and an endless call has an end.
const MAX_CUES: usize = 20_000;

/// Which of a recording's tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrackId {
    /// The friend's picture.
    FriendPicture,
    /// The friend's sound.
    FriendSound,
    /// Own picture.
    OwnPicture,
    /// Own sound.
    OwnSound,
}

/// All of them, in the file's order: players show the first.
const ALL: [TrackId; 4] =
    [TrackId::FriendPicture, TrackId::FriendSound, TrackId::OwnPicture, TrackId::OwnSound];

impl TrackId {
    fn is_picture(self) -> bool {
        matches!(self, Self::FriendPicture | Self::OwnPicture)
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// A coded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedFrame {
    /// Which track.
    pub track: TrackId,
    /// What codes it.
    pub codec: Codec,
    /// The bytes; H.264: Annex B.
    pub data: Bytes,
    /// Whether decoding can start here.
    pub key: bool,
    /// When it was taken (own ones), played or shown (the friend's), on the call's clock.
    pub at: Duration,
    /// Frames of this track were lost just before it.
    pub torn: bool,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is in the file, or will be, or is not missed.
    Kept,
    /// It is of no use; a key picture of this track would be.
    KeyWanted,
    /// It needs another file, and so does all that comes after it.
    NextPart(CodedFrame),
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// At the end of the file.
    pub append: Vec<u8>,
    /// Over what is there.
    pub patches: Vec<Patch>,
}

/// What is known before a recording begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// The friend's name and the own one.
    pub names: [String; 2],
    /// Whether the friend's picture and the own one are waited for.
    pub pictures: [bool; 2],
    /// When it begins, on the call's clock.
    pub start: Duration,
    /// And in seconds since 1970.
    pub unix: u64,
}

/// One track's state.
#[derive(Debug, Default)]
struct TrackState {
    /// How it is declared, once that is known.
    coding: Option<Coding>,
    /// The time of its last frame, ms.
    last: Option<u64>,
    /// Nothing can be decoded until a key picture.
    torn: bool,
    /// Nothing more is taken.
    closed: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Muxer {
    setting: Setting,
    tracks: [TrackState; 4],
    head: Option<Head>,
    held: Vec<Block>,
    /// The latest time seen, ms.
    now: u64,
    /// Up to which time everything is written, ms.
    flushed: u64,
    /// Bytes written.
    length: u64,
    /// Time, track and place of what a player can jump to.
    cues: Vec<(u64, u8, u64)>,
}

impl Muxer {
    /// An empty one.
    pub fn new(setting: Setting) -> Self {
        let mut tracks: [TrackState; 4] = Default::default();
        for (state, track) in tracks.iter_mut().zip(ALL) {
            state.torn = track.is_picture();
        }
        Self {
            setting,
            tracks,
            head: None,
            held: Vec::new(),
            now: 0,
            flushed: 0,
            length: 0,
            cues: Vec::new(),
        }
    }

    /// The same for what comes after the time `start`.
    #[must_use]
    pub fn next(&self, start: Duration, unix: u64) -> Self {
        let begun = |track: TrackId| self.tracks.get(track.index()).is_some_and(|state| state.last.is_some());
        let pictures = [begun(TrackId::FriendPicture), begun(TrackId::OwnPicture)];
        Self::new(Setting { pictures, start, unix, ..self.setting.clone() })
    }

    /// Takes a frame in.
    pub fn put(&mut self, frame: CodedFrame) -> Taken {
        // Sound from before belongs to nothing; a picture from before is still to be seen.
        if !frame.track.is_picture() && frame.at < self.setting.start {
            return Taken::Kept;
        }
        let headed = self.head.is_some();
        let ms = self.since_start(frame.at);
        let Some(state) = self.tracks.get_mut(frame.track.index()) else { return Taken::Kept };
        if state.closed {
            return Taken::Kept;
        }
        if frame.track.is_picture() {
            state.torn |= frame.torn;
            if state.torn && !frame.key {
                return Taken::KeyWanted;
            }
            let coding = if frame.key { picture_coding(&frame) } else { state.coding.clone() };
            let Some(coding) = coding else { return Taken::KeyWanted };
            match &state.coding {
                Some(known) if std::mem::discriminant(known) != std::mem::discriminant(&coding) => {
                    return Taken::NextPart(frame);
                }
                Some(_) => {}
                None if headed => return Taken::NextPart(frame),
                None => state.coding = Some(coding),
            }
            state.torn = false;
        } else if state.coding.is_none() && !headed {
            // RFC 6716 §3.1: a bit of the first byte says stereo.
            let stereo = frame.data.first().is_some_and(|toc| toc & 4 != 0);
            state.coding = Some(Coding::Opus { channels: if stereo { 2 } else { 1 } });
        }
        // Two frames at one time, or one before another, is what no player expects.
        let ms = state.last.map_or(ms, |last| ms.max(last + 1));
        state.last = Some(ms);
        self.now = self.now.max(ms);
        let data = match frame.codec {
            Codec::H264 => avc::with_lengths(&frame.data).into(),
            Codec::Opus | Codec::Vp8 => frame.data,
        };
        let key = frame.key || !frame.track.is_picture();
        self.held.push(Block { ms, track: number(frame.track), key, data });
        Taken::Kept
    }

    /// What can be written at `now`, on the call's clock.
    pub fn poll(&mut self, now: Duration) -> Written {
        self.now = self.now.max(self.since_start(now));
        let mut written = Written::default();
        let expected = [TrackId::FriendPicture, TrackId::OwnPicture].into_iter().zip(self.setting.pictures);
        let mut missing = expected.filter(|&(track, expected)| expected && !self.has_begun(track));
        if self.head.is_none() && missing.next().is_some() && self.now < HEAD_PATIENCE {
            return written;
        }
        let until = self.now.saturating_sub(HOLD);
        if until >= self.flushed + CLUSTER {
            self.flush(until, &mut written);
        }
        written
    }

    /// The rest.
    pub fn finish(&mut self) -> Written {
        let mut written = Written::default();
        self.flush(u64::MAX, &mut written);
        if let Some(head) = &self.head {
            let cues_at = self.length;
            written.append.extend(head.cues(&self.cues));
            self.length = cues_at + head.cues(&self.cues).len() as u64;
            written.patches.extend(head.finish(self.length, cues_at));
        }
        written
    }

    /// Takes no more of this track.
    pub fn close(&mut self, track: TrackId) {
        if let Some(state) = self.tracks.get_mut(track.index()) {
            state.closed = true;
        }
    }

    fn since_start(&self, at: Duration) -> u64 {
        at.saturating_sub(self.setting.start).as_millis().min(u128::from(u32::MAX)) as u64
    }

    fn has_begun(&self, track: TrackId) -> bool {
        self.tracks.get(track.index()).is_some_and(|state| state.coding.is_some())
    }

    /// Writes what is held up to a time, sorted, and the head before it if there is none yet.
    fn flush(&mut self, until: u64, written: &mut Written) {
        if self.head.is_none() {
            let head = Head::new(&self.tracks(), self.setting.unix);
            written.append.extend(&head.bytes);
            self.length = head.bytes.len() as u64;
            self.head = Some(head);
        }
        let (mut due, rest): (Vec<Block>, Vec<Block>) =
            std::mem::take(&mut self.held).into_iter().partition(|block| block.ms <= until);
        self.held = rest;
        self.flushed = until;
        due.sort_by_key(|block| block.ms);
        while let Some(first) = due.first().map(|block| block.ms) {
            let end = due.iter().position(|block| block.ms >= first + LONGEST_CLUSTER).unwrap_or(due.len());
            let later = due.split_off(end);
            self.cluster(&due, written);
            due = later;
        }
        let end = self.tracks.iter().filter_map(|state| state.last).max().unwrap_or(0).min(until);
        written.patches.extend(self.head.iter().map(|head| head.duration(end)));
    }

    fn cluster(&mut self, blocks: &[Block], written: &mut Written) {
        let picture = |block: &&Block| {
            block.key && ALL.iter().any(|track| track.is_picture() && number(*track) == block.track)
        };
        for key in blocks.iter().filter(picture) {
            if self.cues.len() < MAX_CUES {
                self.cues.push((key.ms, key.track, self.length));
            }
        }
        let bytes = cluster(blocks);
        self.length += bytes.len() as u64;
        written.append.extend(bytes);
    }

    fn tracks(&self) -> Vec<Track> {
        let [friend, own] = &self.setting.names;
        let declared = |(track, state): (TrackId, &TrackState)| {
            let name = if matches!(track, TrackId::OwnPicture | TrackId::OwnSound) { own } else { friend };
            // Sound may begin at any time.
            let coding =
                state.coding.clone().or((!track.is_picture()).then_some(Coding::Opus { channels: 1 }))?;
            let main = matches!(track, TrackId::FriendPicture | TrackId::FriendSound);
            Some(Track { number: number(track), name: name.clone(), main, coding })
        };
        ALL.into_iter().zip(&self.tracks).filter_map(declared).collect()
    }
}

/// A track's number in the file.
fn number(track: TrackId) -> u8 {
    track.index() as u8 + 1
}

/// How a track that begins with this key picture is declared.
fn picture_coding(frame: &CodedFrame) -> Option<Coding> {
    match frame.codec {
        Codec::H264 => {
            let (private, size) = avc::configuration(&frame.data)?;
            Some(Coding::Avc { private, size })
        }
        Codec::Vp8 => Some(Coding::Vp8 { size: avc::vp8_size(&frame.data)? }),
        Codec::Opus => None,
    }
}

#[cfg(test)]
mod tests;
