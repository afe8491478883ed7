//! What all shards of one relay have in common. Everything else a shard owns alone.
//!
//! Ports are lock-free; the rest is locked only when allocations come and go, never for a relayed packet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::clock::{Clock, Now, Seconds};
use super::credentials::Credentials;
use super::guests::Guests;
use super::ports::{Ports, Shard};
use super::quota::{Budget, Quotas};
use super::random::Seed;
use super::settings::Settings;
use crate::stun::Key;

/// RFC 8656 §7.2: a reserved port is kept for at least 30 s.
const RESERVATION_SECONDS: Seconds = 30;
/// More reservations than this at a time are refused.
const MAX_RESERVATIONS: usize = 1024;

/// The common ground of the shards.
#[derive(Debug)]
pub struct Shared {
    pub(super) clock: Clock,
    pub(super) nonce_key: Key,
    port_key: Key,
    pub(super) seed: Seed,
    pub(super) quotas: Arc<Quotas>,
    pub(super) guests: Arc<Guests>,
    /// One entry a relay address.
    ports: Vec<Ports>,
    credentials: RwLock<Arc<Credentials>>,
    reservations: Mutex<HashMap<u64, Reservation>>,
    draining: AtomicBool,
    /// Bytes relayed this month.
    pub budget: Budget,
}

/// A port kept back by EVEN-PORT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reservation {
    pub(super) relay: usize,
    pub(super) port: u16,
    until: Seconds,
}

impl Shared {
    /// `seed` comes from the operating system's generator; nonces and ports depend on it, but for those ports
    /// that a call should find again after a restart: they depend on the credentials.
    pub fn new(settings: &Settings, credentials: Credentials, seed: Seed, now: Now) -> Self {
        Self {
            clock: Clock::new(now.monotonic),
            nonce_key: Key::derived(&seed, &[b"nonce"]),
            port_key: credentials.lasting_key(b"relayed ports"),
            seed,
            quotas: Arc::default(),
            guests: Arc::default(),
            ports: settings.peers.relays.iter().map(|_| Ports::new(&settings.ports)).collect(),
            credentials: RwLock::new(Arc::new(credentials)),
            reservations: Mutex::default(),
            draining: AtomicBool::new(false),
            budget: Budget::default(),
        }
    }

    /// Replaces users and secrets. Allocations keep the keys they were made with.
    pub fn set_credentials(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }

    /// From now on no new allocations; those that are there may end by themselves.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// How many allocations there are.
    pub fn allocations(&self) -> u32 {
        self.quotas.total()
    }

    pub(super) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn ports(&self, relay: usize) -> Option<&Ports> {
        self.ports.get(relay)
    }

    /// Points at the port where somebody of this kind and name should be found again after a restart.
    pub(super) fn favourite_port(&self, kind: &[u8], name: &str) -> u64 {
        let mac = self.port_key.sha256(&[kind, &[0], name.as_bytes()]);
        mac.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    pub(super) fn owner(&self, relay: usize, port: u16) -> Option<Shard> {
        self.ports.get(relay)?.owner(port)
    }

    /// Remembers a reserved port under a token. False if there are too many.
    pub(super) fn reserve(&self, token: u64, relay: usize, port: u16, now: Seconds) -> bool {
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        let room = reservations.len() < MAX_RESERVATIONS;
        if room {
            reservations.insert(token, Reservation { relay, port, until: now + RESERVATION_SECONDS });
        }
        room
    }

    /// Takes over the port reserved under a token.
    pub(super) fn claim(&self, token: u64, shard: Shard) -> Option<Reservation> {
        let reservation = self.reservations.lock().unwrap_or_else(PoisonError::into_inner).remove(&token)?;
        self.ports(reservation.relay)?.claim(reservation.port, shard).then_some(reservation)
    }

    /// Gives back the ports that nobody claimed in time.
    pub(super) fn expire_reservations(&self, now: Seconds) {
        let mut reservations = self.reservations.lock().unwrap_or_else(PoisonError::into_inner);
        reservations.retain(|_, reservation| {
            let keep = reservation.until > now;
            if !keep && let Some(ports) = self.ports.get(reservation.relay) {
                ports.release(reservation.port);
            }
            keep
        });
    }

    /// HMAC of a time and a client address, cut to eight bytes.
    pub(super) fn nonce_mac(&self, time: [u8; 4], client: IpAddr) -> [u8; 8] {
        let ip = match client {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mac = self.nonce_key.sha256(&[&time, &ip.octets()]);
        mac.first_chunk().copied().unwrap_or_default()
    }
}
