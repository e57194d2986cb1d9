//! Applying: the one place where a session changes. Nothing here can fail.

use super::{Change, Fork, MAX_FORGOTTEN_FORKS, MAX_RUN_MODES, Mode, Quiet, Recorded, Remembered, Role, Run, Session};
use crate::event::{Answer, Decision, Event, HoldEnded, Origin, Outcome, Phase, RunId, Seq};

/// Where the result of a step comes from that somebody decided on.
fn origin_of_result(decision: &Decision) -> Origin {
    match decision {
        Decision::Fulfil { .. } | Decision::Fail { .. } => Origin::Edited,
        Decision::Proceed | Decision::Edit { .. } | Decision::Abort { .. } => Origin::Live,
    }
}

impl Session {
    /// Makes a change so. Cannot fail.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Recorded(recorded) => self.apply_recorded(recorded),
            Change::HoldEnded { ended, answer } => self.apply_ended(ended, answer),
            // What it tells is in its event already.
            Change::Decided(_) => {}
            Change::Forked(forked) => {
                self.revision += 1;
                let (last, number) = (Seq(self.next.saturating_sub(1)), self.forked);
                let run = self.run_mut(&forked.run_id);
                run.ancestry = Some(forked.ancestry.clone());
                run.last = last;
                run.fork = Some(Box::new(Fork::new(forked.plan.clone(), (last, number))));
                self.forks += 1;
                self.forked += 1;
            }
            Change::ForkGone(id) => {
                self.end_fork(id);
                if let Some(run) = self.runs.get_mut(id) {
                    run.forgotten = true;
                }
                let lose = |run: &mut Run| run.forgotten = false;
                self.bound(MAX_FORGOTTEN_FORKS, |run| run.forgotten, |other, _| other != id, lose);
                self.count_decided();
            }
            Change::Imported { run, file } => {
                self.revision += 1;
                let run = self.run_mut(run);
                // Of a run of this id whose events are gone nothing counts but what was decided about it.
                *run = Run {
                    mode: run.mode.take(),
                    mode_asked: run.mode_asked,
                    aborted: run.aborted.take(),
                    forgotten: run.forgotten,
                    ancestry: file.ancestry.clone(),
                    imported: Some(file.clone()),
                    ..Run::default()
                };
            }
            Change::Trimmed(event) => self.apply_trimmed(event),
            Change::KeptGone(event) => {
                if let Some(run) = self.runs.get_mut(&event.run_id) {
                    run.kept = run.kept.saturating_sub(1);
                }
                self.settle(&event.run_id);
                if let Some(request_id) = &event.request_id {
                    self.requests.remove(request_id);
                }
            }
            Change::Deserted { run, node } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.open.abandon(node);
                }
            }
            Change::Moved(position) => self.position = *position,
            Change::Mode { run, mode, asked } => {
                self.revision += 1;
                self.asked |= *asked && self.debuggers == 0;
                self.apply_mode(run.as_ref(), mode.clone(), *asked);
            }
            Change::Aborted { run, reason } => {
                self.run_mut(run).aborted = Some(reason.clone());
                self.count_decided();
            }
            Change::Lifted { run: Some(run) } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.aborted = None;
                }
                self.settle(run);
                self.count_decided();
            }
            Change::Lifted { run: None } => {
                self.runs.values_mut().for_each(|run| run.aborted = None);
                self.settle_all();
                self.count_decided();
            }
            Change::Joined(role) => {
                self.revision += 1;
                if *role == Role::Debugger {
                    self.attached = true;
                    self.asked = false;
                }
                *self.seats(*role) += 1;
            }
            Change::Left(role) => {
                self.revision += 1;
                let seats = self.seats(*role);
                *seats = seats.saturating_sub(1);
            }
            Change::Detached => {
                self.revision += 1;
                self.attached = false;
                if !self.asked {
                    self.apply_mode(None, Mode::Running, false);
                }
            }
            Change::Cleared { epoch } => {
                self.epoch = epoch.clone();
                self.epoch_first = self.next;
                self.first = self.next;
                self.position = 0;
                self.requests.clear();
                self.forks = 0;
                self.quiet = Quiet::new();
                // Modes stay; everything else a run had was of the trace that is gone.
                self.runs.retain(|_, run| run.mode.is_some());
                for run in self.runs.values_mut() {
                    *run = Run { mode: run.mode.take(), mode_asked: run.mode_asked, ..Run::default() };
                }
                self.count_decided();
                for breakpoint in self.breakpoints.values_mut() {
                    breakpoint.hits = 0;
                }
                self.touch_breakpoints();
            }
            Change::Breakpoint(breakpoint) => {
                self.next_breakpoint = self.next_breakpoint.max(breakpoint.id + 1);
                self.breakpoints.insert(breakpoint.id, breakpoint.clone());
                self.touch_breakpoints();
            }
            Change::BreakpointGone(id) => {
                self.breakpoints.remove(id);
                self.touch_breakpoints();
            }
        }
    }

    fn touch_breakpoints(&mut self) {
        self.breakpoint_revision += 1;
        self.revision += 1;
    }

    fn seats(&mut self, role: Role) -> &mut u32 {
        match role {
            Role::Debugger => &mut self.debuggers,
            Role::Observer => &mut self.observers,
        }
    }

    fn apply_mode(&mut self, run: Option<&RunId>, mode: Mode, asked: bool) {
        match run {
            Some(id) => {
                let run = self.run_mut(id);
                run.mode_asked = asked || (run.mode_asked && run.mode.is_some());
                run.mode = Some(mode);
                // Only where a breakpoint stopped a run, and no step of it is held any more.
                let may_lose = |_: &RunId, run: &Run| !run.mode_asked && run.held == 0;
                self.bound(MAX_RUN_MODES, |run| run.mode.is_some(), may_lose, |run| run.mode = None);
            }
            None => {
                self.mode = mode;
                self.runs.values_mut().for_each(|run| run.mode = None);
                self.settle_all();
            }
        }
        self.count_decided();
    }

    /// Counts what was decided about runs. A verb, or a stop, costs as much.
    fn count_decided(&mut self) {
        (self.stepping, self.asked_modes, self.stopped, self.aborted, self.forgotten) = (0, 0, 0, 0, 0);
        for run in self.runs.values() {
            self.stepping += usize::from(matches!(run.mode, Some(Mode::Stepping(_))));
            self.stopped += usize::from(matches!(run.mode, Some(Mode::Stepping(_) | Mode::Paused(_))));
            self.asked_modes += usize::from(run.mode_asked && run.mode.is_some());
            self.aborted += usize::from(run.aborted.is_some());
            self.forgotten += usize::from(run.forgotten);
        }
    }

    /// Bounds what runs keep: where more than `most` keep something, the one that was silent the longest, of those
    /// that may lose it, does.
    fn bound(
        &mut self,
        most: usize,
        keeps: impl Fn(&Run) -> bool,
        may_lose: impl Fn(&RunId, &Run) -> bool,
        lose: impl FnOnce(&mut Run),
    ) {
        if self.runs.values().filter(|run| keeps(run)).count() <= most {
            return;
        }
        let spare = self.runs.iter().filter(|(id, run)| keeps(run) && may_lose(id, run));
        // By their ids where they are equally old: the same changes make the same state.
        let Some(oldest) = spare.min_by_key(|(id, run)| (run.last, *id)).map(|(id, _)| id.clone()) else { return };
        if let Some(run) = self.runs.get_mut(&oldest) {
            lose(run);
        }
        self.settle(&oldest);
    }

    /// A run that has ended needs no mode of its own.
    fn end_mode(&mut self, run_id: &RunId) {
        if self.runs.get_mut(run_id).and_then(|run| run.mode.take()).is_some() {
            self.count_decided();
            self.revision += 1;
        }
    }

    /// A run that has ended is no fork any more, whatever it retraced.
    fn end_fork(&mut self, run_id: &RunId) {
        if self.runs.get_mut(run_id).and_then(|run| run.fork.take()).is_some() {
            self.forks -= 1;
        }
    }

    fn apply_recorded(&mut self, recorded: &Recorded) {
        let Recorded { event, at, hold, fingerprint, answer, repeat_key, result, found, .. } = recorded;
        self.next = event.seq.0 + 1;
        let run = match self.runs.get_mut(&event.run_id) {
            Some(run) => run,
            None => self.runs.entry(event.run_id.clone()).or_default(),
        };
        if run.quiet {
            run.quiet = false;
            self.quiet.remove(&(run.last, event.run_id.clone()));
        }
        run.retained += 1;
        run.last = event.seq;
        run.finished = event.run_end || (run.finished && event.by_breakpoint);
        run.open.see(event, *repeat_key, *result);
        // Before the lineage, as the plan was made.
        if let Some(fork) = run.fork.as_mut().filter(|_| !event.by_breakpoint) {
            fork.see(event, *found);
        }
        if event.run_end {
            run.open.close_all();
        }
        run.parents.see(event);
        run.events = event.context.run_events;
        run.tokens = event.context.run_tokens;
        run.began.get_or_insert(*at);
        if event.context.repeats > 0 {
            run.repeats = (*repeat_key, event.context.repeats);
        }
        if let Some(request_id) = &event.request_id {
            let answer = hold.is_none().then(|| answer.clone());
            let known = Remembered { fingerprint: *fingerprint, seq: event.seq, answer };
            self.requests.insert(request_id.clone(), known);
        }
        if let Some(hold) = hold {
            run.held += 1;
            run.held_since.get_or_insert(hold.since.steady);
            self.revision += 1;
            self.holds.insert(event.seq, hold.clone());
        } else if event.run_end {
            self.end_mode(&event.run_id);
        }
        if event.run_end {
            self.end_fork(&event.run_id);
        }
    }

    fn apply_ended(&mut self, ended: &HoldEnded, answer: &Answer) {
        let Some(hold) = self.holds.remove(&ended.seq) else { return };
        self.revision += 1;
        if let Some(run) = self.runs.get_mut(&ended.run_id) {
            run.held = run.held.saturating_sub(1);
            if run.held == 0
                && let Some(since) = run.held_since.take()
            {
                run.held_for += (hold.since.steady + ended.held_for).saturating_sub(since);
            }
            if ended.outcome == Outcome::Abandoned
                && let (Phase::Opens, Some(node)) = (hold.event.kind.phase(), &hold.event.node_id)
            {
                run.open.abandon(node);
            }
            // Another decision than the one that was to be expected makes another result.
            if ended.decision != hold.default
                && let (Phase::Opens, Some(node)) = (hold.event.kind.phase(), &hold.event.node_id)
            {
                let result = origin_of_result(&ended.decision);
                run.open.decided(node, result);
                if let Some(fork) = run.fork.as_mut().filter(|_| result == Origin::Live) {
                    fork.runs_live(node);
                }
            }
            if run.held == 0 && run.finished {
                self.end_mode(&ended.run_id);
            }
        }
        self.settle(&ended.run_id);
        // The answer is kept for as long as its event is readable.
        let request_id = hold.event.request_id.as_ref();
        if let Some(known) = request_id.and_then(|request_id| self.requests.get_mut(request_id)) {
            known.answer = Some(answer.clone());
        }
    }

    fn apply_trimmed(&mut self, event: &Event) {
        self.first = event.seq.0 + 1;
        self.position = self.position.saturating_sub(1);
        let is_held = self.holds.contains_key(&event.seq);
        if let Some(run) = self.runs.get_mut(&event.run_id) {
            run.retained = run.retained.saturating_sub(1);
            run.kept += u32::from(is_held);
        }
        self.settle(&event.run_id);
        if let Some(request_id) = event.request_id.as_ref().filter(|_| !is_held) {
            self.requests.remove(request_id);
        }
    }
}
