//! The lines of the file, as they are written and read.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// What the file calls itself, and the version of its lines.
pub(super) const FORMAT: &str = "agent-debugger/run";
pub(super) const VERSION: u32 = 1;

/// One line: an object with one member, which names the kind of line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Manifest(#[serde(borrow)] Manifest<'a>),
    Event(#[serde(borrow)] Box<EventLine<'a>>),
    Decision(#[serde(borrow)] Box<DecisionLine<'a>>),
    End(End),
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest<'a> {
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
    pub(super) version: u32,
    /// Where it was recorded.
    #[serde(borrow)]
    pub(super) run_id: Cow<'a, str>,
    pub(super) events: u64,
    pub(super) decisions: u64,
    /// Of all payloads together.
    pub(super) bytes: u64,
    /// The beginning of the run was not retained.
    pub(super) truncated: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) forked_from: Option<ForkedFrom<'a>>,
    /// What was masked, by rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) masked: Option<crate::content::mask::Masked>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkedFrom<'a> {
    #[serde(borrow)]
    pub(super) run_id: Cow<'a, str>,
    pub(super) ordinal: u64,
}

/// One event. What was not reported is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine<'a> {
    /// Its place among the events of the file, from 1.
    pub(super) ordinal: u64,
    pub(super) at: Seconds,
    #[serde(borrow)]
    pub(super) r#type: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) node_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<Cow<'a, str>>,
    pub(super) start_ts: Seconds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end_ts: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) duration_ms: Option<Milliseconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) input_tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output_tokens: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) latency_ms: Option<Milliseconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replay_checkpoint: Option<bool>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) checkpoint_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) match_key: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(super) accepts: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) run_end: bool,
    /// A breakpoint logged it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) by_breakpoint: bool,
    #[serde(borrow)]
    pub(super) origin: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) divergence: Option<DivergenceLine<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<Cow<'a, str>>,
    pub(super) context: Context,
    /// `json` where it came as text, `struct` where it came as a protobuf Struct.
    #[serde(borrow)]
    pub(super) form: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata_form: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<&'a RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DivergenceLine<'a> {
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(super) fields: Vec<FieldLine<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldLine<'a> {
    #[serde(borrow)]
    pub(super) path: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) left: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) right: Cow<'a, str>,
}

/// How the run stood when the event came.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    pub(super) depth: u32,
    pub(super) repeats: u32,
    pub(super) run_events: u64,
    pub(super) run_tokens: u64,
    pub(super) run_elapsed_ms: u64,
}

/// A decision on an event that stands before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionLine<'a> {
    /// The event's place.
    pub(super) ordinal: u64,
    pub(super) at: Seconds,
    #[serde(borrow)]
    pub(super) outcome: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) actor: Cow<'a, str>,
    pub(super) held_ms: Milliseconds,
    #[serde(borrow)]
    pub(super) action: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) form: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) before_form: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<&'a RawValue>,
}

/// The last line: the SHA-256 of every byte before it, in hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    pub(super) sha256: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A time in Unix seconds, to the nanosecond: a JSON number with up to nine decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) i64);

/// A length of time in milliseconds, to the nanosecond: a JSON number with up to six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Milliseconds(pub(super) i64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal(self.0, 9, serializer)
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decimal(self.0, 6, serializer)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_decimal(<&RawValue>::deserialize(deserializer)?.get(), 9).map(Self).ok_or_else(|| de::Error::custom(TIME))
    }
}

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_decimal(<&RawValue>::deserialize(deserializer)?.get(), 6).map(Self).ok_or_else(|| de::Error::custom(TIME))
    }
}

const TIME: &str = "a time must be a decimal number to the nanosecond, between 1677 and 2262";

/// Nanoseconds as a number of a unit that has `decimals` digits of them, without a loss.
fn decimal<S: Serializer>(nanos: i64, decimals: u32, serializer: S) -> Result<S::Ok, S::Error> {
    let unit = 10_u64.pow(decimals);
    let (whole, rest) = (nanos.unsigned_abs() / unit, nanos.unsigned_abs() % unit);
    let sign = if nanos < 0 { "-" } else { "" };
    let mut text = format!("{sign}{whole}");
    if rest > 0 {
        let rest = format!("{rest:0width$}", width = decimals as usize);
        text = format!("{text}.{}", rest.trim_end_matches('0'));
    }
    RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
}

fn from_decimal(text: &str, decimals: u32) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if rest.len() > decimals as usize || whole.is_empty() || !digits(whole) || !digits(rest) {
        return None;
    }
    let rest = format!("{rest:0<width$}", width = decimals as usize).parse::<i128>().ok()?;
    let nanos = whole.parse::<i128>().ok()?.checked_mul(10_i128.pow(decimals))?.checked_add(rest)?;
    i64::try_from(if negative { -nanos } else { nanos }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lose_nothing() {
        for nanos in [0, 1, -1, 1_763_894_400_123_456_789, -1_500_000_000, 1_000_000_000, i64::MAX, i64::MIN + 1] {
            let text = serde_json::to_string(&Seconds(nanos)).expect("a number");
            assert_eq!(serde_json::from_str::<Seconds>(&text).expect(&text), Seconds(nanos));
            let text = serde_json::to_string(&Milliseconds(nanos)).expect("a number");
            assert_eq!(serde_json::from_str::<Milliseconds>(&text).expect(&text), Milliseconds(nanos));
        }
        assert_eq!(serde_json::to_string(&Seconds(-1_500_000_000)).expect("a number"), "-1.5");
        for wrong in ["1e3", "1.0000000001", "\"1\"", "null", "99999999999999999999", "-"] {
            assert!(serde_json::from_str::<Seconds>(wrong).is_err(), "{wrong}");
        }
    }
}
