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
    event::{EVENT_OVERHEAD_BYTES, Event, HoldEnded, RunId, Seq},
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

/// What trimming did.
#[derive(Debug, Default)]
pub(crate) struct Trimmed {
    /// The oldest event, retained no longer; nothing where there was none.
    pub(crate) event: Option<Arc<Event>>,
    /// Events that were kept beyond their trimming, and are gone with the endings of their holds.
    pub(crate) gone: Vec<Arc<Event>>,
    /// The bytes that went, as [`Entry::bytes`] counts them.
    pub(crate) freed: usize,
}

/// An agent's log. Offsets are never used twice, cleared or not.
///
/// An event that is held when it is trimmed is *kept*: it is read before the oldest retained entry, at its own offset,
/// until the ending of its hold was appended and that ending is trimmed. It counts as retained nowhere else.
pub(crate) trait Log: Send {
    /// Adds an entry at the end.
    fn append(&mut self, entry: Entry);

    /// The offset of the next entry.
    fn end(&self) -> Offset;

    /// The offset of the oldest retained entry; [`Log::end`] with none.
    fn start(&self) -> Offset;

    /// The offset of the oldest kept event at or behind `from`.
    fn kept(&self, from: Offset) -> Option<Offset>;

    /// Adds up to `most` records from `from` on to `into`, kept events first; from the oldest, where `from` is gone.
    fn read(&self, from: Offset, most: usize, into: &mut Vec<Record>);

    /// Drops the oldest event, which is kept where it is held, and the endings that follow it. Nothing where there is
    /// nothing to drop.
    fn trim(&mut self, is_held: &dyn Fn(Seq) -> bool) -> Option<Trimmed>;

    /// Drops everything; a new epoch begins.
    fn clear(&mut self, epoch: Arc<str>);

    /// What is retained, and what is kept though its hold has ended, as [`Entry::bytes`] counts it.
    fn bytes(&self) -> usize;

    /// What is kept and still held: no trimming frees it.
    fn held_bytes(&self) -> usize;
}
