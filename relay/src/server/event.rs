//! What the core tells the outside besides packets: events for the log, counters for the metrics.

use std::net::SocketAddr;

/// Something the owner may want to read in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An allocation was made.
    Allocated {
        /// Its user, made printable.
        user: String,
        /// Where the client is.
        client: SocketAddr,
        /// The first relayed address as clients see it.
        relayed: SocketAddr,
    },
    /// An allocation ended.
    Ended {
        /// Its user, made printable.
        user: String,
        /// Where the client was.
        client: SocketAddr,
        /// Why.
        reason: Ended,
        /// Bytes from the client to its peers.
        sent: u64,
        /// Bytes from the peers to the client.
        received: u64,
    },
    /// A request of somebody who had authenticated, or failed to, was refused.
    Refused {
        /// Who it claimed to be, made printable.
        user: String,
        /// Where it came from.
        client: SocketAddr,
        /// The STUN error code.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A Refresh with lifetime 0.
    Deleted,
    /// Nobody refreshed it.
    Expired,
    /// Its TCP or TLS connection closed.
    Disconnected,
    /// The relay shuts down.
    Shutdown,
    /// It was a guest's and its host has left.
    HostLeft,
}

/// Counts since the start, of one shard. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets relayed from clients.
    pub packets_from_clients: u64,
    /// Bytes in them.
    pub bytes_from_clients: u64,
    /// Packets relayed to clients.
    pub packets_to_clients: u64,
    /// Bytes in them.
    pub bytes_to_clients: u64,
    /// Packets that never left the process: client to client.
    pub packets_inside: u64,
    /// Binding requests answered.
    pub bindings: u64,
    /// Allocations made.
    pub allocations: u64,
    /// Requests refused with 401 for a wrong user or password.
    pub unauthorized: u64,
    /// Other requests refused.
    pub refused: u64,
    /// Replies to strangers that the limiter held back.
    pub limited: u64,
    /// Packets that were neither STUN nor ChannelData.
    pub malformed: u64,
    /// Data dropped for want of an allocation, a permission, a channel or a route.
    pub unwanted: u64,
    /// Data dropped by the bandwidth cap.
    pub capped: u64,
    /// Rings that a doorbell let through.
    pub rings: u64,
    /// Packets that a full socket did not take. Counted by the I/O.
    pub dropped: u64,
}

impl Counters {
    /// The sum of two shards' counts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            packets_from_clients: self.packets_from_clients + other.packets_from_clients,
            bytes_from_clients: self.bytes_from_clients + other.bytes_from_clients,
            packets_to_clients: self.packets_to_clients + other.packets_to_clients,
            bytes_to_clients: self.bytes_to_clients + other.bytes_to_clients,
            packets_inside: self.packets_inside + other.packets_inside,
            bindings: self.bindings + other.bindings,
            allocations: self.allocations + other.allocations,
            unauthorized: self.unauthorized + other.unauthorized,
            refused: self.refused + other.refused,
            limited: self.limited + other.limited,
            malformed: self.malformed + other.malformed,
            unwanted: self.unwanted + other.unwanted,
            capped: self.capped + other.capped,
            rings: self.rings + other.rings,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// A user name as a log may show it: control characters, and anything long, cannot get through.
pub(super) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_control() || is_format(c) { '\u{FFFD}' } else { c }).collect()
}

/// Characters that change how others are shown: bidirectional controls, joiners, the byte order mark.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_does_not_pass() {
        let shown = printable("a\x1b[31m\n\u{9b}b\u{202e}c\0");
        assert_eq!(shown, "a\u{FFFD}[31m\u{FFFD}\u{FFFD}b\u{FFFD}c\u{FFFD}");
        assert_eq!(printable(&"x".repeat(500)).len(), 64);
    }
}
