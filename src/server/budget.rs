//! The budget of bytes in flight: what requests bring and responses wait to be written, per connection and in all.
//!
//! A body is counted for what came of it when it has to wait for more, and a response for each piece until the peer's
//! flow control has let it go. A request that is there as a whole, and a response that is small, cost what a request
//! costs by itself: no more is done for the calls that count.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Bytes in flight in all.
pub(super) const MAX_BYTES_IN_FLIGHT: usize = 256 * 1024 * 1024;
/// Bytes in flight on one connection.
pub(super) const MAX_BYTES_PER_CONNECTION: usize = 64 * 1024 * 1024;
/// Kept for small requests, so that large ones never shut a step out; and on each connection.
const RESERVED_BYTES: usize = 16 * 1024 * 1024;
const RESERVED_BYTES_PER_CONNECTION: usize = 4 * 1024 * 1024;
/// What may use the reserve.
const SMALL_BYTES: usize = 64 * 1024;
/// What a request costs by itself: its headers, its task and a small response.
const REQUEST_BYTES: usize = 4 * 1024;
/// A shorter piece of a response is counted with its request.
const LEAST_PIECE_BYTES: usize = 1024;
/// How long a body may take to come, or a piece of a response to be taken.
pub(super) const BODY_LIMIT: Duration = Duration::from_secs(30);
/// What a file, and a piece of a response that is large, has to come or go by in a second beyond that time.
pub(super) const LEAST_BYTES_PER_SECOND: usize = 64 * 1024;

/// The time that so many bytes have at least the slowest pace for.
pub(super) fn time_for(bytes: usize) -> Duration {
    BODY_LIMIT + Duration::from_millis((bytes as u64).saturating_mul(1000) / LEAST_BYTES_PER_SECOND as u64)
}

/// The budget of all connections.
#[derive(Default)]
pub(super) struct Budget {
    used: AtomicUsize,
}

/// What is known of one connection while it lives: what it has in flight, and whether it is of use.
pub(super) struct Ledger {
    budget: Arc<Budget>,
    used: AtomicUsize,
    /// Requests that came, of any kind.
    requests: AtomicU64,
    is_authorised: AtomicBool,
    /// Accepted from the last places, which are kept for callers that steer.
    pub(super) is_reserved: bool,
    /// Whether the peer is still sending what nobody will read when the connection is closed.
    is_cut_short: AtomicBool,
    began: Instant,
    /// Pieces of responses that wait to be written: how many have to be by which second.
    waiting: Mutex<BTreeMap<u64, usize>>,
}

impl Ledger {
    pub(super) fn new(budget: Arc<Budget>, is_reserved: bool) -> Arc<Self> {
        Arc::new(Self {
            budget,
            used: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            is_authorised: AtomicBool::new(false),
            is_reserved,
            is_cut_short: AtomicBool::new(false),
            began: Instant::now(),
            waiting: Mutex::default(),
        })
    }

    /// Counts a request, with what it costs by itself; nothing where the budget is used up.
    pub(super) fn request(self: &Arc<Self>) -> Option<Charge> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.charge(REQUEST_BYTES)
    }

    /// A token of ours came, or none is asked for.
    pub(super) fn authorise(&self) {
        if !self.is_authorised.load(Ordering::Relaxed) {
            self.is_authorised.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_authorised(&self) -> bool {
        self.is_authorised.load(Ordering::Relaxed)
    }

    /// Whether a request or a piece of a response is on its way.
    pub(super) fn is_in_use(&self) -> bool {
        self.used.load(Ordering::Relaxed) > 0
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The peer is still sending a body of which the rest is not read.
    pub(super) fn cut_short(&self) {
        self.is_cut_short.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.is_cut_short.load(Ordering::Relaxed)
    }

    /// Whether a piece of a response was not taken in its time.
    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.waiting.lock().first_key_value().is_some_and(|(second, _)| *second <= (now - self.began).as_secs())
    }

    /// Whether a response of so many bytes can be counted now.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let fits = |used: &AtomicUsize, most: usize| used.load(Ordering::Relaxed) as u64 + bytes <= most as u64;
        bytes <= SMALL_BYTES as u64
            || (fits(&self.used, MAX_BYTES_PER_CONNECTION - RESERVED_BYTES_PER_CONNECTION)
                && fits(&self.budget.used, MAX_BYTES_IN_FLIGHT - RESERVED_BYTES))
    }

    /// Bytes out of both budgets.
    fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut charge = Charge { ledger: self.clone(), bytes: 0 };
        charge.grow(bytes).then_some(charge)
    }

    /// Takes bytes out of both budgets: out of the reserves, too, where the whole that they belong to is small.
    fn take(&self, bytes: usize, is_small: bool) -> bool {
        let (kept, kept_in_all) = if is_small { (0, 0) } else { (RESERVED_BYTES_PER_CONNECTION, RESERVED_BYTES) };
        if self.used.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES_PER_CONNECTION - kept {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        if self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES_IN_FLIGHT - kept_in_all {
            self.give(bytes);
            return false;
        }
        true
    }

    fn give(&self, bytes: usize) {
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes in flight, until they are no more.
pub(super) struct Charge {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Charge {
    /// No bytes yet.
    pub(super) fn none(ledger: &Arc<Ledger>) -> Self {
        Self { ledger: ledger.clone(), bytes: 0 }
    }

    /// Makes it so many bytes, if the budget has them; what it had, it keeps either way.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let fits = self.ledger.take(more, bytes <= SMALL_BYTES);
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.give(self.bytes);
    }
}

/// A piece of a response that counts until it is written.
struct Piece {
    bytes: Bytes,
    charge: Charge,
    /// By when it has to be written.
    second: u64,
}

/// Counts a piece of a response from here to where it is written; nothing where the budget is used up.
pub(super) fn counted(ledger: &Arc<Ledger>, bytes: Bytes) -> Option<Bytes> {
    if bytes.len() < LEAST_PIECE_BYTES {
        return Some(bytes);
    }
    let charge = ledger.charge(bytes.len())?;
    let second = (ledger.began.elapsed() + time_for(bytes.len())).as_secs() + 1;
    *ledger.waiting.lock().entry(second).or_default() += 1;
    Some(Bytes::from_owner(Piece { bytes, charge, second }))
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut waiting = self.charge.ledger.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.second) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.second);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(budget: &Arc<Budget>) -> Arc<Ledger> {
        Ledger::new(budget.clone(), false)
    }

    #[test]
    fn one_connection_has_its_share_and_all_of_them_the_whole() {
        let budget = Arc::new(Budget::default());
        let piece = || Bytes::from(vec![0; (MAX_BYTES_PER_CONNECTION - RESERVED_BYTES_PER_CONNECTION) / 2]);
        let mut kept = Vec::new();
        let connections: Vec<_> = (0..8).map(|_| ledger(&budget)).collect();
        for one in &connections {
            kept.extend((0..3).filter_map(|_| counted(one, piece())));
        }
        // Two of each connection, until only the reserve is left.
        assert_eq!(kept.len(), 8);
        assert!(connections.iter().all(|one| one.request().is_some()), "a small request always gets in");
        kept.clear();
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert!(connections.iter().all(|one| !one.is_in_use()));
    }

    #[test]
    fn what_is_refused_is_not_counted() {
        let budget = Arc::new(Budget::default());
        let one = ledger(&budget);
        let mut charge = one.charge(1_000).expect("there is room");
        assert!(!charge.grow(MAX_BYTES_PER_CONNECTION + 1));
        assert!(charge.grow(2_000) && charge.grow(500));
        assert_eq!(budget.used.load(Ordering::Relaxed), 2_000);
        drop(charge);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_piece_has_time_by_its_length() {
        let one = ledger(&Arc::default());
        let large = counted(&one, Bytes::from(vec![0; 10 * LEAST_BYTES_PER_SECOND])).expect("room");
        let part = large.slice(5..);
        drop(large);
        tokio::time::advance(BODY_LIMIT + Duration::from_secs(9)).await;
        assert!(!one.is_stalled(Instant::now()));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(one.is_stalled(Instant::now()), "its rest waits");
        drop(part);
        assert!(!one.is_stalled(Instant::now()) && !one.is_in_use());
    }
}
