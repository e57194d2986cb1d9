//! Structs as the JSON that they stand for.

use prost_types::{Struct, Value, value::Kind};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::MAX_EXACT;

/// A protobuf value that serializes as the JSON it stands for. A number that JSON does not have is an error.
pub(crate) struct AsJson<'a, T>(pub(crate) &'a T);

impl Serialize for AsJson<'_, Struct> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.fields.len()))?;
        for (key, value) in &self.0.fields {
            map.serialize_entry(key, &AsJson(value))?;
        }
        map.end()
    }
}

impl Serialize for AsJson<'_, Value> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::BoolValue(value)) => serializer.serialize_bool(*value),
            Some(Kind::NumberValue(value)) if !value.is_finite() => Err(Error::custom("not a JSON number")),
            Some(Kind::NumberValue(value)) if value.fract() == 0.0 && value.abs() <= MAX_EXACT => {
                serializer.serialize_i64(*value as i64)
            }
            Some(Kind::NumberValue(value)) => serializer.serialize_f64(*value),
            Some(Kind::StringValue(value)) => serializer.serialize_str(value),
            Some(Kind::StructValue(value)) => AsJson(value).serialize(serializer),
            Some(Kind::ListValue(list)) => {
                let mut seq = serializer.serialize_seq(Some(list.values.len()))?;
                for value in &list.values {
                    seq.serialize_element(&AsJson(value))?;
                }
                seq.end()
            }
        }
    }
}
