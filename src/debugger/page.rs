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

    /// The page as it is seen.
    pub(super) fn seen(self, visibility: Visibility) -> Self {
        let seen = |(event, ended): (_, Option<_>)| (visibility.of(event), ended.map(|ended| visibility.of(ended)));
        Self { events: self.events.into_iter().map(seen).collect(), ..self }
    }
}
