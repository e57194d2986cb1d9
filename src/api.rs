//! Every way in for people and tools, over one façade.
//!
//! ```text
//!  gRPC        HTTP, SSE, the page
//!   │                  │
//!  grpc              http          each decodes, calls the façade, encodes
//!   └────── service ───┘           who calls, whether they may, which agent; the audit log
//!              │
//!           convert                wire ↔ domain, here only
//! ```

pub(crate) mod convert;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod service;
mod transfer;
