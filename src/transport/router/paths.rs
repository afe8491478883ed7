//! Which agent has spoken over which link with which remote address, and who asked what. Bounded: the least
//! recently used is forgotten first.

use p2pcall_relay::stun::TransactionId;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::{AgentId, LinkId};

/// Remote addresses of one agent over all links. A call has a handful; a remote behind a symmetric NAT adds
/// one for every local address.
const MAX_PATHS: usize = 128;

/// Binding requests of one agent whose answers may still come: at 50 checks a second, five seconds.
const MAX_REQUESTS: usize = 256;

type Path = (LinkId, SocketAddr);

/// One agent on one path.
#[derive(Debug, Clone, Copy)]
struct Use {
    agent: AgentId,
    last: u64,
    /// When it first sent anything but STUN.
    data_since: Option<u64>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Paths {
    clock: u64,
    uses: HashMap<Path, Vec<Use>>,
    of_agent: HashMap<AgentId, Vec<Path>>,
    askers: HashMap<TransactionId, AgentId>,
    asked: HashMap<AgentId, VecDeque<TransactionId>>,
}

impl Paths {
    /// The agent sent or got a valid check there.
    pub(super) fn checked(&mut self, agent: AgentId, link: LinkId, remote: SocketAddr) {
        self.touch(agent, (link, remote));
    }

    /// The agent sent data there.
    pub(super) fn sent_data(&mut self, agent: AgentId, link: LinkId, remote: SocketAddr) {
        let now = self.clock + 1;
        self.touch(agent, (link, remote)).data_since.get_or_insert(now);
    }

    /// Whose data from there is: the agent's that has sent data there for the longest time, so that a second
    /// agent that tries the same path does not disturb the first; else the one's that was there last.
    pub(super) fn owner(&self, link: LinkId, remote: SocketAddr) -> Option<AgentId> {
        let uses = self.uses.get(&(link, remote))?;
        let sender = uses.iter().filter(|one| one.data_since.is_some()).min_by_key(|one| one.data_since);
        sender.or_else(|| uses.iter().max_by_key(|one| one.last)).map(|one| one.agent)
    }

    /// Who came last to speak there.
    pub(super) fn newest(&self, link: LinkId, remote: SocketAddr) -> Option<AgentId> {
        self.uses.get(&(link, remote))?.iter().map(|one| one.agent).max()
    }

    /// Those who have sent data there, the latest last.
    pub(super) fn talking(&self, link: LinkId, remote: SocketAddr) -> Vec<AgentId> {
        let uses = self.uses.get(&(link, remote)).map(Vec::as_slice).unwrap_or_default();
        let mut talking: Vec<_> = uses.iter().filter_map(|one| Some((one.data_since?, one.agent))).collect();
        talking.sort_unstable_by_key(|(since, _)| *since);
        talking.into_iter().map(|(_, agent)| agent).collect()
    }

    /// Whether an agent has sent data there.
    pub(super) fn carries_data(&self, remote: SocketAddr) -> bool {
        let there = self.uses.iter().filter(|((_, to), _)| *to == remote);
        there.flat_map(|(_, uses)| uses).any(|one| one.data_since.is_some())
    }

    /// The agent asked this.
    pub(super) fn asked(&mut self, agent: AgentId, id: TransactionId) {
        if self.askers.insert(id, agent).is_some() {
            return;
        }
        let asked = self.asked.entry(agent).or_default();
        asked.push_back(id);
        if asked.len() > MAX_REQUESTS
            && let Some(old) = asked.pop_front()
        {
            self.askers.remove(&old);
        }
    }

    /// Who asked this.
    pub(super) fn asker(&self, id: TransactionId) -> Option<AgentId> {
        self.askers.get(&id).copied()
    }

    /// The agent is gone.
    pub(super) fn forget(&mut self, agent: AgentId) {
        for path in self.of_agent.remove(&agent).unwrap_or_default() {
            self.remove(agent, path);
        }
        for id in self.asked.remove(&agent).unwrap_or_default() {
            self.askers.remove(&id);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.uses.len(), self.askers.len())
    }

    fn touch(&mut self, agent: AgentId, path: Path) -> &mut Use {
        self.clock += 1;
        let known = self.uses.get(&path).is_some_and(|uses| uses.iter().any(|one| one.agent == agent));
        if !known {
            self.make_room(agent);
            self.of_agent.entry(agent).or_default().push(path);
        }
        let uses = self.uses.entry(path).or_default();
        let index = uses.iter().position(|one| one.agent == agent).unwrap_or_else(|| {
            uses.push(Use { agent, last: 0, data_since: None });
            uses.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed in the line above")]
        let found = &mut uses[index];
        found.last = self.clock;
        found
    }

    fn make_room(&mut self, agent: AgentId) {
        let Some(paths) = self.of_agent.get(&agent) else { return };
        if paths.len() < MAX_PATHS {
            return;
        }
        let last = |path: &Path| {
            let uses = self.uses.get(path)?;
            uses.iter().find(|one| one.agent == agent).map(|one| (one.data_since.is_some(), one.last))
        };
        let Some(oldest) = paths.iter().copied().min_by_key(last) else { return };
        if let Some(paths) = self.of_agent.get_mut(&agent) {
            paths.retain(|path| *path != oldest);
        }
        self.remove(agent, oldest);
    }

    fn remove(&mut self, agent: AgentId, path: Path) {
        if let Some(uses) = self.uses.get_mut(&path) {
            uses.retain(|one| one.agent != agent);
            if uses.is_empty() {
                self.uses.remove(&path);
            }
        }
    }
}
