//! The places of connections: how many there are, for which peers, and which connection makes room.
//!
//! ```text
//! 0 ─────────────── for all ─────────────── 7/8 ── loopback peers alone ── 31/32 ── callers that steer ── limit
//! ```
//!
//! A connection that has made no authorised request is worth less than one that might: where places run short, the
//! oldest of them is closed.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Ledger};

/// The share of the places that are kept for peers on this machine: one in so many.
const LOOPBACK_RESERVE: usize = 8;
/// The share that is kept for callers that steer: one in so many.
const CONTROL_RESERVE: usize = 32;
/// The share that one peer elsewhere may have: one in so many, and at least [`LEAST_SHARE`].
const PEER_SHARE: usize = 4;
const LEAST_SHARE: usize = 16;
/// A connection keeps its place for this long before it has to make room.
const YOUTH: Duration = Duration::from_secs(1);

/// All places.
pub(super) struct Places {
    limit: usize,
    budget: Arc<Budget>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    peers: HashMap<IpAddr, usize>,
    /// By age.
    connections: BTreeMap<u64, Connection>,
}

struct Connection {
    since: Instant,
    ledger: Arc<Ledger>,
    close: CancellationToken,
}

/// One place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    id: u64,
    peer: Option<IpAddr>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) since: Instant,
    /// Cancelled where it has to make room.
    pub(super) close: CancellationToken,
}

impl Places {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, budget: Arc::default(), taken: Mutex::default() })
    }

    /// A place for a peer, where there is one for it.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let peer = share_of(peer);
        let mut taken = self.taken.lock();
        let count = taken.connections.len();
        let for_control = self.limit - self.limit / CONTROL_RESERVE;
        let for_all = if peer.is_some() { for_control - self.limit / LOOPBACK_RESERVE } else { for_control };
        if count >= for_all {
            taken.make_room();
        }
        // Peers elsewhere have no use of the last places, unless those for peers here are free.
        let is_reserved = count >= for_all;
        if count >= self.limit || (is_reserved && count < for_control) {
            return None;
        }
        if let Some(peer) = peer {
            let share = (self.limit / PEER_SHARE).max(LEAST_SHARE);
            let of_peer = taken.peers.entry(peer).or_default();
            if *of_peer >= share {
                return None;
            }
            *of_peer += 1;
        }
        let id = taken.next;
        taken.next += 1;
        let (since, close) = (Instant::now(), CancellationToken::new());
        let ledger = Ledger::new(self.budget.clone(), is_reserved);
        taken.connections.insert(id, Connection { since, ledger: ledger.clone(), close: close.clone() });
        Some(Place { places: self.clone(), id, peer, ledger, since, close })
    }
}

impl Taken {
    /// Closes the oldest connection that has made no authorised request.
    fn make_room(&mut self) {
        let now = Instant::now();
        let oldest = self.connections.values().find(|one| !one.ledger.is_authorised() && !one.close.is_cancelled());
        if let Some(oldest) = oldest.filter(|oldest| now - oldest.since >= YOUTH) {
            oldest.close.cancel();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.connections.remove(&self.id);
        if let Some(peer) = self.peer
            && let Some(count) = taken.peers.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                taken.peers.remove(&peer);
            }
        }
    }
}

/// The address whose share a peer's connection counts for: none for this machine, and a whole network of IPv6, of which
/// one peer has as many addresses as it likes.
fn share_of(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    let network = |address: Ipv6Addr| Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
    match peer {
        peer if peer.is_loopback() => None,
        IpAddr::V4(_) => Some(peer),
        IpAddr::V6(address) => Some(network(address).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1";

    fn take(places: &Arc<Places>, peer: &str, most: usize) -> Vec<Place> {
        (0..most).map_while(|_| places.take(peer.parse().expect("address"))).collect()
    }

    #[tokio::test]
    async fn a_peer_elsewhere_has_a_share_and_one_on_this_machine_has_none() {
        let places = Places::new(512);
        let one = take(&places, "192.0.2.1", 512);
        assert_eq!(one.len(), 128);
        assert_eq!(take(&places, "::ffff:192.0.2.1", 1).len(), 0, "it is the same peer");
        let network: Vec<_> = (0..200).flat_map(|host| take(&places, &format!("2001:db8::{host:x}"), 1)).collect();
        assert_eq!(network.len(), 128, "all of a network are one peer");
        drop(one);
        assert_eq!(take(&places, "192.0.2.1", 1).len(), 1);
        assert_eq!(take(&places, LOOPBACK, 512).len(), 512 - 128);
    }

    #[tokio::test]
    async fn the_last_places_are_for_this_machine_and_for_callers_that_steer() {
        let places = Places::new(512);
        let elsewhere: Vec<_> = (1..9).flat_map(|peer| take(&places, &format!("192.0.2.{peer}"), 128)).collect();
        assert_eq!(elsewhere.len(), 512 - 64 - 16);
        let here = take(&places, LOOPBACK, 64);
        assert!(here.len() == 64 && here.iter().all(|place| !place.ledger.is_reserved));
        let mut last = take(&places, LOOPBACK, 8);
        last.extend(take(&places, "192.0.2.9", 100));
        assert!(last.len() == 16 && last.iter().all(|place| place.ledger.is_reserved));
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_connection_that_proved_nothing_makes_room() {
        let places = Places::new(4);
        let all = take(&places, LOOPBACK, 4);
        all[0].ledger.authorise();
        assert!(places.take(LOOPBACK.parse().expect("address")).is_none());
        assert!(all.iter().all(|place| !place.close.is_cancelled()), "they have only just come");
        tokio::time::advance(YOUTH).await;
        for closed in 1..=3 {
            assert!(places.take(LOOPBACK.parse().expect("address")).is_none());
            let is_closed: Vec<_> = all.iter().map(|place| place.close.is_cancelled()).collect();
            assert_eq!(is_closed.iter().filter(|closed| **closed).count(), closed);
            assert!(!is_closed[0], "an authorised one stays");
        }
    }
}
