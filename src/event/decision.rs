//! What is decided about a step: the decisions, how a hold ended, and what its Trace call is answered.

use std::{sync::Arc, time::Duration};

use super::{EVENT_OVERHEAD_BYTES, Event, RunId, Seq, SmallStr, Timestamp};
use crate::content::payload::Payload;

/// A decision other than proceed, which an agent has to say it obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Edit,
    Fulfil,
    Fail,
    Abort,
}

impl Verb {
    pub(crate) const ALL: [Self; 4] = [Self::Edit, Self::Fulfil, Self::Fail, Self::Abort];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Fulfil => "fulfil",
            Self::Fail => "fail",
            Self::Abort => "abort",
        }
    }
}

/// The decisions that an agent obeys at one event, beside proceed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Accepts(u8);

impl Accepts {
    pub(crate) fn insert(&mut self, verb: Verb) {
        self.0 |= 1 << verb as u8;
    }

    pub(crate) fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.contains(*verb))
    }
}

/// What an agent is to do with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Proceed,
    Edit { data: Option<Payload>, model: Option<Box<str>> },
    Fulfil { data: Option<Payload> },
    Fail { message: Box<str>, data: Option<Payload> },
    Abort { reason: Box<str> },
}

impl Decision {
    /// What an agent must accept to be told this; nothing for proceed.
    pub(crate) fn verb(&self) -> Option<Verb> {
        match self {
            Self::Proceed => None,
            Self::Edit { .. } => Some(Verb::Edit),
            Self::Fulfil { .. } => Some(Verb::Fulfil),
            Self::Fail { .. } => Some(Verb::Fail),
            Self::Abort { .. } => Some(Verb::Abort),
        }
    }

    /// The payload that it brings.
    pub(crate) fn data(&self) -> Option<&Payload> {
        match self {
            Self::Edit { data, .. } | Self::Fulfil { data } | Self::Fail { data, .. } => data.as_ref(),
            Self::Proceed | Self::Abort { .. } => None,
        }
    }
}

/// Why a Trace was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    NotHeld,
    Stepped,
    Continued,
    Released,
    Cleared,
    Detached,
    TimedOut,
    StillHeld,
    Shutdown,
    /// The caller went away; only in the record.
    Abandoned,
}

impl Outcome {
    /// Those that a record can have.
    pub(crate) const RECORDED: [Self; 9] = [
        Self::NotHeld,
        Self::Stepped,
        Self::Continued,
        Self::Released,
        Self::Cleared,
        Self::Detached,
        Self::TimedOut,
        Self::Shutdown,
        Self::Abandoned,
    ];

    /// The name that JSON and files have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NotHeld => "not_held",
            Self::Stepped => "stepped",
            Self::Continued => "continued",
            Self::Released => "released",
            Self::Cleared => "cleared",
            Self::Detached => "detached",
            Self::TimedOut => "timed_out",
            Self::StillHeld => "still_held",
            Self::Shutdown => "shutdown",
            Self::Abandoned => "abandoned",
        }
    }
}

/// How a hold ended: what is recorded beside its event.
#[derive(Clone, Debug)]
pub(crate) struct HoldEnded {
    pub(crate) seq: Seq,
    pub(crate) run_id: RunId,
    pub(crate) outcome: Outcome,
    pub(crate) decision: Decision,
    pub(crate) actor: Arc<str>,
    pub(crate) held_for: Duration,
    pub(crate) at: Timestamp,
    /// The event's data, where the decision changes it.
    pub(crate) before: Option<Payload>,
}

impl HoldEnded {
    /// What it counts against the byte limits: a flat charge, and the data that it decided on.
    pub(crate) fn bytes(&self) -> usize {
        EVENT_OVERHEAD_BYTES + self.decision.data().map_or(0, |data| data.json.len())
    }
}

/// What a Trace call is told.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) seq: Seq,
    pub(crate) total: u64,
    pub(crate) run_id: RunId,
    pub(crate) node_id: Option<SmallStr>,
    pub(crate) outcome: Outcome,
    pub(crate) held_for: Duration,
    pub(crate) decision: Decision,
    /// A policy stops the step, and its agent obeys neither fail nor abort: the call itself must fail.
    pub(crate) refused: bool,
}

impl Answer {
    /// To an event that is not held, and proceeds. `total` is as of the append.
    pub(crate) fn passed(event: &Event, total: u64) -> Self {
        Self {
            seq: event.seq,
            total,
            run_id: event.run_id.clone(),
            node_id: event.node_id.clone(),
            outcome: Outcome::NotHeld,
            held_for: Duration::ZERO,
            decision: Decision::Proceed,
            refused: false,
        }
    }
}
