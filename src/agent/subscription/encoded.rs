//! A value with its encodings, shared by all the subscribers that are sent it.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::masking::Visibility;

/// The transports.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wire {
    Sse,
    Grpc,
}

/// A value with its encodings, each made once, for the first reader that needs it.
#[derive(Debug)]
pub(crate) struct Encoded<T> {
    pub(crate) value: T,
    encodings: [OnceLock<Bytes>; 4],
}

impl<T> Encoded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, encodings: Default::default() }
    }

    /// The encoding for one wire, as it is seen, made now where nobody needed it before.
    pub(crate) fn encoded(&self, wire: Wire, visibility: Visibility, encode: impl FnOnce(&T) -> Bytes) -> &Bytes {
        let place = match (wire, visibility) {
            (Wire::Sse, Visibility::Whole) => 0,
            (Wire::Grpc, Visibility::Whole) => 1,
            (Wire::Sse, Visibility::Masked) => 2,
            (Wire::Grpc, Visibility::Masked) => 3,
        };
        self.encodings[place].get_or_init(|| encode(&self.value))
    }
}
