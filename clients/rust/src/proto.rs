//! The messages of the contract and the client of its service, as `proto/agent_debugger/v1` has them.
//!
//! The code is generated and kept in the repository, so that a build of this crate needs no compiler of protos.

#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from the proto, which documents it")]

include!("generated/agent_debugger.v1.rs");
