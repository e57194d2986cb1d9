//! The fingerprint of a request: whether a Trace that comes with a known `request_id` is the one that came before.
//!
//! It is part of a session's state, so that it must be the same in every process and release: SHA-256 over every field
//! with its length, truncated.

use sha2::{Digest as _, Sha256};

use crate::{
    content::payload::{Encoding, Payload},
    event::{Details, Report},
};

/// Equal for equal reports. Made only where a request has an id.
pub(crate) fn fingerprint(report: &Report) -> u64 {
    // Field by field, so that a new one cannot be forgotten here.
    let Report {
        run_id,
        kind,
        data,
        node_id,
        parent_id,
        name,
        start,
        details,
        effect,
        accepts,
        may_hold,
        request_id: _,
        run_end,
    } = report;
    let mut fields = Fields(Sha256::new());
    fields.text(Some(run_id.as_str()));
    fields.text(Some(kind.name()));
    fields.payload(Some(data));
    fields.text(node_id.as_deref());
    fields.text(parent_id.as_deref());
    fields.text(name.as_deref());
    fields.number(start.map(|start| start.0));
    fields.text(effect.name());
    for verb in accepts.iter() {
        fields.text(Some(verb.name()));
    }
    fields.number(Some(i64::from(*may_hold) + 2 * i64::from(*run_end)));
    if let Some(details) = details {
        fields.details(details);
    }
    let digest = fields.0.finalize();
    let mut first = [0; 8];
    first.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(first)
}

struct Fields(Sha256);

impl Fields {
    /// A length before every text, and a mark of its own where there is none, so that nothing runs into what follows.
    fn text(&mut self, text: Option<&str>) {
        self.0.update(text.map_or(u64::MAX, |text| text.len() as u64).to_le_bytes());
        self.0.update(text.unwrap_or_default());
    }

    fn number(&mut self, number: Option<i64>) {
        self.0.update([u8::from(number.is_some())]);
        self.0.update(number.unwrap_or_default().to_le_bytes());
    }

    fn count(&mut self, count: Option<u64>) {
        self.number(count.map(|count| count as i64));
    }

    fn payload(&mut self, payload: Option<&Payload>) {
        self.text(payload.map(|payload| &*payload.json));
        self.number(payload.map(|payload| i64::from(payload.encoding == Encoding::Struct)));
    }

    fn details(&mut self, details: &Details) {
        let Details {
            end,
            duration,
            token_count,
            input_tokens,
            output_tokens,
            model,
            latency,
            replay_checkpoint,
            checkpoint_id,
            metadata,
            match_key,
            // They follow from the body.
            warnings: _,
        } = details;
        self.number(end.map(|end| end.0));
        self.number(duration.map(|span| span.0));
        self.count(*token_count);
        self.count(*input_tokens);
        self.count(*output_tokens);
        self.text(model.as_deref());
        self.number(latency.map(|span| span.0));
        self.number(replay_checkpoint.map(i64::from));
        self.text(checkpoint_id.as_deref());
        self.payload(metadata.as_ref());
        self.text(match_key.as_deref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{Accepts, Effect, EventType, Span, Timestamp, Verb},
        session::fixtures::{report, run_id},
    };

    #[test]
    fn it_is_the_same_in_every_release() {
        let plain = report(EventType::Prompt, "r");
        assert_eq!(fingerprint(&plain), 0xf16d_2f03_c6bf_d32c, "{:#018x}", fingerprint(&plain));
    }

    #[test]
    fn every_field_counts() {
        let plain = || report(EventType::Prompt, "r");
        let detailed = |details| Report { details: Some(Box::new(details)), ..plain() };
        let none = Details::default;
        let json = |json: &str| Payload { json: json.into(), encoding: Encoding::Json };
        let mut accepts = Accepts::default();
        accepts.insert(Verb::Edit);
        let reports = [
            plain(),
            Report { run_id: run_id("s"), ..plain() },
            Report { kind: EventType::Log, ..plain() },
            Report { data: json("[]"), ..plain() },
            Report { data: Payload { encoding: Encoding::Struct, ..plain().data }, ..plain() },
            Report { node_id: Some("a".into()), ..plain() },
            Report { parent_id: Some("a".into()), ..plain() },
            Report { name: Some("a".into()), ..plain() },
            Report { name: Some("".into()), ..plain() },
            Report { start: Some(Timestamp(0)), ..plain() },
            Report { effect: Effect::Pure, ..plain() },
            Report { accepts, ..plain() },
            Report { may_hold: false, ..plain() },
            Report { run_end: true, ..plain() },
            detailed(Details { end: Some(Timestamp(1)), ..none() }),
            detailed(Details { duration: Some(Span(1)), ..none() }),
            detailed(Details { token_count: Some(1), ..none() }),
            detailed(Details { input_tokens: Some(1), ..none() }),
            detailed(Details { output_tokens: Some(1), ..none() }),
            detailed(Details { model: Some("a".into()), ..none() }),
            detailed(Details { latency: Some(Span(1)), ..none() }),
            detailed(Details { replay_checkpoint: Some(false), ..none() }),
            detailed(Details { checkpoint_id: Some("a".into()), ..none() }),
            detailed(Details { metadata: Some(json("{}")), ..none() }),
            detailed(Details { match_key: Some("a".into()), ..none() }),
        ];
        let all: std::collections::HashSet<_> = reports.iter().map(fingerprint).collect();
        assert_eq!(all.len(), reports.len());
        let asked = Report { request_id: Some("q".into()), ..plain() };
        assert_eq!(fingerprint(&asked), fingerprint(&plain()));
    }
}
