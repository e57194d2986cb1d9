//! Waiting at a hold: how long, and what happens to the hold when its caller goes away.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{Agent, State};
use crate::{
    error::Error,
    event::{Answer, Outcome, Seq},
};

/// The part of a caller's deadline that is left for the answer to arrive: a tenth, within these bounds.
const MIN_MARGIN: Duration = Duration::from_millis(10);
const MAX_MARGIN: Duration = Duration::from_millis(500);
/// Longer waits are as good as this one, and clocks can add it without overflow.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How long one call waits, and what it is told then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    until: Option<Instant>,
    /// Whether the caller can ask again.
    asks_again: bool,
}

impl Patience {
    /// The sooner of the caller's hold time-out and a little before its deadline, from now.
    pub(crate) fn new(hold_timeout: Option<Duration>, deadline: Option<Duration>, asks_again: bool) -> Self {
        let deadline = deadline.map(|deadline| deadline.saturating_sub((deadline / 10).clamp(MIN_MARGIN, MAX_MARGIN)));
        let wait = [hold_timeout, deadline].into_iter().flatten().min();
        Self { until: wait.map(|wait| Instant::now() + wait.min(FOREVER)), asks_again }
    }
}

/// One call that waits. Dropping it before the answer says that its caller went away.
pub(crate) struct Waiter {
    agent: Arc<Agent>,
    seq: Seq,
    id: u64,
    answer: oneshot::Receiver<Answer>,
    patience: Patience,
    /// `--hold-timeout`, and a gate's own time-out, bound the hold itself, however many callers ask and however often.
    hold_ends: Option<Instant>,
}

impl Waiter {
    /// Joins those who wait at a hold, under the lock under which it was found.
    pub(crate) fn join(agent: &Arc<Agent>, state: &mut State, seq: Seq, patience: Patience) -> Self {
        let (sender, answer) = oneshot::channel();
        let id = agent.shared.next_id();
        let since = state.session.hold(seq).map_or(Duration::ZERO, |hold| hold.since.steady);
        let gate = state.session.hold(seq).and_then(|hold| hold.gate?.timeout);
        let timeout = [agent.shared.limits.hold_timeout, gate].into_iter().flatten().min();
        let hold_ends = timeout.map(|timeout| agent.shared.instant(since) + timeout.min(FOREVER));
        // A caller that cannot ask again ends the hold with its own patience.
        let caller_ends = patience.until.filter(|_| !patience.asks_again);
        let ends = [hold_ends, caller_ends].into_iter().flatten().min();
        state.waiters.entry(seq).or_default().join(id, sender, ends);
        Self { agent: agent.clone(), seq, id, answer, patience, hold_ends }
    }

    /// Waits for the hold to end, for as long as the caller and the service have patience.
    ///
    /// A hold ends with an answer, always: an error here would mean that the agent itself is gone.
    pub(crate) async fn wait(mut self) -> Result<Answer, Error> {
        loop {
            let until = [self.patience.until, self.hold_ends].into_iter().flatten().min();
            tokio::select! {
                biased;
                answer = &mut self.answer => return answer.map_err(|_| Error::ShuttingDown),
                () = sleep_until(until.unwrap_or_else(|| Instant::now() + FOREVER)) => {
                    if let Some(answer) = self.time_is_up() {
                        return Ok(answer);
                    }
                }
            }
        }
    }

    /// What the caller is told when its time is up; nothing where the hold has just ended by itself.
    fn time_is_up(&mut self) -> Option<Answer> {
        let mut state = self.agent.state.lock();
        let hold = state.session.hold(self.seq)?;
        let hold_is_over = self.hold_ends.is_some_and(|end| end <= Instant::now());
        if self.patience.asks_again && !hold_is_over {
            return Some(hold.answer(Outcome::StillHeld, self.agent.shared.now()));
        }
        self.agent.give_up(&mut state, self.seq, Outcome::TimedOut);
        None
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.agent.state.lock();
        // Answered calls have no entry any more.
        let Some(waiters) = state.waiters.get_mut(&self.seq) else { return };
        if waiters.leave(self.id) {
            self.agent.orphan(&mut state, self.seq);
        }
    }
}
