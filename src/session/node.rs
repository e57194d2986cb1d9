//! Which nodes of a run are open, so that a closing event without a node can find its own.

use std::{collections::VecDeque, sync::Arc};

use crate::event::{Event, EventType, Role};

/// Open nodes kept per run. Beyond it the oldest is forgotten: an event that closes it then stays unpaired.
const MAX_OPEN_NODES: usize = 1_024;

#[derive(Debug)]
struct OpenNode {
    id: Arc<str>,
    kind: EventType,
    name: Option<Arc<str>>,
}

/// The nodes of one run that were opened and not closed yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct OpenNodes(VecDeque<OpenNode>);

impl OpenNodes {
    /// The one open node that a closing event of this kind and name fits; nothing where several do.
    pub(super) fn only_match(&self, kind: EventType, name: Option<&str>) -> Option<Arc<str>> {
        let fits =
            |node: &&OpenNode| kind.closes(node.kind) && name.is_none_or(|name| node.name.as_deref() == Some(name));
        let mut matches = self.0.iter().filter(fits);
        let only = matches.next()?;
        matches.next().is_none().then(|| only.id.clone())
    }

    /// Takes in what a recorded event opened or closed.
    pub(super) fn see(&mut self, event: &Event) {
        let Some(id) = &event.node_id else { return };
        match event.kind.role() {
            Role::Opens => {
                if self.0.len() == MAX_OPEN_NODES {
                    self.0.pop_front();
                }
                self.0.push_back(OpenNode { id: id.clone(), kind: event.kind, name: event.name.clone() });
            }
            // The newest first: concurrent steps close in any order, nested ones from the inside.
            Role::Closes => {
                let closed = self.0.iter().rposition(|node| node.id == *id && event.kind.closes(node.kind));
                if let Some(index) = closed {
                    self.0.remove(index);
                }
            }
            Role::Neither => {}
        }
    }
}
