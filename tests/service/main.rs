//! The service on real sockets, as its users meet it: one server per test, on a free port.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod control;
mod events;
mod generated;
mod grpc;
mod guards;
mod holding;
mod http;
mod keeping;
mod layers;
mod limits;
mod parity;
mod pressure;
mod process;
mod refusals;
mod requests;
mod runs;
mod session;
mod support;
mod tls;
mod warnings;
