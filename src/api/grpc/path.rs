//! What tells a gRPC request from any other: its content type, and its path.

use http::{HeaderMap, header};

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// `/package.Service/…`, as tonic routes it: no route of the gateway has a dot in its first segment.
pub(crate) fn is_grpc_path(path: &str) -> bool {
    let path = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
    let service = path.iter().position(|byte| *byte == b'/').map(|end| &path[..end]);
    service.is_some_and(|service| service.contains(&b'.'))
}
