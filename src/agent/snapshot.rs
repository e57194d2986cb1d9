//! One agent as people see it: what waits, who watches, where the debugger stands.

use std::{sync::Arc, time::Duration};

use crate::{
    event::{Event, Seq, Timestamp},
    session::{HoldReason, Mode, Position, RunView},
};

/// Mode, holds and subscribers, as people see them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// Nothing while detached.
    pub(crate) mode: Option<Mode>,
    /// Oldest first.
    pub(crate) held: Vec<HeldView>,
    pub(crate) debuggers: u32,
    pub(crate) observers: u32,
    /// Grows with every change of the breakpoints.
    pub(crate) breakpoint_revision: u64,
}

/// One Trace that waits, as people see it.
#[derive(Clone, Debug)]
pub(crate) struct HeldView {
    pub(crate) event: Arc<Event>,
    /// The event is in the trace no longer.
    pub(crate) trimmed: bool,
    pub(crate) reason: HoldReason,
    pub(crate) held_for: Duration,
    pub(crate) breakpoints: Vec<u64>,
    /// Only an explicit release opens it.
    pub(crate) gate: bool,
    /// How long until it ends by itself; nothing where it does not.
    pub(crate) time_left: Option<Duration>,
}

/// Where an agent stands.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) at: Position,
    pub(crate) snapshot: Snapshot,
    pub(crate) bounds: Option<(Seq, Seq)>,
    pub(crate) dropped: u64,
    pub(crate) epoch: Option<Arc<str>>,
    pub(crate) runs: Vec<RunView>,
    pub(crate) last_event: Option<Timestamp>,
}
