//! What every log promises, as one suite that runs against each backend.

use std::{sync::Arc, time::Duration};

use super::{Entry, Log, Offset};
use crate::event::{Decision, Event, HoldEnded, Outcome, RunId, Seq, Timestamp};

/// Runs every claim against fresh logs of one kind, whose first epoch is "first".
pub(crate) fn run(new: impl Fn() -> Box<dyn Log>) {
    an_empty_log_has_nothing(new());
    offsets_are_contiguous_and_reads_are_ordered(new());
    reading_from_what_is_gone_begins_at_the_oldest(new());
    trimming_drops_one_event_and_the_endings_behind_it(new());
    bytes_are_those_of_what_is_retained(new());
    clearing_never_uses_an_offset_again(new());
}

fn event(seq: u64, text: &str) -> Entry {
    let event = crate::session::fixtures::event(Seq(seq), &format!("{{\"text\":\"{text}\"}}"));
    Entry::Event(Arc::new(event))
}

fn ended(seq: u64) -> Entry {
    Entry::HoldEnded(Arc::new(HoldEnded {
        seq: Seq(seq),
        run_id: RunId::parse("").expect("valid"),
        outcome: Outcome::Stepped,
        decision: Decision::Proceed,
        actor: "test".into(),
        held_for: Duration::ZERO,
        at: Timestamp(0),
        before: None,
    }))
}

/// Offset, epoch and a word for the entry of everything from an offset on.
fn read(log: &dyn Log, from: u64, most: usize) -> Vec<(u64, String, String)> {
    let mut records = Vec::new();
    log.read(Offset(from), most, &mut records);
    let word = |entry: &Entry| match entry {
        Entry::Event(event) => format!("event {}", event.seq.0),
        Entry::HoldEnded(ended) => format!("ended {}", ended.seq.0),
        Entry::Forked(forked) => format!("forked {}", forked.run_id.as_str()),
    };
    records.iter().map(|record| (record.offset.0, record.epoch.to_string(), word(&record.entry))).collect()
}

fn words(log: &dyn Log) -> Vec<String> {
    read(log, 0, usize::MAX).into_iter().map(|(_, _, word)| word).collect()
}

fn seq_of(trimmed: Option<(Arc<Event>, usize)>) -> Option<u64> {
    trimmed.map(|(event, _)| event.seq.0)
}

fn an_empty_log_has_nothing(mut log: Box<dyn Log>) {
    assert_eq!((log.start(), log.end(), log.bytes()), (Offset(1), Offset(1), 0));
    assert!(words(&*log).is_empty());
    assert_eq!(seq_of(log.trim()), None);
}

fn offsets_are_contiguous_and_reads_are_ordered(mut log: Box<dyn Log>) {
    for entry in [event(1, "a"), event(2, "b"), ended(1), event(3, "c")] {
        log.append(entry);
    }
    assert_eq!((log.start(), log.end()), (Offset(1), Offset(5)));
    let expected = [(2, "first", "event 2"), (3, "first", "ended 1")];
    assert_eq!(read(&*log, 2, 2), expected.map(|(at, epoch, word)| (at, epoch.to_owned(), word.to_owned())));
    assert!(read(&*log, 5, 10).is_empty());
    assert!(read(&*log, u64::MAX, 10).is_empty());
}

fn reading_from_what_is_gone_begins_at_the_oldest(mut log: Box<dyn Log>) {
    for seq in 1..=3 {
        log.append(event(seq, "x"));
    }
    log.trim();
    assert_eq!(read(&*log, 1, 1)[0].0, 2);
}

fn trimming_drops_one_event_and_the_endings_behind_it(mut log: Box<dyn Log>) {
    for entry in [event(1, "a"), ended(1), event(2, "b"), event(3, "c"), ended(2)] {
        log.append(entry);
    }
    assert_eq!(seq_of(log.trim()), Some(1));
    assert_eq!(words(&*log), ["event 2", "event 3", "ended 2"]);
    assert_eq!(log.start(), Offset(3));
    assert_eq!(seq_of(log.trim()), Some(2));
    assert_eq!(words(&*log), ["event 3", "ended 2"]);
    assert_eq!(seq_of(log.trim()), Some(3));
    assert_eq!((log.start(), log.end()), (Offset(6), Offset(6)));
}

fn bytes_are_those_of_what_is_retained(mut log: Box<dyn Log>) {
    let (small, large) = (event(1, "a"), event(2, &"b".repeat(1_000)));
    let (small_bytes, large_bytes) = (small.bytes(), large.bytes());
    assert_eq!(large_bytes - small_bytes, 999);
    let ended_bytes = ended(1).bytes();
    log.append(small);
    log.append(ended(1));
    log.append(large);
    assert_eq!(log.bytes(), small_bytes + ended_bytes + large_bytes);
    assert_eq!(log.trim().map(|(_, bytes)| bytes), Some(small_bytes + ended_bytes));
    assert_eq!(log.bytes(), large_bytes);
    log.trim();
    assert_eq!(log.bytes(), 0);
}

fn clearing_never_uses_an_offset_again(mut log: Box<dyn Log>) {
    log.append(event(1, "a"));
    log.append(event(2, "b"));
    log.clear("second".into());
    assert_eq!((log.start(), log.end(), log.bytes()), (Offset(3), Offset(3), 0));
    log.append(event(3, "c"));
    assert_eq!(read(&*log, 0, 9), [(3, "second".to_owned(), "event 3".to_owned())]);
}
