//! What a shard's thread takes from others: a bounded list and an eventfd that wakes it.
//!
//! | list | when full |
//! |---|---|
//! | data from other shards, 4096 | dropped, counted |

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

use crate::net::exchange::Mailbox;
use crate::server::{Counters, Settings};

const MOST: usize = 4096;

/// One thing for the thread.
pub(super) enum Mail {
    /// Data for one of its relayed addresses.
    Relayed { to: SocketAddr, from: SocketAddr, data: Box<[u8]> },
    /// New limits and peer rules.
    Settings(Arc<Settings>),
    /// The end.
    Close,
}

/// The list and its bell.
pub(in crate::net) struct Inbox {
    bell: OwnedFd,
    mail: Mutex<Vec<Mail>>,
    counters: Arc<Mutex<Counters>>,
    dropped: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inbox {
    pub(super) fn new(counters: Arc<Mutex<Counters>>) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (mail, dropped, thread) = (Mutex::default(), AtomicU64::new(0), Mutex::default());
        Ok(Self { bell, mail, counters, dropped, thread })
    }

    pub(super) fn set_thread(&self, thread: JoinHandle<()>) {
        *lock(&self.thread) = Some(thread);
    }

    /// All that has come.
    pub(super) fn take(&self) -> Vec<Mail> {
        // The bell's count does not matter, and an empty read only means that somebody was faster.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        std::mem::take(&mut *lock(&self.mail))
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn put(&self, mail: Mail) {
        let mut list = lock(&self.mail);
        let wake = list.is_empty();
        list.push(mail);
        drop(list);
        if wake {
            // It can only fail when the bell rings already.
            let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
        }
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Mailbox for Inbox {
    fn deliver(&self, to: SocketAddr, from: SocketAddr, data: &[u8]) {
        if lock(&self.mail).len() < MOST {
            self.put(Mail::Relayed { to, from, data: data.into() });
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set_settings(&self, settings: &Arc<Settings>) {
        self.put(Mail::Settings(Arc::clone(settings)));
    }

    fn counters(&self) -> Counters {
        *lock(&self.counters)
    }

    fn close(&self) {
        self.put(Mail::Close);
        if let Some(thread) = lock(&self.thread).take() {
            // A thread that panicked has nothing left to close.
            let _ = thread.join();
        }
    }
}
