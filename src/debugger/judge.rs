//! Conditions that take a while: evaluated beside the agent, neither under its lock nor on a thread that serves others.
//!
//! A step whose conditions are not trivially small waits for its agent's turn, which is given in order, and so does
//! every step of that agent that comes meanwhile: what conditions see of a run is then what it will be recorded with.
//! Others are served as if nothing happened. A step that cannot wait (there are [`MAX_WAITING`](crate::agent::turn::MAX_WAITING) already) and one under
//! which the agent changed [`MAX_ATTEMPTS`] times is recorded without an evaluation: gates hold it.
//!
//! One task per waiting step; it ends when the step is recorded. Its caller may go away: the step is recorded all the
//! same, as it would have been at once.

use std::sync::Arc;

use super::{Debugger, Taken};
use crate::{
    agent::{turn::Turn, waiter::Patience},
    error::Error,
    event::{AgentId, Moment},
    session::{
        breakpoint::{Hits, Looks},
        fork::plan::Plan,
        trace::{Prepared, Reported},
    },
};

/// How often a step is evaluated again, since its agent was changed meanwhile.
const MAX_ATTEMPTS: usize = 3;

/// What a step is found to need when its turn has come.
enum Found {
    /// It was recorded, or had been before.
    Taken(Taken),
    /// Its digest.
    Retraces(Arc<Plan>),
    /// The evaluation of conditions.
    Looks(Box<(Moment, Prepared, Looks)>),
}

impl Debugger {
    /// Records a step whose conditions are evaluated beside its agent, when its turn has come.
    pub(super) async fn judge(
        self,
        id: AgentId,
        mut reported: Reported,
        patience: Patience,
        turn: Turn,
    ) -> Result<Taken, Error> {
        let order = turn.turn.clone();
        let _mine = order.lock().await;
        let mut attempts = 0;
        loop {
            let found = self.with_agent(&id, |agent, state| {
                if let Some(taken) = self.0.known(agent, state, &reported, patience)? {
                    return Ok(Found::Taken(taken));
                }
                if let Some(plan) = self.0.retracing(state, &reported)? {
                    return Ok(Found::Retraces(plan));
                }
                let looks = state.session.looks(&reported.report).filter(|looks| !looks.is_trivial());
                if let Some(looks) = looks.filter(|_| attempts < MAX_ATTEMPTS) {
                    let now = self.0.shared.now();
                    let prepared = state.session.prepare(reported.clone(), now);
                    return Ok(Found::Looks(Box::new((now, prepared, looks.owned()))));
                }
                let given_up = attempts >= MAX_ATTEMPTS;
                Ok(Found::Taken(self.0.record(agent, state, reported.clone(), patience, given_up)))
            })?;
            let (now, prepared, looks) = match found {
                Found::Taken(taken) => return Ok(taken),
                Found::Retraces(plan) => {
                    reported.digest = Some(plan.digest_of_report(&reported.report));
                    continue;
                }
                Found::Looks(found) => *found,
            };
            attempts += 1;
            let (prepared, looks, hits) = self.evaluate(prepared, looks).await?;
            let taken = self.with_agent(&id, |agent, state| {
                if let Some(taken) = self.0.known(agent, state, &reported, patience)? {
                    return Ok(Some(taken));
                }
                // A verb may have changed what conditions saw, or which of them there are.
                let prepared_now = state.session.prepare(reported.clone(), now);
                if !prepared_now.looks_like(&prepared) || !state.session.still_has(&looks) {
                    return Ok(None);
                }
                Ok(Some(self.0.record_judged(agent, state, reported.clone(), (now, hits), patience)))
            })?;
            if let Some(taken) = taken {
                return Ok(taken);
            }
        }
    }

    /// Evaluates conditions on a thread that may take its time. Few at a time: the others are left to those who serve.
    async fn evaluate(&self, prepared: Prepared, looks: Looks) -> Result<(Prepared, Looks, Hits), Error> {
        let gone = |_| Error::ShuttingDown;
        let _place = self.0.judges.acquire().await.map_err(|_| Error::ShuttingDown)?;
        let shared = self.0.shared.clone();
        let evaluate = move || {
            let hits = looks.evaluate(&prepared.event, &|| shared.steady());
            (prepared, looks, hits)
        };
        tokio::task::spawn_blocking(evaluate).await.map_err(gone)
    }
}
