//! Whole runs in the documented JSON: where they come from, forks and their plans, comparisons, imports.

use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use super::{milliseconds, nonzero, seconds, some};
use crate::proto::{self, Effect, EffectPolicy, RowKind, RunMode, name::Named as _};

/// One execution of an agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct Run {
    run_id: String,
    mode: String,
    finished: bool,
    events: u64,
    held: u32,
    /// The run that it was forked from.
    #[serde(skip_serializing_if = "Option::is_none")]
    forked_from: Option<Lineage>,
    /// `true` where it came out of a file: it can be forked, not added to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
    /// `true` where secrets were masked in that file: then it cannot be forked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

pub(crate) fn run(run: proto::Run) -> Run {
    Run {
        run_id: run.run_id,
        mode: RunMode::json_name(run.mode),
        finished: run.finished,
        events: run.events,
        held: run.held,
        forked_from: run.forked_from.map(lineage),
        imported: run.imported,
        masked: run.masked,
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
    Lineage { run_id: lineage.run_id, seq: nonzero(lineage.seq), ordinal: lineage.ordinal }
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
        effect: match Effect::try_from(calls.effect) {
            Ok(Effect::Unspecified) | Err(_) => "unknown".to_owned(),
            Ok(_) => Effect::json_name(calls.effect),
        },
        policy: EffectPolicy::json_name(calls.policy),
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

/// The new run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Forked {
    /// Start the agent with it.
    run_id: String,
    plan: ForkPlan,
}

pub(crate) fn forked(forked: proto::ForkResponse) -> Forked {
    Forked { run_id: forked.run_id, plan: fork_plan(forked.plan.unwrap_or_default()) }
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

pub(crate) fn run_forked(forked: proto::RunForked) -> RunForked {
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
        kind: RowKind::json_name(row.kind),
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

pub(crate) fn divergence(divergence: proto::Divergence) -> Divergence {
    Divergence {
        reason: divergence.reason,
        nearest_seq: nonzero(divergence.nearest_seq),
        fields: fields(divergence.fields),
    }
}

fn fields(fields: Vec<proto::FieldDifference>) -> Vec<Field> {
    let field =
        |field: proto::FieldDifference| Field { path: field.path, left: some(field.left), right: some(field.right) };
    fields.into_iter().map(field).collect()
}

/// The imported run.
#[derive(Serialize, ToSchema)]
pub(crate) struct Imported {
    /// Always `imported`.
    status: &'static str,
    run_id: String,
    events: u64,
    /// The first of them; `null` with none.
    first_seq: Option<u64>,
    last_seq: Option<u64>,
}

pub(crate) fn imported(imported: proto::ImportResponse) -> Imported {
    Imported {
        status: "imported",
        run_id: imported.run_id,
        events: imported.events,
        first_seq: nonzero(imported.first_seq),
        last_seq: nonzero(imported.last_seq),
    }
}
