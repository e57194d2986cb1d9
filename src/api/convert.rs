//! The only place where the wire and the domain meet.
//!
//! What comes in is parsed once, here, and trusted inside; a field at fault is named. What goes out is made from
//! the domain for each wire: protobuf for gRPC, the documented JSON for SSE.

pub(crate) mod breakpoint;
pub(crate) mod frame;
pub(crate) mod json;
pub(crate) mod names;
pub(crate) mod payload;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod run;

use std::time::Duration;

use prost_types::Timestamp as WireTimestamp;

use crate::event::{Span, Timestamp};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

fn to_timestamp(time: Timestamp) -> WireTimestamp {
    WireTimestamp { seconds: time.0.div_euclid(NANOS_PER_SECOND), nanos: time.0.rem_euclid(NANOS_PER_SECOND) as i32 }
}

pub(crate) fn from_timestamp(time: &WireTimestamp) -> Option<Timestamp> {
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

pub(crate) fn to_duration(time: Duration) -> prost_types::Duration {
    to_span(Span(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
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

/// `value` units of `scale` nanoseconds. The whole and the rest apart, so that no digit of a time of day is lost.
fn seconds_to_nanos(value: f64, scale: f64) -> Option<i64> {
    let (whole, rest) = (value.trunc(), value.fract());
    let whole = (whole.abs() < i64::MAX as f64 / scale).then(|| whole as i64 * scale as i64)?;
    whole.checked_add((rest * scale).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{milliseconds, seconds};

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
}
