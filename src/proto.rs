//! The contract: the messages and the client of `agent-debugger-client`, the server half over them, and the one message
//! that the server sends ready-made.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from the proto, which documents it")]

use bytes::{Buf, BufMut, Bytes};
use prost::{DecodeError, encoding};

pub use agent_debugger_client::proto::*;

pub(crate) mod name;

/// The server half of the contract, over the messages beside it.
pub(crate) mod server {
    include!(concat!(env!("OUT_DIR"), "/server/agent_debugger.v1.rs"));
}

/// What reflection serves: the compiled protos with their comments and imports.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// An [`EventsResponse`] on the wire whose frame was encoded once for all its readers.
///
/// Protobuf fields may follow each other in any order, so the reader's own resume token is appended to bytes
/// that many streams share.
#[derive(Debug, Clone, Default)]
pub struct EncodedFrame {
    /// The encoded `frame` field, and the token where all readers have the same.
    pub(crate) shared: Bytes,
    /// The token of this reader; empty where `shared` holds it.
    pub(crate) resume_token: String,
}

/// The number of `EventsResponse.resume_token`.
const RESUME_TOKEN: u32 = 7;

impl prost::Message for EncodedFrame {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.shared);
        if !self.resume_token.is_empty() {
            encoding::string::encode(RESUME_TOKEN, &self.resume_token, buf);
        }
    }

    fn encoded_len(&self) -> usize {
        let token = if self.resume_token.is_empty() {
            0
        } else {
            encoding::string::encoded_len(RESUME_TOKEN, &self.resume_token)
        };
        self.shared.len() + token
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: encoding::WireType,
        buf: &mut impl Buf,
        ctx: encoding::DecodeContext,
    ) -> Result<(), DecodeError> {
        // A server only sends this message; nothing decodes into it.
        encoding::skip_field(wire_type, tag, buf, ctx)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
