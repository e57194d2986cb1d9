//! A subscriber: a cursor on an agent's log, and a wake-up. What it reads is what it has not seen yet.
//!
//! A slow subscriber costs nobody anything: it holds at most one batch, and what is trimmed before it comes to it is
//! a [`Frame::Gap`]. The log comes first; position and state are snapshots that are sent once the cursor is at the
//! end, and only where they differ from what was sent before.

pub(crate) mod encoded;
pub(crate) mod spans;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

use self::spans::{FULL_BATCH_BYTES, MAX_BATCH, SharedSpan, Span};
use crate::{
    agent::{Agent, State, snapshot::Snapshot, subscription::encoded::Encoded},
    error::Error,
    event::{RunId, Seq},
    masking::Visibility,
    session::{Position, Role},
    store::{Entry, Offset, token::ResumeToken},
};

/// How to subscribe.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) role: Role,
    /// Only the records of this run.
    pub(crate) run: Option<RunId>,
    pub(crate) visibility: Visibility,
    /// The last place seen.
    pub(crate) resume: Option<ResumeToken>,
    pub(crate) pause_on_attach: bool,
}

/// What a subscriber is told.
#[derive(Debug)]
pub(crate) enum Frame {
    /// What the log holds, in order.
    Span(SharedSpan),
    Position(Position, ResumeToken),
    State(Arc<Encoded<Snapshot>>, ResumeToken),
    Cleared(ResumeToken),
    Gap {
        from: Seq,
        to: Seq,
        at: ResumeToken,
    },
}

/// A subscription. Dropping it leaves the agent.
pub(crate) struct Subscription {
    agent: Arc<Agent>,
    id: u64,
    role: Role,
    run: Option<RunId>,
    visibility: Visibility,
    wake: watch::Receiver<()>,
    epoch: Arc<str>,
    /// The next offset to read; shared with the metrics.
    cursor: Arc<AtomicU64>,
    /// The last event passed, where it is known.
    seen: Option<Seq>,
    /// It has not come to the oldest retained entry yet, and was promised nothing before that.
    fresh: bool,
    /// Whether the stream begins, or begins again, with the position.
    begins: bool,
    /// A resume that is not possible begins with a clear.
    clears: bool,
    /// What was sent last: the position, and how many events were trimmed by then.
    told: (Position, u64),
    /// A reader that resumes does not know what was trimmed of what it has: it is told the position once more, when
    /// it has caught up.
    resumes: bool,
    revision: Option<u64>,
}

impl Subscription {
    /// Joins the agent, under its lock.
    pub(crate) fn open(agent: &Arc<Agent>, state: &mut State, how: Subscribe) -> Result<Self, Error> {
        let limit = agent.shared.limits.max_subscribers_per_agent;
        if state.subscribers.len() >= limit {
            return Err(Error::TooManySubscribers(limit));
        }
        let epoch = state.session.epoch().clone();
        let known = |token: &ResumeToken| token.epoch == epoch && token.offset < state.log.end();
        let resumes = how.resume.as_ref().filter(|token| known(token));
        let cursor = resumes.map_or_else(|| oldest(state), |token| Offset(token.offset.0 + 1));
        let cursor = Arc::new(AtomicU64::new(cursor.0));
        let id = agent.shared.next_id();
        state.subscribers.insert(id, cursor.clone());
        let (resumes, clears) = (resumes.is_some(), how.resume.is_some() && resumes.is_none());
        let wake = agent.watch();
        let changes = state.session.join(how.role, how.pause_on_attach);
        agent.execute(state, changes);
        Ok(Self {
            agent: agent.clone(),
            id,
            role: how.role,
            run: how.run,
            visibility: how.visibility,
            wake,
            epoch,
            cursor,
            seen: None,
            fresh: !resumes,
            begins: true,
            clears,
            told: Default::default(),
            resumes,
            revision: None,
        })
    }

    /// What its reader sees of what it is told.
    pub(crate) fn visibility(&self) -> Visibility {
        self.visibility
    }

    /// Waits for something to tell and adds it to `frames`. Says `false` when the stream is over.
    pub(crate) async fn next(&mut self, frames: &mut Vec<Frame>) -> bool {
        loop {
            // Marked as seen before looking, so that whatever comes after the look wakes us again.
            self.wake.mark_unchanged();
            let behind = self.read(frames);
            if !frames.is_empty() {
                return true;
            }
            if self.agent.shared.is_closing() {
                return false;
            }
            if !behind && self.wake.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Reads one batch. Says whether there is more in the log.
    fn read(&mut self, frames: &mut Vec<Frame>) -> bool {
        let agent = self.agent.clone();
        let mut state = agent.state.lock();
        if *state.session.epoch() != self.epoch {
            self.epoch = state.session.epoch().clone();
            self.cursor.store(oldest(&state).0, Ordering::Relaxed);
            self.seen = None;
            self.fresh = true;
            self.begins = true;
            self.clears = true;
        }
        if self.begins {
            self.begins = false;
            if std::mem::take(&mut self.clears) {
                frames.push(Frame::Cleared(self.token()));
            }
            self.told = (state.session.position(), state.session.dropped());
            frames.push(Frame::Position(self.told.0, self.token()));
        }
        self.read_log(&mut state, frames);
        if self.cursor.load(Ordering::Relaxed) < state.log.end().0 {
            return true;
        }
        let position = (state.session.position(), state.session.dropped());
        // Events tell the total by themselves; a move, or trimming, does not.
        let moved = (position.0.position, position.1) != (self.told.0.position, self.told.1);
        if moved || std::mem::take(&mut self.resumes) {
            self.told = position;
            frames.push(Frame::Position(position.0, self.token()));
        }
        let revision = state.session.revision();
        if self.revision != Some(revision) {
            self.revision = Some(revision);
            frames.push(Frame::State(state.snapshot(agent.shared.now()), self.token()));
        }
        false
    }

    fn read_log(&mut self, state: &mut State, frames: &mut Vec<Frame>) {
        let before = Offset(self.cursor.load(Ordering::Relaxed));
        if before < state.log.start() && !self.read_kept(state, before, frames) {
            return;
        }
        self.fresh = false;
        let cursor = Offset(self.cursor.load(Ordering::Relaxed));
        let (mut cursor, mut records, mut bytes) = (cursor, 0, 0);
        while cursor < state.log.end() && records < MAX_BATCH && bytes < FULL_BATCH_BYTES {
            let span = self.span(state, cursor);
            cursor = span.value.next;
            self.seen = span.value.seen.or(self.seen);
            bytes += span.value.bytes;
            records += span.value.records.len().max(1);
            if !span.value.records.is_empty() {
                frames.push(Frame::Span(span));
            }
        }
        self.cursor.store(cursor.0, Ordering::Relaxed);
    }

    /// Reads what is kept of held steps before the oldest retained entry, and tells what is gone before and between
    /// them. Says whether it came to the oldest retained entry.
    fn read_kept(&mut self, state: &State, cursor: Offset, frames: &mut Vec<Frame>) -> bool {
        let (first, start) = (state.session.first(), state.log.start());
        // How many events lay before a place in the log that is gone is not known: at most all entries between it and
        // the oldest were events.
        let guess = first.saturating_sub(start.0 - cursor.0).max(state.session.epoch_first());
        let mut from = self.seen.map_or(guess, |seen| seen.0 + 1);
        let kept = state.log.kept(cursor).map(|kept| Span::read(&*state.log, kept));
        for record in kept.into_iter().flat_map(|span| span.records).filter(|record| record.offset < start) {
            let Entry::Event(event) = &record.entry else { continue };
            self.tell_gap(from, event.seq.0, frames);
            from = from.max(event.seq.0 + 1);
            self.seen = Some(event.seq);
            self.cursor.store(record.offset.0 + 1, Ordering::Relaxed);
            if self.run.as_ref().is_none_or(|run| *run == event.run_id) {
                frames.push(Frame::Span(SharedSpan::new(Encoded::new(Span::of(record)))));
            }
        }
        if state.log.kept(Offset(self.cursor.load(Ordering::Relaxed))).is_some() {
            return false;
        }
        self.cursor.store(start.0, Ordering::Relaxed);
        self.tell_gap(from, first, frames);
        true
    }

    /// Tells a reader that is not fresh of the events from `from` to before `to`.
    fn tell_gap(&self, from: u64, to: u64, frames: &mut Vec<Frame>) {
        if from < to && !self.fresh {
            self.agent.shared.metrics.gaps.inc();
            frames.push(Frame::Gap { from: Seq(from), to: Seq(to - 1), at: self.token() });
        }
    }

    /// The records from here on: shared with all other readers, but by those who only want one run.
    fn span(&self, state: &mut State, from: Offset) -> SharedSpan {
        let Some(run) = &self.run else {
            let spans = state.spans.get_or_insert_default();
            return spans.at(&*state.log, from, &self.agent.shared.span_bytes);
        };
        let mut span = Span::read(&*state.log, from);
        span.records.retain(|record| record.entry.run_id() == run);
        SharedSpan::new(Encoded::new(span))
    }

    /// Where the stream stands now.
    fn token(&self) -> ResumeToken {
        let next = self.cursor.load(Ordering::Relaxed);
        ResumeToken { epoch: self.epoch.clone(), offset: Offset(next.saturating_sub(1)) }
    }
}

/// Where a reader begins that has seen nothing.
fn oldest(state: &State) -> Offset {
    state.log.kept(Offset(0)).unwrap_or_else(|| state.log.start())
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.agent.leave(self.id, self.role);
    }
}
