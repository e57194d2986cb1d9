//! The log in memory: a queue of shared entries.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{Entry, Log, Offset, Record, Trimmed};
use crate::event::{Event, Seq};

/// How many entries there is room for in the beginning.
const LEAST_ROOM: usize = 4;

/// A log that lasts as long as the process.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Arc<str>,
    /// One after the other up to `end`.
    entries: VecDeque<Entry>,
    end: Offset,
    bytes: usize,
    /// In the order of their offsets, too.
    kept: BTreeMap<Seq, (Offset, Arc<Event>)>,
    held_bytes: usize,
}

impl MemoryLog {
    pub(crate) fn new(epoch: Arc<str>) -> Self {
        Self { epoch, entries: VecDeque::new(), end: Offset(1), bytes: 0, kept: BTreeMap::new(), held_bytes: 0 }
    }
}

impl Log for MemoryLog {
    fn append(&mut self, entry: Entry) {
        self.end = Offset(self.end.0 + 1);
        self.bytes += entry.bytes();
        if let Entry::HoldEnded(ended) = &entry
            && let Some((_, event)) = self.kept.get(&ended.seq)
        {
            self.held_bytes -= event.bytes();
            self.bytes += event.bytes();
        }
        if self.entries.len() == self.entries.capacity() {
            // By a quarter and not by as much again: most of a full trace's room would stay empty.
            self.entries.reserve_exact((self.entries.len() / 4).max(LEAST_ROOM));
        }
        self.entries.push_back(entry);
    }

    fn end(&self) -> Offset {
        self.end
    }

    fn start(&self) -> Offset {
        Offset(self.end.0 - self.entries.len() as u64)
    }

    fn kept(&self, from: Offset) -> Option<Offset> {
        self.kept.values().map(|(offset, _)| *offset).find(|offset| *offset >= from)
    }

    fn read(&self, from: Offset, most: usize, into: &mut Vec<Record>) {
        let before = into.len();
        let record = |(offset, entry)| Record { offset, epoch: self.epoch.clone(), entry };
        if from < self.start() {
            let kept = self.kept.values().filter(|(offset, _)| *offset >= from).take(most);
            into.extend(kept.map(|(offset, event)| record((*offset, Entry::Event(event.clone())))));
        }
        let most = most - (into.len() - before);
        let skip = usize::try_from(from.0.saturating_sub(self.start().0)).unwrap_or(usize::MAX);
        let start = skip.min(self.entries.len());
        let end = start.saturating_add(most).min(self.entries.len());
        let first = self.start().0 + start as u64;
        let entries = (first..).map(Offset).zip(self.entries.range(start..end).cloned());
        into.extend(entries.map(record));
    }

    fn trim(&mut self, is_held: &dyn Fn(Seq) -> bool) -> Option<Trimmed> {
        let mut trimmed = Trimmed::default();
        self.entries.front()?;
        while let Some(front) = self.entries.front() {
            let (offset, bytes) = (self.start(), front.bytes());
            match front {
                Entry::Event(_) if trimmed.event.is_some() => break,
                Entry::Event(event) => {
                    if is_held(event.seq) {
                        self.kept.insert(event.seq, (offset, event.clone()));
                        self.held_bytes += bytes;
                    } else {
                        trimmed.freed += bytes;
                    }
                    trimmed.event = Some(event.clone());
                }
                Entry::HoldEnded(ended) => {
                    trimmed.freed += bytes;
                    if let Some((_, event)) = self.kept.remove(&ended.seq) {
                        trimmed.freed += event.bytes();
                        self.bytes -= event.bytes();
                        trimmed.gone.push(event);
                    }
                }
                Entry::Forked(_) => trimmed.freed += bytes,
            }
            self.bytes -= bytes;
            self.entries.pop_front();
        }
        Some(trimmed)
    }

    fn clear(&mut self, epoch: Arc<str>) {
        self.epoch = epoch;
        self.entries = VecDeque::new();
        self.bytes = 0;
        self.kept = BTreeMap::new();
        self.held_bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        super::super::conformance::run(|| Box::new(MemoryLog::new("first".into())));
    }
}
