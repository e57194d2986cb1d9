//! What a client knows of an agent: the frames that came, folded.

use std::collections::VecDeque;

use prost::Message;

use crate::proto::{self, events_response::Frame};

/// Events kept for `list`, `print` and `tree`, and their bytes: what the service keeps by default.
const MAX_EVENTS: usize = 10_000;
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Endings kept, so that an answer can be matched with what the stream says of it; more than can be held at a time.
const MAX_ENDED: usize = 4_096;

/// The folded frames. One run's, where one is named.
#[derive(Default)]
pub(super) struct View {
    run: Option<String>,
    keeps_events: bool,
    events: VecDeque<proto::Event>,
    bytes: usize,
    pub(super) held: Vec<proto::Held>,
    ended: VecDeque<u64>,
    pub(super) position: proto::Position,
    pub(super) state: Option<proto::State>,
    /// Ends of runs that nobody has waited for yet. Without a named run only those that were seen live.
    pub(super) run_ends: u64,
    /// The newest epoch that began while this client looked.
    pub(super) cleared: Option<String>,
}

impl View {
    /// A view that keeps the events.
    pub(super) fn keeping(run: Option<String>) -> Self {
        Self { keeps_events: true, ..Self::passing(run) }
    }

    /// A view that only knows what is held.
    pub(super) fn passing(run: Option<String>) -> Self {
        Self { run, ..Self::default() }
    }

    /// Whether everything recorded before the subscription has come.
    pub(super) fn is_live(&self) -> bool {
        self.state.is_some()
    }

    /// Takes a frame in and tells the holds that are new.
    pub(super) fn take(&mut self, frame: &Frame) -> Vec<proto::Held> {
        match frame {
            Frame::Event(event) => self.record(event),
            Frame::Position(position) => self.position = *position,
            Frame::Decision(made) => {
                self.held.retain(|held| held.seq != made.seq);
                self.ended.push_back(made.seq);
                if self.ended.len() > MAX_ENDED {
                    self.ended.pop_front();
                }
            }
            Frame::Cleared(cleared) => {
                self.events.clear();
                self.bytes = 0;
                self.held.clear();
                self.cleared = Some(cleared.epoch.clone());
            }
            Frame::State(state) => {
                let ours = state.held.iter().filter(|held| self.run.as_ref().is_none_or(|run| held.run_id == *run));
                let held: Vec<_> = ours.cloned().collect();
                let known = std::mem::replace(&mut self.held, held);
                self.state = Some(state.clone());
                let is_new = |held: &&proto::Held| known.iter().all(|known| known.seq != held.seq);
                return self.held.iter().filter(is_new).cloned().collect();
            }
            Frame::Gap(_) | Frame::Forked(_) => {}
        }
        Vec::new()
    }

    fn record(&mut self, event: &proto::Event) {
        if event.run_end && (self.is_live() || self.run.is_some()) {
            self.run_ends += 1;
        }
        if !self.keeps_events {
            return;
        }
        self.bytes += event.encoded_len();
        self.events.push_back(event.clone());
        while self.events.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.encoded_len();
        }
    }

    pub(super) fn has_ended(&self, seq: u64) -> bool {
        self.ended.contains(&seq)
    }

    /// The events kept, oldest first.
    pub(super) fn events(&self) -> impl DoubleEndedIterator<Item = &proto::Event> + ExactSizeIterator {
        self.events.iter()
    }

    /// The event with this number, or the oldest that is held, or the newest.
    pub(super) fn event(&self, seq: Option<u64>) -> Option<&proto::Event> {
        match seq.or(self.held.first().map(|held| held.seq)) {
            Some(seq) => {
                let at = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
                self.events.get(at)
            }
            None => self.events.back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(seq: u64, run: &str) -> proto::Held {
        proto::Held { seq, run_id: run.into(), ..Default::default() }
    }

    fn state(held: Vec<proto::Held>) -> Frame {
        Frame::State(proto::State { held, ..Default::default() })
    }

    fn event(seq: u64, run_end: bool) -> Frame {
        Frame::Event(proto::Event { seq, run_end, ..Default::default() })
    }

    fn seqs(held: &[proto::Held]) -> Vec<u64> {
        held.iter().map(|held| held.seq).collect()
    }

    #[test]
    fn each_hold_is_told_once_and_only_of_the_named_run() {
        let mut view = View::passing(Some("a".into()));
        assert_eq!(seqs(&view.take(&state(vec![held(1, "a"), held(2, "b")]))), [1]);
        assert_eq!(seqs(&view.take(&state(vec![held(1, "a"), held(3, "a")]))), [3]);
        view.take(&Frame::Decision(proto::DecisionMade { seq: 1, ..Default::default() }));
        assert!(view.has_ended(1) && !view.has_ended(3));
        assert_eq!(seqs(&view.held), [3]);
    }

    #[test]
    fn ends_of_old_runs_count_only_for_a_run_that_is_named() {
        let ends = |run: Option<&str>| {
            let mut view = View::keeping(run.map(str::to_owned));
            view.take(&event(1, true));
            view.take(&state(Vec::new()));
            let before = view.run_ends;
            view.take(&event(2, true));
            (before, view.run_ends)
        };
        assert_eq!(ends(None), (0, 1));
        assert_eq!(ends(Some("")), (1, 2));
    }

    #[test]
    fn events_are_found_by_number_and_forgotten_with_a_clear() {
        let mut view = View::keeping(None);
        for seq in [3, 5, 8] {
            view.take(&event(seq, false));
        }
        let found = |view: &View, seq| view.event(seq).map(|event| event.seq);
        assert_eq!((found(&view, Some(5)), found(&view, Some(4)), found(&view, None)), (Some(5), None, Some(8)));
        view.take(&state(vec![held(3, "")]));
        assert_eq!(found(&view, None), Some(3));
        view.take(&Frame::Cleared(proto::Cleared { epoch: "e".into() }));
        assert_eq!((view.events().len(), found(&view, None), view.cleared.as_deref()), (0, None, Some("e")));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut view = View::keeping(None);
        for seq in 1..=MAX_EVENTS as u64 + 5 {
            view.take(&event(seq, false));
        }
        assert_eq!((view.events().len(), view.event(Some(5)).is_none()), (MAX_EVENTS, true));
    }
}
