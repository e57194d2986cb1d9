//! One session: what an agent recorded, where the debugger stands, who is held.
//!
//! ```text
//!            attach                  pause | step | breakpoint | target reached
//! Detached ─────────▶ Paused ◀──────────────────────────────── Running, Stepping
//!     ▲                 │  step: release one, stay Paused         ▲
//!     │                 └── continue: release all ────────────────┘
//!     └── the last debugger left and its grace is over: release all, no holds
//! ```
//!
//! A pure state machine: no clock, no I/O, no channel, no lock. Time comes in as an argument. A verb only
//! *decides* (`&self`) and answers with [`Change`]s; [`Session::apply`] makes them so and cannot fail. The state is
//! the fold of the changes that were applied.
//!
//! Invariants: `position <= total`; a subscriber that sees an event can already release it, because a [`Change::Recorded`]
//! brings its hold along; while detached nobody is held but by an approval gate, a fork's included; each hold ends
//! once.

mod apply;
pub(crate) mod breakpoint;
pub(crate) mod condition;
pub(crate) mod control;
pub(crate) mod fingerprint;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod fork;
pub(crate) mod hold;
pub(crate) mod node;
#[cfg(test)]
mod properties;
mod quiet;
pub(crate) mod repeats;
mod stepping;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;

use crate::{
    content::mask::Masked,
    event::{Ancestry, Answer, Event, HoldEnded, Origin, RunId, Seq, SmallStr, Timestamp},
};
use breakpoint::Breakpoint;
use fork::{Fork, plan::Plan};
pub(crate) use hold::{Hold, HoldReason, Refusal};
use node::OpenNodes;
use quiet::Quiet;
use stepping::Parents;

/// Runs of which a verb may set the mode, seen or not; and runs that may be aborted at a time. Beyond it the verb is
/// refused: what was decided about one run is not dropped for another.
pub(crate) const MAX_RUN_MODES: usize = 1_000;
pub(crate) const MAX_ABORTED_RUNS: usize = 1_000;
/// Runs whose fork had to make room, and that are kept from running: ten thousand forks later one is a plain run again.
const MAX_FORGOTTEN_FORKS: usize = 10_000;

/// Who ended a hold where nobody decided.
pub(crate) const SYSTEM_ACTOR: &str = "debugger";
/// Who decided where a fork's plan did.
const FORK: &str = "fork";

/// What a run does at its next step, while a debugger is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Running,
    Paused(HoldReason),
    /// Running, to the end of this node.
    Stepping(SmallStr),
}

/// How a subscriber takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Debugger,
    Observer,
}

/// One thing that happens to a session.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// An event, and its hold where it waits.
    Recorded(Recorded),
    /// A hold ended, and what its callers are told.
    HoldEnded { ended: Arc<HoldEnded>, answer: Answer },
    /// What was decided on an event that was not held.
    Decided(Arc<HoldEnded>),
    /// The caller of a hold that timed out had gone away for good: nothing is to be expected of the node.
    Deserted { run: RunId, node: SmallStr },
    /// A fork was made.
    Forked(Arc<Forked>),
    /// A fork was forgotten, since there are too many.
    ForkGone(RunId),
    /// A run will come out of a file.
    Imported { run: RunId, file: Arc<Imported> },
    /// The oldest event is no longer retained. Where it is held, it stays readable beside what is.
    Trimmed(Arc<Event>),
    /// A trimmed event that stayed readable, since it was held, is gone with the record of its decision.
    KeptGone(Arc<Event>),
    /// The position is now this.
    Moved(u64),
    /// The mode of one run; of all where none is named, and then no run has one of its own.
    /// `asked` is whether somebody wants it so: then it outlives the grace, if no debugger is there.
    Mode { run: Option<RunId>, mode: Mode, asked: bool },
    /// The run was stopped: its later events are answered abort.
    Aborted { run: RunId, reason: Box<str> },
    /// Aborts end: of one run, or of all.
    Lifted { run: Option<RunId> },
    /// A subscriber came.
    Joined(Role),
    /// A subscriber went.
    Left(Role),
    /// The grace after the last debugger is over.
    Detached,
    /// The trace is dropped, a new epoch begins.
    Cleared { epoch: Arc<str> },
    /// A breakpoint is now this: made, changed, or hit.
    Breakpoint(Breakpoint),
    /// A breakpoint is gone.
    BreakpointGone(u64),
}

/// A numbered event and what becomes of its Trace.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) event: Arc<Event>,
    /// When, on the steady clock: its run may begin with it.
    at: Duration,
    pub(crate) hold: Option<Hold>,
    /// Of the body, where the request has an id.
    pub(crate) fingerprint: u64,
    /// What the caller is told where it is not held.
    pub(crate) answer: Answer,
    /// What the event opened, as a number: equal for equal type, name and data.
    repeat_key: u64,
    /// It was to wait, and there was no room.
    pub(crate) over_limit: bool,
    /// Where the result of the node that it opens will come from.
    result: Origin,
    /// In a fork, the step of the plan that it is.
    found: Option<u32>,
}

/// A fork as it was made.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) run_id: RunId,
    pub(crate) ancestry: Ancestry,
    pub(crate) plan: Arc<Plan>,
    pub(crate) actor: Arc<str>,
    pub(crate) at: Timestamp,
}

/// What a file said of the run that came out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The run's id where it was recorded.
    pub(crate) original: Box<str>,
    pub(crate) ancestry: Option<Ancestry>,
    /// What was masked, by rule; nothing where nobody masked.
    pub(crate) masked: Option<Masked>,
    /// The file begins after the beginning of the run, or leaves out events in between.
    pub(crate) truncated: bool,
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
    /// A verb set the mode, and not a stop at a breakpoint.
    mode_asked: bool,
    /// Events retained, and trimmed ones that stay readable.
    retained: u64,
    kept: u32,
    held: u32,
    finished: bool,
    aborted: Option<Box<str>>,
    last: Seq,
    open: OpenNodes,
    parents: Parents,
    /// Events and tokens since the run began, trimmed or not.
    events: u64,
    tokens: u64,
    began: Option<Duration>,
    /// How long it was held in all, and since when it is.
    held_for: Duration,
    held_since: Option<Duration>,
    /// What was opened last, and how many times in a row.
    repeats: (u64, u32),
    /// Where it comes from, and its fork while it goes on.
    ancestry: Option<Ancestry>,
    fork: Option<Box<Fork>>,
    /// It had a fork, which had to make room: nothing of it runs any more.
    forgotten: bool,
    imported: Option<Arc<Imported>>,
    /// It is among those whose events are all gone. See [`quiet`].
    quiet: bool,
}

/// One run, as people see it.
#[derive(Debug)]
pub(crate) struct RunView {
    pub(crate) run_id: RunId,
    pub(crate) mode: Option<Mode>,
    pub(crate) finished: bool,
    pub(crate) events: u64,
    pub(crate) held: u32,
    pub(crate) ancestry: Option<Ancestry>,
    pub(crate) imported: Option<Arc<Imported>>,
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
    /// A verb set the mode while no debugger was there: it waits for the next one.
    asked: bool,
    /// By a quick hash with a seed of its own: each Trace looks its run up three times.
    runs: HashMap<RunId, Run, RandomState>,
    holds: BTreeMap<Seq, Hold>,
    requests: HashMap<SmallStr, Remembered>,
    breakpoints: BTreeMap<u64, Breakpoint>,
    next_breakpoint: u64,
    /// Grows with every change of the breakpoints.
    breakpoint_revision: u64,
    /// Runs whose events are all gone.
    quiet: Quiet,
    /// Runs that step to a target.
    stepping: usize,
    /// Runs whose mode a verb set, that are paused or step, that are aborted, and whose fork had to make room.
    asked_modes: usize,
    stopped: usize,
    aborted: usize,
    forgotten: usize,
    /// Runs that are forks and go on.
    forks: usize,
    /// Forks made so far.
    forked: u64,
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
            asked: false,
            runs: HashMap::default(),
            holds: BTreeMap::new(),
            requests: HashMap::new(),
            breakpoints: BTreeMap::new(),
            next_breakpoint: 1,
            breakpoint_revision: 0,
            quiet: Quiet::new(),
            stepping: 0,
            asked_modes: 0,
            stopped: 0,
            aborted: 0,
            forgotten: 0,
            forks: 0,
            forked: 0,
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

    /// The number of the next event.
    pub(crate) fn next(&self) -> Seq {
        Seq(self.next)
    }

    /// The first number of this epoch.
    pub(crate) fn epoch_first(&self) -> u64 {
        self.epoch_first
    }

    /// The oldest and the newest retained.
    pub(crate) fn bounds(&self) -> Option<(Seq, Seq)> {
        (self.total() > 0).then(|| (Seq(self.first), Seq(self.next - 1)))
    }

    /// The mode of unnamed runs, or of one that steps to a target. Nothing while detached.
    pub(crate) fn mode(&self) -> Option<Mode> {
        let stepping =
            || self.runs.values().find_map(|run| run.mode.clone().filter(|mode| matches!(mode, Mode::Stepping(_))));
        let mode = match self.stepping {
            0 => None,
            _ => stepping(),
        };
        self.attached.then(|| mode.unwrap_or_else(|| self.mode.clone()))
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

    /// Whether a run can be added to, and the plan that its next opening is looked for in, where it is a fork.
    pub(crate) fn retracing(&self, run: &RunId) -> Result<Option<Arc<Plan>>, Refusal> {
        match self.runs.get(run) {
            Some(Run { imported: Some(_), .. }) => Err(Refusal::Imported(run.clone())),
            run => Ok(run.and_then(|run| run.fork.as_ref()?.plan())),
        }
    }

    /// What is known of a run beside its events.
    pub(crate) fn run_view(&self, id: &RunId) -> Option<RunView> {
        let is_shown = |run: &&Run| run.retained > 0 || run.kept > 0 || run.fork.is_some();
        self.runs.get(id).filter(is_shown).map(|run| self.view(id, run))
    }

    /// Whether anything is known of a run, shown or not.
    pub(crate) fn knows_run(&self, id: &RunId) -> bool {
        self.runs.contains_key(id)
    }

    /// Whether the session can be evicted: it has no subscriber and no hold, and nothing was decided about it that
    /// would be lost with it: no breakpoint, abort or fork, and no pause that was asked for.
    pub(crate) fn is_idle(&self) -> bool {
        let is_decided = !self.breakpoints.is_empty() || self.aborted + self.stopped + self.forks + self.forgotten > 0;
        let is_used = self.attached || self.observers > 0 || !self.holds.is_empty();
        !is_used && !is_decided && self.mode == Mode::Running
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest `most` runs, oldest first.
    pub(crate) fn runs(&self, most: usize) -> Vec<RunView> {
        let mut runs: Vec<_> = self.runs.iter().filter(|(_, run)| !run.quiet).collect();
        runs.sort_by_key(|(id, run)| (std::cmp::Reverse(run.last), (*id).clone()));
        runs.truncate(most);
        runs.into_iter().rev().map(|(id, run)| self.view(id, run)).collect()
    }

    fn view(&self, id: &RunId, run: &Run) -> RunView {
        RunView {
            run_id: id.clone(),
            mode: self.attached.then(|| run.mode.as_ref().unwrap_or(&self.mode).clone()),
            finished: run.finished,
            events: run.retained,
            held: run.held,
            ancestry: run.ancestry.clone(),
            imported: run.imported.clone(),
        }
    }

    /// Looks a repeated request up. The same id with another body is refused.
    pub(crate) fn known(&self, request_id: &SmallStr, fingerprint: u64) -> Result<Option<Known>, Refusal> {
        match self.requests.get(request_id) {
            None => Ok(None),
            Some(known) if known.fingerprint != fingerprint => Err(Refusal::OtherBody),
            Some(Remembered { answer: Some(answer), .. }) => Ok(Some(Known::Answered(answer.clone()))),
            Some(Remembered { seq, answer: None, .. }) => Ok(Some(Known::Held(*seq))),
        }
    }

    /// The breakpoints, in the order of their making.
    pub(crate) fn breakpoints(&self) -> impl Iterator<Item = &Breakpoint> {
        self.breakpoints.values()
    }

    pub(crate) fn breakpoint_revision(&self) -> u64 {
        self.breakpoint_revision
    }
}
