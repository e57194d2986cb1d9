//! The only place where the wire and the domain meet.
//!
//! What comes in is parsed once, here, and trusted inside; a field at fault is named. What goes out is made from
//! the domain for each wire: protobuf for gRPC, the documented JSON for SSE.

pub(crate) mod breakpoint;
pub(crate) mod frame;
pub(crate) mod json;
pub(crate) mod payload;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod run;

use std::time::Duration;

use prost_types::Timestamp as WireTimestamp;

use crate::{
    event::{Span, Timestamp},
    proto,
};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

fn to_timestamp(time: Timestamp) -> WireTimestamp {
    WireTimestamp { seconds: time.0.div_euclid(NANOS_PER_SECOND), nanos: time.0.rem_euclid(NANOS_PER_SECOND) as i32 }
}

fn from_timestamp(time: &WireTimestamp) -> Option<Timestamp> {
    nanos(time.seconds, time.nanos).filter(|_| time.nanos >= 0).map(Timestamp)
}

fn to_span(span: Span) -> prost_types::Duration {
    prost_types::Duration { seconds: span.0 / NANOS_PER_SECOND, nanos: (span.0 % NANOS_PER_SECOND) as i32 }
}

fn from_span(span: &prost_types::Duration) -> Option<Span> {
    nanos(span.seconds, span.nanos).map(Span)
}

fn nanos(seconds: i64, nanos: i32) -> Option<i64> {
    if i64::from(nanos).abs() >= NANOS_PER_SECOND {
        return None;
    }
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos.into())
}

fn to_duration(time: Duration) -> prost_types::Duration {
    to_span(Span(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}

/// Seconds as a JSON number: the nearest double, so that what came as a double goes back as the same one.
pub(crate) fn seconds(time: &WireTimestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// Seconds since the Unix epoch, from a JSON number.
pub(crate) fn timestamp_from_seconds(seconds: f64) -> Option<WireTimestamp> {
    let nanos = seconds_to_nanos(seconds, 1e9)?;
    Some(to_timestamp(Timestamp(nanos)))
}

/// Milliseconds, from a JSON number.
pub(crate) fn duration_from_ms(ms: f64) -> Option<prost_types::Duration> {
    Some(to_span(Span(seconds_to_nanos(ms, 1e6)?)))
}

/// Milliseconds as a JSON number: whole where it is whole.
pub(crate) fn milliseconds(span: &prost_types::Duration) -> serde_json::Number {
    let nanos = span.seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(span.nanos.into());
    match nanos % 1_000_000 {
        0 => (nanos / 1_000_000).into(),
        _ => json::number(nanos as f64 / 1e6),
    }
}

/// `value` units of `scale` nanoseconds. The whole and the rest apart, so that no digit of a time of day is lost.
fn seconds_to_nanos(value: f64, scale: f64) -> Option<i64> {
    let (whole, rest) = (value.trunc(), value.fract());
    let whole = (whole.abs() < i64::MAX as f64 / scale).then(|| whole as i64 * scale as i64)?;
    whole.checked_add((rest * scale).round() as i64)
}

/// The name of an enum value as JSON has it: lower case, without its prefix.
pub(crate) fn short_name(name: &'static str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

/// The enums of the contract under the names that JSON has for them.
pub(crate) trait Named: Sized {
    /// The lower-case name; empty for a number that the contract does not know.
    fn json_name(number: i32) -> String;
    /// The value with that name.
    fn from_json_name(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($kind:ident, $prefix:literal;)*) => {$(
        impl Named for proto::$kind {
            fn json_name(number: i32) -> String {
                Self::try_from(number).map_or_else(|_| String::new(), |value| short_name(value.as_str_name(), $prefix))
            }

            fn from_json_name(name: &str) -> Option<Self> {
                if name == "unspecified" || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return None;
                }
                Self::from_str_name(&format!("{}{}", $prefix, name.to_ascii_uppercase()))
            }
        }
    )*};
}

named! {
    EventType, "EVENT_TYPE_";
    Effect, "EFFECT_";
    Verb, "VERB_";
    HoldPolicy, "HOLD_POLICY_";
    HoldReason, "HOLD_REASON_";
    Outcome, "OUTCOME_";
    RunMode, "RUN_MODE_";
    Mode, "MODE_";
    StepGranularity, "STEP_GRANULARITY_";
    Unattended, "UNATTENDED_";
    OnTimeout, "ON_TIMEOUT_";
    EffectPolicy, "EFFECT_POLICY_";
    OnDivergence, "ON_DIVERGENCE_";
    RowKind, "ROW_KIND_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_back_as_they_came() {
        for time in [0.0, 1.0, 1_700_000_000.123, 1_763_894_400.999_999, -1.5, 1_763_894_400.1] {
            let wire = timestamp_from_seconds(time).expect("in range");
            assert_eq!(seconds(&wire), time);
        }
        for ms in [0.0, 12.5, 0.1, 1234.0, -3.0, 86_400_000.25] {
            let wire = duration_from_ms(ms).expect("in range");
            assert_eq!(milliseconds(&wire).as_f64(), Some(ms));
        }
        assert_eq!(milliseconds(&duration_from_ms(1234.0).expect("in range")).to_string(), "1234");
        for wrong in [f64::NAN, f64::INFINITY, 1e300, -1e300] {
            assert_eq!(timestamp_from_seconds(wrong), None);
            assert_eq!(duration_from_ms(wrong), None);
        }
    }

    #[test]
    fn enum_names_are_lower_case_without_prefix() {
        assert_eq!(proto::EventType::json_name(proto::EventType::ToolCall.into()), "tool_call");
        assert_eq!(proto::Outcome::json_name(proto::Outcome::Stepped.into()), "stepped");
        assert_eq!(proto::Mode::from_json_name("observe"), Some(proto::Mode::Observe));
        assert_eq!(proto::EventType::from_json_name("TOOL_CALL"), None);
        assert_eq!(proto::EventType::from_json_name("unspecified"), None);
    }
}
