//! The contract's messages as the JSON that the service speaks over HTTP: same names, same order, digit for digit.

use prost_types::{Struct, Timestamp, Value as WireValue, value::Kind};
use serde::Serialize;
use serde_json::{Number, Value, value::RawValue};

use crate::proto::{self, decision::Action, events_response::Frame};

/// Whole numbers up to here are exact in a double, and are written without a fraction.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The short name of an enum's value: lower case, without its prefix.
macro_rules! short {
    ($kind:ident, $prefix:literal, $number:expr) => {
        proto::$kind::try_from($number).map_or_else(
            |_| String::from("unknown"),
            |value| value.as_str_name().trim_start_matches($prefix).to_ascii_lowercase(),
        )
    };
}

pub(super) fn event_type(number: i32) -> String {
    short!(EventType, "EVENT_TYPE_", number)
}

pub(super) fn outcome(number: i32) -> String {
    short!(Outcome, "OUTCOME_", number)
}

pub(super) fn mode(number: i32) -> String {
    short!(RunMode, "RUN_MODE_", number)
}

pub(super) fn hold_reason(number: i32) -> String {
    short!(HoldReason, "HOLD_REASON_", number)
}

pub(super) fn verb(number: i32) -> String {
    short!(Verb, "VERB_", number)
}

/// Either form of a payload as JSON text.
macro_rules! payload {
    ($form:expr, $data:path, $json:path) => {
        $form.as_ref().map(|form| match form {
            $data(data) => struct_text(data),
            $json(text) => raw(text),
        })
    };
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_default()
}

fn struct_text(data: &Struct) -> Box<RawValue> {
    serde_json::value::to_raw_value(&object(data)).unwrap_or_default()
}

fn object(data: &Struct) -> Value {
    data.fields.iter().map(|(key, field)| (key.clone(), value(field))).collect()
}

fn value(wire: &WireValue) -> Value {
    match &wire.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => (*value).into(),
        Some(Kind::NumberValue(value)) => Value::Number(number(*value)),
        Some(Kind::StringValue(value)) => value.as_str().into(),
        Some(Kind::ListValue(list)) => list.values.iter().map(value).collect(),
        Some(Kind::StructValue(fields)) => object(fields),
    }
}

fn number(value: f64) -> Number {
    match value.fract() == 0.0 && value.abs() <= MAX_EXACT {
        true => (value as i64).into(),
        false => Number::from_f64(value).unwrap_or_else(|| 0.into()),
    }
}

fn seconds(time: &Timestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

pub(super) fn milliseconds(span: &prost_types::Duration) -> Number {
    let nanos = span.seconds.saturating_mul(1_000_000_000).saturating_add(span.nanos.into());
    match nanos % 1_000_000 {
        0 => (nanos / 1_000_000).into(),
        _ => number(nanos as f64 / 1e6),
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What was reported, as text.
pub(super) fn data(event: &proto::Event) -> Box<RawValue> {
    payload!(event.payload, proto::event::Payload::Data, proto::event::Payload::DataJson).unwrap_or_else(|| raw("{}"))
}

pub(super) fn metadata(event: &proto::Event) -> Option<Box<RawValue>> {
    payload!(event.metadata_form, proto::event::MetadataForm::Metadata, proto::event::MetadataForm::MetadataJson)
}

#[derive(Serialize)]
pub(super) struct Event<'a> {
    r#type: String,
    seq: u64,
    data: Box<RawValue>,
    run_id: &'a str,
    node_id: Option<&'a str>,
    parent_id: Option<&'a str>,
    name: Option<&'a str>,
    start_ts: Option<f64>,
    end_ts: Option<f64>,
    duration_ms: Option<Number>,
    token_count: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    model: Option<&'a str>,
    latency_ms: Option<Number>,
    replay_checkpoint: Option<bool>,
    checkpoint_id: Option<&'a str>,
    metadata: Option<Box<RawValue>>,
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    run_end: bool,
}

pub(super) fn event(event: &proto::Event) -> Event<'_> {
    Event {
        r#type: event_type(event.r#type),
        seq: event.seq,
        data: data(event),
        run_id: &event.run_id,
        node_id: some(&event.node_id),
        parent_id: some(&event.parent_id),
        name: some(&event.name),
        start_ts: event.start_time.as_ref().map(seconds),
        end_ts: event.end_time.as_ref().map(seconds),
        duration_ms: event.duration.as_ref().map(milliseconds),
        token_count: event.token_count,
        input_tokens: event.input_tokens,
        output_tokens: event.output_tokens,
        model: some(&event.model),
        latency_ms: event.latency.as_ref().map(milliseconds),
        replay_checkpoint: event.replay_checkpoint,
        checkpoint_id: some(&event.checkpoint_id),
        metadata: metadata(event),
        ts: event.time.as_ref().map(seconds),
        effect: (event.effect != 0).then(|| short!(Effect, "EFFECT_", event.effect)),
        match_key: some(&event.match_key),
        run_end: event.run_end,
    }
}

#[derive(Serialize)]
pub(super) struct Decision<'a> {
    pub(super) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<&'a str>,
}

pub(super) fn decision(decision: Option<&proto::Decision>) -> Decision<'_> {
    use proto::{edit, fail, fulfil};
    let plain = |action| Decision { action, message: None, reason: None, data: None, model: None };
    match decision.and_then(|decision| decision.action.as_ref()) {
        None | Some(Action::Proceed(_)) => plain("proceed"),
        Some(Action::Edit(edit)) => Decision {
            data: payload!(edit.payload, edit::Payload::Data, edit::Payload::DataJson),
            model: some(&edit.model),
            ..plain("edit")
        },
        Some(Action::Fulfil(fulfil)) => Decision {
            data: payload!(fulfil.payload, fulfil::Payload::Data, fulfil::Payload::DataJson),
            ..plain("fulfil")
        },
        Some(Action::Fail(fail)) => Decision {
            message: Some(&fail.message),
            data: payload!(fail.payload, fail::Payload::Data, fail::Payload::DataJson),
            ..plain("fail")
        },
        Some(Action::Abort(abort)) => Decision { reason: Some(&abort.reason), ..plain("abort") },
    }
}

#[derive(Serialize)]
struct DecisionMade<'a> {
    r#type: &'static str,
    seq: u64,
    run_id: &'a str,
    outcome: String,
    decision: Decision<'a>,
    actor: &'a str,
    held_ms: Number,
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Box<RawValue>>,
}

fn decision_made(made: &proto::DecisionMade) -> DecisionMade<'_> {
    use proto::decision_made::BeforeForm;
    DecisionMade {
        r#type: "decision",
        seq: made.seq,
        run_id: &made.run_id,
        outcome: outcome(made.outcome),
        decision: decision(made.decision.as_ref()),
        actor: &made.actor,
        held_ms: milliseconds(&made.held_for.unwrap_or_default()),
        ts: made.time.as_ref().map(seconds),
        before: payload!(made.before_form, BeforeForm::Before, BeforeForm::BeforeJson),
    }
}

#[derive(Serialize)]
pub(super) struct Held<'a> {
    seq: u64,
    run_id: &'a str,
    r#type: String,
    name: Option<&'a str>,
    held_ms: Number,
    reason: String,
    accepts: Vec<String>,
    breakpoint_ids: &'a [String],
    gate: bool,
    times_out_in_ms: Option<Number>,
}

pub(super) fn held(held: &proto::Held) -> Held<'_> {
    Held {
        seq: held.seq,
        run_id: &held.run_id,
        r#type: event_type(held.r#type),
        name: some(&held.name),
        held_ms: milliseconds(&held.held_for.unwrap_or_default()),
        reason: hold_reason(held.reason),
        accepts: held.accepts.iter().copied().map(verb).collect(),
        breakpoint_ids: &held.breakpoint_ids,
        gate: held.gate,
        times_out_in_ms: held.times_out_in.as_ref().map(milliseconds),
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Snapshot<'a> {
    Position { pos: u64, total: u64 },
    Clear,
    Gap { from: u64, to: u64 },
    State { mode: String, held: Vec<Held<'a>>, debuggers: u32, observers: u32, breakpoint_revision: u64 },
}

/// A frame on one line; nothing for one that this client does not know.
pub(super) fn frame(frame: &Frame) -> Option<String> {
    let text = match frame {
        Frame::Event(next) => serde_json::to_string(&event(next)),
        Frame::Decision(made) => serde_json::to_string(&decision_made(made)),
        Frame::Position(at) => serde_json::to_string(&Snapshot::Position { pos: at.position, total: at.total }),
        Frame::Cleared(_) => serde_json::to_string(&Snapshot::Clear),
        Frame::Forked(_) => return None,
        Frame::Gap(gap) => serde_json::to_string(&Snapshot::Gap { from: gap.from, to: gap.to }),
        Frame::State(state) => serde_json::to_string(&Snapshot::State {
            mode: mode(state.mode),
            held: state.held.iter().map(held).collect(),
            debuggers: state.debuggers,
            observers: state.observers,
            breakpoint_revision: state.breakpoint_revision,
        }),
    };
    text.ok()
}

#[derive(Serialize)]
pub(super) struct Agent<'a> {
    agent_id: &'a str,
    total_events: u64,
    mode: String,
    held: u32,
    debuggers: u32,
    observers: u32,
    last_event_ts: Option<f64>,
}

pub(super) fn agent(agent: &proto::AgentSummary) -> Agent<'_> {
    Agent {
        agent_id: &agent.agent_id,
        total_events: agent.total_events,
        mode: mode(agent.mode),
        held: agent.held,
        debuggers: agent.debuggers,
        observers: agent.observers,
        last_event_ts: agent.last_event_time.as_ref().map(seconds),
    }
}

#[derive(Serialize)]
pub(super) struct Run<'a> {
    run_id: &'a str,
    mode: String,
    finished: bool,
    events: u64,
    held: u32,
}

pub(super) fn run(run: &proto::Run) -> Run<'_> {
    Run { run_id: &run.run_id, mode: mode(run.mode), finished: run.finished, events: run.events, held: run.held }
}

#[derive(Serialize)]
pub(super) struct Status<'a> {
    agent_id: &'a str,
    total_events: u64,
    position: u64,
    has_listener: bool,
    mode: String,
    debuggers: u32,
    observers: u32,
    pub(super) held: Vec<Held<'a>>,
    first_seq: u64,
    last_seq: u64,
    dropped_events: u64,
    epoch: &'a str,
    pub(super) runs: Vec<Run<'a>>,
}

pub(super) fn status(status: &proto::StatusResponse) -> Status<'_> {
    Status {
        agent_id: &status.agent_id,
        total_events: status.total_events,
        position: status.position,
        has_listener: status.has_listener,
        mode: mode(status.mode),
        debuggers: status.debuggers,
        observers: status.observers,
        held: status.held.iter().map(held).collect(),
        first_seq: status.first_seq,
        last_seq: status.last_seq,
        dropped_events: status.dropped_events,
        epoch: &status.epoch,
        runs: status.runs.iter().map(run).collect(),
    }
}
