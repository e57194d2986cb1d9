//! What every log promises, as one suite that runs against each backend.

use std::{sync::Arc, time::Duration};

use super::{Entry, Log, Offset, Trimmed};
use crate::event::{Decision, HoldEnded, Outcome, RunId, Seq, Timestamp};

/// Runs every claim against fresh logs of one kind, whose first epoch is "first".
pub(crate) fn run(new: impl Fn() -> Box<dyn Log>) {
    an_empty_log_has_nothing(new());
    offsets_are_contiguous_and_reads_are_ordered(new());
    reading_from_what_is_gone_begins_at_the_oldest(new());
    trimming_drops_one_event_and_the_endings_behind_it(new());
    bytes_are_those_of_what_is_retained(new());
    clearing_never_uses_an_offset_again(new());
    what_is_held_is_kept_until_its_ending_goes(new());
    an_ending_that_is_alone_can_be_trimmed(new());
    clearing_drops_what_is_kept(new());
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

/// Trims where nothing is held.
fn trim(log: &mut Box<dyn Log>) -> Trimmed {
    log.trim(&|_| false).unwrap_or_default()
}

fn seq_of(trimmed: Trimmed) -> Option<u64> {
    trimmed.event.map(|event| event.seq.0)
}

fn an_empty_log_has_nothing(mut log: Box<dyn Log>) {
    assert_eq!((log.start(), log.end(), log.bytes()), (Offset(1), Offset(1), 0));
    assert!(words(&*log).is_empty());
    assert_eq!(seq_of(trim(&mut log)), None);
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
    trim(&mut log);
    assert_eq!(read(&*log, 1, 1)[0].0, 2);
}

fn trimming_drops_one_event_and_the_endings_behind_it(mut log: Box<dyn Log>) {
    for entry in [event(1, "a"), ended(1), event(2, "b"), event(3, "c"), ended(2)] {
        log.append(entry);
    }
    assert_eq!(seq_of(trim(&mut log)), Some(1));
    assert_eq!(words(&*log), ["event 2", "event 3", "ended 2"]);
    assert_eq!(log.start(), Offset(3));
    assert_eq!(seq_of(trim(&mut log)), Some(2));
    assert_eq!(words(&*log), ["event 3", "ended 2"]);
    assert_eq!(seq_of(trim(&mut log)), Some(3));
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
    assert_eq!(trim(&mut log).freed, small_bytes + ended_bytes);
    assert_eq!(log.bytes(), large_bytes);
    trim(&mut log);
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

fn what_is_held_is_kept_until_its_ending_goes(mut log: Box<dyn Log>) {
    let held = event(1, "held").bytes();
    for seq in 1..=3 {
        log.append(event(seq, if seq == 1 { "held" } else { "x" }));
    }
    let before = log.bytes();
    let trimmed = log.trim(&|seq| seq == Seq(1)).expect("an event");
    assert_eq!((trimmed.event.map(|event| event.seq), trimmed.freed, trimmed.gone.len()), (Some(Seq(1)), 0, 0));
    assert_eq!((log.bytes(), log.held_bytes()), (before - held, held));
    trim(&mut log);
    assert_eq!((log.start(), log.kept(Offset(0)), log.kept(Offset(2))), (Offset(3), Some(Offset(1)), None));
    assert_eq!(words(&*log), ["event 1", "event 3"]);
    assert_eq!(read(&*log, 0, 1)[0].0, 1);
    assert_eq!(read(&*log, 2, 9)[0].0, 3);
    // The decision is in the record, and the event beside it as long as that is.
    log.append(ended(1));
    assert_eq!((words(&*log), log.held_bytes()), (vec!["event 1".into(), "event 3".into(), "ended 1".into()], 0));
    log.append(event(4, "x"));
    let trimmed = trim(&mut log);
    assert_eq!(trimmed.gone.iter().map(|event| event.seq).collect::<Vec<_>>(), [Seq(1)]);
    assert_eq!((words(&*log), log.kept(Offset(0))), (vec!["event 4".to_owned()], None));
    trim(&mut log);
    assert_eq!((log.bytes(), log.held_bytes()), (0, 0));
}

fn an_ending_that_is_alone_can_be_trimmed(mut log: Box<dyn Log>) {
    log.append(event(1, "held"));
    log.trim(&|_| true);
    log.append(ended(1));
    let trimmed = log.trim(&|_| false).expect("an ending");
    assert_eq!((trimmed.event.is_some(), trimmed.gone.len()), (false, 1));
    assert_eq!((log.bytes(), log.held_bytes(), log.trim(&|_| false).is_none()), (0, 0, true));
}

fn clearing_drops_what_is_kept(mut log: Box<dyn Log>) {
    log.append(event(1, "held"));
    log.trim(&|_| true);
    log.clear("second".into());
    assert_eq!((log.kept(Offset(0)), log.held_bytes()), (None, 0));
}
