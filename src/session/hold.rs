//! A hold: one Trace that waits, and how it ends.

use std::sync::Arc;

use super::{Change, breakpoint::Gate};
use crate::event::{Answer, Decision, Ended, Event, EventType, MAX_PAYLOAD_BYTES, Moment, Outcome, Role, Seq, Verb};

/// Why a Trace waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldReason {
    /// The run is paused by an attach or a step.
    Step,
    /// Somebody asked for a pause.
    Pause,
    /// A breakpoint was hit.
    Breakpoint,
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
    #[error("request_id was used before with another body")]
    OtherBody,
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
        // Both together fit a client's largest message; where they do not, the event of this number has the one.
        let before = match &decision {
            Decision::Edit { data: Some(after), .. } => {
                Some(&self.event.data).filter(|before| before.json.len() + after.json.len() <= MAX_PAYLOAD_BYTES)
            }
            _ => None,
        };
        let ended = Ended {
            seq: self.event.seq,
            run_id: self.event.run_id.clone(),
            outcome,
            decision: decision.clone(),
            actor: actor.clone(),
            held_for,
            at: now.wall,
            before: before.cloned(),
        };
        Change::Ended { ended: Arc::new(ended), answer: Answer { decision, refused, ..self.answer(outcome, now) } }
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
        let applies = match (self.event.kind.role(), verb) {
            (_, Verb::Abort) | (Role::Opens, _) => true,
            (Role::Closes, verb) => self.event.kind != EventType::Error && verb != Verb::Fulfil,
            (Role::Neither, _) => false,
        };
        match (applies, self.event.accepts.contains(verb)) {
            (false, _) => Err(Refusal::NotApplicable { seq, verb }),
            (true, false) => Err(Refusal::NotAccepted { seq, verb }),
            (true, true) => Ok(()),
        }
    }
}
