//! The record of an agent, read a few entries at a time: an agent never waits for somebody who reads.

use std::{sync::Arc, vec::IntoIter};

use super::Debugger;
use crate::{
    error::Error,
    event::AgentId,
    store::{Offset, Record, token::ResumeToken},
};

/// The entries that are read under an agent's lock at a time.
const READ_AT_ONCE: usize = 512;

/// What an agent had recorded when the reading began. What is trimmed before it comes to it is left out, and a clear
/// ends it.
pub(super) struct Records<'a> {
    debugger: &'a Debugger,
    id: &'a AgentId,
    epoch: Arc<str>,
    next: Offset,
    end: Offset,
    batch: IntoIter<Record>,
}

impl Debugger {
    /// The record from a place on, or from the oldest, held steps that were trimmed before it. Nothing for an agent never seen.
    pub(super) fn records<'a>(&'a self, id: &'a AgentId, from: Option<ResumeToken>) -> Result<Records<'a>, Error> {
        let bounds = self.with_known(id, |_, state| {
            let (start, end) = (state.log.start(), state.log.end());
            let epoch = state.session.epoch().clone();
            let oldest = state.log.kept(Offset(0)).unwrap_or(start);
            let Some(token) = &from else { return Ok((epoch, oldest, end)) };
            let is_retained =
                (start..=end).contains(&token.offset) || state.log.kept(token.offset) == Some(token.offset);
            if token.epoch != epoch || !is_retained {
                return Err(Error::NotRetained);
            }
            Ok((epoch, token.offset, end))
        });
        let (epoch, next, end) = match bounds {
            Some(bounds) => bounds?,
            None if from.is_some() => return Err(Error::NotRetained),
            None => Default::default(),
        };
        Ok(Records { debugger: self, id, epoch, next, end, batch: IntoIter::default() })
    }
}

impl Records<'_> {
    /// The incarnation of the trace that is read.
    pub(super) fn epoch(&self) -> &Arc<str> {
        &self.epoch
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if let Some(record) = self.batch.next() {
            return Some(record);
        }
        let mut batch = Vec::new();
        if self.next < self.end {
            self.debugger.with_known(self.id, |_, state| {
                if *state.session.epoch() == self.epoch {
                    let most = usize::try_from(self.end.0 - self.next.0).unwrap_or(READ_AT_ONCE).min(READ_AT_ONCE);
                    state.log.read(self.next, most, &mut batch);
                }
            });
        }
        batch.retain(|record| record.offset < self.end);
        self.next = Offset(batch.last()?.offset.0 + 1);
        self.batch = batch.into_iter();
        self.batch.next()
    }
}
