//! A place for one value: the latest wins, the older one is counted as dropped. This is how pictures reach the
//! screen: a slow reader never holds up the writer and never sees an old picture. Knows not what it holds.

use super::frame::VideoFrame;
use super::level::Gauge;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A handle to the place; clones share it.
pub struct Slot<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: Mutex<Option<T>>,
    filled: Notify,
    dropped: AtomicU64,
}

/// Where the two pictures of a call are put for a screen, and how loud it is, from before the call until after it.
#[derive(Debug, Clone, Default)]
pub struct Screens {
    /// Own picture, as it is sent.
    pub local: Slot<VideoFrame>,
    /// The friend's picture.
    pub remote: Slot<VideoFrame>,
    /// How loud both ends are.
    pub levels: Gauge,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Arc::new(Inner { value: Mutex::default(), filled: Notify::new(), dropped: AtomicU64::new(0) }))
    }
}

impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot(dropped: {})", self.dropped())
    }
}

impl<T> Slot<T> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value; an older one that nobody took goes, counted.
    pub fn put(&self, value: T) {
        let older = self.value().replace(value);
        if older.is_some() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.0.filled.notify_one();
    }

    /// Takes the latest value, if there is one.
    pub fn take(&self) -> Option<T> {
        self.value().take()
    }

    /// Waits for a value and takes it. For one reader; safe to cancel.
    pub async fn next(&self) -> T {
        loop {
            if let Some(value) = self.take() {
                return value;
            }
            self.0.filled.notified().await;
        }
    }

    /// Values that were replaced before anybody took them.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// A panic elsewhere leaves a whole value or none behind, so a poisoned lock is as good as any.
    fn value(&self) -> MutexGuard<'_, Option<T>> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_wins_and_the_older_ones_are_counted() {
        let slot = Slot::new();
        (1..=3).for_each(|n| slot.put(n));
        assert_eq!((slot.take(), slot.take(), slot.dropped()), (Some(3), None, 2));
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let slot = Slot::new();
        let writer = slot.clone();
        let (value, ()) = tokio::join!(slot.next(), async { writer.put(7) });
        assert_eq!(value, 7);
    }
}
