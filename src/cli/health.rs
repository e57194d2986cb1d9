//! `health`: whether the service takes work, for what starts and watches it.

use std::{process::ExitCode, time::Duration};

use http::{Request, StatusCode};
use tokio::time::timeout;
use tonic::body::Body;
use tower::ServiceExt;

use super::{
    Problem,
    args::{HealthArgs, ServiceArgs},
    connect::{Scope, Service},
};

/// A service that has not answered within this is not well.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(HealthArgs { url, tls_ca }: HealthArgs) -> Result<ExitCode, Problem> {
    let service = Service::new(&ServiceArgs { url, token: None, tls_ca }, Scope::View)?;
    let answered = timeout(PATIENCE, ready(&service)).await;
    let status = answered.map_err(|_| Problem::Unreachable {
        url: service.url.clone(),
        cause: format!("no answer within {} s", PATIENCE.as_secs()),
    })??;
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Problem::Failed(format!("the service at {} is not ready: /readyz answered {status}", service.url)))
}

/// The status of `/readyz`, asked over the channel of every other command: TLS is the same for all.
async fn ready(service: &Service) -> Result<StatusCode, Problem> {
    let channel = service.channel().await?;
    let request = Request::get("/readyz").body(Body::empty()).map_err(|error| Problem::Failed(error.to_string()))?;
    let response = channel.oneshot(request).await.map_err(|error| service.unreachable(&error))?;
    Ok(response.status())
}
