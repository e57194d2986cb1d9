//! The nodes of a record by their parents, as indented lines.

use std::collections::{HashMap, HashSet};

use super::{escape, text};
use crate::proto::{self, EventType, name::Named as _};

/// Deeper nodes are drawn at this depth: lines stay readable.
const MAX_INDENT: usize = 30;

/// What is known of one node.
pub(super) struct Node<'a> {
    pub(super) id: &'a str,
    pub(super) run: &'a str,
    pub(super) depth: usize,
    parent: &'a str,
    /// The event that began it, as far as it is known.
    pub(super) first: &'a proto::Event,
    pub(super) events: usize,
    /// The type of the event that closed it.
    pub(super) closed: Option<String>,
}

/// The nodes in the order of a walk, parents first, each under its run. A parent that is not known, or is its own
/// descendant, is left out: its children stand at the top.
pub(super) fn nodes<'a>(events: impl Iterator<Item = &'a proto::Event>) -> Vec<Node<'a>> {
    let mut places = HashMap::new();
    let mut nodes: Vec<Node<'a>> = Vec::new();
    for event in events.filter(|event| !event.node_id.is_empty()) {
        let key = (event.run_id.as_str(), event.node_id.as_str());
        let place = *places.entry(key).or_insert_with(|| {
            let (run, id) = key;
            nodes.push(Node { id, run, depth: 0, parent: "", first: event, events: 0, closed: None });
            nodes.len() - 1
        });
        let node = &mut nodes[place];
        node.events += 1;
        if node.parent.is_empty() {
            node.parent = &event.parent_id;
        }
        if let Ok(EventType::Response | EventType::ToolResult | EventType::Error) = event.r#type.try_into() {
            node.closed = Some(EventType::json_name(event.r#type));
        }
    }
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        match places.get(&(node.run, node.parent)) {
            Some(parent) if *parent != place => children.entry(*parent).or_default().push(place),
            _ => roots.push(place),
        }
    }
    let mut order = Vec::with_capacity(nodes.len());
    let mut seen = HashSet::new();
    // What a circle of parents keeps from every root is walked last, from its oldest node.
    for start in roots.into_iter().chain(0..nodes.len()) {
        let mut stack = vec![(start, 0)];
        while let Some((place, depth)) = stack.pop() {
            if seen.insert(place) {
                order.push((place, depth));
                let below = children.get(&place).into_iter().flatten().rev();
                stack.extend(below.map(|child| (*child, depth + 1)));
            }
        }
    }
    let mut nodes: Vec<_> = nodes.into_iter().map(Some).collect();
    let walked = order.into_iter().filter_map(|(place, depth)| Some(Node { depth, ..nodes[place].take()? }));
    walked.collect()
}

/// `  #3 tool_call search (n3): tool_result`
pub(super) fn line(node: &Node<'_>) -> String {
    let indent = "  ".repeat(node.depth.min(MAX_INDENT));
    let kind = EventType::json_name(node.first.r#type);
    let name = if node.first.name.is_empty() { String::new() } else { format!(" {}", escape::text(&node.first.name)) };
    let state = node.closed.as_deref().unwrap_or("open");
    format!("{indent}#{} {kind}{name} ({}){}: {state}", node.first.seq, escape::text(node.id), text::run_note(node.run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, kind: EventType, node: &str, parent: &str) -> proto::Event {
        let (node_id, parent_id) = (node.into(), parent.into());
        proto::Event { seq, r#type: kind.into(), node_id, parent_id, ..Default::default() }
    }

    fn drawn(events: &[proto::Event]) -> Vec<String> {
        nodes(events.iter()).iter().map(line).collect()
    }

    #[test]
    fn children_stand_under_their_parents_in_order() {
        use EventType::{Log, Prompt, ToolCall, ToolResult};
        let events = [
            event(1, Prompt, "a", ""),
            event(2, ToolCall, "b", "a"),
            event(3, ToolCall, "c", "b"),
            event(4, ToolResult, "c", ""),
            event(5, ToolCall, "d", "a"),
            event(6, Log, "", "a"),
        ];
        assert_eq!(
            drawn(&events),
            [
                "#1 prompt (a): open",
                "  #2 tool_call (b): open",
                "    #3 tool_call (c): tool_result",
                "  #5 tool_call (d): open"
            ]
        );
    }

    #[test]
    fn circles_and_missing_parents_end() {
        use EventType::Prompt;
        let events = [event(1, Prompt, "a", "b"), event(2, Prompt, "b", "a"), event(3, Prompt, "c", "c")];
        assert_eq!(drawn(&events), ["#3 prompt (c): open", "#1 prompt (a): open", "  #2 prompt (b): open"]);
        assert_eq!(drawn(&[event(4, Prompt, "x", "gone")]), ["#4 prompt (x): open"]);
    }

    #[test]
    fn a_chain_of_any_length_is_walked() {
        let id = |n: usize| if n == 0 { String::new() } else { n.to_string() };
        let events: Vec<_> = (1..=10_000).map(|n| event(n as u64, EventType::Log, &id(n), &id(n - 1))).collect();
        assert_eq!(drawn(&events).len(), 10_000);
    }
}
