//! Stepping over and out: which events lie in a node's subtree, and where a step target is reached.

use std::collections::{HashMap, VecDeque};

use crate::event::{Event, Phase, SmallStr};

/// Nodes with a reported parent that are kept per run. Beyond it the oldest are forgotten: they then count as roots.
const MAX_NODES: usize = 4_096;
/// How far up a lineage is followed; reports may go in circles.
const MAX_DEPTH: u32 = 256;

/// The parents that nodes of one run reported.
#[derive(Debug, Default)]
pub(super) struct Parents {
    parents: HashMap<SmallStr, SmallStr>,
    order: VecDeque<SmallStr>,
}

impl Parents {
    pub(super) fn see(&mut self, event: &Event) {
        let (Some(node), Some(parent)) = (&event.node_id, &event.parent_id) else { return };
        if self.parents.insert(node.clone(), parent.clone()).is_none() {
            self.order.push_back(node.clone());
        }
        if self.order.len() > MAX_NODES
            && let Some(oldest) = self.order.pop_front()
        {
            self.parents.remove(&oldest);
        }
    }

    /// Forgets all but the newest `most` nodes.
    pub(super) fn shrink(&mut self, most: usize) {
        for node in self.order.drain(..self.order.len().saturating_sub(most)) {
            self.parents.remove(&node);
        }
        self.order.shrink_to_fit();
        self.parents.shrink_to_fit();
    }

    /// The node above an event's.
    pub(super) fn parent_of(&self, event: &Event) -> Option<SmallStr> {
        event.parent_id.clone().or_else(|| self.parents.get(event.node_id.as_ref()?).cloned())
    }

    /// The node above one that events were reported of.
    pub(super) fn above(&self, node: &SmallStr) -> Option<SmallStr> {
        self.parents.get(node).cloned()
    }

    /// How many nodes lie above, as far as they were reported.
    pub(super) fn depth(&self, node: Option<&SmallStr>, parent: Option<&SmallStr>) -> u32 {
        let mut above = parent.or_else(|| self.parents.get(node?));
        let mut depth = 0;
        while let Some(node) = above.filter(|_| depth < MAX_DEPTH) {
            depth += 1;
            above = self.parents.get(node);
        }
        depth
    }

    /// Whether an event is a node's own, or of one below it.
    fn is_within(&self, event: &Event, node: &SmallStr) -> bool {
        if event.node_id.as_ref() == Some(node) {
            return true;
        }
        let mut above = self.parent_of(event);
        for _ in 0..MAX_DEPTH {
            match above {
                None => return false,
                Some(id) if id == *node => return true,
                Some(id) => above = self.parents.get(&id).cloned(),
            }
        }
        false
    }

    /// Whether a step to the end of `node` has come to its target: the event that closes it or, should it never
    /// close, the next opening outside of it. So no node that forgets to close loses the agent.
    pub(super) fn reaches(&self, event: &Event, node: &SmallStr) -> bool {
        match event.kind.phase() {
            Phase::Closes => event.node_id.as_ref() == Some(node),
            Phase::Opens => !self.is_within(event, node),
            Phase::Neither => false,
        }
    }
}
