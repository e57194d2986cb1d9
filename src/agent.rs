//! One agent under its lock: the session, its log, those who wait and those who watch.

pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod subscription;
pub(crate) mod turn;
pub(crate) mod waiter;
mod waiters;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, task::AbortHandle};

use self::{
    shared::Shared,
    snapshot::{HeldView, Snapshot, Status},
    turn::Waiting,
    waiters::Waiters,
};
use crate::{
    agent::subscription::{encoded::Encoded, spans::Spans},
    event::{Moment, Outcome, Seq, Timestamp},
    session::{Change, Hold, Recorded, Role, Session},
    store::{Entry, Log, memory::MemoryLog},
};

/// How long a hold with a `request_id` outlives its caller.
pub(crate) const ORPHAN_GRACE: Duration = Duration::from_secs(10);

/// One agent. Its state is behind a lock that is held for a step at a time, never while waiting.
pub(crate) struct Agent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Mutex<State>,
    /// Wakes subscribers to look again; it carries nothing.
    wake: watch::Sender<()>,
    /// Milliseconds on the steady clock.
    last_used: AtomicU64,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) log: Box<dyn Log>,
    pub(crate) waiters: HashMap<Seq, Waiters>,
    pub(crate) subscribers: HashMap<u64, Arc<AtomicU64>>,
    /// What they were given last.
    pub(crate) spans: Option<Box<Spans>>,
    snapshot: Option<(u64, Arc<Encoded<Snapshot>>)>,
    pub(crate) last_event: Option<Timestamp>,
    /// Steps whose conditions take a while, and those behind them.
    pub(super) waiting: Option<Box<Waiting>>,
    /// Counts the times that the last debugger left, so that an old grace knows itself.
    departures: u64,
    grace: Option<AbortHandle>,
    /// The registry has forgotten this agent: look it up again.
    pub(crate) evicted: bool,
}

impl Agent {
    pub(super) fn new(shared: Arc<Shared>, epoch: Arc<str>) -> Self {
        let state = State {
            session: Session::new(epoch.clone(), shared.limits.max_holds_per_agent),
            log: Box::new(MemoryLog::new(epoch)),
            waiters: HashMap::new(),
            subscribers: HashMap::new(),
            spans: None,
            snapshot: None,
            last_event: None,
            waiting: None,
            departures: 0,
            grace: None,
            evicted: false,
        };
        Self { shared, state: Mutex::new(state), wake: watch::Sender::new(()), last_used: AtomicU64::new(0) }
    }

    pub(super) fn touch(&self, now: Moment) {
        self.last_used.store(now.steady.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }

    /// Tells subscribers to look again.
    pub(crate) fn wake(&self) {
        self.wake.send_replace(());
    }

    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.wake.subscribe()
    }

    /// Makes decided changes so: in the session, in the log, for those who wait; then wakes those who watch.
    pub(crate) fn execute(&self, state: &mut State, changes: impl IntoIterator<Item = Change>) {
        let mut changed = false;
        for change in changes {
            changed = true;
            state.session.apply(&change);
            match change {
                Change::Recorded(Recorded { event, hold, .. }) => {
                    if hold.is_some() {
                        self.shared.holds.fetch_add(1, Ordering::Relaxed);
                        self.shared.metrics.hold_began();
                    }
                    self.shared.bytes.fetch_add(event.bytes(), Ordering::Relaxed);
                    state.log.append(Entry::Event(event));
                }
                Change::HoldEnded { ended, answer } => {
                    self.shared.holds.fetch_sub(1, Ordering::Relaxed);
                    self.shared.metrics.hold_ended(ended.outcome, ended.held_for);
                    if let Some(waiters) = state.waiters.remove(&ended.seq) {
                        waiters.answer(&answer);
                    }
                    self.shared.bytes.fetch_add(ended.bytes(), Ordering::Relaxed);
                    state.log.append(Entry::HoldEnded(ended));
                }
                Change::Decided(ended) => {
                    self.shared.bytes.fetch_add(ended.bytes(), Ordering::Relaxed);
                    state.log.append(Entry::HoldEnded(ended));
                }
                Change::Forked(forked) => {
                    let entry = Entry::Forked(forked);
                    self.shared.bytes.fetch_add(entry.bytes(), Ordering::Relaxed);
                    state.log.append(entry);
                }
                Change::Cleared { epoch } => {
                    self.shared.bytes.fetch_sub(state.log.bytes() + state.log.held_bytes(), Ordering::Relaxed);
                    state.log.clear(epoch);
                    state.forget_spans(&self.shared);
                }
                Change::Joined(role) => self.shared.metrics.subscriber_came(role),
                Change::Left(role) => self.shared.metrics.subscriber_went(role),
                Change::Trimmed(_)
                | Change::KeptGone(_)
                | Change::Moved(_)
                | Change::Mode { .. }
                | Change::Aborted { .. }
                | Change::Lifted { .. }
                | Change::Breakpoint(_)
                | Change::BreakpointGone(_)
                | Change::ForkGone(_)
                | Change::Imported { .. }
                | Change::Deserted { .. }
                | Change::Detached => {}
            }
        }
        if changed && !state.subscribers.is_empty() {
            self.wake();
        }
    }

    /// Trims the oldest events until one of `bytes` more fits.
    pub(super) fn make_room(&self, state: &mut State, bytes: usize) {
        let limits = &self.shared.limits;
        loop {
            let full = state.session.total() >= limits.max_events_per_agent as u64
                || state.log.bytes() + bytes > limits.max_bytes_per_agent
                || self.shared.bytes.load(Ordering::Relaxed) + bytes > limits.max_bytes;
            if !full {
                return;
            }
            let State { session, log, .. } = &mut *state;
            let Some(trimmed) = log.trim(&|seq| session.hold(seq).is_some()) else { return };
            self.shared.bytes.fetch_sub(trimmed.freed, Ordering::Relaxed);
            if let Some(event) = trimmed.event {
                self.shared.metrics.dropped_events.inc();
                session.apply(&Change::Trimmed(event));
            }
            for event in trimmed.gone {
                session.apply(&Change::KeptGone(event));
            }
        }
    }

    /// A subscriber went; where it was the last debugger, the grace begins.
    pub(crate) fn leave(self: &Arc<Self>, id: u64, role: Role) {
        let mut state = self.state.lock();
        state.subscribers.remove(&id);
        if state.subscribers.is_empty() {
            state.forget_spans(&self.shared);
        }
        self.execute(&mut state, [Change::Left(role)]);
        if role == Role::Observer || state.session.debuggers() > 0 {
            return;
        }
        state.departures += 1;
        let (departure, agent, grace) = (state.departures, self.clone(), self.shared.limits.detach_grace);
        if grace.is_zero() {
            self.detach(&mut state);
            return;
        }
        let timer = self.shared.runtime.spawn(async move {
            tokio::time::sleep(grace).await;
            let mut state = agent.state.lock();
            if state.departures == departure {
                agent.detach(&mut state);
            }
        });
        if let Some(earlier) = state.grace.replace(timer.abort_handle()) {
            earlier.abort();
        }
    }

    fn detach(&self, state: &mut State) {
        let changes = state.session.detach(self.shared.now());
        self.execute(state, changes);
    }

    /// The last caller of a hold went. With a `request_id` the hold outlives it by a grace; else it is over.
    pub(super) fn orphan(self: &Arc<Self>, state: &mut State, seq: Seq) {
        let Some(hold) = state.session.hold(seq) else { return };
        if hold.event.request_id.is_none() {
            self.give_up(state, seq, Outcome::Abandoned);
            return;
        }
        let Some(waiters) = state.waiters.get_mut(&seq) else { return };
        let (orphaned, agent) = (waiters.orphaned(), self.clone());
        let timer = self.shared.runtime.spawn(async move {
            tokio::time::sleep(ORPHAN_GRACE).await;
            let mut state = agent.state.lock();
            if state.waiters.get(&seq).is_some_and(|waiters| waiters.is_orphan_since(orphaned)) {
                let changes = state.session.give_up_deserted(seq, agent.shared.now());
                agent.execute(&mut state, changes);
            }
        });
        waiters.set_timer(timer.abort_handle());
    }

    /// Ends a hold without a verb, if it is not over already.
    pub(super) fn give_up(&self, state: &mut State, seq: Seq, outcome: Outcome) {
        let change = state.session.give_up(seq, outcome, self.shared.now());
        self.execute(state, change);
    }
}

impl State {
    /// Whether the agent can be evicted.
    pub(super) fn is_idle(&self) -> bool {
        self.session.is_idle() && self.waiting.is_none()
    }

    /// Nobody reads here any more, or what was read is gone.
    fn forget_spans(&mut self, shared: &Shared) {
        if let Some(mut spans) = self.spans.take() {
            spans.clear(&shared.span_bytes);
        }
    }

    /// Everything of a status but the runs.
    pub(super) fn status(&self, now: Moment) -> Status {
        Status {
            at: self.session.position(),
            snapshot: self.view(now),
            bounds: self.session.bounds(),
            dropped: self.session.dropped(),
            epoch: Some(self.session.epoch().clone()),
            runs: Vec::new(),
            last_event: self.last_event,
        }
    }

    /// The snapshot of now, made once for all who look at this revision.
    pub(crate) fn snapshot(&mut self, now: Moment) -> Arc<Encoded<Snapshot>> {
        let revision = self.session.revision();
        match &self.snapshot {
            Some((of, snapshot)) if *of == revision => snapshot.clone(),
            _ => {
                let snapshot = Arc::new(Encoded::new(self.view(now)));
                self.snapshot = Some((revision, snapshot.clone()));
                snapshot
            }
        }
    }

    fn view(&self, now: Moment) -> Snapshot {
        let view = |hold: &Hold| HeldView {
            event: hold.event.clone(),
            trimmed: hold.event.seq.0 < self.session.first(),
            reason: hold.reason,
            held_for: now.steady.saturating_sub(hold.since.steady),
            breakpoints: hold.breakpoints.clone(),
            gate: hold.gate.is_some(),
            time_left: self.waiters.get(&hold.event.seq).and_then(Waiters::time_left),
        };
        Snapshot {
            mode: self.session.mode(),
            held: self.session.holds().map(view).collect(),
            debuggers: self.session.debuggers(),
            observers: self.session.observers(),
            breakpoint_revision: self.session.breakpoint_revision(),
        }
    }

    /// How far the slowest subscriber is behind, in log entries.
    pub(super) fn max_lag(&self) -> u64 {
        let cursors = self.subscribers.values().map(|cursor| cursor.load(Ordering::Relaxed));
        cursors.map(|cursor| self.log.end().0.saturating_sub(cursor)).max().unwrap_or(0)
    }
}
