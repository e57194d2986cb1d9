//! How much of a record a reader sees: all of it, or, where a token lets them look and nothing else, what is left once
//! secrets are masked. The record itself keeps everything: replays match what was said and answer with it.

use std::{borrow::Cow, sync::Arc};

use crate::{
    content::mask::{self, Masked},
    content::payload::{MAX_PAYLOAD_BYTES, Payload},
    event::{Decision, Event, HoldEnded, MAX_ID_BYTES, RunId, SmallStr},
    store::{Entry, Record},
};

/// What stands for a payload that would be larger than any may be, once its many short secrets are masked.
const TOO_LARGE: &str = r#"{"masked":"too large to be shown with its secrets masked"}"#;
/// The longest message or reason, once it is masked: what a file takes.
const MAX_TEXT_BYTES: usize = 4_096;

/// What a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Visibility {
    #[default]
    Whole,
    /// Secrets go by their key and by their look.
    Masked,
}

impl Visibility {
    /// A record as it is seen. Slow where that is masked: not to be called under a lock.
    pub(crate) fn of(self, record: Record) -> Record {
        self.in_file(record, &mut Masked::new())
    }

    /// The same for an event.
    pub(crate) fn of_event(self, event: &Arc<Event>) -> Arc<Event> {
        match self {
            Self::Whole => event.clone(),
            Self::Masked => Arc::new(Masker { found: &mut Masked::new() }.event(event)),
        }
    }

    /// A record as it stands in a file, which counts what is masked.
    pub(crate) fn in_file(self, record: Record, found: &mut Masked) -> Record {
        let mut masker = Masker { found };
        let entry = match (self, &record.entry) {
            // What a fork says is made when it is sent, and masked there.
            (Self::Whole, _) | (Self::Masked, Entry::Forked(_)) => return record,
            (Self::Masked, Entry::Event(whole)) => Entry::Event(Arc::new(masker.event(whole))),
            (Self::Masked, Entry::HoldEnded(whole)) => Entry::HoldEnded(Arc::new(masker.ended(whole))),
        };
        Record { entry, ..record }
    }

    /// A text beside the record as it is seen: a name, a model, an address, a sentence.
    pub(crate) fn text(self, whole: &str) -> Cow<'_, str> {
        self.masking(whole, |found| mask::text(whole, found))
    }

    /// A condition or a message of a breakpoint as it is seen.
    pub(crate) fn expression(self, whole: &str) -> Cow<'_, str> {
        self.masking(whole, |found| mask::expression(whole, found))
    }

    /// An id as it is seen: masked ids that differ stay different.
    pub(crate) fn id(self, whole: &str) -> Cow<'_, str> {
        self.id_in_file(whole, &mut Masked::new())
    }

    /// The same for a file.
    pub(crate) fn id_in_file<'t>(self, whole: &'t str, found: &mut Masked) -> Cow<'t, str> {
        match self {
            Self::Whole => Cow::Borrowed(whole),
            Self::Masked => mask::id(whole, MAX_ID_BYTES, found).map_or(Cow::Borrowed(whole), Cow::Owned),
        }
    }

    /// A run's id as it is seen.
    pub(crate) fn run_id(self, whole: &RunId) -> RunId {
        match self.id(whole.as_str()) {
            Cow::Borrowed(_) => whole.clone(),
            // No longer than an id may be, and without a control character that was not there.
            Cow::Owned(masked) => RunId::parse(&masked).unwrap_or_default(),
        }
    }

    fn masking<'t>(self, whole: &'t str, mask: impl FnOnce(&mut Masked) -> Option<String>) -> Cow<'t, str> {
        match self {
            Self::Whole => Cow::Borrowed(whole),
            Self::Masked => mask(&mut Masked::new()).map_or(Cow::Borrowed(whole), Cow::Owned),
        }
    }
}

/// The one list of what may hold a secret.
struct Masker<'a> {
    found: &'a mut Masked,
}

impl Masker<'_> {
    fn event(&mut self, whole: &Event) -> Event {
        let mut event = whole.clone();
        event.data = if whole.by_breakpoint { self.logged(&event.data) } else { self.payload(&event.data) };
        // What the record is searched by: ids stay apart from one another.
        event.run_id = self.run_id(&event.run_id);
        event.node_id = event.node_id.as_ref().map(|id| self.id(id));
        event.parent_id = event.parent_id.as_ref().map(|id| self.id(id));
        event.request_id = event.request_id.as_ref().map(|id| self.id(id));
        event.name = event.name.as_ref().map(|name| self.label(name));
        if let Some(details) = event.details.as_mut() {
            details.metadata = details.metadata.as_ref().map(|metadata| self.payload(metadata));
            for label in [&mut details.model, &mut details.checkpoint_id, &mut details.match_key] {
                *label = label.as_deref().map(|whole| self.short(whole));
            }
            for warning in &mut details.warnings {
                *warning = self.text(warning);
            }
            // Together they are no larger than one may be.
            if let Some(metadata) = details.metadata.as_mut()
                && metadata.json.len() + event.data.json.len() > MAX_PAYLOAD_BYTES
            {
                metadata.json = TOO_LARGE.into();
            }
        }
        if let Some(divergence) = event.replay.as_mut().and_then(|replay| replay.divergence.as_mut()) {
            divergence.reason = self.text(&divergence.reason);
            // Values without their keys around them cannot be judged.
            divergence.fields.clear();
        }
        event
    }

    fn ended(&mut self, whole: &HoldEnded) -> HoldEnded {
        let mut ended = whole.clone();
        ended.run_id = self.run_id(&ended.run_id);
        if let Some(actor) = mask::label(&ended.actor, MAX_ID_BYTES, self.found) {
            ended.actor = actor.into();
        }
        match &mut ended.decision {
            Decision::Proceed => {}
            Decision::Edit { data, model } => {
                *data = data.as_ref().map(|data| self.payload(data));
                *model = model.as_deref().map(|model| self.short(model));
            }
            Decision::Fulfil { data } => *data = data.as_ref().map(|data| self.payload(data)),
            Decision::Fail { message, data } => {
                *message = self.text(message);
                *data = data.as_ref().map(|data| self.payload(data));
            }
            Decision::Abort { reason } => *reason = self.text(reason),
        }
        ended.before = ended.before.as_ref().map(|before| self.payload(before));
        ended
    }

    fn payload(&mut self, whole: &Payload) -> Payload {
        let mut found = Masked::new();
        match mask::json(&whole.json, &mut found) {
            None => whole.clone(),
            Some(json) if json.len() > MAX_PAYLOAD_BYTES => {
                Payload { json: TOO_LARGE.into(), encoding: whole.encoding }
            }
            Some(json) => {
                for (rule, count) in found {
                    *self.found.entry(rule).or_default() += count;
                }
                Payload { json: json.into(), encoding: whole.encoding }
            }
        }
    }

    /// What a breakpoint logged: what it would have logged of masked data takes the place of what it did.
    fn logged(&mut self, whole: &Payload) -> Payload {
        match mask::logged(&whole.json, self.found) {
            Some(json) => Payload { json: json.into(), encoding: whole.encoding },
            None => self.payload(whole),
        }
    }

    fn run_id(&mut self, whole: &RunId) -> RunId {
        let masked = mask::id(whole.as_str(), MAX_ID_BYTES, self.found);
        masked.map_or_else(|| whole.clone(), |masked| RunId::parse(&masked).unwrap_or_default())
    }

    fn id(&mut self, whole: &SmallStr) -> SmallStr {
        mask::id(whole, MAX_ID_BYTES, self.found).map_or_else(|| whole.clone(), |masked| masked.as_str().into())
    }

    fn label(&mut self, whole: &SmallStr) -> SmallStr {
        mask::label(whole, MAX_ID_BYTES, self.found).map_or_else(|| whole.clone(), |masked| masked.as_str().into())
    }

    fn short(&mut self, whole: &str) -> Box<str> {
        mask::label(whole, MAX_ID_BYTES, self.found).map_or_else(|| whole.into(), Into::into)
    }

    fn text(&mut self, whole: &str) -> Box<str> {
        mask::label(whole, MAX_TEXT_BYTES.max(whole.len()), self.found).map_or_else(|| whole.into(), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{event::Seq, session::fixtures, store::Offset};

    fn seen(json: &str) -> String {
        let entry = Entry::Event(Arc::new(fixtures::event(Seq(1), json)));
        let record = Record { offset: Offset(1), epoch: "e".into(), entry };
        let Entry::Event(event) = Visibility::Masked.of(record).entry else { panic!("an event") };
        event.data.json.to_string()
    }

    #[test]
    fn what_has_no_secret_is_seen_as_it_is() {
        assert_eq!(seen(r#"{ "n" : 1.50 }"#), r#"{ "n" : 1.50 }"#);
        assert_eq!(seen(r#"{"token":"t"}"#), r#"{"token":"[masked: token]"}"#);
    }

    #[test]
    fn nothing_outgrows_a_message_by_being_masked() {
        let many = format!("{{{}\"n\":1}}", r#""token":"t","#.repeat(MAX_PAYLOAD_BYTES / 13));
        assert!(many.len() <= MAX_PAYLOAD_BYTES);
        assert_eq!(seen(&many), TOO_LARGE);
    }
}
