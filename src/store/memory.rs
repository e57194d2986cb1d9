//! The log in memory: a queue of shared entries.

use std::{collections::VecDeque, sync::Arc};

use super::{Entry, Log, Offset, Record};
use crate::event::Event;

/// How many entries there is room for in the beginning.
const LEAST_ROOM: usize = 4;

/// A log that lasts as long as the process.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Arc<str>,
    /// One after the other up to `end`. The front is always an event: endings leave with what they end, or with what
    /// was before them.
    entries: VecDeque<Entry>,
    end: Offset,
    bytes: usize,
}

impl MemoryLog {
    pub(crate) fn new(epoch: Arc<str>) -> Self {
        Self { epoch, entries: VecDeque::new(), end: Offset(1), bytes: 0 }
    }
}

impl Log for MemoryLog {
    fn append(&mut self, entry: Entry) {
        self.end = Offset(self.end.0 + 1);
        self.bytes += entry.bytes();
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

    fn read(&self, from: Offset, most: usize, into: &mut Vec<Record>) {
        let skip = usize::try_from(from.0.saturating_sub(self.start().0)).unwrap_or(usize::MAX);
        let start = skip.min(self.entries.len());
        let end = start.saturating_add(most).min(self.entries.len());
        let first = self.start().0 + start as u64;
        let record = |(offset, entry): (u64, &Entry)| Record {
            offset: Offset(offset),
            epoch: self.epoch.clone(),
            entry: entry.clone(),
        };
        into.extend((first..).zip(self.entries.range(start..end)).map(record));
    }

    fn trim(&mut self) -> Option<(Arc<Event>, usize)> {
        let before = self.bytes;
        let mut trimmed = None;
        while let Some(front) = self.entries.front() {
            match front {
                Entry::Event(_) if trimmed.is_some() => break,
                Entry::Event(event) => trimmed = Some(event.clone()),
                Entry::HoldEnded(_) | Entry::Forked(_) => {}
            }
            self.bytes -= front.bytes();
            self.entries.pop_front();
        }
        trimmed.map(|event| (event, before - self.bytes))
    }

    fn clear(&mut self, epoch: Arc<str>) {
        self.epoch = epoch;
        self.entries = VecDeque::new();
        self.bytes = 0;
    }

    fn bytes(&self) -> usize {
        self.bytes
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
