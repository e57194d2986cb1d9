//! The debugger: a cheap-clone handle on all sessions. It adds to them what they leave out: time, waiting, limits.
//!
//! Tasks: a Trace that is held waits in its caller's own task. One whose conditions take a while has a task until it is
//! recorded, see [`judge`]. Two kinds of timer are spawned, each at most once at a
//! time per thing it watches, since a later one ends an earlier one: the detach grace (one per agent without
//! debuggers) and the grace of a hold whose caller went away (one per hold).
//!
//! Locks: the registry's, then one agent's; never the other way, never two agents', none across an await.

pub(crate) mod breakpoints;
mod judge;
mod page;
mod records;
pub(crate) mod runs;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use tokio::{sync::Semaphore, task::JoinHandle};

pub(crate) use self::page::Page;
use crate::{
    agent::{
        Agent, State,
        shared::Shared,
        snapshot::Status,
        subscription::{Subscribe, Subscription},
        turn::Turn,
        waiter::{Patience, Waiter},
    },
    config::Limits,
    error::Error,
    event::{AgentId, Answer, Decision, Moment, Outcome, Phase, Report, RunId, Seq},
    masking::Visibility,
    session::{
        Change, Known, Position, Recorded, Refusal,
        breakpoint::{Hits, Looks},
        control::Granularity,
        fingerprint::fingerprint,
        fork::plan::Plan,
        trace::Reported,
    },
    store::token::ResumeToken,
    telemetry::Metrics,
};

/// The runs that a status names at most.
pub(crate) const MAX_LISTED_RUNS: usize = 1_000;

/// Files that are read at a time: what one brings is beside the bytes retained until it is taken in as a whole.
const MAX_IMPORTS: usize = 4;
/// Files that are written at a time: each keeps the events of its run, trimmed or not.
const MAX_EXPORTS: usize = 16;
/// Comparisons that are made at a time: each takes both of its runs apart, and masks them for a caller that may only look.
const MAX_COMPARISONS: usize = 4;

/// Steps whose conditions are evaluated at a time, where they take a while: a processor is left to everything else.
fn judges() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}

/// The handle. Clones share everything.
#[derive(Clone)]
pub(crate) struct Debugger(Arc<Inner>);

/// The agents by id: by a quick hash with a seed of its own.
type Agents = HashMap<AgentId, Arc<Agent>, RandomState>;

/// What the clones of the handle share.
pub(crate) struct Inner {
    shared: Arc<Shared>,
    agents: RwLock<Agents>,
    /// Places for files that are read.
    imports: Arc<Semaphore>,
    /// Places for files that are written.
    exports: Arc<Semaphore>,
    /// Places for comparisons.
    comparisons: Semaphore,
    /// Places for steps whose conditions are evaluated.
    judges: Semaphore,
}

/// What a verb did.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) at: Position,
    /// The seqs let go, oldest first.
    pub(crate) released: Vec<Seq>,
}

impl Debugger {
    /// A debugger that knows no agent yet. Its timers run on the current runtime.
    pub(crate) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            shared: Arc::new(Shared::new(limits, metrics)),
            agents: RwLock::default(),
            imports: Arc::new(Semaphore::new(MAX_IMPORTS)),
            exports: Arc::new(Semaphore::new(MAX_EXPORTS)),
            comparisons: Semaphore::new(MAX_COMPARISONS),
            judges: Semaphore::new(judges()),
        }))
    }

    /// Records a step, in one atomic step under the agent's lock. `deadline` is the caller's own.
    pub(crate) fn trace(
        &self,
        id: &AgentId,
        report: Report,
        hold_timeout: Option<Duration>,
        deadline: Option<Duration>,
    ) -> Result<Traced, Error> {
        let patience = Patience::new(hold_timeout, deadline, report.request_id.is_some());
        let fingerprint = report.request_id.as_ref().map_or(0, |_| fingerprint(&report));
        let mut reported = Reported { report, fingerprint, digest: None };
        let bytes = reported.report.bytes();
        // Idle agents go first; only when there are none does the caller's own trace make room.
        while self.0.shared.bytes.load(Ordering::Relaxed) + bytes > self.0.shared.limits.max_bytes
            && self.evict_idle(id)
        {}
        loop {
            reported = match self.with_agent(id, |agent, state| self.0.admit(agent, state, reported, patience))? {
                Admitted::Taken(taken) => return Ok(Traced::Taken(taken)),
                // Outside of the agent's lock.
                Admitted::Retraces(plan, reported) => {
                    Reported { digest: Some(plan.digest_of_report(&reported.report)), ..*reported }
                }
                Admitted::Waits(turn, reported) => {
                    let judged = self.clone().judge(id.clone(), *reported, patience, turn);
                    return Ok(Traced::Waits(self.0.shared.runtime.spawn(judged)));
                }
            };
        }
    }

    /// Releases one held Trace. See [`crate::session::Session::step`].
    pub(crate) fn step(
        &self,
        agent: &AgentId,
        run: Option<&RunId>,
        seq: Option<Seq>,
        granularity: Granularity,
        actor: &Arc<str>,
    ) -> Result<Moved, Error> {
        self.verb(agent, |state, now| state.session.step(run, seq, granularity, actor, now))
            .unwrap_or_else(|| seq.map_or(Ok(Moved::default()), |seq| Err(Refusal::NotHeld(seq).into())))
    }

    /// Releases all held Traces and lets later ones pass.
    pub(crate) fn resume(&self, agent: &AgentId, run: Option<&RunId>, actor: &Arc<str>) -> Result<Moved, Error> {
        self.verb(agent, |state, now| {
            state.session.room_for_mode(run)?;
            Ok(state.session.resume(run, actor, now))
        })
        .unwrap_or_else(|| Ok(Moved::default()))
    }

    /// Holds the next Trace. An agent that was never seen is made: the pause waits for it.
    pub(crate) fn pause(&self, id: &AgentId, run: Option<&RunId>) -> Result<Moved, Error> {
        loop {
            self.agent_or_new(id)?;
            let paused = self.verb(id, |state, _| {
                state.session.room_for_mode(run)?;
                Ok(state.session.pause(run))
            });
            if let Some(moved) = paused {
                return moved;
            }
        }
    }

    /// Releases one held Trace with a decision.
    pub(crate) fn release(
        &self,
        agent: &AgentId,
        seq: Seq,
        decision: Decision,
        actor: &Arc<str>,
    ) -> Result<Moved, Error> {
        self.verb(agent, |state, now| state.session.release(seq, decision, actor, now))
            .unwrap_or_else(|| Err(Refusal::NotHeld(seq).into()))
    }

    /// Drops the trace, lets everybody go, and names the epoch that begins; nothing for an agent never seen.
    pub(crate) fn clear(&self, agent: &AgentId, actor: &Arc<str>) -> Option<(Arc<str>, Vec<Seq>)> {
        let epoch = new_epoch();
        let begun = epoch.clone();
        let moved = self.verb(agent, |state, now| Ok(state.session.clear(epoch, actor, now)))?;
        Some((begun, moved.ok()?.released))
    }

    /// Runs a verb on an agent that is known; nothing where it is not.
    fn verb(
        &self,
        id: &AgentId,
        decide: impl FnOnce(&mut State, Moment) -> Result<Vec<Change>, Refusal>,
    ) -> Option<Result<Moved, Error>> {
        self.with_known(id, |agent, state| {
            let now = self.0.shared.now();
            agent.touch(now);
            let changes = decide(state, now)?;
            let ended = |change: &Change| match change {
                Change::HoldEnded { ended, .. } => Some(ended.seq),
                _ => None,
            };
            let mut released: Vec<_> = changes.iter().filter_map(ended).collect();
            released.sort_unstable();
            agent.execute(state, changes);
            Ok(Moved { at: state.session.position(), released })
        })
    }

    /// Where an agent stands; zeros for one never seen.
    pub(crate) fn status(&self, id: &AgentId) -> Status {
        let status =
            |state: &State| Status { runs: state.session.runs(MAX_LISTED_RUNS), ..state.status(self.0.shared.now()) };
        self.with_known(id, |_, state| status(state)).unwrap_or_default()
    }

    /// The agents known now whose ids come after `after`, by id, at most `most` of them; and whether there are more.
    pub(crate) fn list(&self, after: &str, most: usize) -> (Vec<(AgentId, Status)>, bool) {
        let mut agents: Vec<_> = {
            let agents = self.0.agents.read();
            agents.iter().filter(|(id, _)| id.as_str() > after).map(|(id, agent)| (id.clone(), agent.clone())).collect()
        };
        agents.sort_by(|(left, _), (right, _)| left.cmp(right));
        let more = agents.len() > most;
        agents.truncate(most);
        let now = self.0.shared.now();
        (agents.into_iter().map(|(id, agent)| (id, agent.state.lock().status(now))).collect(), more)
    }

    /// Follows an agent, which is made where it was never seen: a debugger may come first.
    pub(crate) fn subscribe(&self, id: &AgentId, how: Subscribe) -> Result<Subscription, Error> {
        self.with_agent(id, |agent, state| {
            if self.0.shared.is_closing() { Err(Error::ShuttingDown) } else { Subscription::open(agent, state, how) }
        })
    }

    /// A page of the record, from a token of an earlier page or from the oldest.
    pub(crate) fn page(
        &self,
        id: &AgentId,
        run: Option<&RunId>,
        from: Option<ResumeToken>,
        most: usize,
        visibility: Visibility,
    ) -> Result<Page, Error> {
        Ok(Page::cut(self.records(id, from)?, run, most).seen(visibility))
    }

    /// How far the slowest subscriber of any agent is behind, in log entries; for the metrics.
    pub(crate) fn max_lag(&self) -> u64 {
        let agents: Vec<_> = self.0.agents.read().values().cloned().collect();
        agents.iter().map(|agent| agent.state.lock().max_lag()).max().unwrap_or(0)
    }

    /// Agents held in memory.
    pub(crate) fn agent_count(&self) -> usize {
        self.0.agents.read().len()
    }

    /// Bytes retained in all, as the limits count them.
    pub(crate) fn bytes(&self) -> usize {
        self.0.shared.bytes.load(Ordering::Relaxed)
    }

    /// Tasks that run in this process.
    pub(crate) fn task_count(&self) -> usize {
        self.0.shared.runtime.metrics().num_alive_tasks()
    }

    /// Whether the service drains.
    pub(crate) fn is_closing(&self) -> bool {
        self.0.shared.is_closing()
    }

    /// Ends every hold with `SHUTDOWN` and every subscription; refuses what comes after.
    pub(crate) fn shut_down(&self) {
        self.0.shared.close();
        let agents: Vec<_> = self.0.agents.read().values().cloned().collect();
        for agent in agents {
            let mut state = agent.state.lock();
            let changes =
                state.session.end_all(Outcome::Shutdown, &crate::session::SYSTEM_ACTOR.into(), self.0.shared.now());
            agent.execute(&mut state, changes);
            agent.wake();
        }
    }

    fn agent(&self, id: &AgentId) -> Option<Arc<Agent>> {
        self.0.agents.read().get(id).cloned()
    }

    /// Acts on an agent under its lock; on a new one, where it was never seen or is just being forgotten.
    fn with_agent<T>(
        &self,
        id: &AgentId,
        act: impl FnOnce(&Arc<Agent>, &mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            let agent = self.agent_or_new(id)?;
            let mut state = agent.state.lock();
            if !state.evicted {
                return act(&agent, &mut state);
            }
        }
    }

    /// Acts on an agent under its lock; nothing where it is not known.
    fn with_known<T>(&self, id: &AgentId, act: impl FnOnce(&Arc<Agent>, &mut State) -> T) -> Option<T> {
        let agent = self.agent(id)?;
        let mut state = agent.state.lock();
        (!state.evicted).then(|| act(&agent, &mut state))
    }

    fn agent_or_new(&self, id: &AgentId) -> Result<Arc<Agent>, Error> {
        if let Some(agent) = self.agent(id) {
            return Ok(agent);
        }
        let mut agents = self.0.agents.write();
        if let Some(agent) = agents.get(id) {
            return Ok(agent.clone());
        }
        if agents.len() >= self.0.shared.limits.max_agents && !evict(&mut agents, &self.0.shared, None) {
            return Err(Error::TooManyAgents(self.0.shared.limits.max_agents));
        }
        let agent = Arc::new(Agent::new(self.0.shared.clone(), new_epoch()));
        agent.touch(self.0.shared.now());
        agents.insert(id.clone(), agent.clone());
        Ok(agent)
    }

    /// Makes room by forgetting the least recently used idle agent but this one. Says whether there was one.
    fn evict_idle(&self, but: &AgentId) -> bool {
        evict(&mut self.0.agents.write(), &self.0.shared, Some(but))
    }
}

/// A step that is recorded, or will be in its turn.
#[must_use]
pub(crate) enum Traced {
    Taken(Taken),
    /// Its agent waits for the evaluation of conditions: it is recorded whether its caller stays or not.
    Waits(JoinHandle<Result<Taken, Error>>),
}

/// A step that is recorded. Where it is held, dropping this says that its caller went away.
#[must_use]
pub(crate) enum Taken {
    Answered(Answer),
    Held(Waiter),
}

/// How a step was taken in.
enum Admitted {
    Taken(Taken),
    /// Not yet: its run retraces another, in which the step is looked for by its digest.
    Retraces(Arc<Plan>, Box<Reported>),
    /// Not yet: its conditions, or those of a step before it, take a while.
    Waits(Turn, Box<Reported>),
}

impl Traced {
    /// What its agent is told: at once, or when the hold ends.
    pub(crate) async fn answer(self) -> Result<Answer, Error> {
        let taken = match self {
            Self::Taken(taken) => taken,
            // A task that is gone went with its runtime.
            Self::Waits(taken) => taken.await.map_err(|_| Error::ShuttingDown)??,
        };
        let answer = match taken {
            Taken::Answered(answer) => answer,
            Taken::Held(waiter) => waiter.wait().await?,
        };
        // A policy stops the step and its agent obeys no decision that says so: then its call fails.
        if answer.refused { Err(Error::Stopped(answer.seq)) } else { Ok(answer) }
    }
}

impl Inner {
    /// Takes a step in, unless its digest is needed first, or its turn has not come.
    fn admit(
        &self,
        agent: &Arc<Agent>,
        state: &mut State,
        reported: Reported,
        patience: Patience,
    ) -> Result<Admitted, Error> {
        if let Some(taken) = self.known(agent, state, &reported, patience)? {
            return Ok(Admitted::Taken(taken));
        }
        if let Some(plan) = self.retracing(state, &reported)? {
            return Ok(Admitted::Retraces(plan, Box::new(reported)));
        }
        if state.waiting.is_none() {
            let now = self.shared.now();
            agent.make_room(state, reported.report.bytes());
            let looks = state.session.looks(&reported.report);
            if looks.as_ref().is_none_or(Looks::is_trivial) {
                let (room, clock) = (self.has_room(), || self.shared.steady());
                let traced = state.session.trace_with(reported, looks, room, now, &clock);
                return Ok(Admitted::Taken(self.take(agent, state, traced, now, patience)));
            }
        }
        match Turn::take(agent, state) {
            Some(turn) => Ok(Admitted::Waits(turn, Box::new(reported))),
            None => Ok(Admitted::Taken(self.record(agent, state, reported, patience, true))),
        }
    }

    /// What is known of a step already, where its request came before. Refuses it where the service drains.
    fn known(
        &self,
        agent: &Arc<Agent>,
        state: &mut State,
        reported: &Reported,
        patience: Patience,
    ) -> Result<Option<Taken>, Error> {
        // Under the lock, so that no hold is made after shutdown has released them all.
        if self.shared.is_closing() {
            return Err(Error::ShuttingDown);
        }
        let Some(request_id) = &reported.report.request_id else { return Ok(None) };
        Ok(state.session.known(request_id, reported.fingerprint)?.map(|known| match known {
            Known::Answered(answer) => Taken::Answered(answer),
            Known::Held(seq) => Taken::Held(Waiter::join(agent, state, seq, patience)),
        }))
    }

    /// The plan in which a step is looked for by its digest, which it does not have yet.
    fn retracing(&self, state: &State, reported: &Reported) -> Result<Option<Arc<Plan>>, Error> {
        let Reported { report, digest, .. } = reported;
        let plan = state.session.retracing(&report.run_id)?;
        Ok(plan.filter(|_| digest.is_none() && report.kind.phase() == Phase::Opens))
    }

    /// Records a step. Where there was no time for its conditions, they are `missed`.
    fn record(
        &self,
        agent: &Arc<Agent>,
        state: &mut State,
        reported: Reported,
        patience: Patience,
        missed: bool,
    ) -> Taken {
        let now = self.shared.now();
        agent.make_room(state, reported.report.bytes());
        let room = self.has_room();
        let traced = if missed {
            state.session.trace_missed(reported, room, now)
        } else {
            state.session.trace(reported, room, now, &|| self.shared.steady())
        };
        self.take(agent, state, traced, now, patience)
    }

    /// Records a step whose conditions were evaluated as of a moment before.
    fn record_judged(
        &self,
        agent: &Arc<Agent>,
        state: &mut State,
        reported: Reported,
        (now, hits): (Moment, Hits),
        patience: Patience,
    ) -> Taken {
        agent.make_room(state, reported.report.bytes());
        let prepared = state.session.prepare(reported, now);
        let traced = state.session.decide(prepared, hits, self.has_room(), now);
        self.take(agent, state, traced, now, patience)
    }

    /// Whether another Trace can be held.
    fn has_room(&self) -> bool {
        self.shared.holds.load(Ordering::Relaxed) < self.shared.limits.max_holds
    }

    fn take(
        &self,
        agent: &Arc<Agent>,
        state: &mut State,
        (recorded, more): (Recorded, Vec<Change>),
        now: Moment,
        patience: Patience,
    ) -> Taken {
        agent.touch(now);
        let (seq, answer, held) = (recorded.event.seq, recorded.answer.clone(), recorded.hold.is_some());
        if recorded.over_limit {
            self.shared.metrics.holds_over_limit.inc();
        }
        self.shared.metrics.traces.inc();
        state.last_event = Some(now.wall);
        agent.execute(state, std::iter::once(Change::Recorded(recorded)).chain(more));
        if held { Taken::Held(Waiter::join(agent, state, seq, patience)) } else { Taken::Answered(answer) }
    }
}

/// Evicts the least recently used agent that can be. Says whether there was one.
fn evict(agents: &mut Agents, shared: &Shared, but: Option<&AgentId>) -> bool {
    loop {
        // An agent whose lock is taken is in use.
        let idle = |agent: &Agent| agent.state.try_lock().is_some_and(|state| state.is_idle());
        let candidates = agents.iter().filter(|(id, agent)| Some(*id) != but && idle(agent));
        let oldest = candidates.min_by_key(|(_, agent)| agent.last_used());
        let Some((id, agent)) = oldest.map(|(id, agent)| (id.clone(), agent.clone())) else { return false };
        let mut state = agent.state.lock();
        // Somebody who had looked it up already may have begun to use it.
        if state.is_idle() {
            state.evicted = true;
            shared.bytes.fetch_sub(state.log.bytes() + state.log.held_bytes(), Ordering::Relaxed);
            agents.remove(&id);
            shared.metrics.agents_evicted.inc();
            return true;
        }
    }
}

/// A random name for one incarnation of a trace: 16 hexadecimal digits.
fn new_epoch() -> Arc<str> {
    let random = getrandom::u64().unwrap_or_else(|_| {
        // Without a source of randomness the clock still tells incarnations apart.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64
    });
    format!("{random:016x}").into()
}
