//! PURE: files that two ends of a call hand to each other: what was offered, what is wanted, what is on its way. It
//! reads and writes nothing, and is told what became of what it asked for; `call/session/files.rs` carries it out.
//!
//! ```text
//! sender                    receiver
//!   Offer id name bytes  ->               a person is asked, one file at a time
//!                        <-  Take id from
//!   pieces, End          ->  Got          over a channel of their own (frame.rs), no faster than the call allows (pace.rs)
//!                        <-  Kept id      the digest agrees and the file has its name
//! ```
//! Either end may `Stop` a file. When the connection was another for a while, the sender offers everything anew that
//! is not settled, and the receiver answers with what it knows: `Take` from where it stands, `Kept`, or `Stop`.

pub mod frame;
pub mod name;
pub mod pace;

use crate::call::channel::{FileTalk, Stopped};
use crate::call::event::{CallEvent, FileEvent, FileState, Notice, Side};
use name::harmless;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Files that may wait, each way.
const MOST_WAITING: usize = 16;
/// Files that are remembered after they were settled.
const MOST_SETTLED: usize = 64;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Tell the person.
    Emit(CallEvent),
    /// Tell the other end.
    Say(FileTalk),
    /// Send this file from there on, whatever was being sent of it.
    Send {
        /// Which.
        id: u32,
        /// Where it lies.
        path: PathBuf,
        /// Its length when it was offered.
        bytes: u64,
        /// From which byte on.
        from: u64,
    },
    /// Send no more of it.
    Hold(u32),
    /// Make a place for it, and keep what comes.
    Keep {
        /// Which.
        id: u32,
        /// Its harmless name.
        name: String,
        /// Its length.
        bytes: u64,
    },
    /// Throw away what came of it.
    Discard(u32),
}

/// A file on its way out.
#[derive(Debug)]
struct Outgoing {
    id: u32,
    name: String,
    path: PathBuf,
    bytes: u64,
    /// The other end wants it, from here on.
    wanted: Option<u64>,
    moving: bool,
}

/// A file on its way in.
#[derive(Debug)]
struct Incoming {
    id: u32,
    name: String,
    bytes: u64,
    taken: bool,
    done: u64,
}

/// All files of a call.
#[derive(Debug, Default)]
pub struct Share {
    outgoing: VecDeque<Outgoing>,
    incoming: VecDeque<Incoming>,
    settled: VecDeque<(u32, Result<(), Stopped>)>,
    next: u32,
}

impl Share {
    /// A person wants to send a file.
    pub fn offer(&mut self, path: PathBuf, name: &str, bytes: u64) -> Vec<Act> {
        let name = harmless(name);
        if self.outgoing.len() >= MOST_WAITING {
            let message = format!("{name} was not offered: {MOST_WAITING} files wait already.");
            return vec![warning("file_busy", message, "Wait until some of them have arrived.")];
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.outgoing.push_back(Outgoing {
            id,
            name: name.clone(),
            path,
            bytes,
            wanted: None,
            moving: false,
        });
        let told = event(Side::Local, FileState::Offered, &name, bytes, 0);
        vec![told, Act::Say(FileTalk::Offer { id, name, bytes })]
    }

    /// The other end speaks.
    pub fn heard(&mut self, talk: FileTalk) -> Vec<Act> {
        match talk {
            FileTalk::Offer { id, name, bytes } => self.offered(id, &name, bytes),
            FileTalk::Take { id, from } => self.wanted(id, from),
            FileTalk::Kept { id } => self.arrived(id),
            FileTalk::Stop { id, yours: true, why } => self.unwanted(id, why),
            FileTalk::Stop { id, yours: false, why } => self.withdrawn(id, why),
        }
    }

    /// A person decides about the file that is asked for; with none, `false` stops those that are on their way.
    pub fn decide(&mut self, yes: bool) -> Vec<Act> {
        let Some(asked) = self.incoming.iter_mut().find(|file| !file.taken) else {
            return if yes { Vec::new() } else { self.stop_all() };
        };
        if yes {
            asked.taken = true;
            let (id, name, bytes) = (asked.id, asked.name.clone(), asked.bytes);
            // It is taken when there is a place for it: `placed`.
            return [Act::Keep { id, name, bytes }].into_iter().chain(self.ask_next()).collect();
        }
        let id = asked.id;
        let mut acts = self.stop_incoming(id, Stopped::Refused);
        acts.extend(self.ask_next());
        acts
    }

    /// There is a place for an incoming file.
    pub fn placed(&mut self, id: u32) -> Vec<Act> {
        let known = self.incoming.iter().any(|file| file.id == id);
        known.then_some(Act::Say(FileTalk::Take { id, from: 0 })).into_iter().collect()
    }

    /// So much of a file has left and was acknowledged, or has come and was kept.
    pub fn moved(&mut self, side: Side, id: u32, done: u64) -> Vec<Act> {
        let known = match side {
            Side::Local => self
                .outgoing
                .iter()
                .find(|file| file.id == id && done <= file.bytes)
                .map(|file| (&file.name, file.bytes)),
            Side::Remote => self.incoming.iter_mut().find(|file| file.id == id).map(|file| {
                file.done = done;
                (&file.name, file.bytes)
            }),
        };
        known.map(|(name, bytes)| event(side, FileState::Moving, name, bytes, done)).into_iter().collect()
    }

    /// An incoming file is whole and has its name.
    pub fn kept(&mut self, id: u32, path: String) -> Vec<Act> {
        let Some(file) = take(&mut self.incoming, |file| file.id == id) else { return Vec::new() };
        self.settle(id, Ok(()));
        let told = FileEvent {
            path: Some(path),
            ..plain(Side::Remote, FileState::Done, &file.name, file.bytes, file.bytes)
        };
        vec![Act::Say(FileTalk::Kept { id }), Act::Emit(CallEvent::File(told))]
    }

    /// Something at this end makes a file impossible.
    pub fn failed(&mut self, side: Side, id: u32, why: Stopped) -> Vec<Act> {
        match side {
            Side::Local => self.stop_outgoing(id, why),
            Side::Remote => self.stop_incoming(id, why),
        }
    }

    /// The two ends have met again over another connection.
    pub fn met_again(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        for file in &mut self.outgoing {
            file.wanted = None;
            if std::mem::take(&mut file.moving) {
                acts.push(Act::Hold(file.id));
            }
            let (id, name, bytes) = (file.id, file.name.clone(), file.bytes);
            acts.push(Act::Say(FileTalk::Offer { id, name, bytes }));
        }
        acts
    }

    /// The call is over: what had begun and has not arrived is told.
    pub fn over(&mut self) -> Vec<Act> {
        let incoming = self.incoming.drain(..).filter(|file| file.taken);
        let incoming = incoming.map(|file| (Side::Remote, file.name, file.bytes));
        let outgoing = self.outgoing.drain(..).map(|file| (Side::Local, file.name, file.bytes));
        let ended = |(side, name, bytes): (Side, String, u64)| {
            let message = format!("{name} did not arrive whole: the call ended before.");
            let again = warning("file_unfinished", message, "Send it again in the next call.");
            [event(side, FileState::Failed, &name, bytes, 0), again]
        };
        incoming.chain(outgoing).flat_map(ended).collect()
    }

    fn offered(&mut self, id: u32, name: &str, bytes: u64) -> Vec<Act> {
        if let Some(file) = self.incoming.iter().find(|file| file.id == id) {
            let from = file.done;
            return file.taken.then_some(Act::Say(FileTalk::Take { id, from })).into_iter().collect();
        }
        if let Some((_, how)) = self.settled.iter().find(|(settled, _)| *settled == id) {
            return vec![Act::Say(match how {
                Ok(()) => FileTalk::Kept { id },
                Err(why) => FileTalk::Stop { id, yours: true, why: *why },
            })];
        }
        if self.incoming.len() >= MOST_WAITING {
            return vec![Act::Say(FileTalk::Stop { id, yours: true, why: Stopped::Busy })];
        }
        let first = self.incoming.iter().all(|file| file.taken);
        self.incoming.push_back(Incoming { id, name: harmless(name), bytes, taken: false, done: 0 });
        if first { self.ask_next() } else { Vec::new() }
    }

    /// Asks the person about the first file that nobody decided about.
    fn ask_next(&self) -> Vec<Act> {
        let asked = self.incoming.iter().find(|file| !file.taken);
        asked
            .map(|file| event(Side::Remote, FileState::Offered, &file.name, file.bytes, 0))
            .into_iter()
            .collect()
    }

    fn wanted(&mut self, id: u32, from: u64) -> Vec<Act> {
        // What moves already moves on: whoever asks again and again would have it read again and again.
        let wanted = |file: &&mut Outgoing| file.id == id && from <= file.bytes && !file.moving;
        let Some(file) = self.outgoing.iter_mut().find(wanted) else { return Vec::new() };
        file.wanted = Some(from);
        self.send_next()
    }

    /// Files go one after the other.
    fn send_next(&mut self) -> Vec<Act> {
        if self.outgoing.iter().any(|file| file.moving) {
            return Vec::new();
        }
        let Some(file) = self.outgoing.iter_mut().find(|file| file.wanted.is_some()) else {
            return Vec::new();
        };
        file.moving = true;
        let (id, path, bytes) = (file.id, file.path.clone(), file.bytes);
        vec![Act::Send { id, path, bytes, from: file.wanted.unwrap_or_default() }]
    }

    fn arrived(&mut self, id: u32) -> Vec<Act> {
        let Some(file) = take(&mut self.outgoing, |file| file.id == id) else {
            return Vec::new();
        };
        let mut acts =
            vec![Act::Hold(id), event(Side::Local, FileState::Done, &file.name, file.bytes, file.bytes)];
        acts.extend(self.send_next());
        acts
    }

    /// The other end does not want a file of ours.
    fn unwanted(&mut self, id: u32, why: Stopped) -> Vec<Act> {
        let Some(file) = take(&mut self.outgoing, |file| file.id == id) else { return Vec::new() };
        let mut acts = vec![Act::Hold(id)];
        acts.extend(ended(Side::Local, &file.name, file.bytes, why, true));
        acts.extend(self.send_next());
        acts
    }

    /// The other end takes back its file.
    fn withdrawn(&mut self, id: u32, why: Stopped) -> Vec<Act> {
        let asked = self.incoming.iter().find(|file| !file.taken).is_some_and(|file| file.id == id);
        let Some(file) = take(&mut self.incoming, |file| file.id == id) else { return Vec::new() };
        self.settle(id, Err(why));
        let mut acts = vec![Act::Discard(id)];
        acts.extend(ended(Side::Remote, &file.name, file.bytes, why, true));
        if asked {
            acts.extend(self.ask_next());
        }
        acts
    }

    fn stop_outgoing(&mut self, id: u32, why: Stopped) -> Vec<Act> {
        let Some(file) = take(&mut self.outgoing, |file| file.id == id) else { return Vec::new() };
        let mut acts = vec![Act::Hold(id), Act::Say(FileTalk::Stop { id, yours: false, why })];
        acts.extend(ended(Side::Local, &file.name, file.bytes, why, false));
        acts.extend(self.send_next());
        acts
    }

    fn stop_incoming(&mut self, id: u32, why: Stopped) -> Vec<Act> {
        let Some(file) = take(&mut self.incoming, |file| file.id == id) else { return Vec::new() };
        self.settle(id, Err(why));
        let mut acts = vec![Act::Discard(id), Act::Say(FileTalk::Stop { id, yours: true, why })];
        acts.extend(ended(Side::Remote, &file.name, file.bytes, why, false));
        acts
    }

    fn stop_all(&mut self) -> Vec<Act> {
        let incoming: Vec<u32> = self.incoming.iter().map(|file| file.id).collect();
        let outgoing: Vec<u32> = self.outgoing.iter().map(|file| file.id).collect();
        let mut acts = Vec::new();
        for id in incoming {
            acts.extend(self.stop_incoming(id, Stopped::Cancelled));
        }
        for id in outgoing {
            acts.extend(self.stop_outgoing(id, Stopped::Cancelled));
        }
        acts
    }

    fn settle(&mut self, id: u32, how: Result<(), Stopped>) {
        if self.settled.len() == MOST_SETTLED {
            self.settled.pop_front();
        }
        self.settled.push_back((id, how));
    }
}

fn take<T>(files: &mut VecDeque<T>, wanted: impl Fn(&T) -> bool) -> Option<T> {
    files.iter().position(wanted).and_then(|at| files.remove(at))
}

fn plain(from: Side, state: FileState, name: &str, bytes: u64, done: u64) -> FileEvent {
    FileEvent { from, state, name: name.to_owned(), bytes, done, path: None }
}

fn event(from: Side, state: FileState, name: &str, bytes: u64, done: u64) -> Act {
    Act::Emit(CallEvent::File(plain(from, state, name, bytes, done)))
}

fn warning(code: &'static str, message: String, help: &str) -> Act {
    Act::Emit(CallEvent::Warning(Notice { code, message, help: help.into() }))
}

/// A file that does not arrive: the event, and the words. `theirs`: the other end stopped it.
fn ended(side: Side, name: &str, bytes: u64, why: Stopped, theirs: bool) -> [Act; 2] {
    let state = if why == Stopped::Refused { FileState::Refused } else { FileState::Failed };
    let (code, message, help) = words(name, side, why, theirs);
    [event(side, state, name, bytes, 0), warning(code, message, help)]
}

/// What a person reads.
fn words(name: &str, side: Side, why: Stopped, theirs: bool) -> (&'static str, String, &'static str) {
    let who = if theirs { "Your friend" } else { "You" };
    let whose = if theirs { "your friend's" } else { "this" };
    let again = "Send it again once that is mended.";
    let ask = if side == Side::Remote { "Ask for it again." } else { "Send it again." };
    match why {
        Stopped::Refused if theirs => ("file_refused", format!("Your friend does not want {name}."), ""),
        Stopped::Refused => ("file_refused", format!("You refused {name}."), ""),
        Stopped::Cancelled => ("file_stopped", format!("{who} stopped {name} on its way."), ""),
        Stopped::NoSpace => (
            "disk_full",
            format!("{name} does not fit: {whose} disk is full. Nothing of it is kept."),
            if theirs {
                again
            } else {
                "Make room, or choose another folder with --save-to, and ask for it again."
            },
        ),
        Stopped::Unwritable => (
            "file_unwritable",
            format!("{name} can't be kept: {whose} machine's folder for files does not take it."),
            if theirs {
                again
            } else {
                "Choose a folder that you may write to with --save-to, and ask for it again."
            },
        ),
        Stopped::Unreadable => {
            ("file_unreadable", format!("{name} can't be read any more on {whose} machine."), ask)
        }
        Stopped::Changed => ("file_changed", format!("{name} changed while it was being sent."), ask),
        Stopped::Damaged => ("file_damaged", format!("{name} arrived damaged and was thrown away."), ask),
        Stopped::Busy => (
            "file_busy",
            format!("{name} was not taken: too many files wait."),
            "Send it again when some of them have arrived.",
        ),
    }
}

#[cfg(test)]
mod tests;
