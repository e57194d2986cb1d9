//! Applying: the one place where a session changes. Nothing here can fail.

use super::{Change, Mode, Part, Recorded, Remembered, Run, Session};
use crate::event::{Answer, Ended, Event, RunId};

impl Session {
    /// Makes a change so. Cannot fail.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Recorded(recorded) => self.apply_recorded(recorded),
            Change::Ended { ended, answer } => self.apply_ended(ended, answer),
            Change::Trimmed(event) => self.apply_trimmed(event),
            Change::Moved(position) => self.position = *position,
            Change::Mode { run, mode } => {
                self.revision += 1;
                self.apply_mode(run.as_ref(), *mode);
            }
            Change::Aborted { run, reason } => {
                self.runs.entry(run.clone()).or_default().aborted = Some(reason.clone());
            }
            Change::Joined(part) => {
                self.revision += 1;
                self.attached |= *part == Part::Debugger;
                *self.seats(*part) += 1;
            }
            Change::Left(part) => {
                self.revision += 1;
                let seats = self.seats(*part);
                *seats = seats.saturating_sub(1);
            }
            Change::Detached => {
                self.revision += 1;
                self.attached = false;
                self.apply_mode(None, Mode::Running);
            }
            Change::Cleared { epoch } => {
                self.epoch = epoch.clone();
                self.epoch_first = self.next;
                self.first = self.next;
                self.position = 0;
                self.requests.clear();
                // Modes stay; everything else a run had was of the trace that is gone.
                self.runs.retain(|_, run| run.mode.is_some());
                for run in self.runs.values_mut() {
                    *run = Run { mode: run.mode, ..Run::default() };
                }
            }
        }
    }

    fn seats(&mut self, part: Part) -> &mut u32 {
        match part {
            Part::Debugger => &mut self.debuggers,
            Part::Observer => &mut self.observers,
        }
    }

    fn apply_mode(&mut self, run: Option<&RunId>, mode: Mode) {
        match run {
            Some(id) => {
                let run = self.runs.entry(id.clone()).or_default();
                run.mode = Some(mode);
                run.aborted = None;
            }
            None => {
                self.mode = mode;
                for run in self.runs.values_mut() {
                    run.mode = None;
                    run.aborted = None;
                }
                self.runs.retain(|_, run| !run.is_blank());
            }
        }
    }

    fn apply_recorded(&mut self, Recorded { event, hold, fingerprint, answer }: &Recorded) {
        self.next = event.seq.0 + 1;
        let run = match self.runs.get_mut(&event.run_id) {
            Some(run) => run,
            None => self.runs.entry(event.run_id.clone()).or_default(),
        };
        run.retained += 1;
        run.last = event.seq;
        run.finished = event.run_end;
        run.open.see(event);
        if let Some(request_id) = &event.request_id {
            let answer = hold.is_none().then(|| answer.clone());
            let known = Remembered { fingerprint: *fingerprint, seq: event.seq, answer };
            self.requests.insert(request_id.clone(), known);
        }
        if let Some(hold) = hold {
            run.held += 1;
            self.revision += 1;
            self.holds.insert(event.seq, hold.clone());
        }
    }

    fn apply_ended(&mut self, ended: &Ended, answer: &Answer) {
        let Some(hold) = self.holds.remove(&ended.seq) else { return };
        self.revision += 1;
        if let Some(run) = self.runs.get_mut(&ended.run_id) {
            run.held = run.held.saturating_sub(1);
        }
        self.forget_blank(&ended.run_id);
        let Some(request_id) = &hold.event.request_id else { return };
        // The answer is kept for as long as its event is.
        if ended.seq.0 < self.first {
            self.requests.remove(request_id);
        } else if let Some(known) = self.requests.get_mut(request_id) {
            known.answer = Some(answer.clone());
        }
    }

    fn apply_trimmed(&mut self, event: &Event) {
        self.first = event.seq.0 + 1;
        self.position = self.position.saturating_sub(1);
        if let Some(run) = self.runs.get_mut(&event.run_id) {
            run.retained = run.retained.saturating_sub(1);
        }
        self.forget_blank(&event.run_id);
        if let Some(request_id) = &event.request_id
            && !self.holds.contains_key(&event.seq)
        {
            self.requests.remove(request_id);
        }
    }

    fn forget_blank(&mut self, run_id: &RunId) {
        if self.runs.get(run_id).is_some_and(Run::is_blank) {
            self.runs.remove(run_id);
        }
    }
}
