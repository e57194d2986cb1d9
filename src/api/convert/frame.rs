//! Frames of the two streams: each is encoded once for all its readers, whatever their number.

use std::io::Write;

use bytes::{Buf, Bytes};
use prost::Message;

use super::{json, response, run};
use crate::{
    agent::subscription::{Frame, encoded::Wire},
    json as shape,
    masking::Visibility,
    proto::{self, EncodedFrame, events_response::Frame as WireFrame},
    store::{Entry, Record, token::ResumeToken},
};

/// Messages of gRPC: one of this reader's own, or many that all readers share.
pub(crate) struct EncodedFrames {
    own: Option<EncodedFrame>,
    /// One after the other, each behind its length in four bytes.
    shared: Bytes,
}

/// How many bytes a length takes.
const LENGTH: usize = 4;

impl Iterator for EncodedFrames {
    type Item = EncodedFrame;

    fn next(&mut self) -> Option<EncodedFrame> {
        if let Some(own) = self.own.take() {
            return Some(own);
        }
        let length = u32::from_be_bytes(*self.shared.first_chunk::<LENGTH>()?);
        self.shared.advance(LENGTH);
        Some(EncodedFrame { shared: self.shared.split_to(length as usize), resume_token: String::new() })
    }
}

impl From<EncodedFrame> for EncodedFrames {
    fn from(own: EncodedFrame) -> Self {
        Self { own: Some(own), shared: Bytes::new() }
    }
}

/// A frame as gRPC sends it to a subscriber of this visibility.
pub(crate) fn grpc(frame: &Frame, visibility: Visibility) -> EncodedFrames {
    let own = |frame, token: &ResumeToken| {
        EncodedFrame { shared: encode(frame, String::new()), resume_token: token.to_string() }.into()
    };
    match frame {
        Frame::Span(span) => {
            let shared = span.encoded(Wire::Grpc, visibility, |span| {
                let mut bytes = Vec::with_capacity(span_capacity(&span.records));
                for record in &span.records {
                    grpc_record(record, visibility, &mut bytes);
                }
                bytes.into()
            });
            EncodedFrames { own: None, shared: shared.clone() }
        }
        Frame::State(snapshot, token) => {
            let shared = snapshot.encoded(Wire::Grpc, visibility, |snapshot| {
                encode(WireFrame::State(response::state(snapshot, visibility)), String::new())
            });
            EncodedFrame { shared: shared.clone(), resume_token: token.to_string() }.into()
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
pub(crate) fn sse(frame: &Frame, visibility: Visibility) -> Bytes {
    match frame {
        Frame::Span(span) => span
            .encoded(Wire::Sse, visibility, |span| {
                let mut bytes = Vec::with_capacity(span_capacity(&span.records));
                span.records.iter().for_each(|record| sse_record(record, visibility, &mut bytes));
                bytes.into()
            })
            .clone(),
        Frame::State(snapshot, _) => snapshot
            .encoded(Wire::Sse, visibility, |snapshot| {
                lines(Some("state"), None, &shape::state(response::state(snapshot, visibility)))
            })
            .clone(),
        Frame::Position(at, _) => lines(None, None, &shape::Mark::Position { pos: at.position, total: at.total }),
        Frame::Cleared(token) => lines(None, Some(token), &shape::Mark::Clear),
        Frame::Gap { from, to, .. } => lines(Some("gap"), None, &shape::Mark::Gap { from: from.0, to: to.0 }),
    }
}

/// About what a span takes once encoded, so that it is written into one piece of memory.
fn span_capacity(records: &[Record]) -> usize {
    records.iter().map(|record| record.entry.bytes() + 256).sum()
}

fn grpc_record(record: &Record, visibility: Visibility, into: &mut Vec<u8>) {
    let record = &visibility.of(record.clone());
    let frame = match &record.entry {
        Entry::Event(event) => WireFrame::Event(response::event(event)),
        Entry::HoldEnded(ended) => WireFrame::Decision(response::decision_made(ended)),
        Entry::Forked(forked) => WireFrame::Forked(run::forked(forked, visibility)),
    };
    let message = proto::EventsResponse { frame: Some(frame), resume_token: ResumeToken::of(record).text() };
    // An event is at most as large as a message may be, which is far below what four bytes count.
    into.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    message.encode_raw(into);
}

fn sse_record(record: &Record, visibility: Visibility, into: &mut Vec<u8>) {
    let record = &visibility.of(record.clone());
    let token = ResumeToken::of(record);
    match &record.entry {
        Entry::Event(event) => {
            let _ = write!(into, "id: {token}\ndata: ");
            json::event(into, event);
            into.extend_from_slice(b"\n\n");
        }
        Entry::HoldEnded(ended) => write_lines(into, Some("decision"), Some(&token), &json::decision_made(ended)),
        Entry::Forked(forked) => {
            write_lines(into, Some("forked"), Some(&token), &shape::run::run_forked(run::forked(forked, visibility)));
        }
    }
}

fn lines(name: Option<&str>, token: Option<&ResumeToken>, data: &impl serde::Serialize) -> Bytes {
    let mut bytes = Vec::new();
    write_lines(&mut bytes, name, token, data);
    bytes.into()
}

fn write_lines(into: &mut Vec<u8>, name: Option<&str>, token: Option<&ResumeToken>, data: &impl serde::Serialize) {
    // Writing into memory does not fail, and neither does serializing what holds no map with odd keys.
    if let Some(name) = name {
        let _ = writeln!(into, "event: {name}");
    }
    if let Some(token) = token {
        let _ = writeln!(into, "id: {token}");
    }
    into.extend_from_slice(b"data: ");
    let _ = serde_json::to_writer(&mut *into, data);
    into.extend_from_slice(b"\n\n");
}
