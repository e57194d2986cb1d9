//! Prost's codec, but for one thing: a message that cannot be decoded is the caller's mistake, not ours.
//!
//! tonic calls it INTERNAL. A Struct deeper than prost decodes (about 32 levels) is the one that honest callers meet.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Code, Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};
use tonic_types::ErrorDetails;

use super::status::status;

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
        ProstCodec::<S, T>::default().encoder()
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
            let problem = match error.message().contains("recursion limit") {
                true => "data nests deeper than a Struct may (about 32 levels): send data_json",
                false => "the message is not valid protobuf",
            };
            status(
                Code::InvalidArgument,
                "INVALID_MESSAGE",
                problem,
                ErrorDetails::with_bad_request_violation("data", problem),
            )
        })
    }
}
