//! The documented JSON: bodies and frames, field by field in their documented order.

use serde::Serialize;
use serde_json::{Number, value::RawValue};
use utoipa::ToSchema;

use super::{Named, milliseconds, run, seconds, to_span, to_timestamp};
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
    /// `live`, `recorded` or `edited`: where what the step brought comes from.
    origin: &'static str,
    /// In a fork, the recorded step that it was found to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_seq: Option<u64>,
    /// In a fork, why no recorded step is this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<Divergence>,
}

/// A step that a fork's record does not have.
#[derive(Serialize, ToSchema)]
pub(crate) struct Divergence {
    reason: String,
    /// The recorded step that is nearest.
    nearest_seq: Option<u64>,
    /// The first 20 fields that differ from it: `left` is the record, `right` is this step.
    fields: Vec<Field>,
}

/// One field that differs.
#[derive(Serialize, ToSchema)]
pub(crate) struct Field {
    /// A JSON path into `data`, or the name of a field of the event.
    path: String,
    /// The value as JSON, cut at 200 bytes; `null` where there is none.
    left: Option<String>,
    right: Option<String>,
}

fn divergence(divergence: proto::Divergence) -> Divergence {
    Divergence {
        reason: divergence.reason,
        nearest_seq: Some(divergence.nearest_seq).filter(|seq| *seq > 0),
        fields: fields(divergence.fields),
    }
}

fn fields(fields: Vec<proto::FieldDifference>) -> Vec<Field> {
    let field =
        |field: proto::FieldDifference| Field { path: field.path, left: some(field.left), right: some(field.right) };
    fields.into_iter().map(field).collect()
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(crate) fn event(event: &event::Event) -> Event<'_> {
    let details = event.details.as_deref();
    let replay = event.replay.as_deref();
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
        origin: event.origin.name(),
        source_seq: replay.and_then(|replay| replay.source).map(|seq| seq.0),
        divergence: replay.and_then(|replay| replay.divergence.as_ref()).map(run::divergence).map(divergence),
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
    /// `step`, `pause`, `breakpoint`, or in a fork `effect` or `divergence`.
    reason: String,
    accepts: Vec<String>,
    breakpoint_ids: Vec<String>,
    /// Whether only an explicit release opens it.
    gate: bool,
    /// How long until it ends by itself, with its default decision; `null` where it does not.
    #[schema(value_type = Option<f64>)]
    times_out_in_ms: Option<Number>,
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
        times_out_in_ms: held.times_out_in.as_ref().map(milliseconds),
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

/// Where a fork comes from.
#[derive(Serialize, ToSchema)]
pub(crate) struct Lineage {
    run_id: String,
    /// The event that it was forked at; `null` where that is in another server's record.
    seq: Option<u64>,
    /// Which event of the source that is, from 1.
    ordinal: u64,
}

pub(crate) fn lineage(lineage: proto::Lineage) -> Lineage {
    Lineage { run_id: lineage.run_id, seq: Some(lineage.seq).filter(|seq| *seq > 0), ordinal: lineage.ordinal }
}

/// What a fork will do if its agent does as it did.
#[derive(Serialize, ToSchema)]
pub(crate) struct ForkPlan {
    /// Steps answered from the record.
    from_record: u32,
    /// Steps that are entered again because the fork point lies inside of them.
    entered: u32,
    live_prompts: u32,
    /// Tool calls recorded from the fork point on, by effect.
    live_calls: Vec<LiveCalls>,
    /// The model of the live prompts, where the fork names one.
    model: Option<String>,
    /// Whether the beginning of the source is not retained any more.
    truncated: bool,
    /// All of it in a sentence.
    summary: String,
}

/// Tool calls of a fork's live part that are treated alike.
#[derive(Serialize, ToSchema)]
pub(crate) struct LiveCalls {
    /// `pure`, `read`, `idempotent`, `mutating` or `unknown`.
    effect: String,
    /// `run`, `ask` or `block`.
    policy: String,
    count: u32,
}

pub(crate) fn fork_plan(plan: proto::ForkPlan) -> ForkPlan {
    let calls = |calls: proto::LiveCalls| LiveCalls {
        effect: match proto::Effect::try_from(calls.effect) {
            Ok(proto::Effect::Unspecified) | Err(_) => "unknown".to_owned(),
            Ok(_) => proto::Effect::json_name(calls.effect),
        },
        policy: proto::EffectPolicy::json_name(calls.policy),
        count: calls.count,
    };
    ForkPlan {
        from_record: plan.from_record,
        entered: plan.entered,
        live_prompts: plan.live_prompts,
        live_calls: plan.live_calls.into_iter().map(calls).collect(),
        model: some(plan.model),
        truncated: plan.truncated,
        summary: plan.summary,
    }
}

/// A fork was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunForked {
    r#type: &'static str,
    run_id: String,
    forked_from: Lineage,
    plan: ForkPlan,
    /// The caller's address.
    actor: String,
    /// When, in Unix seconds.
    ts: f64,
}

pub(crate) fn forked(forked: proto::RunForked) -> RunForked {
    RunForked {
        r#type: "forked",
        run_id: forked.run_id,
        forked_from: lineage(forked.forked_from.unwrap_or_default()),
        plan: fork_plan(forked.plan.unwrap_or_default()),
        actor: forked.actor,
        ts: seconds(&forked.time.unwrap_or_default()),
    }
}

/// Two runs side by side.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparison {
    left: RunFigures,
    right: RunFigures,
    /// Pairs of events that are the same.
    equal: u64,
    /// Pairs that differ in something.
    changed: u64,
    only_left: u64,
    only_right: u64,
    /// The first row that is not equal; `null` where the runs are the same.
    first_divergence: Option<u32>,
    /// Both runs in order.
    rows: Vec<Row>,
    /// Whether rows were left without their fields, because the answer would have been too large.
    fields_omitted: bool,
}

/// A run in figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunFigures {
    run_id: String,
    events: u64,
    prompts: u64,
    tool_calls: u64,
    errors: u64,
    tokens: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// From the first event to the last, without the time that the run was held.
    #[schema(value_type = f64)]
    elapsed_ms: Number,
    /// The models asked, by name: the first 20.
    models: Vec<String>,
}

/// Events of two runs that stand to each other in one way.
#[derive(Serialize, ToSchema)]
pub(crate) struct Row {
    /// `equal`, `changed`, `left` or `right`.
    kind: String,
    left_seqs: Vec<u64>,
    /// Pairs with the left ones where both are given.
    right_seqs: Vec<u64>,
    /// What differs in a changed pair: the first 20 fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
}

pub(crate) fn comparison(comparison: proto::CompareResponse) -> Comparison {
    let row = |row: proto::ComparedRow| Row {
        kind: proto::RowKind::json_name(row.kind),
        left_seqs: row.left_seqs,
        right_seqs: row.right_seqs,
        fields: fields(row.fields),
    };
    Comparison {
        left: run_figures(comparison.left.unwrap_or_default()),
        right: run_figures(comparison.right.unwrap_or_default()),
        equal: comparison.equal,
        changed: comparison.changed,
        only_left: comparison.only_left,
        only_right: comparison.only_right,
        first_divergence: comparison.first_divergence,
        rows: comparison.rows.into_iter().map(row).collect(),
        fields_omitted: comparison.fields_omitted,
    }
}

fn run_figures(figures: proto::RunFigures) -> RunFigures {
    RunFigures {
        run_id: figures.run_id,
        events: figures.events,
        prompts: figures.prompts,
        tool_calls: figures.tool_calls,
        errors: figures.errors,
        tokens: figures.tokens,
        input_tokens: figures.input_tokens,
        output_tokens: figures.output_tokens,
        elapsed_ms: milliseconds(&figures.elapsed.unwrap_or_default()),
        models: figures.models,
    }
}
