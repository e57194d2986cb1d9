//! Prost's codec, but for two things.
//!
//! A message that cannot be decoded is the caller's mistake, not ours: tonic calls it INTERNAL. A Struct deeper than
//! prost decodes (about 32 levels) is the one that honest callers meet.
//!
//! And the frames of an event stream are joined into pieces of one HTTP/2 frame. tonic's own pieces are twice as large,
//! in memory that begins with half of that: growing it cost a replay nearly half of its instructions.

use std::{any::TypeId, marker::PhantomData};

use prost::Message;
use tonic::{
    Code, Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};
use tonic_types::ErrorDetails;

use super::status::status;
use crate::proto::EncodedFrame;

/// The largest frame that HTTP/2 sends, where nobody asked for larger ones (RFC 9113, section 6.5.2).
const FRAME_BYTES: usize = 16 * 1024;
/// A piece that is full but for these is sent: most messages fit into them.
const SPARE_BYTES: usize = 1024;

/// The codec of the generated server; `build.rs` names it.
pub(crate) struct MessageCodec<Send, Take>(PhantomData<(Send, Take)>);

impl<Send, Take> Default for MessageCodec<Send, Take> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<S, T> Codec for MessageCodec<S, T>
where
    S: Message + Send + 'static,
    T: Message + Default + Send + 'static,
{
    type Encode = S;
    type Decode = T;
    type Encoder = ProstEncoder<S>;
    type Decoder = MessageDecoder<T>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(if TypeId::of::<S>() == TypeId::of::<EncodedFrame>() {
            BufferSettings::new(FRAME_BYTES, FRAME_BYTES - SPARE_BYTES)
        } else {
            BufferSettings::default()
        })
    }

    fn decoder(&mut self) -> Self::Decoder {
        MessageDecoder(ProstCodec::<S, T>::default().decoder())
    }
}

/// Decodes, and says whose mistake it is where that fails.
pub(crate) struct MessageDecoder<T>(ProstDecoder<T>);

impl<T: Message + Default + Send + 'static> Decoder for MessageDecoder<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        self.0.decode(buf).map_err(|error| {
            let field = field_at_fault(error.message());
            let problem = if error.message().contains("recursion limit") {
                "nests deeper than a Struct may (about 32 levels): send JSON text"
            } else {
                "is not valid protobuf"
            };
            let message = format!("{field} {problem}");
            let details = ErrorDetails::with_bad_request_violation(field, problem);
            status(Code::InvalidArgument, "INVALID_MESSAGE", message, details)
        })
    }
}

/// The field of the request in prost's words, which name the path from the inside: `…: TraceRequest.payload: …`.
fn field_at_fault(message: &str) -> String {
    let named = |part: &str| {
        let (of, field) = part.rsplit_once('.')?;
        of.ends_with("Request").then(|| field.to_owned())
    };
    match message.split(": ").find_map(named).as_deref() {
        None => "the message".into(),
        Some("payload") => "data".into(),
        Some("metadata_form") => "metadata".into(),
        Some(field) => field.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_the_request_is_found_in_what_prost_says() {
        for (said, field) in [
            (
                "failed to decode Protobuf message: Value.kind: Struct.fields: TraceRequest.payload: recursion limit",
                "data",
            ),
            ("failed to decode Protobuf message: StatusRequest.agent_id: invalid string value", "agent_id"),
            ("failed to decode Protobuf message: invalid tag value: 0", "the message"),
        ] {
            assert_eq!(field_at_fault(said), field);
        }
    }
}
