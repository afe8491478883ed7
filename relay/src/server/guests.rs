//! One-call guests: accounts that an allocation's owner registers for the friend it calls.
//!
//! A guest is good for a few allocations at a time, whose only peer is the owner's relayed address, and for as
//! long as the owner's allocation lives. Dropping the owner's [`Registration`] ends it. An owner that comes back with
//! another allocation takes the guest and its allocations along.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::stun::guest::Guest;

/// Allocations of one guest at a time. One is what a call needs; but a friend may come back from another address,
/// or as another process, minutes before its old allocation ends, and somebody who has seen the code and stays
/// silent shall not keep it out.
const MAX_VISITS: u8 = 3;

/// The owner's relayed addresses in canonical form, as its guest's allocations see them.
type Peers = Arc<Mutex<[Option<SocketAddr>; 2]>>;

#[derive(Debug)]
struct Entry {
    password: String,
    /// Whose guest it is: the owner's name as quotas count it.
    owner: String,
    peers: Peers,
    /// Of the guest, whichever of the owner's allocations it hangs on.
    number: u64,
    /// Of the registration that counts.
    serial: u64,
    visits: u8,
}

#[derive(Debug, Default)]
struct Book {
    entries: HashMap<String, Entry>,
    serial: u64,
}

/// All guests of the relay; there are at most as many as allocations.
#[derive(Debug, Default)]
pub(super) struct Guests(Mutex<Book>);

/// The owner's hold on its guest.
#[derive(Debug)]
pub(super) struct Registration {
    guests: Arc<Guests>,
    guest: Guest,
    serial: u64,
}

/// The guest's hold on one allocation.
#[derive(Debug)]
pub(super) struct Visit {
    guests: Arc<Guests>,
    user: String,
    number: u64,
    peers: Peers,
}

impl Guests {
    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.0)
    }

    /// `None` if somebody else has registered a guest of that name. The same owner with the same password takes
    /// it over: it has come back with another address, and its old allocation has not expired yet.
    pub(super) fn register(
        self: &Arc<Self>,
        guest: Guest,
        owner: &str,
        peers: [Option<SocketAddr>; 2],
    ) -> Option<Registration> {
        let mut book = self.book();
        let ours = |entry: &Entry| entry.owner == owner && entry.password == guest.password();
        if book.entries.get(guest.user()).is_some_and(|entry| !ours(entry)) {
            return None;
        }
        book.serial += 1;
        let serial = book.serial;
        if let Some(entry) = book.entries.get_mut(guest.user()) {
            entry.serial = serial;
            *locked(&entry.peers) = peers;
        } else {
            let (password, owner) = (guest.password().to_owned(), owner.to_owned());
            let peers = Arc::new(Mutex::new(peers));
            let entry = Entry { password, owner, peers, number: serial, serial, visits: 0 };
            book.entries.insert(guest.user().to_owned(), entry);
        }
        drop(book);
        Some(Registration { guests: Arc::clone(self), guest, serial })
    }

    pub(super) fn password(&self, user: &str) -> Option<String> {
        self.book().entries.get(user).map(|entry| entry.password.clone())
    }

    /// Begins an allocation of the guest; `None` if there are enough already, or no such guest.
    pub(super) fn visit(self: &Arc<Self>, user: &str) -> Option<Visit> {
        let mut book = self.book();
        let entry = book.entries.get_mut(user).filter(|entry| entry.visits < MAX_VISITS)?;
        entry.visits += 1;
        let (peers, number) = (Arc::clone(&entry.peers), entry.number);
        Some(Visit { guests: Arc::clone(self), user: user.to_owned(), number, peers })
    }
}

impl Registration {
    /// Whether this is the guest that is registered.
    pub(super) fn is(&self, guest: &Guest) -> bool {
        self.guest == *guest
    }
}

impl Visit {
    /// Whether the owner's allocation still lives and has not withdrawn the guest.
    pub(super) fn welcome(&self) -> bool {
        self.guests.book().entries.get(&self.user).is_some_and(|entry| entry.number == self.number)
    }

    /// Whether the guest may send to this address, given in canonical form.
    pub(super) fn may_reach(&self, peer: SocketAddr) -> bool {
        self.peers().contains(&Some(peer))
    }

    /// Whom it may reach.
    pub(super) fn peers(&self) -> [Option<SocketAddr>; 2] {
        *locked(&self.peers)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut book = self.guests.book();
        if book.entries.get(self.guest.user()).is_some_and(|entry| entry.serial == self.serial) {
            book.entries.remove(self.guest.user());
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some(entry) = self.guests.book().entries.get_mut(&self.user)
            && entry.number == self.number
        {
            entry.visits = entry.visits.saturating_sub(1);
        }
    }
}

/// What is guarded here is never left half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_visits_a_few_times_at_once_and_only_while_its_host_is_there() {
        let guests = Arc::new(Guests::default());
        let peer = "203.0.113.5:50000".parse().unwrap();
        let guest = Guest::new("friend", "secret").unwrap();
        let host = guests.register(guest.clone(), "alice", [Some(peer), None]).unwrap();
        assert!(guests.register(guest, "bob", [None, None]).is_none(), "the name is taken");
        let other = Guest::new("friend", "other").unwrap();
        assert!(guests.register(other, "alice", [None, None]).is_none(), "by the same owner too");
        let visit = guests.visit("friend").unwrap();
        assert!(visit.may_reach(peer) && !visit.may_reach("203.0.113.5:50001".parse().unwrap()));
        let more: Vec<_> = (1..MAX_VISITS).map(|_| guests.visit("friend").unwrap()).collect();
        assert!(guests.visit("friend").is_none() && guests.visit("stranger").is_none());
        drop((visit, more));
        let visit = guests.visit("friend").unwrap();
        assert!(visit.welcome());
        drop(host);
        assert!(!visit.welcome() && guests.password("friend").is_none());
    }

    #[test]
    fn a_host_that_comes_back_elsewhere_takes_its_guest_along() {
        let guests = Arc::new(Guests::default());
        let [old, new] =
            ["203.0.113.5:50000", "203.0.113.5:50001"].map(|peer| peer.parse::<SocketAddr>().unwrap());
        let guest = Guest::new("friend", "secret").unwrap();
        let before = guests.register(guest.clone(), "alice", [Some(old), None]).unwrap();
        let visit = guests.visit("friend").unwrap();
        let after = guests.register(guest, "alice", [Some(new), None]).unwrap();
        drop(before);
        assert!(visit.welcome() && visit.may_reach(new) && !visit.may_reach(old));
        assert!(guests.visit("friend").unwrap().may_reach(new));
        drop(after);
        assert!(!visit.welcome() && guests.password("friend").is_none());
    }
}
