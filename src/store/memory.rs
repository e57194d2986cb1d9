//! The log in memory: a queue of shared records.

use std::{collections::VecDeque, sync::Arc};

use super::{Encoded, Entry, Log, Offset, Record, SharedRecord};
use crate::event::Event;

/// A log that lasts as long as the process.
#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Arc<str>,
    /// Its front is always an event: endings leave with what they end, or with what was before them.
    records: VecDeque<SharedRecord>,
    end: Offset,
    bytes: usize,
}

impl MemoryLog {
    pub(crate) fn new(epoch: Arc<str>) -> Self {
        Self { epoch, records: VecDeque::new(), end: Offset(1), bytes: 0 }
    }
}

impl Log for MemoryLog {
    fn append(&mut self, entry: Entry) {
        let offset = self.end;
        self.end = Offset(offset.0 + 1);
        self.bytes += entry.bytes();
        self.records.push_back(Arc::new(Encoded::new(Record { offset, epoch: self.epoch.clone(), entry })));
    }

    fn end(&self) -> Offset {
        self.end
    }

    fn start(&self) -> Offset {
        Offset(self.end.0 - self.records.len() as u64)
    }

    fn read(&self, from: Offset, most: usize, into: &mut Vec<SharedRecord>) {
        let skip = usize::try_from(from.0.saturating_sub(self.start().0)).unwrap_or(usize::MAX);
        let start = skip.min(self.records.len());
        let end = start.saturating_add(most).min(self.records.len());
        into.extend(self.records.range(start..end).cloned());
    }

    fn trim(&mut self) -> Option<(Arc<Event>, usize)> {
        let before = self.bytes;
        let mut trimmed = None;
        while let Some(front) = self.records.front() {
            match &front.value.entry {
                Entry::Event(_) if trimmed.is_some() => break,
                Entry::Event(event) => trimmed = Some(event.clone()),
                Entry::Ended(_) | Entry::Forked(_) => {}
            }
            self.bytes -= front.value.entry.bytes();
            self.records.pop_front();
        }
        trimmed.map(|event| (event, before - self.bytes))
    }

    fn clear(&mut self, epoch: Arc<str>) {
        self.epoch = epoch;
        self.records = VecDeque::new();
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
