//! What is reported: a step of an agent, in each form, small and large.

use agent_debugger::proto::{EventType, TraceRequest, trace_request::Payload};
use prost::Message;
use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::json;

/// The form in which a payload travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Struct,
}

/// A prompt of about `bytes` bytes of JSON: messages, as agents have them.
pub(crate) fn data(bytes: usize) -> String {
    let turn = |text: String| json!({"role": "user", "content": text});
    let whole = |texts: Vec<String>| {
        let messages: Vec<_> = texts.into_iter().map(turn).collect();
        json!({"model": "small", "temperature": 0.5, "step": 7, "messages": messages}).to_string()
    };
    let turns = bytes.div_ceil(300);
    let empty = whole(vec![String::new(); turns]).len();
    let sentence = "What is the weather in Oslo tomorrow, and what should one wear? ".chars().cycle();
    let text: String = sentence.take((bytes - empty) / turns).collect();
    whole(vec![text; turns])
}

/// The body of a Trace over HTTP.
pub(crate) fn http(data: &str) -> Vec<u8> {
    format!("{{\"type\":\"prompt\",\"data\":{data}}}").into_bytes()
}

/// The message of a Trace over gRPC.
pub(crate) fn grpc(agent: &str, data: &str, form: Form) -> Vec<u8> {
    let payload = match form {
        Form::Json => Payload::DataJson(data.to_owned()),
        Form::Struct => match value(serde_json::from_str(data).unwrap()).kind {
            Some(Kind::StructValue(fields)) => Payload::Data(fields),
            _ => panic!("a payload is an object"),
        },
    };
    let request = TraceRequest {
        agent_id: agent.to_owned(),
        r#type: EventType::Prompt.into(),
        payload: Some(payload),
        ..TraceRequest::default()
    };
    request.encode_to_vec()
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap()),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(value).collect() })
        }
        serde_json::Value::Object(fields) => {
            Kind::StructValue(Struct { fields: fields.into_iter().map(|(key, of)| (key, value(of))).collect() })
        }
    };
    Value { kind: Some(kind) }
}
