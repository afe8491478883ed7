//! Where shards find each other.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::server::{Counters, Settings, Shard};

/// What a shard takes from outside its own loop. Whoever calls must not wait, so a full box drops.
pub(super) trait Mailbox: Send + Sync {
    /// Data for one of this shard's relayed addresses.
    fn deliver(&self, to: SocketAddr, from: SocketAddr, data: &[u8]);
    /// New limits and peer rules.
    fn set_settings(&self, settings: &Arc<Settings>);
    /// What it has counted, as of the last second.
    fn counters(&self) -> Counters;
    /// Ends all allocations and stops.
    fn close(&self);
}

/// The mailboxes by shard number.
#[derive(Default)]
pub(super) struct Exchange(RwLock<Vec<Arc<dyn Mailbox>>>);

impl Exchange {
    /// Adds the next shard's mailbox. Shards join in the order of their numbers.
    pub(super) fn join(&self, mailbox: Arc<dyn Mailbox>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(mailbox);
    }

    pub(super) fn deliver(&self, shard: Shard, to: SocketAddr, from: SocketAddr, data: &[u8]) {
        let mailbox = self.0.read().unwrap_or_else(PoisonError::into_inner).get(shard.index()).cloned();
        if let Some(mailbox) = mailbox {
            mailbox.deliver(to, from, data);
        }
    }

    pub(super) fn set_settings(&self, settings: &Arc<Settings>) {
        for mailbox in self.all() {
            mailbox.set_settings(settings);
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.all().iter().map(|mailbox| mailbox.counters()).fold(Counters::default(), Counters::plus)
    }

    /// Closes every shard and forgets it.
    pub(super) fn close(&self) {
        let all = std::mem::take(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
        for mailbox in all {
            mailbox.close();
        }
    }

    fn all(&self) -> Vec<Arc<dyn Mailbox>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
