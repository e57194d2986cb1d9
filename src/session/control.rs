//! The verbs: what step, continue, pause, release and clear decide, and what coming and going does.
//!
//! A verb looks and answers with changes; it changes nothing itself.

use std::sync::Arc;

use super::{
    Change, Forked, Hold, HoldReason, Imported, MAX_ABORTED_RUNS, MAX_RUN_MODES, Mode, Recorded, Refusal, Role,
    SYSTEM_ACTOR, Session,
    breakpoint::{Breakpoint, MAX_BREAKPOINTS, Spec},
    condition::Condition,
    fork::MAX_FORKS,
};
use crate::event::{Answer, Decision, Event, HoldEnded, Moment, Outcome, Phase, RunId, Seq, SmallStr};

/// One line of a run that comes out of a file. Numbers and the run are given when it is taken in.
#[derive(Debug)]
pub(crate) enum Line {
    Event(Box<Event>),
    /// A decision on an event of the same file, by its place in it, from 1.
    Decision {
        ordinal: u64,
        ended: Box<HoldEnded>,
    },
}

/// How far a step goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Granularity {
    /// To the run's next event.
    #[default]
    Into,
    /// To the end of the node stepped from.
    Over,
    /// To the end of the node above.
    Out,
}

impl Session {
    /// Releases one held Trace and moves on by one; pauses what it was asked of, now or at the end of a node.
    pub(crate) fn step(
        &self,
        run: Option<&RunId>,
        seq: Option<Seq>,
        granularity: Granularity,
        actor: &Arc<str>,
        now: Moment,
    ) -> Result<Vec<Change>, Refusal> {
        let of_run = |hold: &&Hold| run.is_none_or(|run| hold.event.run_id == *run);
        let hold = match seq {
            Some(seq) => Some(self.holds.get(&seq).filter(of_run).ok_or(Refusal::NotHeld(seq))?),
            None => self.holds.values().filter(of_run).find(|hold| hold.gate.is_none()),
        };
        if let Some(hold) = hold.filter(|hold| hold.gate.is_some()) {
            return Err(Refusal::Gate(hold.event.seq));
        }
        // A step that names an event means that event's run.
        let run = run.or(hold.filter(|_| seq.is_some()).map(|hold| &hold.event.run_id));
        self.room_for_mode(run)?;
        let mut changes = Vec::with_capacity(3);
        if let Some(hold) = hold {
            changes.push(hold.end(Outcome::Stepped, None, actor, now));
        }
        changes.extend(self.set_mode(run, Mode::Paused(HoldReason::Step)));
        if let Some((hold, target)) = hold.and_then(|hold| Some((hold, self.target(&hold.event, granularity)?))) {
            changes.push(Change::Mode {
                run: Some(hold.event.run_id.clone()),
                mode: Mode::Stepping(target),
                asked: true,
            });
        }
        changes.extend(self.move_by_one());
        Ok(changes)
    }

    /// The node at whose end a step over or out of this event stops; nothing where the next event will do.
    fn target(&self, event: &Event, granularity: Granularity) -> Option<SmallStr> {
        let above = || self.runs.get(&event.run_id)?.parents.parent_of(event);
        let own = || event.node_id.clone().filter(|_| event.kind.phase() == Phase::Opens);
        match granularity {
            // After a run's last event there is nothing to step to.
            _ if event.run_end => None,
            Granularity::Into => None,
            Granularity::Over => own(),
            // With nothing above, out is over.
            Granularity::Out => above().or_else(own),
        }
    }

    /// Refuses to set the mode of one run more than may have one: what was asked of the others is not dropped for it.
    pub(crate) fn room_for_mode(&self, run: Option<&RunId>) -> Result<(), Refusal> {
        let Some(run) = run.filter(|_| self.asked_modes >= MAX_RUN_MODES) else { return Ok(()) };
        let has_one = self.runs.get(run).is_some_and(|run| run.mode.is_some() && run.mode_asked);
        if has_one { Ok(()) } else { Err(Refusal::TooManyRunModes(MAX_RUN_MODES)) }
    }

    /// Releases all held Traces, of one run where it is named, and lets later ones pass.
    pub(crate) fn resume(&self, run: Option<&RunId>, actor: &Arc<str>, now: Moment) -> Vec<Change> {
        let goes = |hold: &Hold| hold.gate.is_none() && run.is_none_or(|run| hold.event.run_id == *run);
        let mut changes = self.end_where(goes, Outcome::Continued, None, actor, now);
        changes.extend(self.lift(run));
        changes.extend(self.set_mode(run, Mode::Running));
        if self.position != self.total() {
            changes.push(Change::Moved(self.total()));
        }
        changes
    }

    /// Holds the next Trace.
    pub(crate) fn pause(&self, run: Option<&RunId>) -> Vec<Change> {
        self.lift(run).into_iter().chain(self.set_mode(run, Mode::Paused(HoldReason::Pause))).collect()
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
            let is_aborted = self.runs.get(run).is_some_and(|run| run.aborted.is_some());
            if self.aborted >= MAX_ABORTED_RUNS && !is_aborted {
                return Err(Refusal::TooManyAborts(MAX_ABORTED_RUNS));
            }
            let other = |other: &Hold| other.event.run_id == *run && other.event.seq != seq;
            changes.extend(self.end_where(other, Outcome::Released, Some(&decision), actor, now));
            changes.push(Change::Aborted { run: run.clone(), reason: reason.clone() });
        }
        changes.push(hold.end(Outcome::Released, Some(decision), actor, now));
        changes.extend(self.move_by_one());
        Ok(changes)
    }

    /// Makes a fork, whose plan was made of the record as it is now. At most `most_bytes` of the source's are kept
    /// for all forks together: the forks that were silent the longest make room.
    pub(crate) fn fork(&self, forked: Arc<Forked>, most_bytes: usize) -> Vec<Change> {
        let mut forks: Vec<_> = self.runs.iter().filter_map(|(id, run)| Some((id, run.fork.as_ref()?))).collect();
        forks.sort_by_key(|(_, fork)| std::cmp::Reverse(fork.last_used));
        let mut bytes = forked.plan.bytes + forks.iter().map(|(_, fork)| fork.bytes()).sum::<usize>();
        let mut changes = Vec::new();
        while forks.len() >= MAX_FORKS || bytes > most_bytes {
            let Some((id, fork)) = forks.pop() else { break };
            bytes -= fork.bytes();
            changes.push(Change::ForkGone(id.clone()));
        }
        changes.push(Change::Forked(forked));
        changes
    }

    /// Takes a run in that came out of a file: its events with the decisions on them, in order.
    pub(crate) fn import(&self, run: &RunId, file: Arc<Imported>, lines: Vec<Line>, now: Moment) -> Vec<Change> {
        let mut changes = vec![Change::Imported { run: run.clone(), file }];
        let first = self.next;
        let mut events = 0;
        for line in lines {
            changes.push(match line {
                Line::Event(event) => {
                    let seq = Seq(first + events);
                    events += 1;
                    let event = Event { seq, run_id: run.clone(), ..*event };
                    let answer = Answer::passed(&event, self.total() + events);
                    Change::Recorded(Recorded::of(Arc::new(event), answer, now))
                }
                Line::Decision { ordinal, ended } => {
                    let seq = Seq(first + ordinal - 1);
                    Change::Decided(Arc::new(HoldEnded { seq, run_id: run.clone(), ..*ended }))
                }
            });
        }
        changes
    }

    /// Drops the trace and lets everybody go. Modes and subscribers stay, aborts go.
    pub(crate) fn clear(&self, epoch: Arc<str>, actor: &Arc<str>, now: Moment) -> Vec<Change> {
        let mut changes = self.end_all(Outcome::Cleared, actor, now);
        changes.push(Change::Cleared { epoch });
        changes
    }

    /// Takes a subscriber in. The first debugger pauses the agent, unless it asks not to.
    pub(crate) fn join(&self, role: Role, pause_on_attach: bool) -> Vec<Change> {
        let mut changes = vec![Change::Joined(role)];
        let paused = matches!(self.mode, Mode::Paused(_)) && self.runs.values().all(|run| run.mode.is_none());
        if role == Role::Debugger && !self.attached && pause_on_attach && !paused {
            changes.push(Change::Mode { run: None, mode: Mode::Paused(HoldReason::Step), asked: false });
        }
        changes
    }

    /// Ends the session's debugging, where no debugger came back: everything held goes on.
    pub(crate) fn detach(&self, now: Moment) -> Vec<Change> {
        if self.debuggers > 0 || !self.attached {
            return Vec::new();
        }
        let mut changes =
            self.end_where(|hold| hold.gate.is_none(), Outcome::Detached, None, &SYSTEM_ACTOR.into(), now);
        changes.push(Change::Detached);
        changes
    }

    /// Ends one hold without a verb: it yields its default decision. A gate whose own time is over may let pass.
    pub(crate) fn give_up(&self, seq: Seq, outcome: Outcome, now: Moment) -> Option<Change> {
        let hold = self.holds.get(&seq)?;
        let held_for = now.steady.saturating_sub(hold.since.steady);
        let passes = hold.gate.is_some_and(|gate| gate.proceeds && gate.timeout.is_some_and(|limit| limit <= held_for));
        Some(hold.end(outcome, passes.then_some(Decision::Proceed), &SYSTEM_ACTOR.into(), now))
    }

    /// The same for a hold whose caller went away and did not ask again in time.
    pub(crate) fn give_up_deserted(&self, seq: Seq, now: Moment) -> Vec<Change> {
        let Some(hold) = self.holds.get(&seq) else { return Vec::new() };
        let opened = hold.event.node_id.clone().filter(|_| hold.event.kind.phase() == Phase::Opens);
        let deserted = opened.map(|node| Change::Deserted { run: hold.event.run_id.clone(), node });
        self.give_up(seq, Outcome::TimedOut, now).into_iter().chain(deserted).collect()
    }

    /// Ends every hold without a verb.
    pub(crate) fn end_all(&self, outcome: Outcome, actor: &Arc<str>, now: Moment) -> Vec<Change> {
        self.end_where(|_| true, outcome, None, actor, now)
    }

    /// Ends the holds that are meant, with their defaults where no decision is given.
    fn end_where(
        &self,
        which: impl Fn(&Hold) -> bool,
        outcome: Outcome,
        decision: Option<&Decision>,
        actor: &Arc<str>,
        now: Moment,
    ) -> Vec<Change> {
        let held = self.holds.values().filter(|hold| which(hold));
        held.map(|hold| hold.end(outcome, decision.cloned(), actor, now)).collect()
    }

    fn move_by_one(&self) -> Option<Change> {
        (self.position < self.total()).then(|| Change::Moved(self.position + 1))
    }

    /// The change that brings a mode about, where it is not so already.
    fn set_mode(&self, run: Option<&RunId>, mode: Mode) -> Option<Change> {
        let already = match run {
            None => self.mode == mode && self.runs.values().all(|run| run.mode.is_none()),
            Some(id) => *self.runs.get(id).and_then(|run| run.mode.as_ref()).unwrap_or(&self.mode) == mode,
        };
        (!already).then(|| Change::Mode { run: run.cloned(), mode, asked: true })
    }

    /// The change that ends aborts, where there are any: continue and pause let a stopped run go on.
    fn lift(&self, run: Option<&RunId>) -> Option<Change> {
        let mut runs = self.runs.iter().filter(|(id, _)| run.is_none_or(|run| *id == run));
        runs.any(|(_, run)| run.aborted.is_some()).then(|| Change::Lifted { run: run.cloned() })
    }

    /// Makes a breakpoint.
    pub(crate) fn create_breakpoint(&self, spec: Arc<Spec>) -> Result<Breakpoint, Refusal> {
        if self.breakpoints.len() >= MAX_BREAKPOINTS {
            Err(Refusal::TooManyBreakpoints(MAX_BREAKPOINTS))
        } else {
            Ok(Breakpoint::with_hits(self.next_breakpoint, spec, 0))
        }
    }

    pub(crate) fn breakpoint(&self, id: u64) -> Result<&Breakpoint, Refusal> {
        self.breakpoints.get(&id).ok_or(Refusal::NoBreakpoint(id))
    }

    /// Gives a breakpoint another spec. What it counted stays where it counts the same.
    pub(crate) fn update_breakpoint(&self, id: u64, spec: Arc<Spec>) -> Result<Breakpoint, Refusal> {
        let old = self.breakpoint(id)?;
        let source = |condition: &Option<Condition>| condition.as_ref().map(|condition| condition.source.clone());
        let counts_the_same = source(&old.spec.condition) == source(&spec.condition)
            && source(&old.spec.hit_condition) == source(&spec.hit_condition);
        let hits = if counts_the_same { old.hits } else { 0 };
        Ok(Breakpoint::with_hits(id, spec, hits))
    }
}
