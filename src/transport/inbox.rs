//! One virtual socket's queue of datagrams: bounded, the oldest goes first, counted. Knows no socket.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// 256 datagrams: half a second of picture and sound, far more than the ICE driver is ever late.
const CAPACITY: usize = 256;

/// A queue with one reader.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<(Vec<u8>, SocketAddr)>,
    reader: Option<Waker>,
    lost: u64,
    closed: bool,
}

impl Inbox {
    /// Appends a datagram and wakes the reader. When full the oldest datagram goes.
    pub(super) fn push(&self, bytes: Vec<u8>, from: SocketAddr) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if state.queue.len() >= CAPACITY {
            state.queue.pop_front();
            state.lost += 1;
        }
        state.queue.push_back((bytes, from));
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Takes a datagram; what does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// `NotConnected` once the queue is closed and empty.
    pub(super) fn poll(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<(usize, SocketAddr)>> {
        let mut state = self.lock();
        let Some((bytes, from)) = state.queue.pop_front() else {
            if state.closed {
                return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let length = bytes.len().min(buffer.len());
        let (Some(room), Some(bytes)) = (buffer.get_mut(..length), bytes.get(..length)) else {
            return Poll::Pending;
        };
        room.copy_from_slice(bytes);
        Poll::Ready(Ok((length, from)))
    }

    /// No datagram comes any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether [`Self::close`] was called.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Datagrams that were dropped because the reader was late.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(inbox: &Inbox) -> Poll<std::io::Result<(usize, u8)>> {
        let mut buffer = [0; 2];
        let mut cx = Context::from_waker(Waker::noop());
        inbox.poll(&mut cx, &mut buffer).map_ok(|(length, _)| (length, buffer[0]))
    }

    fn from() -> SocketAddr {
        "192.0.2.1:9".parse().unwrap()
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let inbox = Inbox::default();
        for index in 0..CAPACITY + 3 {
            inbox.push(vec![index as u8], from());
        }
        assert_eq!(inbox.lost(), 3);
        assert!(matches!(poll(&inbox), Poll::Ready(Ok((1, 3)))));
    }

    #[test]
    fn a_datagram_too_long_for_the_reader_is_cut_off() {
        let inbox = Inbox::default();
        inbox.push(vec![7; 5], from());
        assert!(matches!(poll(&inbox), Poll::Ready(Ok((2, 7)))));
        assert!(poll(&inbox).is_pending());
    }

    #[test]
    fn a_closed_queue_says_so_once_it_is_empty() {
        let inbox = Inbox::default();
        inbox.push(vec![1], from());
        inbox.close();
        inbox.push(vec![2], from());
        assert!(matches!(poll(&inbox), Poll::Ready(Ok((1, 1)))));
        assert!(matches!(poll(&inbox), Poll::Ready(Err(_))));
    }
}
