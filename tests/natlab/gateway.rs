//! A router and its two directions: what comes in is translated, then lost, delayed or handed on. Pure: it is told
//! the time.

use super::model::{Nat, Way};
use std::collections::VecDeque;
use std::time::Duration;

/// More waits nowhere.
const LONGEST_QUEUE: usize = 4096;

/// What one direction does to packets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Weather {
    /// The part that is lost, 0 to 1.
    pub(crate) loss: f64,
    /// Each waits so long.
    pub(crate) delay: Duration,
    /// So many bit/s get through; `None`: any.
    pub(crate) rate: Option<u32>,
    /// Who would wait longer than this for its turn is lost.
    pub(crate) patience: Duration,
}

/// What a direction did since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Done {
    /// Bits that got through, all headers but the cable's included.
    pub(crate) bits: u64,
    /// Packets that the queue had no place for.
    pub(crate) full: u32,
    /// The least and the longest time that one had to wait for its turn.
    pub(crate) waits: Option<(Duration, Duration)>,
}

/// One direction.
#[derive(Debug, Default)]
struct Line {
    weather: Weather,
    queue: VecDeque<(Duration, Vec<u8>)>,
    /// When what waits for its turn is through.
    busy: Duration,
    done: Done,
}

/// A NAT with a line before and behind it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) nat: Nat,
    /// While the uplink is unplugged nothing passes.
    pub(crate) cut: bool,
    up: Line,
    down: Line,
    seed: u64,
}

impl Gateway {
    pub(crate) fn new(nat: Nat, weather: Weather, seed: u64) -> Self {
        let line = || Line { weather, ..Line::default() };
        Self { nat, cut: false, up: line(), down: line(), seed: seed | 1 }
    }

    /// Changes both directions.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.up.weather = weather;
        self.down.weather = weather;
    }

    /// What went up since this was last asked.
    pub(crate) fn went_up(&mut self) -> Done {
        std::mem::take(&mut self.up.done)
    }

    /// A packet from either side.
    pub(crate) fn take(&mut self, bytes: Vec<u8>, now: Duration) {
        if self.cut {
            return;
        }
        let Some((way, bytes)) = self.nat.packet(bytes, now) else { return };
        let chance = self.chance();
        let line = if way == Way::Up { &mut self.up } else { &mut self.down };
        if chance >= line.weather.loss && line.queue.len() < LONGEST_QUEUE {
            let Some(now) = line.turn(now, bytes.len()) else { return };
            // A shorter delay overtakes nothing.
            let after = line.queue.back().map_or(Duration::ZERO, |(due, _)| *due);
            line.queue.push_back(((now + line.weather.delay).max(after), bytes));
        }
    }

    /// A packet whose time has come.
    pub(crate) fn give(&mut self, now: Duration) -> Option<Vec<u8>> {
        let line = [&mut self.up, &mut self.down]
            .into_iter()
            .find(|line| line.due().is_some_and(|due| due <= now))?;
        line.queue.pop_front().map(|(_, bytes)| bytes)
    }

    /// When the next packet's time comes.
    pub(crate) fn due(&self) -> Option<Duration> {
        [&self.up, &self.down].into_iter().filter_map(Line::due).min()
    }

    /// From 0 up to 1: Marsaglia's xorshift.
    fn chance(&mut self) -> f64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 40) as f64 / f64::from(1_u32 << 24)
    }
}

impl Line {
    /// When a packet is through the narrow place; `None` when it finds no place in the queue before it.
    fn turn(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let bits = bytes as u64 * 8;
        let takes = self
            .weather
            .rate
            .map_or(Duration::ZERO, |rate| Duration::from_micros(bits * 1_000_000 / u64::from(rate.max(1))));
        let wait = self.busy.saturating_sub(now);
        let (least, most) = self.done.waits.unwrap_or((wait, wait));
        self.done.waits = Some((least.min(wait), most.max(wait)));
        // An empty queue has a place for any packet.
        if self.weather.rate.is_some() && !wait.is_zero() && wait + takes > self.weather.patience {
            self.done.full += 1;
            return None;
        }
        self.busy = now + wait + takes;
        self.done.bits += bits;
        Some(self.busy)
    }

    fn due(&self) -> Option<Duration> {
        self.queue.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Behavior, Network, Out, Ports};
    use super::super::packet::made;
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    const DELAY: Duration = Duration::from_millis(20);

    fn gateway(weather: Weather) -> Gateway {
        let open = Behavior {
            mapping: None,
            filtering: None,
            ports: Ports::Preserved,
            hairpin: false,
            lifetime: Duration::from_secs(30),
            out: Out::Everything,
        };
        let address = Ipv4Addr::new(198, 51, 100, 9);
        Gateway::new(Nat::new(open, address, vec![Network(IpAddr::V4(address), 32)], 1), weather, 1)
    }

    fn packet() -> Vec<u8> {
        made::udp("198.51.100.9:1".parse().unwrap(), "203.0.113.9:2".parse().unwrap(), b"")
    }

    #[test]
    fn a_packet_comes_out_when_its_time_has_come() {
        let mut gateway = gateway(Weather { delay: DELAY, ..Weather::default() });
        gateway.take(packet(), Duration::ZERO);
        assert_eq!((gateway.due(), gateway.give(DELAY / 2)), (Some(DELAY), None));
        assert_eq!((gateway.give(DELAY), gateway.due()), (Some(packet()), None));
    }

    #[test]
    fn a_part_of_all_packets_is_lost() {
        let mut gateway = gateway(Weather { loss: 0.1, ..Weather::default() });
        let arrived = (0..10_000)
            .filter(|_| {
                gateway.take(packet(), Duration::ZERO);
                gateway.give(Duration::ZERO).is_some()
            })
            .count();
        assert!((8_800..9_200).contains(&arrived), "{arrived}");
    }

    #[test]
    fn nothing_passes_while_the_uplink_is_cut() {
        let mut gateway = gateway(Weather::default());
        gateway.cut = true;
        gateway.take(packet(), Duration::ZERO);
        assert_eq!(gateway.give(Duration::ZERO), None);
        gateway.cut = false;
        gateway.take(packet(), Duration::ZERO);
        assert!(gateway.give(Duration::ZERO).is_some());
    }

    #[test]
    fn a_narrow_line_lets_packets_through_one_after_the_other_and_drops_who_would_wait_too_long() {
        let bits = packet().len() as u64 * 8;
        let patience = Duration::from_millis(250);
        // Ten a second.
        let rate = Some(bits as u32 * 10);
        let mut gateway = gateway(Weather { rate, patience, ..Weather::default() });
        for _ in 0..4 {
            gateway.take(packet(), Duration::ZERO);
        }
        let times: Vec<_> = (0..100)
            .filter(|step| gateway.give(Duration::from_millis(step * 10)).is_some())
            .map(|step| step * 10)
            .collect();
        assert_eq!(times, [100, 200]);
        let done = gateway.went_up();
        assert_eq!((done.bits, done.full), (bits * 2, 2));
        assert_eq!(done.waits, Some((Duration::ZERO, Duration::from_millis(200))));
        assert_eq!(gateway.went_up(), Done::default());
    }
}
