//! Whole runs on the wire: forks and their plans, comparisons, imports.

use super::{
    names::{effect, seqs},
    request::{Data, model, payload, run_id, seq},
    to_duration, to_timestamp,
};
use crate::{
    compare::{Comparison, Figures, Kind, Row},
    content::{difference::Field, path::Path},
    debugger::runs::Taken,
    error::Error,
    event::{Ancestry, Divergence, RunId},
    masking::Visibility,
    proto,
    session::{
        Forked,
        fork::{OnDivergence, Policies, Policy, Spec, plan::Plan},
    },
};

/// Paths that a fork may ignore.
const MAX_IGNORED: usize = 64;
/// What the model is called among them, as in the fields of a divergence: it is beside the data, and no path into it.
const IGNORED_MODEL: &str = "model";

pub(crate) fn fork(request: proto::ForkRequest) -> Result<Spec, Error> {
    use proto::fork_request::Payload;
    let data = request.payload.map(|payload| match payload {
        Payload::Data(data) => Data::Struct(data),
        Payload::DataJson(text) => Data::Json(text),
    });
    if request.ignore.len() > MAX_IGNORED {
        return Err(Error::invalid("ignore", format!("must be at most {MAX_IGNORED} paths")));
    }
    let path = |path: &&String| {
        let or_model = if path.starts_with('$') { "" } else { ", or be `model`" };
        Path::parse(path)
            .map_err(|problem| Error::invalid("ignore", format!("holds {path:?}, which {problem}{or_model}")))
    };
    let (models, paths): (Vec<_>, Vec<_>) = request.ignore.iter().partition(|path| *path == IGNORED_MODEL);
    Ok(Spec {
        run: run_id(request.run_id.as_deref())?,
        seq: seq(request.seq)?,
        data: payload(data)?,
        model: model(request.model)?,
        policies: policies(&request.effects.unwrap_or_default())?,
        on_divergence: on_divergence(request.on_divergence)?,
        ignore: paths.iter().map(path).collect::<Result<_, _>>()?,
        ignore_model: !models.is_empty(),
    })
}

fn policies(wire: &proto::EffectPolicies) -> Result<Policies, Error> {
    let policy = |number: i32, default: Policy| match proto::EffectPolicy::try_from(number) {
        Ok(proto::EffectPolicy::Unspecified) => Ok(default),
        Ok(proto::EffectPolicy::Run) => Ok(Policy::Run),
        Ok(proto::EffectPolicy::Ask) => Ok(Policy::Ask),
        Ok(proto::EffectPolicy::Block) => Ok(Policy::Block),
        Err(_) => Err(Error::invalid("effects", "must be run, ask or block for each effect")),
    };
    let default = Policies::default();
    Ok(Policies {
        pure: policy(wire.pure, default.pure)?,
        read: policy(wire.read, default.read)?,
        idempotent: policy(wire.idempotent, default.idempotent)?,
        mutating: policy(wire.mutating, default.mutating)?,
        unknown: policy(wire.unknown, default.unknown)?,
    })
}

fn on_divergence(number: i32) -> Result<OnDivergence, Error> {
    match proto::OnDivergence::try_from(number) {
        Ok(proto::OnDivergence::Unspecified | proto::OnDivergence::Hold) => Ok(OnDivergence::Hold),
        Ok(proto::OnDivergence::Fail) => Ok(OnDivergence::Fail),
        Ok(proto::OnDivergence::Live) => Ok(OnDivergence::Live),
        Err(_) => Err(Error::invalid("on_divergence", "must be hold, fail or live")),
    }
}

/// A run that must be named: the default run is "".
pub(crate) fn run(field: &'static str, text: &str) -> Result<RunId, Error> {
    RunId::parse(text).map_err(|problem| Error::invalid(field, problem))
}

pub(crate) fn plan(plan: &Plan, visibility: Visibility) -> proto::ForkPlan {
    let summary = &plan.summary;
    let calls = summary.live_calls.iter().map(|(kind, policy, count)| proto::LiveCalls {
        effect: effect(*kind).into(),
        policy: match policy {
            Policy::Run => proto::EffectPolicy::Run,
            Policy::Ask => proto::EffectPolicy::Ask,
            Policy::Block => proto::EffectPolicy::Block,
        }
        .into(),
        count: *count,
    });
    proto::ForkPlan {
        from_record: summary.from_record,
        entered: summary.entered,
        live_prompts: summary.live_prompts,
        live_calls: calls.collect(),
        model: visibility.text(summary.model.as_deref().unwrap_or_default()).into_owned(),
        truncated: summary.truncated,
        summary: visibility.text(&summary.sentence()).into_owned(),
    }
}

pub(crate) fn lineage(ancestry: &Ancestry, visibility: Visibility) -> proto::Lineage {
    proto::Lineage {
        run_id: visibility.id(ancestry.run_id.as_str()).into_owned(),
        seq: ancestry.seq.map_or(0, |seq| seq.0),
        ordinal: ancestry.ordinal,
    }
}

pub(crate) fn forked(forked: &Forked, visibility: Visibility) -> proto::RunForked {
    proto::RunForked {
        run_id: visibility.id(forked.run_id.as_str()).into_owned(),
        forked_from: Some(lineage(&forked.ancestry, visibility)),
        plan: Some(plan(&forked.plan, visibility)),
        actor: visibility.text(&forked.actor).into_owned(),
        time: Some(to_timestamp(forked.at)),
    }
}

pub(crate) fn divergence(divergence: &Divergence) -> proto::Divergence {
    proto::Divergence {
        reason: divergence.reason.to_string(),
        nearest_seq: divergence.nearest.map_or(0, |seq| seq.0),
        fields: divergence.fields.iter().map(field).collect(),
    }
}

fn field(field: &Field) -> proto::FieldDifference {
    proto::FieldDifference {
        path: field.path.to_string(),
        left: field.left.to_string(),
        right: field.right.to_string(),
    }
}

pub(crate) fn comparison(comparison: Comparison) -> proto::CompareResponse {
    proto::CompareResponse {
        equal: comparison.count(Kind::Equal),
        changed: comparison.count(Kind::Changed),
        only_left: comparison.count(Kind::Left),
        only_right: comparison.count(Kind::Right),
        first_divergence: comparison.first_divergence(),
        fields_omitted: comparison.fields_omitted,
        left: Some(figures(comparison.left)),
        right: Some(figures(comparison.right)),
        rows: comparison.rows.into_iter().map(row).collect(),
    }
}

fn figures((run, figures): (RunId, Figures)) -> proto::RunFigures {
    proto::RunFigures {
        run_id: run.as_str().to_owned(),
        events: figures.events,
        prompts: figures.prompts,
        tool_calls: figures.tool_calls,
        errors: figures.errors,
        tokens: figures.tokens,
        input_tokens: figures.input_tokens,
        output_tokens: figures.output_tokens,
        elapsed: Some(to_duration(figures.elapsed)),
        models: figures.models.into_iter().map(Into::into).collect(),
    }
}

fn row(row: Row) -> proto::ComparedRow {
    proto::ComparedRow {
        kind: match row.kind {
            Kind::Equal => proto::RowKind::Equal,
            Kind::Changed => proto::RowKind::Changed,
            Kind::Left => proto::RowKind::Left,
            Kind::Right => proto::RowKind::Right,
        }
        .into(),
        left_seqs: seqs(row.left),
        right_seqs: seqs(row.right),
        fields: row.fields.iter().map(field).collect(),
    }
}

pub(crate) fn imported(taken: Taken) -> proto::ImportResponse {
    proto::ImportResponse {
        run_id: taken.run_id.as_str().to_owned(),
        events: taken.events,
        first_seq: taken.seqs.map_or(0, |(first, _)| first.0),
        last_seq: taken.seqs.map_or(0, |(_, last)| last.0),
    }
}
