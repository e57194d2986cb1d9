//! The HTTP gateway: the documented routes as a mapping of the gRPC contract.
//!
//! Unary routes call the service's own methods in process; the event stream reads a subscription, as gRPC does.

pub(crate) mod api;
pub(crate) mod assets;
pub(crate) mod body;
pub(crate) mod breakpoints;
pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod openapi;
pub(crate) mod ops;
pub(crate) mod runs;
pub(crate) mod sse;
mod unknown;

use axum::{
    Router,
    extract::FromRef,
    http::Request,
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use tonic::{Code, Status};

use crate::api::{grpc::path::is_grpc, service::Service};
use error::Failure;
use ops::Operations;

/// The largest body, in bytes: the same as a gRPC message's.
pub(crate) const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) service: Service,
    pub(crate) operations: Operations,
}

impl FromRef<Gateway> for Service {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.service.clone()
    }
}

impl FromRef<Gateway> for Operations {
    fn from_ref(gateway: &Gateway) -> Self {
        gateway.operations.clone()
    }
}

/// Every route of the gateway.
pub(crate) fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/", get(assets::index))
        .route("/agents", get(api::list_agents))
        .route("/agent/{agent_id}/debug", get(assets::debugger))
        .route("/agent/{agent_id}/debug/events", get(sse::events))
        .route("/agent/{agent_id}/debug/trace", post(api::trace).get(api::list_events))
        .route("/agent/{agent_id}/debug/step", post(api::step))
        .route("/agent/{agent_id}/debug/continue", post(api::resume))
        .route("/agent/{agent_id}/debug/pause", post(api::pause))
        .route("/agent/{agent_id}/debug/release", post(api::release))
        .route("/agent/{agent_id}/debug/clear", post(api::clear))
        .route("/agent/{agent_id}/debug/status", get(api::status))
        .route("/agent/{agent_id}/debug/breakpoints", post(breakpoints::create).get(breakpoints::list))
        .route("/agent/{agent_id}/debug/breakpoints/test", post(breakpoints::test))
        .route("/agent/{agent_id}/debug/breakpoints/{id}", patch(breakpoints::update).delete(breakpoints::delete))
        .route("/agent/{agent_id}/debug/fork", post(runs::fork))
        .route("/agent/{agent_id}/debug/compare", get(runs::compare))
        .route("/agent/{agent_id}/debug/export", get(runs::export))
        // A file of any length: it is read as it comes, and bounded by what the agent has room for.
        .route("/agent/{agent_id}/debug/import", post(runs::import))
        .route("/assets/{*file}", get(assets::asset))
        .route("/healthz", get(ops::healthz))
        .route("/readyz", get(ops::readyz))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::document))
        .fallback(unknown)
        .method_not_allowed_fallback(|| async { Failure::method_not_allowed() })
        .with_state(gateway)
}

/// A path that nobody serves: each protocol hears it in its own way.
async fn unknown(request: Request<axum::body::Body>) -> Response {
    if is_grpc(request.headers()) {
        Status::new(Code::Unimplemented, "unknown service or method").into_http()
    } else {
        Failure::not_found().into_response()
    }
}
