//! How much of a record a reader sees: all of it, or, where a token lets them look and nothing else, what is left once
//! secrets are masked. The record itself keeps everything: replays match what was said and answer with it.

use std::sync::Arc;

use crate::{
    content::{
        mask::{self, Masked},
        payload::{MAX_PAYLOAD_BYTES, Payload},
    },
    event::{Decision, Event, HoldEnded},
    store::{Entry, Record},
};

/// What stands for a payload that would be larger than any may be, once its many short secrets are masked.
const TOO_LARGE: &str = r#"{"masked":"too large to be shown with its secrets masked"}"#;

/// What a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Visibility {
    #[default]
    Whole,
    /// Secrets go by their key and by their look.
    Masked,
}

impl Visibility {
    /// A record as it is seen in a message. Slow where that is masked: not to be called under a lock.
    pub(crate) fn of(self, record: Record) -> Record {
        self.masking(record, &mut Masker { found: &mut Masked::new(), most: MAX_PAYLOAD_BYTES })
    }

    /// The same for an event.
    pub(crate) fn of_event(self, event: &Arc<Event>) -> Arc<Event> {
        match self {
            Self::Whole => event.clone(),
            Self::Masked => Arc::new(Masker { found: &mut Masked::new(), most: MAX_PAYLOAD_BYTES }.event(event)),
        }
    }

    /// A record as it stands in a file, which has no largest message, and counts what is masked.
    pub(crate) fn in_file(self, record: Record, found: &mut Masked) -> Record {
        self.masking(record, &mut Masker { found, most: usize::MAX })
    }

    fn masking(self, record: Record, masker: &mut Masker<'_>) -> Record {
        let entry = match (self, &record.entry) {
            // A fork says how many steps of which kind there are, and nothing that an agent said.
            (Self::Whole, _) | (Self::Masked, Entry::Forked(_)) => return record,
            (Self::Masked, Entry::Event(whole)) => Entry::Event(Arc::new(masker.event(whole))),
            (Self::Masked, Entry::HoldEnded(whole)) => Entry::HoldEnded(Arc::new(masker.ended(whole))),
        };
        Record { entry, ..record }
    }
}

/// The one list of what may hold a secret.
struct Masker<'a> {
    found: &'a mut Masked,
    /// The largest payload, in bytes.
    most: usize,
}

impl Masker<'_> {
    fn event(&mut self, whole: &Event) -> Event {
        let mut event = whole.clone();
        event.data = self.payload(&event.data);
        if let Some(metadata) = event.details.as_mut().and_then(|details| details.metadata.as_mut()) {
            *metadata = self.payload(metadata);
        }
        if let Some(divergence) = event.replay.as_mut().and_then(|replay| replay.divergence.as_mut()) {
            // Values without their keys around them cannot be judged.
            divergence.fields.clear();
        }
        event
    }

    fn ended(&mut self, whole: &HoldEnded) -> HoldEnded {
        let mut ended = whole.clone();
        match &mut ended.decision {
            Decision::Proceed => {}
            Decision::Edit { data, .. } | Decision::Fulfil { data } => {
                *data = data.as_ref().map(|data| self.payload(data))
            }
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
        match mask::json(&whole.json, self.found) {
            None => whole.clone(),
            Some(json) if json.len() > self.most => Payload { json: TOO_LARGE.into(), encoding: whole.encoding },
            Some(json) => Payload { json: json.into(), encoding: whole.encoding },
        }
    }

    fn text(&mut self, whole: &str) -> Box<str> {
        mask::text(whole, self.found).map_or_else(|| whole.into(), Into::into)
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
