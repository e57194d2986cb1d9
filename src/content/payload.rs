//! A payload: the JSON object that a step reports, kept as the text that it came as, with its bounds.

use arcstr::ArcStr;

/// The largest payload, in bytes of JSON: an event then fits a client's default limit of 4 MiB.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 3_670_016;
/// The deepest payload, in levels of arrays and objects.
pub(crate) const MAX_PAYLOAD_DEPTH: usize = 64;

/// The form in which a payload came, and goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    /// JSON text, digit for digit.
    Json,
    /// A protobuf Struct, whose numbers are doubles.
    Struct,
}

/// A JSON object, kept as text on one line.
///
/// One form is stored; the other is derived where somebody needs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Payload {
    pub(crate) json: ArcStr,
    pub(crate) encoding: Encoding,
}
