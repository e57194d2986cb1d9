//! Who calls over HTTP, and on which agent: what every handler begins with.

use axum::{
    extract::{FromRef, FromRequestParts, Path},
    http::request::Parts,
};

use super::error::Failure;
use crate::api::service::{Caller, Service};

/// A call: the service, and the caller as the guard saw it.
pub(crate) struct Call {
    pub(crate) service: Service,
    pub(crate) caller: Caller,
}

/// A call on the agent that its path names.
pub(crate) struct AgentCall {
    pub(crate) service: Service,
    pub(crate) caller: Caller,
    pub(crate) agent_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Call
where
    Service: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Caller>().copied().unwrap_or(Caller::UNKNOWN);
        Ok(Self { service: Service::from_ref(state), caller })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AgentCall
where
    Service: FromRef<S>,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(agent_id) = path.map_err(|error| Failure::invalid(format!("agent_id: {}", error.body_text())))?;
        let Call { service, caller } = Call::from_request_parts(parts, state).await?;
        Ok(Self { service, caller, agent_id })
    }
}
