//! Repetitions: how many times in a row a run opened the same step.

use std::{collections::HashMap, hash::BuildHasher};

use foldhash::fast::FixedState;

use crate::{
    content::payload::Payload,
    event::{Event, EventType, Phase, RunId},
};

/// Counts the repetitions of steps in a record that is not as it was recorded: its secrets are masked.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// For each run, what its last step was like and which in a row.
    last: HashMap<RunId, (u64, u32)>,
}

impl Repeats {
    /// How many times in a row its run opened this step, this one included; 0 for what opens nothing. Events come in
    /// the order of the record.
    pub(crate) fn of(&mut self, event: &Event) -> u32 {
        if event.kind.phase() != Phase::Opens {
            return 0;
        }
        let repeat_key = repeat_key(event.kind, event.name.as_deref(), &event.data);
        let last = self.last.entry(event.run_id.clone()).or_insert((repeat_key, 0));
        *last = if last.0 == repeat_key { (repeat_key, last.1.saturating_add(1)) } else { (repeat_key, 1) };
        last.1
    }
}

/// Equal for equal type, name and data, as the agent wrote them. Of the agent's own texts and for its own count, so
/// that it need not withstand anybody; of every opening event, so that it has to be quick.
pub(super) fn repeat_key(kind: EventType, name: Option<&str>, data: &Payload) -> u64 {
    FixedState::default().hash_one((kind, name, &*data.json))
}
