//! The debugger for AI agents written in any language: hold, step and answer an agent's steps.
//!
//! # The map
//!
//! A request goes down, what it caused comes back up:
//!
//! ```text
//!           server                                  listener, TLS, guard, dispatch
//!              │
//!     api::grpc   api::http                         each decodes, calls the façade, encodes
//!          └──┬──────┘
//!        api::service                               who calls, whether they may, which agent; the audit log
//!             │         api::convert                wire ↔ domain, here only
//!         debugger                                  registry and use cases
//!             │
//!           agent ──▶ agent::subscription           one agent under its lock; a cursor on its log ──▶ both streams
//!             │
//!          session        store                     one agent's pure state machine; its event log
//!             └──────┬──────┘
//!                  event ──▶ content                ids, events, decisions; payloads
//! ```
//!
//! | to find | look in |
//! |---|---|
//! | the contract, call by call | `proto/agent_debugger/v1/debugger.proto` |
//! | what a step, a continue, a clear does | `session/control` |
//! | which decisions a held step takes | `session/hold` |
//! | how a fork finds a step again, and what it tells the agent | `session/fork`, `session/fork/plan` |
//! | which node a closing event belongs to | `session/node` |
//! | the vocabulary of conditions | `session/condition`; what they see of an event, `session/condition/facts` |
//! | a payload, its bounds and its encoding; when two are the same, what differs | `content` |
//! | when two steps are the same | `event/digest` |
//! | what is recorded, its ids and their bounds | `event` |
//! | which parts of a payload are secret | `content/mask`, `content/mask/rules.txt` |
//! | what a caller that may only look does not see | `masking` |
//! | how two runs are aligned | `compare` |
//! | the file of a run | `export`, `docs/reference/export-format.md` |
//! | fork, compare, export and import, from the lock to the answer | `debugger/runs` |
//! | time-outs, retries with a `request_id`, callers that go away | `agent/waiter`, `agent` |
//! | conditions that take a while | `debugger/judge` |
//! | resume, gaps, snapshots | `agent/subscription`, `agent/snapshot`; tokens, `store/token` |
//! | who may call what | `api/service`; scopes and tokens, `auth` |
//! | the documented JSON shapes | `json`; written for events in `api/convert/json`; read in `api/http/body` |
//! | errors, as gRPC codes, and as HTTP | `error`, `api/grpc/status`, `api/http/error` |
//! | Host and Origin | `server/guard`; bearer tokens, `server/auth`; security headers, `server/headers` |
//! | how many connections, for which peers | `server/places`; when one is closed, `server/connection` |
//! | bytes in flight, and how long a body may take | `server/budget`, `server/body` |
//! | where log lines go | `telemetry/log` |
//! | the flags of `serve` | `cli/serve`; what they are made into, `config` |
//! | the commands of the terminal, clients of the contract like any other | `cli` |
//! | the page | `templates/assets`, a folder for each panel |
//! | messages and client for agents in Rust | `clients/rust` |
//!
//! # Invariants
//!
//! - The session has no clock, no I/O, no lock and no channel, and applying a decided change cannot fail.
//! - Append, publish and hold are one step under the agent's lock: a subscriber that sees an event can already release
//!   it.
//! - The log is the truth; a notification only wakes a reader. A slow reader delays nothing but itself.
//! - Nothing below `api` knows tonic, axum or a generated type, and the façade knows no transport. A test holds this.
//! - No two files need each other. A test holds this.
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
