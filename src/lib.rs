//! The debugger for AI agents written in any language: hold, step and answer an agent's steps.
//!
//! # The map
//!
//! A request goes down, what it caused comes back up:
//!
//! ```text
//!             gRPC                 HTTP, SSE, the page
//!              │                            │
//!          grpc (tonic)  ◀── in process ── gateway (axum)
//!              └───────────── convert ──────┘            wire ↔ domain, here only
//!                               │
//!                            debugger                    registry, waiting, time
//!                               │
//!                            session                     one agent's pure state machine
//!                               │
//!                             store                      its event log
//!                               │
//!                          subscription                  a cursor on the log ──▶ both streams
//! ```
//!
//! | to find | look in |
//! |---|---|
//! | the contract, call by call | `proto/agent_debugger/v1/debugger.proto` |
//! | what a step, a continue, a clear does | `session` |
//! | which decisions a held step takes | `session/hold` |
//! | how a fork finds a step again, and what it tells the agent | `session/fork`, `session/fork/plan` |
//! | when two payloads are the same, what differs, what is secret | `content` |
//! | how two runs are aligned | `compare` |
//! | the file of a run | `export`, `docs/reference/export-format.md` |
//! | fork, compare, export and import, from the lock to the answer | `debugger/runs` |
//! | which node a closing event belongs to | `session/node` |
//! | time-outs, retries with a `request_id`, callers that go away | `debugger/waiter`, `debugger/agent` |
//! | what is recorded, its ids and their bounds | `event` |
//! | resume, gaps, snapshots | `subscription` |
//! | the JSON of bodies and frames | `proto/json`; read in `gateway/body` |
//! | errors as gRPC codes, and as HTTP | `grpc/status`, `gateway/error` |
//! | Host, Origin, tokens | `server/guard` |
//! | what who may only look does not see | `visibility` |
//! | flags | `config` |
//! | the commands of the terminal, clients of the contract like any other | `cli` |
//!
//! # Invariants
//!
//! - The session has no clock, no I/O, no lock and no channel, and applying a decided change cannot fail.
//! - Append, publish and hold are one step under the agent's lock: whoever sees an event can already release it.
//! - The log is the truth; a notification only wakes a reader. A slow reader costs nobody anything.
//! - Nothing below `convert` knows tonic, axum or a generated type. A test holds this.
//! - The terminal side knows the contract and nothing else of the service. A test holds this, too.
//! - No lock is held across an await; no code here is `unsafe`; every queue, map, body and wait has a bound.

mod agent;
mod api;
mod auth;
pub mod cli;
mod compare;
pub mod config;
mod content;
mod debugger;
mod error;
mod event;
mod export;
mod json;
mod masking;
pub mod proto;
pub mod server;
mod session;
mod store;
pub mod telemetry;
