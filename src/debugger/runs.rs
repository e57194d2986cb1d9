//! Whole runs: forking them, comparing them, writing them to a file and reading them from one.
//!
//! A run's records are taken under the agent's lock, as references; what is made of them is made outside of it. Each
//! of these is slow for a large run: not for a task that must not block.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::OwnedSemaphorePermit;

use super::{Debugger, MAX_COMPARISONS, MAX_EXPORTS, MAX_IMPORTS};
use crate::{
    agent::State,
    compare::{Comparison, compare},
    error::Error,
    event::{AgentId, Ancestry, History, RunId, Seq},
    export::{
        read::{Damage, Read, Reader, Room},
        write::Writer,
    },
    masking::Visibility,
    session::{
        Forked, Refusal,
        fork::{self, plan::Plan},
    },
    store::{Entry, Record},
};

/// What a run's import came to.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) run_id: RunId,
    pub(crate) events: u64,
    /// The first and the last.
    pub(crate) seqs: Option<(Seq, Seq)>,
}

impl Debugger {
    /// Makes a fork.
    pub(crate) fn fork(&self, id: &AgentId, spec: fork::Spec, actor: &Arc<str>) -> Result<Arc<Forked>, Error> {
        let missing = || Error::from(Refusal::NoEvent(spec.seq));
        let run = self.source_of(id, &spec)?;
        let records = self.records(id, None)?;
        let epoch = records.epoch().clone();
        let plan =
            Arc::new(Plan::build(&history(records.filter(|record| record.entry.run_id() == &run)), spec.clone())?);
        let made = self.with_known(id, |agent, state| {
            // What was cleared meanwhile cannot be forked any more.
            if *state.session.epoch() != epoch {
                return Err(missing());
            }
            let now = self.0.shared.now();
            let forked = Arc::new(Forked {
                run_id: new_run(state)?,
                ancestry: Ancestry { run_id: plan.source.clone(), seq: Some(plan.at), ordinal: plan.ordinal },
                plan,
                actor: actor.clone(),
                at: now.wall,
            });
            let changes = state.session.fork(forked.clone(), self.0.shared.limits.max_bytes_per_agent);
            agent.touch(now);
            agent.execute(state, changes);
            Ok(forked)
        });
        made.ok_or_else(missing)?
    }

    /// Aligns two runs.
    pub(crate) fn compare(
        &self,
        id: &AgentId,
        left: &RunId,
        right: &RunId,
        visibility: Visibility,
    ) -> Result<Comparison, Error> {
        let _place = self.0.comparisons.try_acquire().map_err(|_| Error::TooManyComparisons(MAX_COMPARISONS))?;
        let of_run = |run: &RunId| {
            let records = self.records_of(id, run)?;
            Ok::<_, Error>(history(records.into_iter().map(|record| visibility.of(record))))
        };
        let (of_left, of_right) = (of_run(left)?, of_run(right)?);
        Ok(compare((visibility.run_id(left), &of_left), (visibility.run_id(right), &of_right)))
    }

    /// The run that a caller means: a caller that sees masked ids names them so. A run that has that id itself comes
    /// first.
    pub(crate) fn run_named(&self, id: &AgentId, run: RunId, visibility: Visibility) -> RunId {
        if visibility == Visibility::Whole || !run.as_str().contains("[masked: ") {
            return run;
        }
        let runs = self.with_known(id, |_, state| match state.session.run_view(&run) {
            Some(_) => Vec::new(),
            None => state.session.runs(usize::MAX),
        });
        let mut runs = runs.unwrap_or_default().into_iter().map(|view| view.run_id);
        runs.find(|known| visibility.run_id(known) == run).unwrap_or(run)
    }

    /// Writes a run to a file, piece by piece; and its place among the few that are written at a time, since what is
    /// trimmed meanwhile stays in memory until it is written.
    pub(crate) fn export(
        &self,
        id: &AgentId,
        run: &RunId,
        visibility: Visibility,
    ) -> Result<(Writer, OwnedSemaphorePermit), Error> {
        let place = self.0.exports.clone().try_acquire_owned().map_err(|_| Error::TooManyExports(MAX_EXPORTS))?;
        let records = self.records_of(id, run)?;
        let view = self.with_known(id, |_, state| state.session.run_view(run)).flatten();
        let view = view.ok_or_else(|| Refusal::NoRun(run.clone()))?;
        Ok((Writer::new(view, records, visibility), place))
    }

    /// The run that the fork point belongs to.
    fn source_of(&self, id: &AgentId, spec: &fork::Spec) -> Result<RunId, Error> {
        let seq = spec.seq;
        let run = self.records(id, None)?.find_map(|record| match &record.entry {
            Entry::Event(event) if event.seq == seq => Some(event.run_id.clone()),
            _ => None,
        });
        let is_trimmed = |state: &State| seq.0 >= state.session.epoch_first() && seq.0 < state.session.first();
        let run = run.ok_or_else(|| {
            let is_trimmed = self.with_known(id, |_, state| is_trimmed(state)).unwrap_or_default();
            if is_trimmed { Refusal::Trimmed(seq) } else { Refusal::NoEvent(seq) }
        })?;
        if let Some(wanted) = spec.run.as_ref().filter(|wanted| **wanted != run) {
            return Err(Refusal::OtherRun { seq, run: wanted.clone() }.into());
        }
        let view = self.with_known(id, |_, state| state.session.run_view(&run)).flatten();
        if view.and_then(|view| view.imported).is_some_and(|file| file.masked.is_some()) {
            Err(Refusal::Masked(run).into())
        } else {
            Ok(run)
        }
    }

    /// The retained records of one run, in order: at least one event.
    fn records_of(&self, id: &AgentId, run: &RunId) -> Result<Vec<Record>, Error> {
        let records: Vec<_> = self.records(id, None)?.filter(|record| record.entry.run_id() == run).collect();
        // A fork that was not started yet, or a run whose events are gone.
        if records.iter().any(|record| matches!(record.entry, Entry::Event(_))) {
            Ok(records)
        } else {
            Err(Refusal::NoRun(run.clone()).into())
        }
    }

    /// A reader for a file that is to be imported, bounded by the room that there is, and its place among the few
    /// files that are read at a time.
    pub(crate) fn reader(&self, id: &AgentId, run: Option<&RunId>) -> Result<(Reader, OwnedSemaphorePermit), Error> {
        if self.0.shared.is_closing() {
            return Err(Error::ShuttingDown);
        }
        if let Some(run) = run {
            self.vacant(id, run)?;
        }
        let place = self.0.imports.clone().try_acquire_owned().map_err(|_| Error::TooManyImports(MAX_IMPORTS))?;
        let limits = &self.0.shared.limits;
        let retained = self.with_known(id, |_, state| (state.session.total(), state.log.bytes()));
        let (events, bytes) = retained.unwrap_or_default();
        let room = Room {
            events: (limits.max_events_per_agent as u64).saturating_sub(events),
            bytes: limits.max_bytes_per_agent.saturating_sub(bytes) as u64,
        };
        Ok((Reader::new(room), place))
    }

    /// Refuses a run that there is already.
    pub(crate) fn vacant(&self, id: &AgentId, run: &RunId) -> Result<(), Error> {
        self.with_known(id, |_, state| vacant(state, run)).unwrap_or(Ok(()))
    }

    /// Takes in what was read, under its own id or another: all of it, or nothing.
    pub(crate) fn import(&self, id: &AgentId, run: Option<RunId>, read: Read) -> Result<Taken, Error> {
        let run_id = run.unwrap_or_else(|| read.run_id.clone());
        let limits = &self.0.shared.limits;
        let fits = |events: u64, bytes: u64| {
            events <= limits.max_events_per_agent as u64 && bytes <= limits.max_bytes_per_agent as u64
        };
        let no_room = || Error::NoRoom("the run would push recorded events out".to_owned());
        // Before an agent is made for it, and before others are forgotten for it.
        let retained = self.with_known(id, |_, state| (state.session.total(), state.log.bytes() as u64));
        let (events, bytes) = retained.unwrap_or_default();
        if !fits(events + read.events, bytes + read.bytes) {
            return Err(no_room());
        }
        while self.bytes() as u64 + read.bytes > limits.max_bytes as u64 {
            if !self.evict_idle(id) {
                return Err(no_room());
            }
        }
        self.with_agent(id, |agent, state| {
            if self.0.shared.is_closing() {
                return Err(Error::ShuttingDown);
            }
            vacant(state, &run_id)?;
            if !fits(state.session.total() + read.events, state.log.bytes() as u64 + read.bytes) {
                return Err(no_room());
            }
            let before = state.session.next();
            let now = self.0.shared.now();
            let changes = state.session.import(&run_id, Arc::new(read.file), read.lines, now);
            agent.touch(now);
            state.last_event = Some(now.wall);
            agent.execute(state, changes);
            let seqs = (read.events > 0).then(|| (before, Seq(before.0 + read.events - 1)));
            Ok(Taken { run_id, events: read.events, seqs })
        })
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        if damage.too_large { Self::NoRoom(damage.to_string()) } else { Self::File(damage) }
    }
}

/// Events with the decisions on them.
fn history(records: impl Iterator<Item = Record>) -> History {
    let mut history = History::new();
    let mut places = HashMap::new();
    for record in records {
        match record.entry {
            Entry::Event(event) => {
                places.insert(event.seq, history.len());
                history.push((event, None));
            }
            Entry::HoldEnded(ended) => {
                if let Some(place) = places.get(&ended.seq) {
                    history[*place].1 = Some(ended);
                }
            }
            Entry::Forked(_) => {}
        }
    }
    history
}

/// Refuses a run that there is already.
fn vacant(state: &State, run: &RunId) -> Result<(), Error> {
    match state.session.run_view(run) {
        Some(_) => Err(Refusal::RunExists(run.clone()).into()),
        None => Ok(()),
    }
}

/// A run id that no run of this agent has.
fn new_run(state: &State) -> Result<RunId, Error> {
    // Without randomness, the number of an event tells forks apart; where it is taken, the next one is tried.
    let mut number = getrandom::u32().unwrap_or(state.session.next().0 as u32);
    loop {
        let run = RunId::parse(&format!("fork-{number:08x}")).map_err(|problem| Error::invalid("run_id", problem))?;
        // Nor one whose events are gone: its totals would be those of the fork.
        if !state.session.knows_run(&run) {
            return Ok(run);
        }
        number = number.wrapping_add(1);
    }
}
