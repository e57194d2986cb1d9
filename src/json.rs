//! The documented JSON of bodies and frames, field by field in their documented order.
//!
//! Each shape is defined once, here, for the service that sends it and for the client that prints it. The event and
//! the decision borrow, so that the service can make them of what it keeps without a copy; the functions make all of
//! them of the contract's messages. Payloads stay the text that they are, digit for digit.

#![warn(missing_docs, unreachable_pub, clippy::all)]

pub(crate) mod run;
mod structure;

use std::borrow::Cow;

use prost_types::{Duration, Struct, Timestamp};
use serde::Serialize;
use serde_json::{Number, value::RawValue};
use utoipa::ToSchema;

pub(crate) use structure::AsJson;

use crate::proto::{
    EventType, HoldReason, OnTimeout, Outcome, RunMode, Unattended, Verb, decision::Action, events_response::Frame,
    name::Named as _,
};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Whole numbers up to here are exact in a double, and are written without a fraction.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Seconds as a JSON number: the nearest double, so that what came as a double goes back as the same one.
pub(crate) fn seconds(time: &Timestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// Milliseconds as a JSON number: whole where it is whole.
pub(crate) fn milliseconds(span: &Duration) -> Number {
    let nanos = span.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(span.nanos.into());
    match nanos % 1_000_000 {
        0 => (nanos / 1_000_000).into(),
        _ => number(nanos as f64 / 1e6),
    }
}

/// A finite double as a JSON number, whole where it is whole.
fn number(value: f64) -> Number {
    if value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        (value as i64).into()
    } else {
        Number::from_f64(value).unwrap_or_else(|| 0.into())
    }
}

/// Text, where there is any: the contract's "" is JSON's `null`.
fn some<T: AsRef<str>>(text: T) -> Option<T> {
    Some(text).filter(|text| !text.as_ref().is_empty())
}

/// A number, where there is one: the contract's 0 is JSON's `null`.
fn nonzero(number: u64) -> Option<u64> {
    Some(number).filter(|number| *number > 0)
}

fn raw(text: &str) -> Cow<'_, RawValue> {
    serde_json::from_str(text).map(Cow::Borrowed).unwrap_or_default()
}

fn struct_text(data: &Struct) -> Box<RawValue> {
    serde_json::value::to_raw_value(&AsJson(data)).unwrap_or_default()
}

/// Either form of a payload as JSON text.
macro_rules! payload {
    ($form:expr, $data:path, $json:path) => {
        $form.as_ref().map(|form| match form {
            $data(data) => Cow::Owned(struct_text(data)),
            $json(text) => raw(text),
        })
    };
}

/// The same, taken over.
macro_rules! own_payload {
    ($form:expr, $data:path, $json:path) => {
        $form.map(|form| match form {
            $data(data) => Cow::Owned(struct_text(&data)),
            $json(text) => Cow::Owned(RawValue::from_string(text).unwrap_or_default()),
        })
    };
}

/// One recorded step: everything it was reported with, `null` where absent.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event<'a> {
    #[schema(value_type = String)]
    pub(crate) r#type: Cow<'static, str>,
    pub(crate) seq: u64,
    /// What was reported, digit for digit.
    #[schema(value_type = Object)]
    pub(crate) data: Cow<'a, RawValue>,
    pub(crate) run_id: &'a str,
    pub(crate) node_id: Option<&'a str>,
    pub(crate) parent_id: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    /// Unix seconds; the time of recording where it was not reported.
    pub(crate) start_ts: f64,
    pub(crate) end_ts: Option<f64>,
    #[schema(value_type = Option<f64>)]
    pub(crate) duration_ms: Option<Number>,
    pub(crate) token_count: Option<u64>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) model: Option<&'a str>,
    #[schema(value_type = Option<f64>)]
    pub(crate) latency_ms: Option<Number>,
    pub(crate) replay_checkpoint: Option<bool>,
    pub(crate) checkpoint_id: Option<&'a str>,
    #[schema(value_type = Option<Object>)]
    pub(crate) metadata: Option<Cow<'a, RawValue>>,
    /// When it was recorded, in Unix seconds.
    pub(crate) ts: f64,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) effect: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) match_key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) run_end: bool,
    /// `live`, `recorded` or `edited`: where what the step brought comes from.
    #[schema(value_type = String)]
    pub(crate) origin: Cow<'static, str>,
    /// In a fork, the recorded step that it was found to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_seq: Option<u64>,
    /// In a fork, why no recorded step is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) divergence: Option<run::Divergence>,
    /// What was odd about the report, such as fields that no step has.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) warnings: &'a [String],
}

pub(crate) fn event(event: &crate::proto::Event) -> Event<'_> {
    let unix = |time: &Option<Timestamp>| time.as_ref().map(seconds);
    Event {
        r#type: EventType::json_name(event.r#type).into(),
        seq: event.seq,
        data: data(event),
        run_id: &event.run_id,
        node_id: some(&event.node_id),
        parent_id: some(&event.parent_id),
        name: some(&event.name),
        start_ts: unix(&event.start_time).unwrap_or_default(),
        end_ts: unix(&event.end_time),
        duration_ms: event.duration.as_ref().map(milliseconds),
        token_count: event.token_count,
        input_tokens: event.input_tokens,
        output_tokens: event.output_tokens,
        model: some(&event.model),
        latency_ms: event.latency.as_ref().map(milliseconds),
        replay_checkpoint: event.replay_checkpoint,
        checkpoint_id: some(&event.checkpoint_id),
        metadata: metadata(event),
        ts: unix(&event.time).unwrap_or_default(),
        effect: (event.effect != 0).then(|| crate::proto::Effect::json_name(event.effect).into()),
        match_key: some(&event.match_key),
        run_end: event.run_end,
        origin: crate::proto::Origin::json_name(event.origin).into(),
        source_seq: nonzero(event.source_seq),
        divergence: event.divergence.clone().map(run::divergence),
        warnings: &event.warnings,
    }
}

/// What an event reports, as text.
pub(crate) fn data(event: &crate::proto::Event) -> Cow<'_, RawValue> {
    payload!(event.payload, crate::proto::event::Payload::Data, crate::proto::event::Payload::DataJson)
        .unwrap_or_else(|| raw("{}"))
}

/// What an event reports beside it, as text.
pub(crate) fn metadata(event: &crate::proto::Event) -> Option<Cow<'_, RawValue>> {
    payload!(
        event.metadata_form,
        crate::proto::event::MetadataForm::Metadata,
        crate::proto::event::MetadataForm::MetadataJson
    )
}

/// What the agent is to do.
#[derive(Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Decision<'a> {
    /// Go on as reported.
    Proceed,
    /// Go on with other data, or another model.
    Edit {
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Cow<'a, RawValue>>,
        #[schema(value_type = Option<String>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<Cow<'a, str>>,
    },
    /// Do not run the step; take this result.
    Fulfil {
        #[schema(value_type = Object)]
        data: Option<Cow<'a, RawValue>>,
    },
    /// Treat the step as failed.
    Fail {
        #[schema(value_type = String)]
        message: Cow<'a, str>,
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Cow<'a, RawValue>>,
    },
    /// End the run.
    Abort {
        #[schema(value_type = String)]
        reason: Cow<'a, str>,
    },
}

/// A decision from the contract. Over HTTP every payload is JSON text, whatever its form.
pub(crate) fn decision(decision: Option<crate::proto::Decision>) -> Decision<'static> {
    use crate::proto::{edit, fail, fulfil};
    match decision.and_then(|decision| decision.action) {
        None | Some(Action::Proceed(_)) => Decision::Proceed,
        Some(Action::Edit(edit)) => Decision::Edit {
            data: own_payload!(edit.payload, edit::Payload::Data, edit::Payload::DataJson),
            model: some(edit.model).map(Cow::Owned),
        },
        Some(Action::Fulfil(fulfil)) => {
            Decision::Fulfil { data: own_payload!(fulfil.payload, fulfil::Payload::Data, fulfil::Payload::DataJson) }
        }
        Some(Action::Fail(fail)) => Decision::Fail {
            message: fail.message.into(),
            data: own_payload!(fail.payload, fail::Payload::Data, fail::Payload::DataJson),
        },
        Some(Action::Abort(abort)) => Decision::Abort { reason: abort.reason.into() },
    }
}

/// How a hold ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecisionMade<'a> {
    pub(crate) r#type: &'static str,
    pub(crate) seq: u64,
    pub(crate) run_id: &'a str,
    pub(crate) outcome: String,
    pub(crate) decision: Decision<'a>,
    /// The caller's address, or "debugger" where nobody decided.
    pub(crate) actor: &'a str,
    #[schema(value_type = f64)]
    pub(crate) held_ms: Number,
    /// When it ended, in Unix seconds.
    pub(crate) ts: f64,
    /// The event's data before it was changed.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Cow<'a, RawValue>>,
}

pub(crate) fn decision_made(made: &crate::proto::DecisionMade) -> DecisionMade<'_> {
    use crate::proto::decision_made::BeforeForm;
    DecisionMade {
        r#type: "decision",
        seq: made.seq,
        run_id: &made.run_id,
        outcome: Outcome::json_name(made.outcome),
        decision: decision(made.decision.clone()),
        actor: &made.actor,
        held_ms: milliseconds(&made.held_for.unwrap_or_default()),
        ts: seconds(&made.time.unwrap_or_default()),
        before: payload!(made.before_form, BeforeForm::Before, BeforeForm::BeforeJson),
    }
}

/// An event with the ending of its hold.
#[derive(Serialize, ToSchema)]
pub(crate) struct Recorded<'a> {
    #[serde(flatten)]
    pub(crate) event: Event<'a>,
    /// `null` where it was not held, or is held still.
    pub(crate) decision: Option<DecisionMade<'a>>,
}

/// One Trace that waits.
#[derive(Serialize, ToSchema)]
pub(crate) struct Held {
    seq: u64,
    run_id: String,
    r#type: String,
    name: Option<String>,
    #[schema(value_type = f64)]
    held_ms: Number,
    /// `step`, `pause`, `breakpoint`, or in a fork `effect` or `divergence`.
    reason: String,
    accepts: Vec<String>,
    breakpoint_ids: Vec<String>,
    /// Whether only an explicit release opens it.
    gate: bool,
    /// How long until it ends by itself, with its default decision; `null` where it does not.
    #[schema(value_type = Option<f64>)]
    times_out_in_ms: Option<Number>,
    /// The event as its frame; `null` where there is no room for it, which lists of events then have.
    #[schema(value_type = Option<Object>)]
    event: Option<Box<RawValue>>,
}

pub(crate) fn held(held: crate::proto::Held) -> Held {
    Held {
        seq: held.seq,
        run_id: held.run_id,
        r#type: EventType::json_name(held.r#type),
        name: some(held.name),
        held_ms: milliseconds(&held.held_for.unwrap_or_default()),
        reason: HoldReason::json_name(held.reason),
        accepts: held.accepts.into_iter().map(Verb::json_name).collect(),
        breakpoint_ids: held.breakpoint_ids,
        gate: held.gate,
        times_out_in_ms: held.times_out_in.as_ref().map(milliseconds),
        event: held.event.as_ref().and_then(|it| serde_json::value::to_raw_value(&event(it)).ok()),
    }
}

/// Where to stop, or to log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Breakpoint {
    id: String,
    types: Vec<String>,
    name: String,
    run_id: Option<String>,
    condition: String,
    hit_condition: String,
    log_message: String,
    once: bool,
    enabled: bool,
    all_stop: bool,
    /// `skip` or `hold`.
    unattended: String,
    #[schema(value_type = Option<f64>)]
    timeout_ms: Option<Number>,
    /// `fail` or `proceed`.
    on_timeout: String,
    /// The events for which the condition held.
    hits: u64,
    /// Why the last evaluation failed, or why the service switched it off.
    problem: String,
}

pub(crate) fn breakpoint(breakpoint: crate::proto::Breakpoint) -> Breakpoint {
    Breakpoint {
        id: breakpoint.id,
        types: breakpoint.types.into_iter().map(EventType::json_name).collect(),
        name: breakpoint.name,
        run_id: breakpoint.run_id,
        condition: breakpoint.condition,
        hit_condition: breakpoint.hit_condition,
        log_message: breakpoint.log_message,
        once: breakpoint.once,
        enabled: breakpoint.enabled.unwrap_or(true),
        all_stop: breakpoint.all_stop,
        unattended: Unattended::json_name(breakpoint.unattended),
        timeout_ms: breakpoint.timeout.as_ref().map(milliseconds),
        on_timeout: OnTimeout::json_name(breakpoint.on_timeout),
        hits: breakpoint.hits,
        problem: breakpoint.problem,
    }
}

/// Mode, holds and subscribers: a snapshot, latest wins.
#[derive(Serialize, ToSchema)]
pub(crate) struct State {
    r#type: &'static str,
    mode: String,
    held: Vec<Held>,
    debuggers: u32,
    observers: u32,
    /// Grows with every change of the breakpoints, hits included.
    breakpoint_revision: u64,
}

pub(crate) fn state(state: crate::proto::State) -> State {
    State {
        r#type: "state",
        mode: RunMode::json_name(state.mode),
        held: state.held.into_iter().map(held).collect(),
        debuggers: state.debuggers,
        observers: state.observers,
        breakpoint_revision: state.breakpoint_revision,
    }
}

/// Where the stream stands, or what it leaves out: frames with nothing of an agent in them.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Mark {
    /// Where the debugger stands.
    Position {
        /// How many retained events lie at or before its cursor.
        pos: u64,
        /// Events retained.
        total: u64,
    },
    /// The trace was dropped.
    Clear,
    /// Events that were trimmed before they could be sent.
    Gap {
        /// The first that may be missing.
        from: u64,
        /// The last that is.
        to: u64,
    },
}

/// A frame as text on one line.
pub(crate) fn frame(frame: &Frame) -> serde_json::Result<String> {
    match frame {
        Frame::Event(next) => serde_json::to_string(&event(next)),
        Frame::Decision(made) => serde_json::to_string(&decision_made(made)),
        Frame::State(snapshot) => serde_json::to_string(&state(snapshot.clone())),
        Frame::Forked(forked) => serde_json::to_string(&run::run_forked(forked.clone())),
        Frame::Position(at) => serde_json::to_string(&Mark::Position { pos: at.position, total: at.total }),
        Frame::Cleared(_) => serde_json::to_string(&Mark::Clear),
        Frame::Gap(gap) => serde_json::to_string(&Mark::Gap { from: gap.from, to: gap.to }),
    }
}

/// Where an agent stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct StatusBody {
    agent_id: String,
    total_events: u64,
    position: u64,
    /// Whether anybody subscribes.
    has_listener: bool,
    /// `detached`, `running` or `paused`.
    mode: String,
    debuggers: u32,
    observers: u32,
    pub(crate) held: Vec<Held>,
    first_seq: u64,
    last_seq: u64,
    dropped_events: u64,
    epoch: String,
    pub(crate) runs: Vec<run::Run>,
}

pub(crate) fn status(status: crate::proto::StatusResponse) -> StatusBody {
    StatusBody {
        agent_id: status.agent_id,
        total_events: status.total_events,
        position: status.position,
        has_listener: status.has_listener,
        mode: RunMode::json_name(status.mode),
        debuggers: status.debuggers,
        observers: status.observers,
        held: status.held.into_iter().map(held).collect(),
        first_seq: status.first_seq,
        last_seq: status.last_seq,
        dropped_events: status.dropped_events,
        epoch: status.epoch,
        runs: status.runs.into_iter().map(run::run).collect(),
    }
}

/// One agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct Agent {
    agent_id: String,
    total_events: u64,
    mode: String,
    held: u32,
    debuggers: u32,
    observers: u32,
    /// Unix seconds; `null` before the first event.
    last_event_ts: Option<f64>,
}

pub(crate) fn agent(agent: crate::proto::AgentSummary) -> Agent {
    Agent {
        agent_id: agent.agent_id,
        total_events: agent.total_events,
        mode: RunMode::json_name(agent.mode),
        held: agent.held,
        debuggers: agent.debuggers,
        observers: agent.observers,
        last_event_ts: agent.last_event_time.as_ref().map(seconds),
    }
}
