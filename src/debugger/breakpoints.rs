//! Breakpoints of agents: made, changed, forgotten, and tried on what is recorded.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::Debugger;
use crate::{
    error::Error,
    event::{AgentId, Seq},
    masking::Visibility,
    session::{
        Change, Refusal,
        breakpoint::{Breakpoint, Spec, Subject},
        repeats::Repeats,
    },
    store::Entry,
};

/// The seqs that a back-test names at most: the newest.
const MAX_TESTED_SEQS: usize = 1_000;

/// What one back-test may take.
const TEST_BUDGET: Duration = Duration::from_secs(2);

/// Where a breakpoint would have hit.
#[derive(Debug, Default)]
pub(crate) struct Tested {
    pub(crate) matched: u64,
    pub(crate) examined: u64,
    /// The newest, oldest first.
    pub(crate) seqs: Vec<Seq>,
    /// Events that could not be judged, as they could not have been live, and why the newest of them could not.
    pub(crate) unjudged: u64,
    pub(crate) problem: Option<String>,
}

impl Debugger {
    /// Makes a breakpoint; the agent, too, where it was never seen.
    pub(crate) fn create_breakpoint(&self, id: &AgentId, spec: Spec) -> Result<Breakpoint, Error> {
        self.with_agent(id, |agent, state| {
            let breakpoint = state.session.create_breakpoint(Arc::new(spec))?;
            agent.execute(state, [Change::Breakpoint(breakpoint.clone())]);
            Ok(breakpoint)
        })
    }

    /// In the order of their making; none for an agent never seen.
    pub(crate) fn breakpoints(&self, id: &AgentId) -> Vec<Breakpoint> {
        self.with_known(id, |_, state| state.session.breakpoints().cloned().collect()).unwrap_or_default()
    }

    /// Gives a breakpoint the spec that `change` makes of what it is now.
    pub(crate) fn update_breakpoint(
        &self,
        id: &AgentId,
        number: u64,
        change: impl FnOnce(&Breakpoint) -> Result<Spec, Error>,
    ) -> Result<Breakpoint, Error> {
        let updated = self.with_known(id, |agent, state| {
            let spec = change(state.session.breakpoint(number)?)?;
            let breakpoint = state.session.update_breakpoint(number, Arc::new(spec))?;
            agent.execute(state, [Change::Breakpoint(breakpoint.clone())]);
            Ok(breakpoint)
        });
        updated.unwrap_or(Err(Refusal::NoBreakpoint(number).into()))
    }

    /// Forgets a breakpoint. What it holds stays held.
    pub(crate) fn delete_breakpoint(&self, id: &AgentId, number: u64) -> Result<(), Error> {
        let deleted = self.with_known(id, |agent, state| {
            state.session.breakpoint(number)?;
            agent.execute(state, [Change::BreakpointGone(number)]);
            Ok(())
        });
        deleted.unwrap_or(Err(Refusal::NoBreakpoint(number).into()))
    }

    /// Tries a spec on the record. Slow for a full one: not for a task that must not block.
    ///
    /// Nobody finds out by conditions what they may not see: where secrets are masked, names, data and the number of
    /// repetitions are those of the masked record, so that steps which differ in a secret only are repetitions there.
    pub(crate) fn test_breakpoint(
        &self,
        id: &AgentId,
        mut spec: Spec,
        visibility: Visibility,
    ) -> Result<Tested, Error> {
        let began = Instant::now();
        spec.run = spec.run.map(|run| visibility.run_id(&run));
        let mut repeats = Repeats::default();
        let count_repeats = visibility == Visibility::Masked && spec.counts_repeats();
        let mut tested = Tested::default();
        let mut hits = 0;
        for record in self.records(id, None)? {
            let Entry::Event(event) = &record.entry else { continue };
            // Breakpoints do not look at what breakpoints log.
            if event.by_breakpoint {
                continue;
            }
            if began.elapsed() > TEST_BUDGET {
                return Err(Error::TooExpensive(TEST_BUDGET));
            }
            tested.examined += 1;
            // A type is no secret, and sorts out most.
            if !count_repeats && !spec.types.is_empty() && !spec.types.contains(&event.kind) {
                continue;
            }
            let mut event = visibility.of_event(event);
            if visibility == Visibility::Masked {
                let count = if count_repeats { repeats.of(&event) } else { 0 };
                Arc::make_mut(&mut event).context.repeats = count;
            }
            if !spec.fits(&event) {
                continue;
            }
            let judged = spec.condition_holds(&Subject::new(&event, [&spec])).and_then(|holds| {
                hits += u64::from(holds);
                Ok(holds && spec.counts(hits)?)
            });
            // What cannot be judged stops where it would have live: at a gate alone.
            let stops = judged.unwrap_or_else(|problem| {
                tested.unjudged += 1;
                tested.problem = Some(problem);
                spec.stops_unjudged()
            });
            if stops {
                tested.matched += 1;
                tested.seqs.push(event.seq);
            }
        }
        let surplus = tested.seqs.len().saturating_sub(MAX_TESTED_SEQS);
        tested.seqs.drain(..surplus);
        Ok(tested)
    }
}
