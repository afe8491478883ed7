//! Keeps datagrams back until the agent knows both ends' credentials: it throws away what comes earlier, and
//! the first check of a ring is what made the peer. Knows nothing of what passes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Closed at first.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: Vec<Waker>,
}

impl Gate {
    /// From now on all may pass, and those who wait are told.
    pub(super) fn open(&self) {
        let waiting = {
            let mut state = self.state();
            state.open = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether it is open; if not, the waker is kept.
    pub(super) fn may_pass(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        if !state.open && !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        state.open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
