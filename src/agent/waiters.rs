//! The calls that wait at one hold, as data: who they are, and when the hold ends without a decision.

use std::time::Duration;

use tokio::{sync::oneshot, task::AbortHandle, time::Instant};

use crate::event::Answer;

/// The calls that wait at one hold: one, or several with the same `request_id`.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    calls: Vec<(u64, oneshot::Sender<Answer>)>,
    /// Counts the times that nobody was left.
    orphaned: u64,
    /// Ends the hold where nobody comes back.
    timer: Option<AbortHandle>,
    /// When the hold ends by itself, though its callers stay; nothing where it does not.
    ends: Option<Instant>,
}

impl Drop for Waiters {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
    }
}

impl Waiters {
    pub(super) fn set_timer(&mut self, timer: AbortHandle) {
        if let Some(earlier) = self.timer.replace(timer) {
            earlier.abort();
        }
    }

    /// How long until the hold ends by itself; nothing where it does not.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(Instant::now()))
    }

    /// A call joins. `ends` is when the hold now ends by itself; nothing where this call changes nothing about it.
    pub(super) fn join(&mut self, id: u64, call: oneshot::Sender<Answer>, ends: Option<Instant>) {
        self.calls.push((id, call));
        self.ends = [self.ends, ends].into_iter().flatten().min();
    }

    /// A call leaves. Says whether it was the last one.
    pub(super) fn leave(&mut self, id: u64) -> bool {
        self.calls.retain(|(other, _)| *other != id);
        self.calls.is_empty()
    }

    pub(super) fn answer(mut self, answer: &Answer) {
        for (_, call) in self.calls.drain(..) {
            // A caller that went away meanwhile has no use for it.
            let _ = call.send(answer.clone());
        }
    }

    pub(super) fn orphaned(&mut self) -> u64 {
        self.orphaned += 1;
        self.orphaned
    }

    pub(super) fn is_orphan_since(&self, orphaned: u64) -> bool {
        self.calls.is_empty() && self.orphaned == orphaned
    }
}
