//! How long each rpc takes, over either transport, without a line in the handlers.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};

use crate::telemetry::Metrics;

pub(super) async fn observe(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let Some(rpc) = rpc(request.method(), request.uri().path()) else { return next.run(request).await };
    let began = Instant::now();
    let response = next.run(request).await;
    metrics.rpc_took(rpc, began.elapsed());
    response
}

/// The rpc that a path means: a name of the contract, so that labels stay few whatever is asked for.
fn rpc(method: &Method, path: &str) -> Option<&'static str> {
    const RPCS: [&str; 15] = [
        "Trace",
        "Step",
        "Continue",
        "Pause",
        "Release",
        "Clear",
        "Status",
        "Events",
        "ListEvents",
        "ListAgents",
        "CreateBreakpoint",
        "ListBreakpoints",
        "UpdateBreakpoint",
        "DeleteBreakpoint",
        "TestBreakpoint",
    ];
    if let Some(name) = path.strip_prefix("/agent_debugger.v1.DebuggerService/") {
        return RPCS.into_iter().find(|rpc| *rpc == name);
    }
    if path == "/agents" {
        return Some("ListAgents");
    }
    let (agent, verb) = path.strip_prefix("/agent/")?.split_once("/debug/")?;
    match (agent.contains('/'), verb, method) {
        (false, "trace", &Method::GET) => Some("ListEvents"),
        (false, "breakpoints", &Method::GET) => Some("ListBreakpoints"),
        (false, "breakpoints", _) => Some("CreateBreakpoint"),
        (false, "breakpoints/test", _) => Some("TestBreakpoint"),
        (false, verb, &Method::PATCH) if verb.starts_with("breakpoints/") => Some("UpdateBreakpoint"),
        (false, verb, &Method::DELETE) if verb.starts_with("breakpoints/") => Some("DeleteBreakpoint"),
        (false, verb, _) => RPCS.into_iter().find(|rpc| rpc.eq_ignore_ascii_case(verb)),
        _ => None,
    }
}
