//! A hold: one Trace that waits, and how it ends.

use std::{sync::Arc, time::Duration};

use super::{Change, FORK, breakpoint::Gate};
use crate::{
    content::payload::MAX_PAYLOAD_BYTES,
    event::{Answer, Decision, Event, EventType, HoldEnded, Moment, Outcome, Phase, RunId, Seq, Verb},
};

/// Why a Trace waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldReason {
    /// The run is paused by an attach or a step.
    Step,
    /// Somebody asked for a pause.
    Pause,
    /// A breakpoint was hit.
    Breakpoint,
    /// A fork asks before this tool call runs again.
    Effect,
    /// A fork's record does not have this step.
    Divergence,
}

/// Why a verb is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("event {} is not held", .0.0)]
    NotHeld(Seq),
    #[error("event {} does not accept {}", .seq.0, .verb.name())]
    NotAccepted { seq: Seq, verb: Verb },
    #[error("event {} is no step that {} applies to", .seq.0, .verb.name())]
    NotApplicable { seq: Seq, verb: Verb },
    #[error("event {} waits at an approval gate: release it with a decision", .0.0)]
    Gate(Seq),
    #[error("there is no breakpoint b{0}")]
    NoBreakpoint(u64),
    #[error("breakpoints are limited to {0} per agent")]
    TooManyBreakpoints(usize),
    #[error("runs with a mode of their own are limited to {0} per agent: continue or pause without naming a run first")]
    TooManyRunModes(usize),
    #[error("aborted runs are limited to {0} per agent: continue one of them, or clear the trace first")]
    TooManyAborts(usize),
    #[error("request_id was used before with another body")]
    OtherBody,
    #[error("there is no run {:?}", .0.as_str())]
    NoRun(RunId),
    #[error("there is no event {}", .0.0)]
    NoEvent(Seq),
    #[error("event {} belongs to another run than {:?}", .seq.0, .run.as_str())]
    OtherRun { seq: Seq, run: RunId },
    #[error("event {} is not retained any more", .0.0)]
    Trimmed(Seq),
    #[error("event {} does not accept {}, so its run cannot be forked here", .seq.0, .verb.name())]
    NotForkable { seq: Seq, verb: Verb },
    #[error("the run has no step that could be retraced or changed")]
    NothingToRetrace,
    #[error("event {} opens and closes nothing, so there is no data to change", .0.0)]
    NothingToChange(Seq),
    #[error("the secrets of run {:?} are masked, so it cannot be replayed", .0.as_str())]
    Masked(RunId),
    #[error("run {:?} was imported: it can be forked, not added to", .0.as_str())]
    Imported(RunId),
    #[error("there is a run {:?} already", .0.as_str())]
    RunExists(RunId),
}

/// The record of a decision on an event that was not held, at the time of the event.
pub(crate) fn decided(event: &Event, decision: Decision) -> HoldEnded {
    // Both together fit a client's largest message; where they do not, the event of this number has the one.
    let before = match &decision {
        Decision::Edit { data: Some(after), .. } => {
            Some(&event.data).filter(|before| before.json.len() + after.json.len() <= MAX_PAYLOAD_BYTES)
        }
        _ => None,
    };
    HoldEnded {
        seq: event.seq,
        run_id: event.run_id.clone(),
        outcome: Outcome::NotHeld,
        before: before.cloned(),
        decision,
        actor: FORK.into(),
        held_for: Duration::ZERO,
        at: event.at,
    }
}

/// One Trace that waits. It keeps its event, which may be trimmed from the trace meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) event: Arc<Event>,
    pub(crate) reason: HoldReason,
    pub(crate) since: Moment,
    /// Events retained as of the append.
    pub(crate) total: u64,
    /// What the agent is told where nobody decides otherwise.
    pub(crate) default: Decision,
    /// The agent does not obey that default: its call fails instead.
    pub(crate) refuses: bool,
    /// The breakpoints that were hit here.
    pub(crate) breakpoints: Vec<u64>,
    /// Only an explicit release opens it.
    pub(crate) gate: Option<Gate>,
}

impl Hold {
    /// Ends the hold, with its default decision where none is given.
    pub(super) fn end(&self, outcome: Outcome, decision: Option<Decision>, actor: &Arc<str>, now: Moment) -> Change {
        let refused = decision.is_none() && self.refuses;
        let decision = decision.unwrap_or_else(|| self.default.clone());
        let held_for = now.steady.saturating_sub(self.since.steady);
        let ended = HoldEnded {
            outcome,
            actor: actor.clone(),
            held_for,
            at: now.wall,
            ..decided(&self.event, decision.clone())
        };
        Change::HoldEnded { ended: Arc::new(ended), answer: Answer { decision, refused, ..self.answer(outcome, now) } }
    }

    /// What a caller is told of this hold as it stands.
    pub(crate) fn answer(&self, outcome: Outcome, now: Moment) -> Answer {
        Answer {
            seq: self.event.seq,
            total: self.total,
            run_id: self.event.run_id.clone(),
            node_id: self.event.node_id.clone(),
            outcome,
            held_for: now.steady.saturating_sub(self.since.steady),
            decision: self.default.clone(),
            refused: false,
        }
    }

    /// Refuses a decision that the agent does not obey, or that means nothing at this kind of step.
    pub(super) fn allows(&self, decision: &Decision) -> Result<(), Refusal> {
        let Some(verb) = decision.verb() else { return Ok(()) };
        let seq = self.event.seq;
        let applies = match (self.event.kind.phase(), verb) {
            (_, Verb::Abort) | (Phase::Opens, _) => true,
            (Phase::Closes, verb) => self.event.kind != EventType::Error && verb != Verb::Fulfil,
            (Phase::Neither, _) => false,
        };
        match (applies, self.event.accepts.contains(verb)) {
            (false, _) => Err(Refusal::NotApplicable { seq, verb }),
            (true, false) => Err(Refusal::NotAccepted { seq, verb }),
            (true, true) => Ok(()),
        }
    }
}
