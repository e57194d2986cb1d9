//! The verbs: what step, continue, pause, release and clear decide, and what coming and going does.
//!
//! A verb looks and answers with changes; it changes nothing itself.

use std::sync::Arc;

use super::{Change, Hold, HoldReason, MAX_RUN_MODES, Mode, NOBODY, Part, Refusal, Session};
use crate::event::{Decision, Moment, Outcome, RunId, Seq};

impl Session {
    /// Releases one held Trace and moves on by one; pauses what it was asked of.
    pub(crate) fn step(
        &self,
        run: Option<&RunId>,
        seq: Option<Seq>,
        actor: &Arc<str>,
        now: Moment,
    ) -> Result<Vec<Change>, Refusal> {
        let of_run = |hold: &&Hold| run.is_none_or(|run| hold.event.run_id == *run);
        let hold = match seq {
            Some(seq) => Some(self.holds.get(&seq).filter(of_run).ok_or(Refusal::NotHeld(seq))?),
            None => self.holds.values().find(of_run),
        };
        let mut changes = Vec::with_capacity(3);
        if let Some(hold) = hold {
            changes.push(hold.end(Outcome::Stepped, None, actor, now));
        }
        // A step that names an event means that event's run.
        let run = run.or(hold.filter(|_| seq.is_some()).map(|hold| &hold.event.run_id));
        changes.extend(self.set_mode(run, Mode::Paused(HoldReason::Step))?);
        changes.extend(self.move_by_one());
        Ok(changes)
    }

    /// Releases all held Traces, of one run where it is named, and lets later ones pass.
    pub(crate) fn resume(&self, run: Option<&RunId>, actor: &Arc<str>, now: Moment) -> Result<Vec<Change>, Refusal> {
        let held = self.holds.values().filter(|hold| run.is_none_or(|run| hold.event.run_id == *run));
        let mut changes: Vec<_> = held.map(|hold| hold.end(Outcome::Continued, None, actor, now)).collect();
        changes.extend(self.set_mode(run, Mode::Running)?);
        if self.position != self.total() {
            changes.push(Change::Moved(self.total()));
        }
        Ok(changes)
    }

    /// Holds the next Trace.
    pub(crate) fn pause(&self, run: Option<&RunId>) -> Result<Vec<Change>, Refusal> {
        Ok(self.set_mode(run, Mode::Paused(HoldReason::Pause))?.into_iter().collect())
    }

    /// Releases one held Trace with a decision that its agent obeys, and moves on by one.
    pub(crate) fn release(
        &self,
        seq: Seq,
        decision: Decision,
        actor: &Arc<str>,
        now: Moment,
    ) -> Result<Vec<Change>, Refusal> {
        let hold = self.holds.get(&seq).ok_or(Refusal::NotHeld(seq))?;
        hold.allows(&decision)?;
        let mut changes = Vec::with_capacity(2);
        if let Decision::Abort { reason } = &decision {
            let run = &hold.event.run_id;
            let others = self.holds.values().filter(|other| other.event.run_id == *run && other.event.seq != seq);
            changes.extend(others.map(|other| other.end(Outcome::Released, Some(decision.clone()), actor, now)));
            changes.push(Change::Aborted { run: run.clone(), reason: reason.clone() });
        }
        changes.push(hold.end(Outcome::Released, Some(decision), actor, now));
        changes.extend(self.move_by_one());
        Ok(changes)
    }

    /// Drops the trace and lets everybody go. Modes and subscribers stay, aborts go.
    pub(crate) fn clear(&self, epoch: Arc<str>, actor: &Arc<str>, now: Moment) -> Vec<Change> {
        let mut changes = self.end_all(Outcome::Cleared, actor, now);
        changes.push(Change::Cleared { epoch });
        changes
    }

    /// Takes a subscriber in. The first debugger pauses the agent, unless it asks not to.
    pub(crate) fn join(&self, part: Part, pause_on_attach: bool) -> Vec<Change> {
        let mut changes = vec![Change::Joined(part)];
        let paused = matches!(self.mode, Mode::Paused(_)) && self.runs.values().all(|run| run.mode.is_none());
        if part == Part::Debugger && !self.attached && pause_on_attach && !paused {
            changes.push(Change::Mode { run: None, mode: Mode::Paused(HoldReason::Step) });
        }
        changes
    }

    /// Ends the session's debugging, where no debugger came back: everything held goes on.
    pub(crate) fn detach(&self, now: Moment) -> Vec<Change> {
        if self.debuggers > 0 || !self.attached {
            return Vec::new();
        }
        let mut changes = self.end_all(Outcome::Detached, &NOBODY.into(), now);
        changes.push(Change::Detached);
        changes
    }

    /// Ends one hold without a verb: it yields its default decision.
    pub(crate) fn give_up(&self, seq: Seq, outcome: Outcome, now: Moment) -> Option<Change> {
        Some(self.holds.get(&seq)?.end(outcome, None, &NOBODY.into(), now))
    }

    /// Ends every hold without a verb.
    pub(crate) fn end_all(&self, outcome: Outcome, actor: &Arc<str>, now: Moment) -> Vec<Change> {
        self.holds.values().map(|hold| hold.end(outcome, None, actor, now)).collect()
    }

    fn move_by_one(&self) -> Option<Change> {
        (self.position < self.total()).then(|| Change::Moved(self.position + 1))
    }

    /// The change that brings a mode about, where it is not so already.
    fn set_mode(&self, run: Option<&RunId>, mode: Mode) -> Result<Option<Change>, Refusal> {
        let already = match run {
            None => self.mode == mode && self.runs.values().all(|run| run.mode.is_none() && run.aborted.is_none()),
            Some(id) => self
                .runs
                .get(id)
                .map_or(self.mode == mode, |run| run.mode.unwrap_or(self.mode) == mode && run.aborted.is_none()),
        };
        if already {
            return Ok(None);
        }
        let own = |id: &RunId| self.runs.get(id).is_some_and(|run| run.mode.is_some());
        if run.is_some_and(|id| !own(id))
            && self.runs.values().filter(|run| run.mode.is_some()).count() >= MAX_RUN_MODES
        {
            return Err(Refusal::TooManyRunModes);
        }
        Ok(Some(Change::Mode { run: run.cloned(), mode }))
    }
}
