//! Spans of the log, shared by all who read them: what one subscriber was given, the next one at the same place is
//! given too, with the encodings that were made of it.
//!
//! Only what was read lately is kept, and only while somebody subscribes: an encoding is as large as its events, and
//! the limits on what is retained do not count it. One agent keeps at most [`MAX_BYTES`] in [`MAX_SPANS`] spans; once
//! all agents together have [`MAX_BYTES_IN_ALL`] each keeps [`SPARE_BYTES`]; the newest span is always kept.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    agent::subscription::encoded::Encoded,
    event::Seq,
    store::{Entry, Log, Offset, Record},
};

/// The records in one batch at most, and the payload bytes after which it is full.
pub(super) const MAX_BATCH: usize = 128;
pub(super) const FULL_BATCH_BYTES: usize = 64 * 1024;
const MAX_SPANS: usize = 256;
const MAX_BYTES: usize = 8 * 1024 * 1024;
const SPARE_BYTES: usize = 256 * 1024;
const MAX_BYTES_IN_ALL: usize = 64 * 1024 * 1024;

/// Some records in a row.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) records: Vec<Record>,
    /// The offset behind the last one.
    pub(super) next: Offset,
    /// The last event among them.
    pub(super) seen: Option<Seq>,
    /// Payload bytes, as the limits count them.
    pub(super) bytes: usize,
}

/// A span as readers share it.
pub(crate) type SharedSpan = std::sync::Arc<Encoded<Span>>;

impl Span {
    /// One record.
    pub(super) fn of(record: Record) -> Self {
        let seen = if let Entry::Event(event) = &record.entry { Some(event.seq) } else { None };
        Self { next: Offset(record.offset.0 + 1), seen, bytes: record.entry.bytes(), records: vec![record] }
    }

    /// Reads from an offset that is retained, until a batch is full or the log ends.
    pub(super) fn read(log: &dyn Log, from: Offset) -> Self {
        let mut span = Self { records: Vec::new(), next: from, seen: None, bytes: 0 };
        log.read(from, MAX_BATCH, &mut span.records);
        let mut length = 0;
        for record in &span.records {
            if span.bytes >= FULL_BATCH_BYTES {
                break;
            }
            length += 1;
            span.bytes += record.entry.bytes();
            span.next = Offset(record.offset.0 + 1);
            if let Entry::Event(event) = &record.entry {
                span.seen = Some(event.seq);
            }
        }
        span.records.truncate(length);
        span
    }
}

/// The spans of one agent that were read lately, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    spans: VecDeque<(Offset, SharedSpan)>,
    bytes: usize,
}

impl Spans {
    /// The span that begins at an offset: one that somebody has read, or else a new one.
    pub(super) fn at(&mut self, log: &dyn Log, from: Offset, in_all: &AtomicUsize) -> SharedSpan {
        let known = self.spans.iter().rev().find(|(begins, _)| *begins == from);
        if let Some((_, span)) = known {
            return span.clone();
        }
        let span = SharedSpan::new(Encoded::new(Span::read(log, from)));
        self.bytes += span.value.bytes;
        let all = in_all.fetch_add(span.value.bytes, Ordering::Relaxed) + span.value.bytes;
        let most = if all > MAX_BYTES_IN_ALL { SPARE_BYTES } else { MAX_BYTES };
        self.spans.push_back((from, span.clone()));
        while self.spans.len() > MAX_SPANS || (self.bytes > most && self.spans.len() > 1) {
            self.drop_oldest(in_all);
        }
        span
    }

    /// Drops all of them: nobody reads here any more.
    pub(crate) fn clear(&mut self, in_all: &AtomicUsize) {
        while !self.spans.is_empty() {
            self.drop_oldest(in_all);
        }
    }

    fn drop_oldest(&mut self, in_all: &AtomicUsize) {
        if let Some((_, span)) = self.spans.pop_front() {
            self.bytes -= span.value.bytes;
            in_all.fetch_sub(span.value.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{session::fixtures::event, store::memory::MemoryLog};

    fn log(events: u64, text: &str) -> MemoryLog {
        let mut log = MemoryLog::new("epoch".into());
        for seq in 1..=events {
            log.append(Entry::Event(Arc::new(event(Seq(seq), &format!("{{\"text\":\"{text}\"}}")))));
        }
        log
    }

    #[test]
    fn readers_at_one_place_share_one_span() {
        let (log, mut spans, in_all) = (log(300, "x"), Spans::default(), AtomicUsize::new(0));
        let first = spans.at(&log, Offset(1), &in_all);
        assert!(Arc::ptr_eq(&first, &spans.at(&log, Offset(1), &in_all)));
        assert_eq!((first.value.records.len(), first.value.next), (MAX_BATCH, Offset(1 + MAX_BATCH as u64)));
        assert_eq!(first.value.seen, Some(Seq(MAX_BATCH as u64)));
        let second = spans.at(&log, first.value.next, &in_all);
        assert_eq!(second.value.records[0].offset, first.value.next);
        assert_eq!(in_all.load(Ordering::Relaxed), first.value.bytes + second.value.bytes);
        spans.clear(&in_all);
        assert_eq!(in_all.load(Ordering::Relaxed), 0);
        assert!(!Arc::ptr_eq(&first, &spans.at(&log, Offset(1), &in_all)));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_always_is() {
        let (log, mut spans, in_all) = (log(40, &"x".repeat(1_000_000)), Spans::default(), AtomicUsize::new(0));
        for offset in 1..=40 {
            let span = spans.at(&log, Offset(offset), &in_all);
            assert!(Arc::ptr_eq(&span, &spans.at(&log, Offset(offset), &in_all)));
            assert!(in_all.load(Ordering::Relaxed) <= MAX_BYTES);
        }
        // Where all others together have their fill, one agent keeps the span that it reads.
        let in_all = AtomicUsize::new(MAX_BYTES_IN_ALL);
        let mut spans = Spans::default();
        for offset in 1..=3 {
            let span = spans.at(&log, Offset(offset), &in_all);
            assert_eq!(in_all.load(Ordering::Relaxed), MAX_BYTES_IN_ALL + span.value.bytes);
        }
    }
}
