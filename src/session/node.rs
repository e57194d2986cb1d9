//! Which nodes of a run are open, so that a closing event without a node can find its own.
//!
//! A node that nothing will close must not stay in the way of the next one: the end of a run closes all of its nodes,
//! and a node whose hold was abandoned, or whose opening came once more, is passed over where another one fits.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher,
};

use foldhash::fast::FixedState;

use crate::event::{Event, EventType, Origin, Phase, SmallStr};

/// Open nodes kept per run. Beyond it the oldest is forgotten: an event that closes it then stays unpaired.
const MAX_OPEN_NODES: usize = 1_024;

#[derive(Debug)]
struct OpenNode {
    /// Of its opening: equal for equal type, name, data and model.
    key: u64,
    id: SmallStr,
    kind: EventType,
    name: Option<SmallStr>,
    parent: Option<SmallStr>,
    /// Its agent was started again since, or is gone: it is passed over where another node fits.
    superseded: bool,
    /// Where its result will come from.
    result: Origin,
}

impl OpenNode {
    /// Whether an opening with this key is this one once more.
    fn is_repeated_by(&self, event: &Event, key: u64) -> bool {
        self.key == key && self.kind == event.kind && self.name == event.name && self.parent == event.parent_id
    }
}

/// What tells the openings of a run apart. As of `repeat_key`, nothing worse comes of two that are taken for one than
/// that a node is passed over.
fn key(event: &Event, repeat_key: u64) -> u64 {
    let model = event.details.as_ref().and_then(|details| details.model.as_deref());
    model.map_or(repeat_key, |model| FixedState::default().hash_one((repeat_key, model)))
}

/// Open nodes from which on their keys are counted: fewer are looked through.
const COUNTED_FROM: usize = 32;

/// How many nodes have each key.
type Keys = HashMap<u64, u32, FixedState>;

/// The nodes of one run that were opened and not closed yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct OpenNodes {
    nodes: VecDeque<OpenNode>,
    /// So that an agent that closes nothing is not slowed down by all that it opened.
    keys: Option<Box<Keys>>,
}

impl OpenNodes {
    /// The open node that a closing event of this kind, name and parent fits; nothing where several do.
    ///
    /// A closing that names a parent belongs to a node below that parent or, since some agents say it so, to the node
    /// that it names; where no open node is either, to one that named no parent. Among superseded nodes the newest
    /// wins, and only where no other node fits.
    pub(super) fn only_match(&self, kind: EventType, name: Option<&str>, parent: Option<&str>) -> Option<SmallStr> {
        let Some(parent) = parent else { return self.only(kind, name, |_| true) };
        let below = |node: &OpenNode| node.parent.as_deref() == Some(parent);
        let named = |node: &OpenNode| *node.id == *parent;
        let of_none = |node: &OpenNode| node.parent.is_none();
        // What is there and cannot be told apart is not looked for elsewhere.
        for fits in [&below as &dyn Fn(&OpenNode) -> bool, &named, &of_none] {
            if self.fitting(kind, name, fits).next().is_some() {
                return self.only(kind, name, fits);
            }
        }
        None
    }

    fn fitting<'a>(
        &'a self,
        kind: EventType,
        name: Option<&'a str>,
        fits: impl Fn(&OpenNode) -> bool + 'a,
    ) -> impl DoubleEndedIterator<Item = &'a OpenNode> {
        let of_kind =
            move |node: &OpenNode| kind.closes(node.kind) && name.is_none_or(|name| node.name.as_deref() == Some(name));
        self.nodes.iter().filter(move |node| of_kind(node) && fits(node))
    }

    fn only<'a>(
        &'a self,
        kind: EventType,
        name: Option<&'a str>,
        fits: impl Fn(&OpenNode) -> bool + 'a,
    ) -> Option<SmallStr> {
        let (mut only, mut superseded) = (None::<&OpenNode>, None::<&OpenNode>);
        for node in self.fitting(kind, name, fits) {
            if node.superseded {
                superseded = Some(node);
            } else if only.is_some_and(|only| only.id != node.id) {
                return None;
            } else {
                only = Some(node);
            }
        }
        only.or(superseded).map(|node| node.id.clone())
    }

    /// Where the result of the node comes from that a closing event closes.
    pub(super) fn result_of(&self, kind: EventType, node: &SmallStr) -> Option<Origin> {
        let fits = |open: &&OpenNode| open.id == *node && kind.closes(open.kind);
        self.nodes.iter().rfind(fits).map(|open| open.result)
    }

    /// A decision said where the result of the newest node with this id comes from.
    pub(super) fn decided(&mut self, node: &SmallStr, result: Origin) {
        if let Some(open) = self.nodes.iter_mut().rfind(|open| open.id == *node) {
            open.result = result;
        }
    }

    /// The caller that opened the newest node with this id went away for good.
    pub(super) fn abandon(&mut self, node: &SmallStr) {
        if let Some(open) = self.nodes.iter_mut().rfind(|open| open.id == *node) {
            open.superseded = true;
        }
    }

    /// The run has ended: nothing of it is open.
    pub(super) fn close_all(&mut self) {
        *self = Self::default();
    }

    /// Forgets all but the newest `most` nodes.
    pub(super) fn shrink(&mut self, most: usize) {
        self.nodes.drain(..self.nodes.len().saturating_sub(most));
        self.nodes.shrink_to_fit();
        self.keys = None;
    }

    /// Takes in what a recorded event opened or closed. `repeat_key` is that of an opening, and `result` is where that
    /// of the opened node will come from.
    pub(super) fn see(&mut self, event: &Event, repeat_key: u64, result: Origin) {
        let Some(id) = &event.node_id else { return };
        match event.kind.phase() {
            Phase::Opens => {
                let key = key(event, repeat_key);
                let is_known = self.keys.as_ref().is_none_or(|keys| keys.contains_key(&key));
                // What is older and equal was superseded by this one before.
                let mut newest_first = self.nodes.iter_mut().rev();
                if is_known && let Some(before) = newest_first.find(|node| node.is_repeated_by(event, key)) {
                    before.superseded = true;
                }
                if self.nodes.len() == MAX_OPEN_NODES {
                    let oldest = self.nodes.pop_front();
                    self.uncount(oldest);
                }
                self.count(key);
                self.nodes.push_back(OpenNode {
                    key,
                    id: id.clone(),
                    kind: event.kind,
                    name: event.name.clone(),
                    parent: event.parent_id.clone(),
                    superseded: false,
                    result,
                });
            }
            // The newest first: concurrent steps close in any order, nested ones from the inside.
            Phase::Closes => {
                let closed = self.nodes.iter().rposition(|node| node.id == *id && event.kind.closes(node.kind));
                let closed = closed.and_then(|index| self.nodes.remove(index));
                self.uncount(closed);
            }
            Phase::Neither => {}
        }
    }

    fn count(&mut self, key: u64) {
        if let Some(keys) = &mut self.keys {
            *keys.entry(key).or_default() += 1;
        } else if self.nodes.len() >= COUNTED_FROM {
            let mut keys = Keys::default();
            for key in self.nodes.iter().map(|node| node.key).chain([key]) {
                *keys.entry(key).or_default() += 1;
            }
            self.keys = Some(Box::new(keys));
        }
    }

    fn uncount(&mut self, gone: Option<OpenNode>) {
        let (Some(keys), Some(node)) = (&mut self.keys, gone) else { return };
        if let Some(count) = keys.get_mut(&node.key) {
            *count -= 1;
            if *count == 0 {
                keys.remove(&node.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::payload::Payload,
        session::fixtures::{Driver, report},
    };

    #[test]
    fn a_repeated_opening_is_found_however_many_are_open() {
        for others in [1, COUNTED_FROM - 1, COUNTED_FROM, MAX_OPEN_NODES - 2] {
            let mut driver = Driver::new();
            let prompt = |number: usize| {
                let json = format!("{{\"n\":{number}}}").into();
                let parent_id = (number == 0).then(|| "p".into());
                let data = Payload { json, ..report(EventType::Prompt, "").data };
                crate::event::Report { data, parent_id, ..report(EventType::Prompt, "") }
            };
            driver.trace(prompt(0));
            for number in 1..=others {
                driver.trace(prompt(number));
            }
            let again = driver.trace(prompt(0));
            let response = crate::event::Report { parent_id: Some("p".into()), ..report(EventType::Response, "") };
            for expected in [again.0, 1] {
                driver.trace(response.clone());
                let node = driver.events.last().and_then(|event| event.node_id.as_deref());
                assert_eq!(node, Some(&*format!("n{expected}")), "among {others}");
            }
        }
    }

    #[test]
    fn keys_are_those_of_the_nodes() {
        let mut driver = Driver::new();
        for number in 0..3 * MAX_OPEN_NODES {
            let json = format!("{{\"n\":{}}}", number % 1_500).into();
            let data = Payload { json, ..report(EventType::Prompt, "").data };
            let node_id = Some(format!("x{number}").into());
            driver.trace(crate::event::Report { data, node_id, ..report(EventType::Prompt, "") });
            if number % 3 == 0 {
                let node_id = Some(format!("x{}", number / 2).into());
                driver.trace(crate::event::Report { node_id, ..report(EventType::Response, "") });
            }
        }
        let open = &driver.session.runs.values().next().expect("one").open;
        let mut counted = Keys::default();
        open.nodes.iter().for_each(|node| *counted.entry(node.key).or_default() += 1);
        assert_eq!(open.keys.as_deref(), Some(&counted));
    }
}
