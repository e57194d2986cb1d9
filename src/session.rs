//! One session: what an agent recorded, where the debugger stands, who is held.
//!
//! ```text
//!            attach                                pause | step
//! Detached ─────────▶ Paused ◀──────────────────────────────── Running
//!     ▲                 │  step: release one, stay Paused         ▲
//!     │                 └── continue: release all ────────────────┘
//!     └── the last debugger left and its grace is over: release all, no holds
//! ```
//!
//! A pure state machine: no clock, no I/O, no channel, no lock. Time comes in as an argument. A verb only
//! *decides* (`&self`) and answers with [`Change`]s; [`Session::apply`] makes them so and cannot fail. The state is
//! the fold of the changes that were applied.
//!
//! Invariants: `position <= total`; whoever sees an event can already release it, because a [`Change::Recorded`]
//! brings its hold along; while detached nobody is held; each hold ends once.

mod apply;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod hold;
pub(crate) mod node;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod verb;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::event::{Answer, Decision, Ended, Event, Moment, Outcome, Report, Role, RunId, Seq};
pub(crate) use hold::{Hold, HoldReason, Refusal};
use node::OpenNodes;

/// Runs that may have a mode of their own, seen or not.
pub(crate) const MAX_RUN_MODES: usize = 1_000;

/// Who ended a hold where nobody decided.
pub(crate) const NOBODY: &str = "debugger";

/// What a run does at its next step, while a debugger is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Running,
    Paused(HoldReason),
}

/// How a subscriber takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Debugger,
    Observer,
}

/// One thing that happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// An event, and its hold where it waits.
    Recorded(Recorded),
    /// A hold ended, and what its callers are told.
    Ended { ended: Arc<Ended>, answer: Answer },
    /// The oldest event is no longer retained.
    Trimmed(Arc<Event>),
    /// The position is now this.
    Moved(u64),
    /// The mode of one run; of all where none is named, and then no run has one of its own.
    Mode { run: Option<RunId>, mode: Mode },
    /// The run was stopped: its later events are answered abort.
    Aborted { run: RunId, reason: Box<str> },
    /// A subscriber came.
    Joined(Part),
    /// A subscriber went.
    Left(Part),
    /// The grace after the last debugger is over.
    Detached,
    /// The trace is dropped, a new epoch begins.
    Cleared { epoch: Arc<str> },
}

/// A numbered event and what becomes of its Trace.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) event: Arc<Event>,
    pub(crate) hold: Option<Hold>,
    /// Of the body, where the request has an id.
    pub(crate) fingerprint: u64,
    /// What the caller is told where it is not held.
    pub(crate) answer: Answer,
}

/// What is known of a request that came before.
#[derive(Debug)]
pub(crate) enum Known {
    /// Its event is held still.
    Held(Seq),
    /// It was answered.
    Answered(Answer),
}

#[derive(Debug)]
struct Remembered {
    fingerprint: u64,
    seq: Seq,
    /// Nothing while held.
    answer: Option<Answer>,
}

#[derive(Debug, Default)]
struct Run {
    mode: Option<Mode>,
    /// Events retained.
    retained: u64,
    held: u32,
    finished: bool,
    aborted: Option<Box<str>>,
    last: Seq,
    open: OpenNodes,
}

impl Run {
    /// Whether anything would be lost with it.
    fn is_blank(&self) -> bool {
        self.retained == 0 && self.held == 0 && self.mode.is_none() && self.aborted.is_none()
    }
}

/// One run, as people see it.
#[derive(Debug)]
pub(crate) struct RunView {
    pub(crate) run_id: RunId,
    pub(crate) mode: Option<Mode>,
    pub(crate) finished: bool,
    pub(crate) events: u64,
    pub(crate) held: u32,
}

/// Where the debugger stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// How many retained events lie at or before the cursor.
    pub(crate) position: u64,
    /// Events retained.
    pub(crate) total: u64,
}

/// One agent's state. See the module.
#[derive(Debug)]
pub(crate) struct Session {
    max_holds: usize,
    epoch: Arc<str>,
    /// The first number of this epoch; numbers are contiguous within it.
    epoch_first: u64,
    /// The oldest retained; `next` with none.
    first: u64,
    next: u64,
    position: u64,
    mode: Mode,
    /// A debugger subscribes, or the grace after the last one runs.
    attached: bool,
    debuggers: u32,
    observers: u32,
    runs: HashMap<RunId, Run>,
    holds: BTreeMap<Seq, Hold>,
    requests: HashMap<Arc<str>, Remembered>,
    /// Grows with every change that people see in the state snapshot.
    revision: u64,
}

impl Session {
    /// A session that has seen nothing; at most `max_holds` of its Traces wait at a time.
    pub(crate) fn new(epoch: Arc<str>, max_holds: usize) -> Self {
        Self {
            max_holds,
            epoch,
            epoch_first: 1,
            first: 1,
            next: 1,
            position: 0,
            mode: Mode::Running,
            attached: false,
            debuggers: 0,
            observers: 0,
            runs: HashMap::new(),
            holds: BTreeMap::new(),
            requests: HashMap::new(),
            revision: 0,
        }
    }

    pub(crate) fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }

    pub(crate) fn position(&self) -> Position {
        Position { position: self.position, total: self.total() }
    }

    pub(crate) fn total(&self) -> u64 {
        self.next - self.first
    }

    /// Events trimmed in this epoch.
    pub(crate) fn dropped(&self) -> u64 {
        self.first - self.epoch_first
    }

    /// The number of the oldest event retained, or of the next one with none.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The first number of this epoch.
    pub(crate) fn epoch_first(&self) -> u64 {
        self.epoch_first
    }

    /// The oldest and the newest retained.
    pub(crate) fn bounds(&self) -> Option<(Seq, Seq)> {
        (self.total() > 0).then(|| (Seq(self.first), Seq(self.next - 1)))
    }

    /// Nothing while detached.
    pub(crate) fn mode(&self) -> Option<Mode> {
        self.attached.then_some(self.mode)
    }

    pub(crate) fn debuggers(&self) -> u32 {
        self.debuggers
    }

    pub(crate) fn observers(&self) -> u32 {
        self.observers
    }

    /// The holds, oldest first.
    pub(crate) fn holds(&self) -> impl ExactSizeIterator<Item = &Hold> {
        self.holds.values()
    }

    pub(crate) fn hold(&self, seq: Seq) -> Option<&Hold> {
        self.holds.get(&seq)
    }

    /// Whether an empty chair is all that would be lost with this session beside its trace.
    pub(crate) fn is_idle(&self) -> bool {
        !self.attached && self.observers == 0 && self.holds.is_empty()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest `most` runs, oldest first.
    pub(crate) fn runs(&self, most: usize) -> Vec<RunView> {
        let mut runs: Vec<_> = self.runs.iter().collect();
        runs.sort_by_key(|(id, run)| (std::cmp::Reverse(run.last), (*id).clone()));
        runs.truncate(most);
        let view = |(id, run): (&RunId, &Run)| RunView {
            run_id: id.clone(),
            mode: self.attached.then(|| run.mode.unwrap_or(self.mode)),
            finished: run.finished,
            events: run.retained,
            held: run.held,
        };
        runs.into_iter().rev().map(view).collect()
    }

    /// Looks a repeated request up. The same id with another body is refused.
    pub(crate) fn known(&self, request_id: &str, fingerprint: u64) -> Result<Option<Known>, Refusal> {
        match self.requests.get(request_id) {
            None => Ok(None),
            Some(known) if known.fingerprint != fingerprint => Err(Refusal::OtherBody),
            Some(Remembered { answer: Some(answer), .. }) => Ok(Some(Known::Answered(answer.clone()))),
            Some(Remembered { seq, answer: None, .. }) => Ok(Some(Known::Held(*seq))),
        }
    }

    /// Numbers a reported step, finds its node and says whether it is held.
    ///
    /// `room` is whether the process can hold another Trace. Where it cannot, or this session has its fill, the
    /// step is recorded and passes: a limit never stops an agent that only records.
    pub(crate) fn trace(&self, report: Report, fingerprint: u64, room: bool, now: Moment) -> Recorded {
        let seq = Seq(self.next);
        let run = self.runs.get(&report.run_id);
        let node_id = report.node_id.or_else(|| match report.kind.role() {
            Role::Opens => Some(format!("n{}", seq.0).into()),
            Role::Closes => run?.open.only_match(report.kind, report.name.as_deref()),
            Role::Neither => None,
        });
        let decision = match run.and_then(|run| run.aborted.clone()) {
            Some(reason) => Decision::Abort { reason },
            None => Decision::Proceed,
        };
        let event = Arc::new(Event {
            seq,
            at: now.wall,
            run_id: report.run_id,
            kind: report.kind,
            data: report.data,
            node_id,
            parent_id: report.parent_id,
            name: report.name,
            start: report.start.unwrap_or(now.wall),
            details: (report.details != Default::default()).then(|| Box::new(report.details)),
            effect: report.effect,
            match_key: report.match_key,
            accepts: report.accepts,
            request_id: report.request_id,
            run_end: report.run_end,
        });
        let answer = Answer {
            seq,
            total: self.total() + 1,
            run_id: event.run_id.clone(),
            node_id: event.node_id.clone(),
            outcome: Outcome::NotHeld,
            held_for: Duration::ZERO,
            decision,
        };
        let stop = match run.and_then(|run| run.mode).unwrap_or(self.mode) {
            Mode::Paused(reason) if self.attached && answer.decision == Decision::Proceed => Some(reason),
            _ => None,
        };
        let hold = stop.filter(|_| report.may_hold && room && self.holds.len() < self.max_holds).map(|reason| Hold {
            event: event.clone(),
            reason,
            since: now,
            total: answer.total,
            default: answer.decision.clone(),
        });
        Recorded { event, hold, fingerprint, answer }
    }

    /// Whether a Trace of this run would wait now, were there room.
    pub(crate) fn would_hold(&self, run_id: &RunId) -> bool {
        self.attached && self.runs.get(run_id).and_then(|run| run.mode).unwrap_or(self.mode) != Mode::Running
    }
}
