//! Which nodes of a run are open, so that a closing event without a node can find its own.

use std::collections::VecDeque;

use crate::event::{Event, EventType, Origin, Phase, SmallStr};

/// Open nodes kept per run. Beyond it the oldest is forgotten: an event that closes it then stays unpaired.
const MAX_OPEN_NODES: usize = 1_024;

#[derive(Debug)]
struct OpenNode {
    id: SmallStr,
    kind: EventType,
    name: Option<SmallStr>,
    /// Where its result will come from.
    result: Origin,
}

/// The nodes of one run that were opened and not closed yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct OpenNodes(VecDeque<OpenNode>);

impl OpenNodes {
    /// The one open node that a closing event of this kind and name fits; nothing where several do.
    pub(super) fn only_match(&self, kind: EventType, name: Option<&str>) -> Option<SmallStr> {
        let fits =
            |node: &&OpenNode| kind.closes(node.kind) && name.is_none_or(|name| node.name.as_deref() == Some(name));
        let mut matches = self.0.iter().filter(fits);
        let only = matches.next()?;
        matches.next().is_none().then(|| only.id.clone())
    }

    /// Where the result of the node comes from that a closing event closes.
    pub(super) fn result_of(&self, kind: EventType, node: &SmallStr) -> Option<Origin> {
        let fits = |open: &&OpenNode| open.id == *node && kind.closes(open.kind);
        self.0.iter().rfind(fits).map(|open| open.result)
    }

    /// A decision said where the result of the newest node with this id comes from.
    pub(super) fn decided(&mut self, node: &SmallStr, result: Origin) {
        if let Some(open) = self.0.iter_mut().rfind(|open| open.id == *node) {
            open.result = result;
        }
    }

    /// Takes in what a recorded event opened or closed. `result` is where that of an opened node will come from.
    pub(super) fn see(&mut self, event: &Event, result: Origin) {
        let Some(id) = &event.node_id else { return };
        match event.kind.phase() {
            Phase::Opens => {
                if self.0.len() == MAX_OPEN_NODES {
                    self.0.pop_front();
                }
                self.0.push_back(OpenNode { id: id.clone(), kind: event.kind, name: event.name.clone(), result });
            }
            // The newest first: concurrent steps close in any order, nested ones from the inside.
            Phase::Closes => {
                let closed = self.0.iter().rposition(|node| node.id == *id && event.kind.closes(node.kind));
                if let Some(index) = closed {
                    self.0.remove(index);
                }
            }
            Phase::Neither => {}
        }
    }
}
