//! Instants and lengths of time, on the wall clock and on the steady one.

use std::time::Duration;

/// Nanoseconds since the Unix epoch: from 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);

/// The longest time from the beginning of a step to its end, and how far ahead of this server's clock either may be, in
/// days: a step beyond that is a mistake in units, and would leave nothing of a time line to be seen.
pub(crate) const MAX_STEP_DAYS: i64 = 366;

/// How many whole days lie between two times, where they are more than a step may last.
pub(crate) fn days_beyond(from: Timestamp, to: Timestamp) -> Option<i64> {
    const NANOS_PER_DAY: i128 = 86_400_000_000_000;
    let days = (i128::from(to.0) - i128::from(from.0)) / NANOS_PER_DAY;
    i64::try_from(days).ok().filter(|days| *days >= MAX_STEP_DAYS)
}

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
