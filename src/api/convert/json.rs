//! The JSON of what is kept: events, decisions, and the answer to a Trace, as the documented shapes have them.
//!
//! Events and answers are written by hand, at a fifth of the cost of serializing: the one is written for every event
//! that a subscriber is sent, and for a whole trace when a subscriber comes; the other for every step. The shapes of
//! [`crate::json`], which clients print, are the oracle in tests. Payloads were checked when they came, and go out as
//! they stand.

use std::{borrow::Cow, io::Write};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{names::outcome, run, to_duration, to_span, to_timestamp};
use crate::{
    content::payload::Payload,
    debugger::Page,
    event::{Answer, Decision, Event, HoldEnded, Replay, Span, Timestamp},
    json::{self as shape, milliseconds, seconds},
    proto::{self, name::Named as _},
    store::Entry,
};

/// Writes an event as one line of JSON: what [`shape::Event`] serializes to.
pub(super) fn event(into: &mut Vec<u8>, event: &Event) {
    fields(into, event);
    into.push(b'}');
}

/// Writes a page of the record: each event with the decision on it, what [`shape::Recorded`] serializes to.
pub(crate) fn page(into: &mut Vec<u8>, page: &Page) {
    into.extend_from_slice(b"{\"events\":[");
    for (index, (record, ended)) in page.events.iter().enumerate() {
        let Entry::Event(event) = &record.entry else { continue };
        if index > 0 {
            into.push(b',');
        }
        fields(into, event);
        let made = ended.as_ref().and_then(|record| match &record.entry {
            Entry::HoldEnded(ended) => Some(decision_made(ended)),
            Entry::Event(_) | Entry::Forked(_) => None,
        });
        plain(into, "decision", made);
        into.push(b'}');
    }
    into.push(b']');
    text(into, "next_page_token", Some(&page.next.as_ref().map(ToString::to_string).unwrap_or_default()));
    into.push(b'}');
}

/// An event's JSON, but for the bracket that ends it.
fn fields(into: &mut Vec<u8>, event: &Event) {
    let details = event.details.as_deref();
    // Writing into memory does not fail, and neither does serializing texts and numbers.
    let _ = write!(into, "{{\"type\":\"{}\",\"seq\":{},\"data\":", event.kind.name(), event.seq.0);
    into.extend_from_slice(event.data.json.as_bytes());
    text(into, "run_id", Some(event.run_id.as_str()));
    text(into, "node_id", event.node_id.as_deref());
    text(into, "parent_id", event.parent_id.as_deref());
    text(into, "name", event.name.as_deref());
    time(into, "start_ts", Some(event.start));
    match details {
        // As nearly all events have it.
        None => into.extend_from_slice(
            b",\"end_ts\":null,\"duration_ms\":null,\"token_count\":null,\"input_tokens\":null,\"output_tokens\":null,\
              \"model\":null,\"latency_ms\":null,\"replay_checkpoint\":null,\"checkpoint_id\":null,\"metadata\":null",
        ),
        Some(details) => {
            time(into, "end_ts", details.end);
            span(into, "duration_ms", details.duration);
            plain(into, "token_count", details.token_count);
            plain(into, "input_tokens", details.input_tokens);
            plain(into, "output_tokens", details.output_tokens);
            text(into, "model", details.model.as_deref());
            span(into, "latency_ms", details.latency);
            plain(into, "replay_checkpoint", details.replay_checkpoint);
            text(into, "checkpoint_id", details.checkpoint_id.as_deref());
            raw(into, "metadata", details.metadata.as_ref());
        }
    }
    time(into, "ts", Some(event.at));
    if let Some(effect) = event.effect.name() {
        text(into, "effect", Some(effect));
    }
    if let Some(key) = event.match_key() {
        text(into, "match_key", Some(key));
    }
    if event.run_end {
        into.extend_from_slice(b",\"run_end\":true");
    }
    text(into, "origin", Some(event.origin.name()));
    if let Some(replay) = event.replay.as_deref() {
        rest(into, replay);
    }
    warnings(into, details.map_or(&[], |details| &details.warnings));
}

/// Only where there are any.
fn warnings(into: &mut Vec<u8>, warnings: &[Box<str>]) {
    if !warnings.is_empty() {
        plain(into, "warnings", Some(warnings));
    }
}

/// Writes what a Trace over HTTP is told.
pub(crate) fn answer(into: &mut Vec<u8>, answer: &Answer, warned: &[Box<str>]) {
    into.extend_from_slice(b"{\"status\":\"recorded\"");
    plain(into, "total", Some(answer.total));
    plain(into, "seq", Some(answer.seq.0));
    text(into, "run_id", Some(answer.run_id.as_str()));
    text(into, "node_id", answer.node_id.as_deref());
    key(into, "outcome");
    word(into, answer.outcome.name());
    plain(into, "held_ms", Some(milliseconds(&to_duration(answer.held_for))));
    match &answer.decision {
        // As nearly all steps do.
        Decision::Proceed => into.extend_from_slice(b",\"decision\":{\"action\":\"proceed\"}"),
        decision => plain(into, "decision", Some(decision_json(decision))),
    }
    warnings(into, warned);
    into.push(b'}');
}

/// What only the steps of a fork have.
fn rest(into: &mut Vec<u8>, replay: &Replay) {
    if let Some(source) = replay.source {
        plain(into, "source_seq", Some(source.0));
    }
    if let Some(divergence) = &replay.divergence {
        plain(into, "divergence", Some(shape::run::divergence(run::divergence(divergence))));
    }
}

fn key(into: &mut Vec<u8>, key: &str) {
    into.extend_from_slice(b",\"");
    into.extend_from_slice(key.as_bytes());
    into.extend_from_slice(b"\":");
}

/// A text of ours, in which nothing needs to be escaped.
fn word(into: &mut Vec<u8>, word: &str) {
    into.push(b'"');
    into.extend_from_slice(word.as_bytes());
    into.push(b'"');
}

fn plain(into: &mut Vec<u8>, name: &str, value: Option<impl Serialize>) {
    key(into, name);
    let _ = serde_json::to_writer(into, &value);
}

fn text(into: &mut Vec<u8>, name: &str, value: Option<&str>) {
    plain(into, name, value);
}

fn time(into: &mut Vec<u8>, name: &str, time: Option<Timestamp>) {
    plain(into, name, time.map(|time| seconds(&to_timestamp(time))));
}

fn span(into: &mut Vec<u8>, name: &str, span: Option<Span>) {
    plain(into, name, span.map(|span| milliseconds(&to_span(span))));
}

fn raw(into: &mut Vec<u8>, name: &str, payload: Option<&Payload>) {
    key(into, name);
    into.extend_from_slice(payload.map_or("null", |payload| &payload.json).as_bytes());
}

/// The payload as it stands. It was checked when it came, so that it parses now as it did then.
fn as_raw(payload: &Payload) -> Cow<'_, RawValue> {
    Cow::Borrowed(serde_json::from_str(&payload.json).unwrap_or(RawValue::NULL))
}

/// How a hold ended.
pub(crate) fn decision_made(ended: &HoldEnded) -> shape::DecisionMade<'_> {
    shape::DecisionMade {
        r#type: "decision",
        seq: ended.seq.0,
        run_id: ended.run_id.as_str(),
        outcome: proto::Outcome::json_name(outcome(ended.outcome).into()),
        decision: decision_json(&ended.decision),
        actor: &ended.actor,
        held_ms: milliseconds(&to_duration(ended.held_for)),
        ts: seconds(&to_timestamp(ended.at)),
        before: ended.before.as_ref().map(as_raw),
    }
}

pub(crate) fn decision_json(decision: &Decision) -> shape::Decision<'_> {
    match decision {
        Decision::Proceed => shape::Decision::Proceed,
        Decision::Edit { data, model } => {
            shape::Decision::Edit { data: data.as_ref().map(as_raw), model: model.as_deref().map(Cow::Borrowed) }
        }
        Decision::Fulfil { data } => shape::Decision::Fulfil { data: data.as_ref().map(as_raw) },
        Decision::Fail { message, data } => {
            shape::Decision::Fail { message: Cow::Borrowed(message), data: data.as_ref().map(as_raw) }
        }
        Decision::Abort { reason } => shape::Decision::Abort { reason: Cow::Borrowed(reason) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::{difference::Field, payload::Encoding},
        event::{Details, Divergence, Effect, Origin, Seq},
        session::fixtures,
    };

    use crate::api::convert::response;

    /// The client's shape of the same event, as it comes over gRPC, is the oracle.
    fn check(event: &Event) {
        let mut written = Vec::new();
        super::event(&mut written, event);
        let expected = serde_json::to_string(&shape::event(&response::event(event))).expect("json");
        assert_eq!(String::from_utf8(written).expect("text"), expected);
    }

    #[test]
    fn it_writes_what_the_documented_shape_serializes_to() {
        let mut event = fixtures::event(Seq(7), r#"{"n":12345678901234567890123,"f":1.10,"s":"é\u0000\""}"#);
        check(&event);
        event.node_id = Some("n\"7\\".into());
        event.parent_id = Some("p/é".into());
        event.name = Some("read\u{2028}".into());
        event.at = Timestamp(1_763_894_400_123_456_789);
        event.start = Timestamp(-1_500_000_000);
        event.effect = Effect::Mutating;
        event.run_end = true;
        check(&event);
        event.details = Some(Box::default());
        check(&event);
        event.origin = Origin::Recorded;
        event.replay = Some(Box::new(Replay { source: Some(Seq(3)), divergence: None }));
        check(&event);
        let fields = Vec::from_iter(Field::label("model", Some("a"), None));
        let divergence = Divergence { reason: "be\"cause".into(), nearest: None, fields };
        event.replay = Some(Box::new(Replay { source: None, divergence: Some(divergence) }));
        check(&event);
        event.details = Some(Box::new(Details {
            end: Some(Timestamp(1_700_000_000_100_000_000)),
            duration: Some(Span(12_500_000)),
            token_count: Some(u64::MAX),
            input_tokens: Some(0),
            output_tokens: Some(3),
            model: Some("m\t".into()),
            latency: Some(Span(-3_000_000)),
            replay_checkpoint: Some(false),
            checkpoint_id: Some("c".into()),
            metadata: Some(Payload { json: r#"{ "a" : 1e2 }"#.into(), encoding: Encoding::Json }),
            match_key: Some("k".into()),
            warnings: Box::new(["unknown field `a\"`".into(), "unknown field `é`".into()]),
        }));
        check(&event);
    }
}
