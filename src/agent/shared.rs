//! What all agents share: the limits, the figures, the clock, and the counts that bound them together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{runtime::Handle, time::Instant};

use crate::{
    config::Limits,
    event::{Moment, Timestamp},
    telemetry::Metrics,
};

/// What all agents share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// Traces that wait, in all.
    pub(crate) holds: AtomicUsize,
    /// Bytes retained, in all.
    pub(crate) bytes: AtomicUsize,
    /// Bytes of the spans that subscribers share, in all.
    pub(crate) span_bytes: AtomicUsize,
    ids: AtomicU64,
    closing: AtomicBool,
    started: Instant,
    pub(crate) runtime: Handle,
}

impl Shared {
    /// Nothing retained yet. Timers run on the current runtime.
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            metrics,
            holds: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            span_bytes: AtomicUsize::new(0),
            ids: AtomicU64::new(1),
            closing: AtomicBool::new(false),
            started: Instant::now(),
            runtime: Handle::current(),
        }
    }

    /// The service drains from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    /// What the steady clock reads.
    pub(crate) fn steady(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { wall: Timestamp(i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX)), steady: self.started.elapsed() }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// A number that this process uses once.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// The instant that a reading of the steady clock means.
    pub(super) fn instant(&self, steady: Duration) -> Instant {
        self.started + steady
    }
}
