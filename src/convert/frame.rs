//! Frames of the two streams: each is encoded once for all its readers, whatever their number.

use std::fmt::Write;

use bytes::Bytes;
use prost::Message;
use serde_json::value::RawValue;

use super::{json, response, run};
use crate::{
    proto::{self, EncodedFrame, events_response::Frame as WireFrame, json as shape},
    store::{Entry, Record, SharedRecord, Wire},
    subscription::{Frame, ResumeToken},
};

/// A frame as gRPC sends it.
pub(crate) fn grpc(frame: &Frame) -> EncodedFrame {
    let own = |frame, token: &ResumeToken| EncodedFrame {
        shared: encode(frame, String::new()),
        resume_token: token.to_string(),
    };
    match frame {
        Frame::Record(record) => {
            let shared = record.encoded(Wire::Grpc, |record| {
                let frame = match &record.entry {
                    Entry::Event(event) => WireFrame::Event(response::event(event)),
                    Entry::Ended(ended) => WireFrame::Decision(response::decision_made(ended)),
                    Entry::Forked(forked) => WireFrame::Forked(run::forked(forked)),
                };
                encode(frame, ResumeToken::of(record).to_string())
            });
            EncodedFrame { shared: shared.clone(), resume_token: String::new() }
        }
        Frame::State(snapshot, token) => {
            let shared = snapshot
                .encoded(Wire::Grpc, |snapshot| encode(WireFrame::State(response::state(snapshot)), String::new()));
            EncodedFrame { shared: shared.clone(), resume_token: token.to_string() }
        }
        Frame::Position(at, token) => {
            own(WireFrame::Position(proto::Position { position: at.position, total: at.total }), token)
        }
        Frame::Cleared(token) => own(WireFrame::Cleared(proto::Cleared { epoch: token.epoch.to_string() }), token),
        Frame::Gap { from, to, at } => own(WireFrame::Gap(proto::Gap { from: from.0, to: to.0 }), at),
    }
}

fn encode(frame: WireFrame, resume_token: String) -> Bytes {
    proto::EventsResponse { frame: Some(frame), resume_token }.encode_to_vec().into()
}

/// A frame as SSE sends it: the lines, and the empty one that ends them.
///
/// Everything in a frame is JSON on one line, or a token of hexadecimal digits: agent text cannot break out of it.
pub(crate) fn sse(frame: &Frame) -> Bytes {
    match frame {
        Frame::Record(record) => record.encoded(Wire::Sse, sse_record).clone(),
        Frame::State(snapshot, _) => snapshot
            .encoded(Wire::Sse, |snapshot| lines(Some("state"), None, &shape::state(response::state(snapshot))))
            .clone(),
        Frame::Position(at, _) => lines(None, None, &shape::Mark::Position { pos: at.position, total: at.total }),
        Frame::Cleared(token) => lines(None, Some(token), &shape::Mark::Clear),
        Frame::Gap { from, to, .. } => lines(Some("gap"), None, &shape::Mark::Gap { from: from.0, to: to.0 }),
    }
}

fn sse_record(record: &Record) -> Bytes {
    let token = ResumeToken::of(record);
    match &record.entry {
        Entry::Event(event) => lines(None, Some(&token), &json::event(event)),
        Entry::Ended(ended) => lines(Some("decision"), Some(&token), &json::decision_made(ended)),
        Entry::Forked(forked) => lines(Some("forked"), Some(&token), &shape::run::run_forked(run::forked(forked))),
    }
}

fn lines(name: Option<&str>, token: Option<&ResumeToken>, data: &impl serde::Serialize) -> Bytes {
    let mut text = String::new();
    // Writing into a String does not fail, and neither does serializing what holds no map with odd keys.
    if let Some(name) = name {
        let _ = writeln!(text, "event: {name}");
    }
    if let Some(token) = token {
        let _ = writeln!(text, "id: {token}");
    }
    let json = serde_json::to_string(data).unwrap_or_default();
    let _ = write!(text, "data: {json}\n\n");
    text.into()
}

/// An event's frame with the ending of its hold joined in, as a page of the record shows it.
pub(crate) fn joined(event: &SharedRecord, ended: Option<&SharedRecord>) -> Option<Box<RawValue>> {
    let Entry::Event(event) = &event.value.entry else { return None };
    let decision = ended.and_then(|record| match &record.value.entry {
        Entry::Ended(ended) => Some(json::decision_made(ended)),
        Entry::Event(_) | Entry::Forked(_) => None,
    });
    serde_json::value::to_raw_value(&shape::Recorded { event: json::event(event), decision }).ok()
}
