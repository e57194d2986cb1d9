//! The documented JSON: bodies and frames, field by field in their documented order.

use serde::Serialize;
use serde_json::{Number, value::RawValue};
use utoipa::ToSchema;

use super::{Named, milliseconds, seconds, to_span, to_timestamp};
use crate::{
    event::{self, Ended, Payload},
    proto::{self, decision::Action},
};

/// A finite double as a JSON number, whole where it is whole.
pub(crate) fn number(value: f64) -> Number {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => (value as i64).into(),
        false => Number::from_f64(value).unwrap_or_else(|| 0.into()),
    }
}

/// One recorded step: everything it was reported with, `null` where absent.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event<'a> {
    r#type: &'static str,
    seq: u64,
    /// What was reported, digit for digit.
    #[schema(value_type = Object)]
    data: &'a RawValue,
    run_id: &'a str,
    node_id: Option<&'a str>,
    parent_id: Option<&'a str>,
    name: Option<&'a str>,
    /// Unix seconds; the time of recording where it was not reported.
    start_ts: f64,
    end_ts: Option<f64>,
    #[schema(value_type = Option<f64>)]
    duration_ms: Option<Number>,
    token_count: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    model: Option<&'a str>,
    #[schema(value_type = Option<f64>)]
    latency_ms: Option<Number>,
    replay_checkpoint: Option<bool>,
    checkpoint_id: Option<&'a str>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<&'a RawValue>,
    /// When it was recorded, in Unix seconds.
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    match_key: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    run_end: bool,
}

pub(crate) fn event(event: &event::Event) -> Event<'_> {
    let details = event.details.as_deref();
    let unix = |time| seconds(&to_timestamp(time));
    Event {
        r#type: event.kind.name(),
        seq: event.seq.0,
        data: raw(&event.data),
        run_id: event.run_id.as_str(),
        node_id: event.node_id.as_deref(),
        parent_id: event.parent_id.as_deref(),
        name: event.name.as_deref(),
        start_ts: unix(event.start),
        end_ts: details.and_then(|details| details.end).map(unix),
        duration_ms: details.and_then(|details| details.duration).map(|span| milliseconds(&to_span(span))),
        token_count: details.and_then(|details| details.token_count),
        input_tokens: details.and_then(|details| details.input_tokens),
        output_tokens: details.and_then(|details| details.output_tokens),
        model: details.and_then(|details| details.model.as_deref()),
        latency_ms: details.and_then(|details| details.latency).map(|span| milliseconds(&to_span(span))),
        replay_checkpoint: details.and_then(|details| details.replay_checkpoint),
        checkpoint_id: details.and_then(|details| details.checkpoint_id.as_deref()),
        metadata: details.and_then(|details| details.metadata.as_ref()).map(raw),
        ts: unix(event.at),
        effect: event.effect.name(),
        match_key: event.match_key.as_deref(),
        run_end: event.run_end,
    }
}

/// The payload as it stands. It was checked when it came, so that it parses now as it did then.
fn raw(payload: &Payload) -> &RawValue {
    serde_json::from_str(&payload.json).unwrap_or(RawValue::NULL)
}

/// What the agent is to do.
#[derive(Serialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Go on as reported.
    Proceed,
    /// Go on with other data, or another model.
    Edit {
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// Do not run the step; take this result.
    Fulfil {
        #[schema(value_type = Object)]
        data: Option<Box<RawValue>>,
    },
    /// Treat the step as failed.
    Fail {
        message: String,
        #[schema(value_type = Option<Object>)]
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Box<RawValue>>,
    },
    /// End the run.
    Abort { reason: String },
}

/// A decision from the contract. Over HTTP every payload is JSON text, whatever its form.
pub(crate) fn decision(decision: Option<proto::Decision>) -> Decision {
    use proto::{edit, fail, fulfil};
    match decision.and_then(|decision| decision.action) {
        None | Some(Action::Proceed(_)) => Decision::Proceed,
        Some(Action::Edit(edit)) => Decision::Edit {
            data: edit.payload.and_then(|payload| match payload {
                edit::Payload::DataJson(text) => RawValue::from_string(text).ok(),
                edit::Payload::Data(data) => struct_text(&data),
            }),
            model: Some(edit.model).filter(|model| !model.is_empty()),
        },
        Some(Action::Fulfil(fulfil)) => Decision::Fulfil {
            data: fulfil.payload.and_then(|payload| match payload {
                fulfil::Payload::DataJson(text) => RawValue::from_string(text).ok(),
                fulfil::Payload::Data(data) => struct_text(&data),
            }),
        },
        Some(Action::Fail(fail)) => Decision::Fail {
            message: fail.message,
            data: fail.payload.and_then(|payload| match payload {
                fail::Payload::DataJson(text) => RawValue::from_string(text).ok(),
                fail::Payload::Data(data) => struct_text(&data),
            }),
        },
        Some(Action::Abort(abort)) => Decision::Abort { reason: abort.reason },
    }
}

fn struct_text(data: &prost_types::Struct) -> Option<Box<RawValue>> {
    let (payload, _) = super::payload::from_struct("data", data).ok()?;
    RawValue::from_string(payload.json.to_string()).ok()
}

/// How a hold ended.
#[derive(Serialize, ToSchema)]
pub(crate) struct DecisionMade<'a> {
    r#type: &'static str,
    seq: u64,
    run_id: &'a str,
    outcome: String,
    decision: Decision,
    /// The caller's address, or "debugger" where nobody decided.
    actor: &'a str,
    #[schema(value_type = f64)]
    held_ms: Number,
    /// When it ended, in Unix seconds.
    ts: f64,
    /// The event's data before it was changed.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a RawValue>,
}

pub(crate) fn decision_made(ended: &Ended, held_for: prost_types::Duration) -> DecisionMade<'_> {
    let made = super::response::decision_made(ended);
    DecisionMade {
        r#type: "decision",
        seq: ended.seq.0,
        run_id: ended.run_id.as_str(),
        outcome: proto::Outcome::json_name(made.outcome),
        decision: decision(made.decision),
        actor: &ended.actor,
        held_ms: milliseconds(&held_for),
        ts: seconds(&to_timestamp(ended.at)),
        before: ended.before.as_ref().map(raw),
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
    /// `step`, `pause` or `breakpoint`.
    reason: String,
    accepts: Vec<String>,
    breakpoint_ids: Vec<String>,
    /// Whether only an explicit release opens it.
    gate: bool,
}

pub(crate) fn held(held: proto::Held) -> Held {
    Held {
        seq: held.seq,
        run_id: held.run_id,
        r#type: proto::EventType::json_name(held.r#type),
        name: Some(held.name).filter(|name| !name.is_empty()),
        held_ms: milliseconds(&held.held_for.unwrap_or_default()),
        reason: proto::HoldReason::json_name(held.reason),
        accepts: held.accepts.into_iter().map(proto::Verb::json_name).collect(),
        breakpoint_ids: held.breakpoint_ids,
        gate: held.gate,
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

pub(crate) fn breakpoint(breakpoint: proto::Breakpoint) -> Breakpoint {
    Breakpoint {
        id: breakpoint.id,
        types: breakpoint.types.into_iter().map(proto::EventType::json_name).collect(),
        name: breakpoint.name,
        run_id: breakpoint.run_id,
        condition: breakpoint.condition,
        hit_condition: breakpoint.hit_condition,
        log_message: breakpoint.log_message,
        once: breakpoint.once,
        enabled: breakpoint.enabled.unwrap_or(true),
        all_stop: breakpoint.all_stop,
        unattended: proto::Unattended::json_name(breakpoint.unattended),
        timeout_ms: breakpoint.timeout.as_ref().map(milliseconds),
        on_timeout: proto::OnTimeout::json_name(breakpoint.on_timeout),
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

pub(crate) fn state(state: &proto::State) -> State {
    State {
        r#type: "state",
        mode: proto::RunMode::json_name(state.mode),
        held: state.held.iter().cloned().map(held).collect(),
        debuggers: state.debuggers,
        observers: state.observers,
        breakpoint_revision: state.breakpoint_revision,
    }
}
