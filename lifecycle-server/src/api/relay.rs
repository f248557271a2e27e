//! Sends requests about what another server has to that server.

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    auth::Caller,
    error::{ApiError, Code},
    extract::{PathMembers, read_body},
    state::ApiState,
};
use crate::{
    proxy::{Front, RELAYED, RelayError},
    sandbox::{Place, Scope},
    store::Kind,
};

/// Parameters of paths that name what servers have.
const NAMED: [(&str, Kind); 4] = [
    ("sandboxId", Kind::Sandbox),
    ("snapshotId", Kind::Snapshot),
    ("poolName", Kind::Pool),
    ("templateId", Kind::Template),
];
/// Where sandboxes are created: what they are made of is on one server.
const CREATE: &str = "/v1/sandboxes";
/// Members of a create request that name it, as JSON pointers.
const SOURCES: [(&str, Kind); 3] =
    [("/snapshotId", Kind::Snapshot), ("/templateId", Kind::Template), ("/extensions/poolRef", Kind::Pool)];

/// Passes a request on if it is about another server's. Whoever may send it is judged there as here.
pub(super) async fn relay(
    State(state): State<ApiState>,
    route: MatchedPath,
    members: PathMembers,
    request: Request,
    next: Next,
) -> Response {
    let Some(relay) = state.relay.as_ref().filter(|_| !request.headers().contains_key(RELAYED)) else {
        return next.run(request).await;
    };
    // A route without a key is about sandboxes only, and anybody's.
    let scope = request.extensions().get::<Caller>().map_or(Scope::All, Caller::scope);
    let (place, request) = match place(&state, &scope, route.as_str(), &members, request).await {
        Ok(found) => found,
        Err(error) => return error.into_response(),
    };
    match place {
        Place::Here => next.run(request).await,
        Place::There(address) => {
            let passed = relay.pass(&address, Front::Api, request).await;
            passed.unwrap_or_else(|error| ApiError::from(error).into_response())
        }
    }
}

async fn place(
    state: &ApiState,
    scope: &Scope,
    route: &str,
    members: &PathMembers,
    request: Request,
) -> Result<(Place, Request), ApiError> {
    let named = NAMED.iter().find_map(|&(name, kind)| Some((kind, members.get(name)?)));
    if let Some((kind, id)) = named {
        return Ok((state.service.locate(scope, kind, id).await?, request));
    }
    if route != CREATE || request.method() != Method::POST {
        return Ok((Place::Here, request));
    }
    let (parts, body) = request.into_parts();
    let bytes = read_body(Request::from_parts(parts.clone(), body)).await?;
    // What is no JSON, or names nothing, is refused here as ever.
    let wish: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let request = Request::from_parts(parts, Body::from(bytes));
    for (pointer, kind) in SOURCES {
        let id = wish.pointer(pointer).and_then(Value::as_str).map(str::trim).filter(|id| !id.is_empty());
        let Some(id) = id else { continue };
        if let there @ Place::There(_) = state.service.locate(scope, kind, id).await? {
            return Ok((there, request));
        }
    }
    Ok((Place::Here, request))
}

impl From<RelayError> for ApiError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Unreachable { .. } => Self::new(Code::ServerAway, error.to_string()),
            RelayError::Request(error) => error.into(),
        }
    }
}
