//! How many allocations there are, of whom and from where; and how much was relayed this month.
//!
//! A [`Ticket`] is an allocation's place: dropping it gives the place back, so none can leak.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::settings::Limits;

/// Why there is no place for another allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spent {
    Relay,
    User,
    Address,
}

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    users: HashMap<Arc<str>, u32>,
    addresses: HashMap<IpAddr, u32>,
}

/// The counts, shared by all shards; locked only when allocations come and go.
#[derive(Debug, Default)]
pub(super) struct Quotas(Mutex<Counts>);

/// An allocation's place in the counts.
#[derive(Debug)]
pub(super) struct Ticket {
    quotas: Arc<Quotas>,
    user: Arc<str>,
    address: IpAddr,
}

impl Quotas {
    pub(super) fn take(
        self: &Arc<Self>,
        limits: &Limits,
        user: &str,
        address: IpAddr,
    ) -> Result<Ticket, Spent> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |count: u32, limit: Option<u32>| limit.is_some_and(|limit| count >= limit);
        if full(counts.total, limits.allocations) {
            return Err(Spent::Relay);
        }
        if full(counts.users.get(user).copied().unwrap_or(0), limits.per_user) {
            return Err(Spent::User);
        }
        if full(counts.addresses.get(&address).copied().unwrap_or(0), limits.per_address) {
            return Err(Spent::Address);
        }
        let user =
            counts.users.get_key_value(user).map_or_else(|| Arc::from(user), |(user, _)| Arc::clone(user));
        counts.total += 1;
        *counts.users.entry(Arc::clone(&user)).or_default() += 1;
        *counts.addresses.entry(address).or_default() += 1;
        Ok(Ticket { quotas: Arc::clone(self), user, address })
    }

    pub(super) fn total(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.total = counts.total.saturating_sub(1);
        give_back(&mut counts.users, &self.user);
        give_back(&mut counts.addresses, &self.address);
    }
}

fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Bytes relayed in the current period, and how many there may be. Shared by all shards.
#[derive(Debug)]
pub struct Budget {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(u64::MAX) }
    }
}

impl Budget {
    /// Sets what is known from before and the limit; `None` is no limit.
    pub fn set(&self, used: u64, limit: Option<u64>) {
        self.used.store(used, Ordering::Relaxed);
        self.limit.store(limit.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Bytes relayed in this period.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether there is nothing left.
    pub fn spent(&self) -> bool {
        self.used() >= self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_named_and_places_come_back() {
        let quotas = Arc::new(Quotas::default());
        let limits =
            Limits { allocations: Some(3), per_user: Some(2), per_address: Some(2), ..Limits::default() };
        let take = |user, last| quotas.take(&limits, user, IpAddr::from([192, 0, 2, last]));
        let first = take("alice", 1).unwrap();
        let second = take("alice", 2).unwrap();
        assert_eq!(take("alice", 3).unwrap_err(), Spent::User);
        let third = take("bob", 1).unwrap();
        assert_eq!(take("carol", 9).unwrap_err(), Spent::Relay);
        drop(second);
        assert_eq!(take("carol", 1).unwrap_err(), Spent::Address);
        drop((first, third));
        assert_eq!(quotas.total(), 0);
        let counts = quotas.0.lock().unwrap();
        assert!(counts.users.is_empty() && counts.addresses.is_empty(), "nothing is remembered");
    }

    #[test]
    fn a_budget_is_spent_at_its_limit() {
        let budget = Budget::default();
        budget.add(u64::from(u32::MAX));
        assert!(!budget.spent());
        budget.set(90, Some(100));
        budget.add(9);
        assert!(!budget.spent());
        budget.add(1);
        assert!(budget.spent());
    }
}
