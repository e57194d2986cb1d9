//! Pages of the record.

use std::collections::HashMap;

use crate::{
    content::payload::MAX_PAYLOAD_BYTES,
    event::RunId,
    masking::Visibility,
    store::{Entry, Record, token::ResumeToken},
};

/// A page of the record: each event with the ending of its hold.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<(Record, Option<Record>)>,
    pub(crate) next: Option<ResumeToken>,
}

impl Page {
    /// Cuts one page out of a record from its start on, joining each event with the ending of its hold.
    pub(super) fn cut(records: impl Iterator<Item = Record>, run: Option<&RunId>, most: usize) -> Self {
        let mut page = Page::default();
        let mut places = HashMap::new();
        let mut bytes = 0;
        for record in records {
            if run.is_some_and(|run| record.entry.run_id() != run) {
                continue;
            }
            match &record.entry {
                Entry::Event(event) if page.next.is_none() => {
                    let full = page.events.len() == most || bytes + event.bytes() > MAX_PAYLOAD_BYTES;
                    if full && !page.events.is_empty() {
                        page.next = Some(ResumeToken::of(&record));
                        continue;
                    }
                    bytes += event.bytes();
                    places.insert(event.seq, page.events.len());
                    page.events.push((record, None));
                }
                Entry::Event(_) | Entry::Forked(_) => {}
                Entry::HoldEnded(ended) => {
                    if let Some(place) = places.get(&ended.seq) {
                        page.events[*place].1 = Some(record.clone());
                    }
                }
            }
        }
        page
    }

    /// The page as it is seen; a shorter one, where it would outgrow a message by being masked.
    pub(super) fn seen(self, visibility: Visibility) -> Self {
        if visibility == Visibility::Whole {
            return self;
        }
        let mut page = Self { events: Vec::with_capacity(self.events.len()), next: self.next };
        let mut bytes = 0;
        for (event, ended) in self.events {
            let seen = (visibility.of(event.clone()), ended.map(|ended| visibility.of(ended)));
            bytes += seen.0.entry.bytes();
            if bytes > MAX_PAYLOAD_BYTES && !page.events.is_empty() {
                page.next = Some(ResumeToken::of(&event));
                break;
            }
            page.events.push(seen);
        }
        page
    }
}
