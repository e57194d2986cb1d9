//! Responses and frames: from the domain to protobuf.

use prost::Message;

use super::{
    names::{effect, event_type, outcome, run_mode, seqs, string, verb},
    payload::to_struct,
    run::{divergence, lineage},
    to_duration, to_span, to_timestamp,
};
use crate::{
    agent::snapshot::{HeldView, Snapshot, Status},
    content::payload::{Encoding, Payload},
    debugger::{Moved, Page},
    event::{self, AgentId, Answer, HoldEnded, Origin},
    masking::Visibility,
    proto,
    session::{HoldReason, Position, RunView, breakpoint::label},
    store::{Entry, Record},
};

/// The largest Struct sent: what came as one in a message of 4 MiB goes back as one.
const MAX_STRUCT_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

/// The bytes of events that one list of held steps shows, as the byte limits count them: it fits a client's largest
/// message, and is sent again with every change. One event is always shown.
const MAX_HELD_BYTES: usize = 256 * 1024;

/// What a Trace is told, its payload in the form of the event's own; where that had none, as it was decided.
pub(crate) fn trace(answer: Answer, form: Option<Encoding>) -> proto::TraceResponse {
    proto::TraceResponse {
        seq: answer.seq.0,
        total: answer.total,
        run_id: answer.run_id.as_str().to_owned(),
        node_id: string(answer.node_id.as_deref()),
        outcome: outcome(answer.outcome).into(),
        held_for: Some(to_duration(answer.held_for)),
        decision: Some(decision(&answer.decision, form)),
        // A message has no field that is not in the contract: one that its sender knows alone is skipped unseen.
        warnings: Vec::new(),
    }
}

pub(crate) fn step(moved: Moved) -> proto::StepResponse {
    let Position { position, total } = moved.at;
    proto::StepResponse { position, total, released: seqs(moved.released) }
}

pub(crate) fn resume(moved: Moved) -> proto::ContinueResponse {
    let Position { position, total } = moved.at;
    proto::ContinueResponse { position, total, released: seqs(moved.released) }
}

pub(crate) fn status(agent: &AgentId, status: Status, visibility: Visibility) -> proto::StatusResponse {
    proto::StatusResponse {
        agent_id: agent.as_str().to_owned(),
        total_events: status.at.total,
        position: status.at.position,
        has_listener: status.snapshot.debuggers + status.snapshot.observers > 0,
        mode: run_mode(status.snapshot.mode.as_ref()).into(),
        debuggers: status.snapshot.debuggers,
        observers: status.snapshot.observers,
        held: holds(&status.snapshot.held, visibility),
        first_seq: status.bounds.map_or(0, |(first, _)| first.0),
        last_seq: status.bounds.map_or(0, |(_, last)| last.0),
        dropped_events: status.dropped,
        epoch: string(status.epoch.as_deref()),
        runs: status.runs.into_iter().map(|view| run(view, visibility)).collect(),
    }
}

pub(crate) fn summary(agent: &AgentId, status: Status) -> proto::AgentSummary {
    proto::AgentSummary {
        agent_id: agent.as_str().to_owned(),
        total_events: status.at.total,
        mode: run_mode(status.snapshot.mode.as_ref()).into(),
        held: u32::try_from(status.snapshot.held.len()).unwrap_or(u32::MAX),
        debuggers: status.snapshot.debuggers,
        observers: status.snapshot.observers,
        last_event_time: status.last_event.map(to_timestamp),
    }
}

pub(crate) fn page(page: Page) -> proto::ListEventsResponse {
    let recorded = |(record, ended): (Record, Option<Record>)| proto::RecordedEvent {
        event: match &record.entry {
            Entry::Event(recorded) => Some(event(recorded)),
            Entry::HoldEnded(_) | Entry::Forked(_) => None,
        },
        decision: ended.and_then(|record| match &record.entry {
            Entry::HoldEnded(ended) => Some(decision_made(ended)),
            Entry::Event(_) | Entry::Forked(_) => None,
        }),
    };
    proto::ListEventsResponse {
        events: page.events.into_iter().map(recorded).collect(),
        next_page_token: page.next.map(|token| token.to_string()).unwrap_or_default(),
    }
}

pub(crate) fn state(snapshot: &Snapshot, visibility: Visibility) -> proto::State {
    proto::State {
        mode: run_mode(snapshot.mode.as_ref()).into(),
        held: holds(&snapshot.held, visibility),
        debuggers: snapshot.debuggers,
        observers: snapshot.observers,
        breakpoint_revision: snapshot.breakpoint_revision,
    }
}

pub(crate) fn event(event: &event::Event) -> proto::Event {
    use proto::event::{MetadataForm, Payload as Wire};
    let details = event.details.as_deref();
    let replay = event.replay.as_deref();
    let figure = |get: fn(&event::Details) -> Option<u64>| details.and_then(get);
    proto::Event {
        seq: event.seq.0,
        run_id: event.run_id.as_str().to_owned(),
        r#type: event_type(event.kind).into(),
        payload: Some(form(&event.data, Wire::Data, Wire::DataJson)),
        node_id: string(event.node_id.as_deref()),
        parent_id: string(event.parent_id.as_deref()),
        name: string(event.name.as_deref()),
        time: Some(to_timestamp(event.at)),
        start_time: Some(to_timestamp(event.start)),
        end_time: details.and_then(|details| details.end).map(to_timestamp),
        duration: details.and_then(|details| details.duration).map(to_span),
        token_count: figure(|details| details.token_count),
        input_tokens: figure(|details| details.input_tokens),
        output_tokens: figure(|details| details.output_tokens),
        model: string(details.and_then(|details| details.model.as_deref())),
        latency: details.and_then(|details| details.latency).map(to_span),
        replay_checkpoint: details.and_then(|details| details.replay_checkpoint),
        checkpoint_id: string(details.and_then(|details| details.checkpoint_id.as_deref())),
        metadata_form: details
            .and_then(|details| details.metadata.as_ref())
            .map(|metadata| form(metadata, MetadataForm::Metadata, MetadataForm::MetadataJson)),
        effect: effect(event.effect).into(),
        match_key: string(event.match_key()),
        run_end: event.run_end,
        origin: match event.origin {
            Origin::Live => proto::Origin::Live,
            Origin::Recorded => proto::Origin::Recorded,
            Origin::Edited => proto::Origin::Edited,
        }
        .into(),
        source_seq: replay.and_then(|replay| replay.source).map_or(0, |seq| seq.0),
        divergence: replay.and_then(|replay| replay.divergence.as_ref()).map(divergence),
        warnings: details.map_or_else(Vec::new, |details| details.warnings.iter().map(|it| it.to_string()).collect()),
    }
}

/// How a hold ended. A decision is shown in the encoding in which it was made.
pub(crate) fn decision_made(ended: &HoldEnded) -> proto::DecisionMade {
    use proto::decision_made::BeforeForm;
    proto::DecisionMade {
        seq: ended.seq.0,
        run_id: ended.run_id.as_str().to_owned(),
        outcome: outcome(ended.outcome).into(),
        decision: Some(decision(&ended.decision, None)),
        actor: ended.actor.to_string(),
        held_for: Some(to_duration(ended.held_for)),
        time: Some(to_timestamp(ended.at)),
        before_form: ended.before.as_ref().map(|before| form(before, BeforeForm::Before, BeforeForm::BeforeJson)),
    }
}

/// A decision, its payload in the form that is wanted, or in its own.
fn decision(decision: &event::Decision, wanted: Option<Encoding>) -> proto::Decision {
    use proto::{decision::Action, edit, fail, fulfil};
    let in_form = |data: &Payload| Payload { json: data.json.clone(), encoding: wanted.unwrap_or(data.encoding) };
    let action = match decision {
        event::Decision::Proceed => Action::Proceed(proto::Proceed {}),
        event::Decision::Edit { data, model } => Action::Edit(proto::Edit {
            payload: data.as_ref().map(|data| form(&in_form(data), edit::Payload::Data, edit::Payload::DataJson)),
            model: string(model.as_deref()),
        }),
        event::Decision::Fulfil { data } => Action::Fulfil(proto::Fulfil {
            payload: data.as_ref().map(|data| form(&in_form(data), fulfil::Payload::Data, fulfil::Payload::DataJson)),
        }),
        event::Decision::Fail { message, data } => Action::Fail(proto::Fail {
            message: message.to_string(),
            payload: data.as_ref().map(|data| form(&in_form(data), fail::Payload::Data, fail::Payload::DataJson)),
        }),
        event::Decision::Abort { reason } => Action::Abort(proto::Abort { reason: reason.to_string() }),
    };
    proto::Decision { action: Some(action) }
}

/// A payload in its form. What no Struct can hold (a lone surrogate) goes as text, and so does what would be too large
/// as one: every number is eleven bytes there.
fn form<T>(
    payload: &Payload,
    as_struct: impl FnOnce(prost_types::Struct) -> T,
    as_json: impl FnOnce(String) -> T,
) -> T {
    let data = (payload.encoding == Encoding::Struct).then(|| to_struct(payload)).flatten();
    match data.filter(|data| data.encoded_len() <= MAX_STRUCT_BYTES) {
        Some(data) => as_struct(data),
        None => as_json(payload.json.to_string()),
    }
}

/// The held steps with their events, as far as there is room for them: what the trace has no longer comes first.
fn holds(views: &[HeldView], visibility: Visibility) -> Vec<proto::Held> {
    let mut holds: Vec<_> = views.iter().map(|view| held(view, visibility)).collect();
    let mut shown = 0;
    for trimmed in [true, false] {
        let views = views.iter().zip(&mut holds).filter(|(view, _)| view.trimmed == trimmed);
        for (view, hold) in views {
            let fits = |event: &event::Event| shown == 0 || shown + event.bytes() <= MAX_HELD_BYTES;
            // Masking takes a while: not for what is left out anyway.
            let seen = fits(&view.event).then(|| visibility.of_event(&view.event)).filter(|event| fits(event));
            if let Some(seen) = seen {
                shown += seen.bytes();
                hold.event = Some(event_as_text(&seen));
            }
        }
    }
    holds
}

/// An event, its payload as text where it is large: as a Struct it may be larger yet.
fn event_as_text(seen: &event::Event) -> proto::Event {
    if seen.bytes() <= MAX_HELD_BYTES {
        return event(seen);
    }
    let mut seen = seen.clone();
    seen.data.encoding = Encoding::Json;
    if let Some(metadata) = seen.details.as_mut().and_then(|details| details.metadata.as_mut()) {
        metadata.encoding = Encoding::Json;
    }
    event(&seen)
}

fn held(view: &HeldView, visibility: Visibility) -> proto::Held {
    proto::Held {
        seq: view.event.seq.0,
        run_id: visibility.id(view.event.run_id.as_str()).into_owned(),
        r#type: event_type(view.event.kind).into(),
        name: visibility.text(view.event.name.as_deref().unwrap_or_default()).into_owned(),
        held_for: Some(to_duration(view.held_for)),
        reason: match view.reason {
            HoldReason::Step => proto::HoldReason::Step,
            HoldReason::Pause => proto::HoldReason::Pause,
            HoldReason::Breakpoint => proto::HoldReason::Breakpoint,
            HoldReason::Effect => proto::HoldReason::Effect,
            HoldReason::Divergence => proto::HoldReason::Divergence,
        }
        .into(),
        accepts: view.event.accepts.iter().map(|accepted| verb(accepted).into()).collect(),
        breakpoint_ids: view.breakpoints.iter().map(|id| label(*id)).collect(),
        gate: view.gate,
        times_out_in: view.time_left.map(to_duration),
        event: None,
    }
}

fn run(run: RunView, visibility: Visibility) -> proto::Run {
    proto::Run {
        run_id: visibility.id(run.run_id.as_str()).into_owned(),
        mode: run_mode(run.mode.as_ref()).into(),
        finished: run.finished,
        events: run.events,
        held: run.held,
        forked_from: run.ancestry.as_ref().map(|ancestry| lineage(ancestry, visibility)),
        imported: run.imported.is_some(),
        masked: run.imported.is_some_and(|file| file.masked.is_some()),
    }
}
