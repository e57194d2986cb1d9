//! What operators ask: is it up, does it take work, how is it doing.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};

use super::error::Failure;
use crate::{debugger::Debugger, telemetry::Metrics};

/// What the answers come from.
#[derive(Clone)]
pub(crate) struct Operations {
    pub(crate) debugger: Debugger,
    pub(crate) metrics: Arc<Metrics>,
}

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The service takes new work: not while it drains.
pub(crate) async fn readyz(State(operations): State<Operations>) -> Result<&'static str, Failure> {
    if !operations.debugger.is_closing() {
        Ok("ready\n")
    } else {
        Err(tonic::Status::from(crate::error::Error::ShuttingDown).into())
    }
}

/// The metrics, in the text that Prometheus reads.
pub(crate) async fn metrics(State(Operations { debugger, metrics }): State<Operations>) -> impl IntoResponse {
    let text = metrics.render(debugger.agent_count(), debugger.bytes(), debugger.max_lag(), debugger.task_count());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
