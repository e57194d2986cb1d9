//! Events and decisions as JSON straight from the domain: what is streamed is made without a copy.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{run, to_duration, to_span, to_timestamp};
use crate::{
    content::payload::Payload,
    event::{self, HoldEnded},
    json::{Decision, DecisionMade, Event, milliseconds, run::divergence, seconds},
    proto::{self, name::Named as _},
};

pub(crate) fn event(event: &event::Event) -> Event<'_> {
    let details = event.details.as_deref();
    let replay = event.replay.as_deref();
    let unix = |time| seconds(&to_timestamp(time));
    Event {
        r#type: event.kind.name().into(),
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
        effect: event.effect.name().map(Cow::Borrowed),
        match_key: event.match_key(),
        run_end: event.run_end,
        origin: event.origin.name().into(),
        source_seq: replay.and_then(|replay| replay.source).map(|seq| seq.0),
        divergence: replay.and_then(|replay| replay.divergence.as_ref()).map(run::divergence).map(divergence),
    }
}

/// The payload as it stands. It was checked when it came, so that it parses now as it did then.
fn raw(payload: &Payload) -> Cow<'_, RawValue> {
    Cow::Borrowed(serde_json::from_str(&payload.json).unwrap_or(RawValue::NULL))
}

/// How a hold ended.
pub(crate) fn decision_made(ended: &HoldEnded) -> DecisionMade<'_> {
    DecisionMade {
        r#type: "decision",
        seq: ended.seq.0,
        run_id: ended.run_id.as_str(),
        outcome: proto::Outcome::json_name(super::response::outcome(ended.outcome).into()),
        decision: decision(&ended.decision),
        actor: &ended.actor,
        held_ms: milliseconds(&to_duration(ended.held_for)),
        ts: seconds(&to_timestamp(ended.at)),
        before: ended.before.as_ref().map(raw),
    }
}

pub(crate) fn decision(decision: &event::Decision) -> Decision<'_> {
    match decision {
        event::Decision::Proceed => Decision::Proceed,
        event::Decision::Edit { data, model } => {
            Decision::Edit { data: data.as_ref().map(raw), model: model.as_deref().map(Cow::Borrowed) }
        }
        event::Decision::Fulfil { data } => Decision::Fulfil { data: data.as_ref().map(raw) },
        event::Decision::Fail { message, data } => {
            Decision::Fail { message: Cow::Borrowed(message), data: data.as_ref().map(raw) }
        }
        event::Decision::Abort { reason } => Decision::Abort { reason: Cow::Borrowed(reason) },
    }
}
