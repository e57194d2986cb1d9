//! Instants and lengths of time, on the wall clock and on the steady one.

use std::time::Duration;

/// Nanoseconds since the Unix epoch: from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

/// A reported length of time in nanoseconds; a clock that was set back makes it negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span(pub(crate) i64);

/// One instant on both clocks: the wall's for people, the steady one for measuring.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) wall: Timestamp,
    /// Since some fixed point of this process.
    pub(crate) steady: Duration,
}
