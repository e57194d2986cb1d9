//! The event log: append, read from an offset, trim, clear.
//!
//! The log is the truth: subscribers are cursors on it, and a notification only wakes them. The session numbers an
//! event and registers its hold, the log makes it last, readers are woken after that. Every backend passes the one
//! suite in `conformance`.

#[cfg(test)]
pub(crate) mod conformance;
pub(crate) mod memory;
pub(crate) mod token;

use std::sync::Arc;

use crate::{
    event::{EVENT_OVERHEAD_BYTES, Event, HoldEnded, RunId},
    session::Forked,
};

/// A place in an agent's log. Contiguous from 1, across epochs: events and endings of holds share the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offset(pub(crate) u64);

/// What the log holds.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A step was recorded.
    Event(Arc<Event>),
    /// A hold ended, or was never begun and decided all the same.
    HoldEnded(Arc<HoldEnded>),
    /// A fork was made.
    Forked(Arc<Forked>),
}

impl Entry {
    pub(crate) fn run_id(&self) -> &RunId {
        match self {
            Self::Event(event) => &event.run_id,
            Self::HoldEnded(ended) => &ended.run_id,
            Self::Forked(forked) => &forked.run_id,
        }
    }

    /// What it counts against the byte limits.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Event(event) => event.bytes(),
            Self::HoldEnded(ended) => ended.bytes(),
            Self::Forked(_) => EVENT_OVERHEAD_BYTES,
        }
    }
}

/// An entry at its place.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) offset: Offset,
    /// The incarnation that it belongs to.
    pub(crate) epoch: Arc<str>,
    pub(crate) entry: Entry,
}

/// An agent's log. Offsets are never used twice, cleared or not.
pub(crate) trait Log: Send {
    /// Adds an entry at the end.
    fn append(&mut self, entry: Entry);

    /// The offset of the next entry.
    fn end(&self) -> Offset;

    /// The offset of the oldest retained entry; [`Log::end`] with none.
    fn start(&self) -> Offset;

    /// Adds up to `most` records from `from` on to `into`; from the oldest, where `from` is gone.
    fn read(&self, from: Offset, most: usize, into: &mut Vec<Record>);

    /// Drops the oldest event, and the endings that follow it, and returns the event and the bytes that went.
    fn trim(&mut self) -> Option<(Arc<Event>, usize)>;

    /// Drops everything; a new epoch begins.
    fn clear(&mut self, epoch: Arc<str>);

    /// What is retained, as [`Entry::bytes`] counts it.
    fn bytes(&self) -> usize;
}
