//! What a run comes to when its last event is trimmed: its totals, its open nodes and its lineage outlive its events,
//! so that a budget still counts, a late result finds its node, and a gap in the record is known to be one.
//!
//! At most [`MAX_QUIET_RUNS`] such runs are kept per agent, the newest; each with the newest [`MAX_QUIET_NODES`] of
//! its open nodes and of the parents that its nodes reported. A run of which something was decided (an abort, a mode,
//! a fork) or that has a hold is not quiet, and is never forgotten here.

use std::collections::BTreeSet;

use super::{Run, Session};
use crate::event::{RunId, Seq};

/// Runs without events that are remembered per agent. Beyond it the one that was silent the longest is forgotten: if
/// it goes on, it begins again.
pub(crate) const MAX_QUIET_RUNS: usize = 1_000;
/// Open nodes, and reported parents, that each of them keeps.
const MAX_QUIET_NODES: usize = 32;

/// The quiet runs, by their last event.
pub(super) type Quiet = BTreeSet<(Seq, RunId)>;

impl Run {
    /// Whether nothing of it is in the record, and nothing was decided about it.
    pub(super) fn is_plain(&self) -> bool {
        let has_events = self.retained > 0 || self.kept > 0 || self.held > 0;
        !has_events && self.mode.is_none() && self.aborted.is_none() && self.fork.is_none() && !self.forgotten
    }
}

impl Session {
    /// A run about which something is decided: it is made where it was never seen, and quiet no longer.
    pub(super) fn run_mut(&mut self, id: &RunId) -> &mut Run {
        let run = self.runs.entry(id.clone()).or_default();
        if run.quiet {
            run.quiet = false;
            self.quiet.remove(&(run.last, id.clone()));
        }
        run
    }

    /// Looks after a run that may have become plain: one without events becomes quiet, and one that never had any is
    /// forgotten.
    pub(super) fn settle(&mut self, id: &RunId) {
        let Some(run) = self.runs.get_mut(id).filter(|run| run.is_plain() && !run.quiet) else { return };
        if run.events == 0 {
            self.runs.remove(id);
            return;
        }
        run.quiet = true;
        run.open.shrink(MAX_QUIET_NODES);
        run.parents.shrink(MAX_QUIET_NODES);
        self.quiet.insert((run.last, id.clone()));
        if self.quiet.len() > MAX_QUIET_RUNS
            && let Some((_, oldest)) = self.quiet.pop_first()
        {
            self.runs.remove(&oldest);
        }
    }

    /// The same for all runs.
    pub(super) fn settle_all(&mut self) {
        let plain = self.runs.iter().filter(|(_, run)| run.is_plain() && !run.quiet);
        let plain: Vec<_> = plain.map(|(id, _)| id.clone()).collect();
        plain.iter().for_each(|id| self.settle(id));
    }
}

#[cfg(test)]
impl Session {
    /// Whether what is counted of runs is what they are.
    pub(super) fn counts_its_runs(&self) -> bool {
        let count = |is: fn(&Run) -> bool| self.runs.values().filter(|run| is(run)).count();
        let quiet = self.runs.iter().filter(|(_, run)| run.quiet).map(|(id, run)| (run.last, id.clone()));
        quiet.collect::<Quiet>() == self.quiet
            && count(|run| run.is_plain() != run.quiet) == 0
            && self.aborted == count(|run| run.aborted.is_some())
            && self.forgotten == count(|run| run.forgotten)
            && self.asked_modes == count(|run| run.mode.is_some() && run.mode_asked)
            && self.stopped == count(|run| matches!(run.mode, Some(super::Mode::Paused(_) | super::Mode::Stepping(_))))
    }
}
