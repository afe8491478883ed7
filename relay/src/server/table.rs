//! Where the allocations of one shard stand: a slab, found by 5-tuple, by relayed address, by [`RelayId`].

use std::collections::HashMap;

use super::allocation::{Allocation, Client, RelayId, Relayed};

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    allocation: Option<Allocation>,
}

/// A place in the slab that cannot be mistaken for a later tenant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    slot: u32,
    generation: u16,
}

impl Id {
    pub(super) fn relay(self, second: bool) -> RelayId {
        RelayId { slot: self.slot, generation: self.generation, second }
    }
}

impl From<RelayId> for Id {
    fn from(relay: RelayId) -> Self {
        Self { slot: relay.slot, generation: relay.generation }
    }
}

/// All allocations of a shard.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_client: HashMap<Client, u32>,
    by_relayed: HashMap<(usize, u16), u32>,
}

impl Table {
    /// The place the next allocation will get: its sockets are opened under that name first.
    pub(super) fn vacant(&mut self) -> Id {
        let slot = self.free.last().copied().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            let slot = self.slots.len() as u32 - 1;
            self.free.push(slot);
            slot
        });
        let generation = self.slots.get(slot as usize).map_or(0, |slot| slot.generation);
        Id { slot, generation }
    }

    /// Puts an allocation where [`Table::vacant`] said.
    pub(super) fn insert(&mut self, id: Id, allocation: Allocation) {
        let Some(slot) = self.slots.get_mut(id.slot as usize) else { return };
        if self.free.last() == Some(&id.slot) {
            self.free.pop();
        }
        self.by_client.insert(allocation.client, id.slot);
        for relayed in allocation.relayed.iter().flatten() {
            self.by_relayed.insert((relayed.relay, relayed.port), id.slot);
        }
        slot.allocation = Some(allocation);
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<Allocation> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        let allocation = slot.allocation.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.by_client.remove(&allocation.client);
        for Relayed { relay, port, .. } in allocation.relayed.iter().flatten() {
            self.by_relayed.remove(&(*relay, *port));
        }
        Some(allocation)
    }

    /// Takes the additional relayed address (or the first one) away from an allocation.
    pub(super) fn detach(&mut self, id: Id, second: bool) -> Option<Relayed> {
        let relayed = self.get_mut(id)?.relayed.get_mut(usize::from(second))?.take()?;
        self.by_relayed.remove(&(relayed.relay, relayed.port));
        Some(relayed)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Allocation> {
        let slot = self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)?;
        slot.allocation.as_mut()
    }

    pub(super) fn of_client(&self, client: &Client) -> Option<Id> {
        self.id(*self.by_client.get(client)?)
    }

    pub(super) fn at(&self, relay: usize, port: u16) -> Option<Id> {
        self.id(*self.by_relayed.get(&(relay, port))?)
    }

    pub(super) fn ids(&self) -> Vec<Id> {
        let taken = (0u32..).zip(&self.slots).filter(|(_, slot)| slot.allocation.is_some());
        taken.map(|(at, slot)| Id { slot: at, generation: slot.generation }).collect()
    }

    fn id(&self, slot: u32) -> Option<Id> {
        let generation = self.slots.get(slot as usize)?.generation;
        Some(Id { slot, generation })
    }
}
