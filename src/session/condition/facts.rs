//! What conditions see of an event: its frame, its place in the tree, and how its run stood then.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Value,
    objects::{Key, Map},
};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{EVENT_FIELDS, NODE_FIELDS, RUN_FIELDS, Sees, scope};
use crate::{
    content::payload::Payload,
    event::{Details, Event, Span, Timestamp},
};

/// One event, ready for conditions: made once for all of them.
pub(crate) struct Facts {
    pub(in crate::session) scope: Context<'static, 'static>,
    /// The longest list or object in it, and its size in bytes: they bound what a condition may cost.
    pub(in crate::session) longest_list: u64,
    pub(in crate::session) bytes: u64,
    /// Why conditions cannot see this event.
    pub(in crate::session) problem: Option<&'static str>,
}

/// The values in one event that conditions look at.
const MAX_VALUES: u32 = 100_000;

/// What reading an event's JSON found out.
#[derive(Default)]
struct Measure {
    longest_list: u64,
    values: u32,
    problem: Option<&'static str>,
}

impl Facts {
    /// All facts of an event as it was recorded.
    #[cfg(test)]
    pub(crate) fn of(event: &Event) -> Self {
        Self::seen(event, Sees::ALL)
    }

    /// The facts of an event that somebody looks at.
    pub(in crate::session) fn seen(event: &Event, sees: Sees) -> Self {
        let mut measure = Measure::default();
        let value = event_value(event, sees, &mut measure);
        let mut scope = scope();
        scope.add_variable_from_value("event", value);
        let at = &event.context;
        if sees.has_variable("node") {
            scope.add_variable_from_value("node", map([("depth", Value::Int(at.depth.into()))]));
        }
        if sees.has_variable("run") {
            let run = [
                ("events", whole(at.run_events)),
                ("tokens", whole(at.run_tokens)),
                ("elapsed_ms", whole(at.run_elapsed_ms)),
            ];
            scope.add_variable_from_value("run", map(run));
        }
        if sees.has_variable("repeats") {
            scope.add_variable_from_value("repeats", Value::Int(at.repeats.into()));
        }
        let Measure { longest_list, problem, .. } = measure;
        Self { scope, longest_list, bytes: event.bytes() as u64, problem }
    }

    /// What a hit condition sees.
    pub(in crate::session) fn of_hits(hits: u64) -> Self {
        let mut scope = scope();
        scope.add_variable_from_value("hits", whole(hits));
        Self { scope, longest_list: 0, bytes: 0, problem: None }
    }
}

fn event_value(event: &Event, sees: Sees, measure: &mut Measure) -> Value {
    let mut fields = HashMap::new();
    for field in EVENT_FIELDS.into_iter().filter(|field| sees.has_field(field)) {
        fields.insert(our_key(field), field_value(event, field, measure));
    }
    Value::Map(Map { map: Arc::new(fields) })
}

/// One field of an event; `null` where it was not reported.
fn field_value(event: &Event, field: &str, measure: &mut Measure) -> Value {
    let none = Details::default();
    let details = event.details.as_deref().unwrap_or(&none);
    let text = |text: Option<&str>| text.map_or(Value::Null, string);
    let seconds = |time: Timestamp| Value::Float(time.0 as f64 / 1e9);
    let ms = |span: Span| Value::Float(span.0 as f64 / 1e6);
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    match field {
        "seq" => whole(event.seq.0),
        "origin" => string(event.origin.name()),
        "type" => string(event.kind.name()),
        "data" => parsed(&event.data, measure),
        "run_id" => string(event.run_id.as_str()),
        "node_id" => text(event.node_id.as_deref()),
        "parent_id" => text(event.parent_id.as_deref()),
        "name" => text(event.name.as_deref()),
        "start_ts" => seconds(event.start),
        "end_ts" => or_null(details.end.map(seconds)),
        "duration_ms" => or_null(details.duration.map(ms)),
        "token_count" => or_null(details.token_count.map(whole)),
        "input_tokens" => or_null(details.input_tokens.map(whole)),
        "output_tokens" => or_null(details.output_tokens.map(whole)),
        "model" => text(details.model.as_deref()),
        "latency_ms" => or_null(details.latency.map(ms)),
        "replay_checkpoint" => or_null(details.replay_checkpoint.map(Value::Bool)),
        "checkpoint_id" => text(details.checkpoint_id.as_deref()),
        "metadata" => details.metadata.as_ref().map_or(Value::Null, |metadata| parsed(metadata, measure)),
        "effect" => text(event.effect.name()),
        "match_key" => text(event.match_key()),
        "run_end" => Value::Bool(event.run_end),
        _ => Value::Null,
    }
}

/// The JSON of a payload as values. What JSON allows and a value cannot hold (a lone surrogate, a number beyond a
/// double) is a problem of the whole event: a condition never sees half of one.
fn parsed(payload: &Payload, measure: &mut Measure) -> Value {
    let mut json = serde_json::Deserializer::from_str(&payload.json);
    match (Json { measure }).deserialize(&mut json) {
        Ok(value) => value,
        Err(_) => {
            measure.problem = Some(if measure.values > MAX_VALUES {
                "cannot look at data of more than 100,000 values"
            } else {
                "cannot read data: it holds half of a surrogate pair, or a number beyond a double"
            });
            map([])
        }
    }
}

/// Reads JSON straight into values, and measures it.
struct Json<'a> {
    measure: &'a mut Measure,
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.measure.values += 1;
        if self.measure.values > MAX_VALUES {
            Err(serde::de::Error::custom("too many values"))
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    // Whole numbers are ints wherever they fit: arithmetic does not mix int and uint.
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(whole(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(string(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(Arc::new(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Json { measure: self.measure })? {
            values.push(value);
        }
        self.measure.longest_list = self.measure.longest_list.max(values.len() as u64);
        Ok(Value::List(Arc::new(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = HashMap::new();
        while let Some(key) = object.next_key::<String>()? {
            let value = object.next_value_seed(Json { measure: self.measure })?;
            fields.insert(Key::String(Arc::new(key)), value);
        }
        self.measure.longest_list = self.measure.longest_list.max(fields.len() as u64);
        Ok(Value::Map(Map { map: Arc::new(fields) }))
    }
}

/// A map whose keys are ours, and made once.
fn map<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    let fields: HashMap<Key, Value> = fields.into_iter().map(|(key, value)| (our_key(key), value)).collect();
    Value::Map(Map { map: Arc::new(fields) })
}

fn our_key(key: &'static str) -> Key {
    static KEYS: LazyLock<HashMap<&str, Arc<String>>> = LazyLock::new(|| {
        let ours = EVENT_FIELDS.iter().chain(&NODE_FIELDS).chain(&RUN_FIELDS);
        ours.map(|key| (*key, Arc::new((*key).to_owned()))).collect()
    });
    Key::String(KEYS.get(key).cloned().unwrap_or_else(|| Arc::new(key.to_owned())))
}

fn string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn whole(number: u64) -> Value {
    i64::try_from(number).map_or(Value::UInt(number), Value::Int)
}
