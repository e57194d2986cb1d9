//! What is recorded: ids, events, payloads, decisions. Plain values that know no transport.

mod decision;
pub(crate) mod digest;
mod id;
mod kind;
mod small_str;
mod time;

use std::sync::Arc;

pub(crate) use self::{
    decision::{Accepts, Answer, Decision, HoldEnded, Outcome, Verb},
    id::{AgentId, MAX_ID_BYTES, RunId, Seq, check_id},
    kind::{Effect, EventType, Origin, Phase},
    small_str::SmallStr,
    time::{MAX_STEP_DAYS, Moment, Span, Timestamp, days_beyond},
};
use crate::content::{difference::Field, payload::Payload};

/// What an agent reports: an event before it has its number, and how it is to be held.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Report {
    pub(crate) run_id: RunId,
    pub(crate) kind: EventType,
    pub(crate) data: Payload,
    pub(crate) node_id: Option<SmallStr>,
    pub(crate) parent_id: Option<SmallStr>,
    pub(crate) name: Option<SmallStr>,
    pub(crate) start: Option<Timestamp>,
    /// Boxed where there are any, as in the event that this becomes.
    pub(crate) details: Option<Box<Details>>,
    pub(crate) effect: Effect,
    pub(crate) accepts: Accepts,
    pub(crate) may_hold: bool,
    pub(crate) request_id: Option<SmallStr>,
    pub(crate) run_end: bool,
}

/// What few steps have: figures and labels that people read, and the key that forks go by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Details {
    pub(crate) end: Option<Timestamp>,
    pub(crate) duration: Option<Span>,
    pub(crate) token_count: Option<u64>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) model: Option<Box<str>>,
    pub(crate) latency: Option<Span>,
    pub(crate) replay_checkpoint: Option<bool>,
    pub(crate) checkpoint_id: Option<Box<str>>,
    pub(crate) metadata: Option<Payload>,
    pub(crate) match_key: Option<Box<str>>,
    pub(crate) warnings: Warnings,
}

/// What was odd about the report, in words: at most [`MAX_WARNINGS`].
pub(crate) type Warnings = Box<[Box<str>]>;
/// The warnings of one event.
pub(crate) const MAX_WARNINGS: usize = 16;

impl Details {
    /// The tokens of a step: as they were counted, or else in and out together.
    pub(crate) fn tokens(&self) -> u64 {
        let both = || self.input_tokens.unwrap_or(0).saturating_add(self.output_tokens.unwrap_or(0));
        self.token_count.unwrap_or_else(both)
    }
}

/// How an event's run stood when it came, it included: kept with it, so that a condition tried on the record sees
/// what it would have seen live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunContext {
    /// How many nodes lie above, as far as they were reported.
    pub(crate) depth: u32,
    /// How many times in a row the run opened this type, name and data; 0 for what opens nothing.
    pub(crate) repeats: u32,
    pub(crate) run_events: u64,
    pub(crate) run_tokens: u64,
    /// Since the run's first event, without the time that it was held.
    pub(crate) run_elapsed_ms: u64,
}

/// One recorded step, immutable.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    pub(crate) run_id: RunId,
    pub(crate) kind: EventType,
    pub(crate) data: Payload,
    pub(crate) node_id: Option<SmallStr>,
    pub(crate) parent_id: Option<SmallStr>,
    pub(crate) name: Option<SmallStr>,
    pub(crate) start: Timestamp,
    /// Boxed where there are any: most events have none.
    pub(crate) details: Option<Box<Details>>,
    pub(crate) effect: Effect,
    pub(crate) accepts: Accepts,
    pub(crate) request_id: Option<SmallStr>,
    pub(crate) run_end: bool,
    /// A breakpoint logged it; no agent reported it.
    pub(crate) by_breakpoint: bool,
    pub(crate) context: RunContext,
    pub(crate) origin: Origin,
    /// What a fork found of it in its record; boxed, since most events are of no fork.
    pub(crate) replay: Option<Box<Replay>>,
}

/// What a fork found of a step in its record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replay {
    /// The recorded step that it is.
    pub(crate) source: Option<Seq>,
    /// Why it is none.
    pub(crate) divergence: Option<Divergence>,
}

impl Replay {
    fn bytes(&self) -> usize {
        let of = |divergence: &Divergence| {
            divergence.reason.len() + divergence.fields.iter().map(Field::bytes).sum::<usize>()
        };
        self.divergence.as_ref().map_or(0, of)
    }
}

/// A step that a fork's record does not have.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    pub(crate) reason: Box<str>,
    /// The recorded step that is nearest.
    pub(crate) nearest: Option<Seq>,
    /// What differs from it: left is the record.
    pub(crate) fields: Vec<Field>,
}

/// Where a run comes from that is a fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ancestry {
    pub(crate) run_id: RunId,
    /// The event that it was forked at; nothing where that is in another server's record.
    pub(crate) seq: Option<Seq>,
    /// Which event of the source that is, from 1.
    pub(crate) ordinal: u64,
}

/// A hundred thousand events are kept without a thought: each byte here is one of theirs.
const _: () = assert!(size_of::<Event>() <= 176);

/// What an event is charged beside its texts, in bytes.
pub(crate) const EVENT_OVERHEAD_BYTES: usize = 256;

impl Event {
    pub(crate) fn match_key(&self) -> Option<&str> {
        self.details.as_ref()?.match_key.as_deref()
    }

    /// What the event counts against the byte limits: its payload, its other texts, and a flat charge.
    pub(crate) fn bytes(&self) -> usize {
        let labels = [&self.node_id, &self.parent_id, &self.name, &self.request_id];
        let replay = self.replay.as_ref().map_or(0, |replay| replay.bytes());
        charge(&self.data, self.details.as_deref(), labels) + replay
    }
}

impl Report {
    pub(crate) fn match_key(&self) -> Option<&str> {
        self.details.as_ref()?.match_key.as_deref()
    }

    /// What the event will count, but for a node id that it is still to be given.
    pub(crate) fn bytes(&self) -> usize {
        let labels = [&self.node_id, &self.parent_id, &self.name, &self.request_id];
        charge(&self.data, self.details.as_deref(), labels)
    }
}

fn charge(data: &Payload, details: Option<&Details>, labels: [&Option<SmallStr>; 4]) -> usize {
    let labels: usize = labels.into_iter().flatten().map(|label| label.len()).sum();
    let details = details.map_or(0, |details| {
        details.metadata.as_ref().map_or(0, |metadata| metadata.json.len())
            + details.model.as_ref().map_or(0, |model| model.len())
            + details.checkpoint_id.as_ref().map_or(0, |id| id.len())
            + details.match_key.as_ref().map_or(0, |key| key.len())
            + details.warnings.iter().map(|warning| warning.len()).sum::<usize>()
    });
    EVENT_OVERHEAD_BYTES + data.json.len() + labels + details
}

/// The retained events of one run in order, each with the decision on it.
pub(crate) type History = Vec<(Arc<Event>, Option<Arc<HoldEnded>>)>;
