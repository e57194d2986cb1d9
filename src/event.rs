//! What is recorded: ids, events, payloads, decisions. Plain values that know no transport.

mod small_str;

use std::{fmt, sync::Arc, time::Duration};

use arcstr::ArcStr;

pub(crate) use self::small_str::SmallStr;
use crate::content::difference::Field;

/// The longest id, name or key, in bytes of UTF-8.
pub(crate) const MAX_ID_BYTES: usize = 200;
/// The largest payload, in bytes of JSON: an event then fits a client's default limit of 4 MiB.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 3_670_016;
/// The deepest payload, in levels of arrays and objects.
pub(crate) const MAX_PAYLOAD_DEPTH: usize = 64;

/// Names an agent: a key, never a path.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AgentId(SmallStr);

impl AgentId {
    /// Takes 1 to 200 bytes without control characters and without `/`, and not `.` or `..`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "" => Err("must not be empty"),
            "." | ".." => Err("must not be `.` or `..`"),
            _ if text.contains('/') => Err("must not contain `/`"),
            _ => check_id(text).map(|()| Self(text.into())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Names a run of an agent; the empty one is the default run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RunId(SmallStr);

impl RunId {
    /// Takes at most 200 bytes without control characters.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        check_id(text).map(|()| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The bounds that ids, names and keys share.
pub(crate) fn check_id(text: &str) -> Result<(), &'static str> {
    if text.len() > MAX_ID_BYTES {
        return Err("must be at most 200 bytes");
    }
    // Control characters of ASCII are single bytes; those beyond it begin with one byte that few texts have.
    let may_be_control = |byte: u8| byte.is_ascii_control() || byte == 0xc2;
    match text.bytes().any(may_be_control) && text.chars().any(char::is_control) {
        true => Err("must not contain control characters"),
        false => Ok(()),
    }
}

/// The number of an event: from 1, never used twice for an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seq(pub(crate) u64);

/// Nanoseconds since the Unix epoch: from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

/// The longest time from the beginning of a step to its end, and how far ahead of this server's clock either may be, in
/// days: a step beyond that is a mistake in units, and would leave nothing of a time line to be seen.
pub(crate) const MAX_STEP_DAYS: i64 = 366;

/// How many whole days lie between two times, where they are more than a step may last.
pub(crate) fn days_beyond(from: Timestamp, to: Timestamp) -> Option<i64> {
    const NANOS_PER_DAY: i128 = 86_400_000_000_000;
    let days = (i128::from(to.0) - i128::from(from.0)) / NANOS_PER_DAY;
    i64::try_from(days).ok().filter(|days| *days >= MAX_STEP_DAYS)
}

/// A reported length of time in nanoseconds; a clock that was set back makes it negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span(pub(crate) i64);

/// One instant on both clocks: the wall's for people, the steady one for measuring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    /// Since some fixed point of this process.
    pub(crate) steady: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventType {
    Prompt,
    Response,
    ToolCall,
    ToolResult,
    Error,
    Log,
}

/// What an event does to the node it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Opens,
    Closes,
    Neither,
}

impl EventType {
    pub(crate) const ALL: [Self; 6] =
        [Self::Prompt, Self::Response, Self::ToolCall, Self::ToolResult, Self::Error, Self::Log];

    /// The name that JSON and conditions have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Response => "response",
            Self::ToolCall => "tool_call",
            Self::ToolResult => "tool_result",
            Self::Error => "error",
            Self::Log => "log",
        }
    }

    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Prompt | Self::ToolCall => Phase::Opens,
            Self::Response | Self::ToolResult | Self::Error => Phase::Closes,
            Self::Log => Phase::Neither,
        }
    }

    /// Whether this closing type ends a node that `opening` began. An error ends either kind.
    pub(crate) fn closes(self, opening: Self) -> bool {
        matches!(
            (self, opening),
            (Self::Response, Self::Prompt)
                | (Self::ToolResult, Self::ToolCall)
                | (Self::Error, Self::Prompt | Self::ToolCall)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Unknown,
    Pure,
    Read,
    Idempotent,
    Mutating,
}

impl Effect {
    pub(crate) const KNOWN: [Self; 4] = [Self::Pure, Self::Read, Self::Idempotent, Self::Mutating];

    /// The name that JSON and conditions have for it; nothing where it is not known.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Pure => Some("pure"),
            Self::Read => Some("read"),
            Self::Idempotent => Some("idempotent"),
            Self::Mutating => Some("mutating"),
        }
    }
}

/// Where what a step brought comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// The agent did it.
    #[default]
    Live,
    /// A fork answered it from the record.
    Recorded,
    /// A fork or a person changed it.
    Edited,
}

impl Origin {
    pub(crate) const ALL: [Self; 3] = [Self::Live, Self::Recorded, Self::Edited];

    /// The name that JSON, files and conditions have for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Recorded => "recorded",
            Self::Edited => "edited",
        }
    }
}

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

/// The form in which a payload came, and goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    /// JSON text, digit for digit.
    Json,
    /// A protobuf Struct, whose numbers are doubles.
    Struct,
}

/// A JSON object, kept as text on one line.
///
/// One form is stored; the other is derived where somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Payload {
    pub(crate) json: ArcStr,
    pub(crate) encoding: Encoding,
}

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
}

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
    });
    EVENT_OVERHEAD_BYTES + data.json.len() + labels + details
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

/// The retained events of one run in order, each with the decision on it.
pub(crate) type History = Vec<(Arc<Event>, Option<Arc<HoldEnded>>)>;

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
