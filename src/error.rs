//! What can go wrong, in the debugger's own words. No transport is known here.

use std::time::Duration;

use crate::{auth::Scope, event::Seq, export::read::Damage, session::Refusal};

/// Why a call is refused. It says what is wrong with which thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A field holds what it must not.
    #[error("{field} {problem}")]
    Invalid { field: &'static str, problem: String },
    /// The caller's token does not allow it.
    #[error("this token does not have the scope {}", .0.name())]
    Scope(Scope),
    /// The session is in no state for it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No agent that is held in memory can be evicted for a new one.
    #[error("agents are limited to {0}, and each of them is in use or has a breakpoint, an abort or a pause")]
    TooManyAgents(usize),
    /// This agent has its fill of subscribers.
    #[error("subscribers are limited to {0} per agent")]
    TooManySubscribers(usize),
    /// As many files are read already as may be at a time.
    #[error("imports are limited to {0} at a time")]
    TooManyImports(usize),
    /// As many files are written already as may be at a time.
    #[error("exports are limited to {0} at a time")]
    TooManyExports(usize),
    /// As many comparisons are made already as may be at a time.
    #[error("comparisons are limited to {0} at a time")]
    TooManyComparisons(usize),
    /// A file was not taken as it was written, or did not come on.
    #[error("transfer stalled: no progress for {} s", .0.as_secs())]
    Stalled(Duration),
    /// What was asked for was trimmed or cleared.
    #[error("page_token names events that are not retained any more")]
    NotRetained,
    /// A gate or an abort stopped the step of an agent that obeys neither fail nor abort.
    #[error("event {} was stopped, and its agent accepts neither fail nor abort", .0.0)]
    Stopped(Seq),
    /// A back-test took too long.
    #[error("the condition took longer than {} s over the record", .0.as_secs())]
    TooExpensive(Duration),
    /// A file that is to be imported is not as it should be.
    #[error("{0}")]
    File(Damage),
    /// What is to be imported would push recorded events out.
    #[error("{0}")]
    NoRoom(String),
    /// The service drains.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl Error {
    /// A field at fault, and what it must be.
    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}
