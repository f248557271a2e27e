//! Members of a path.

use std::collections::HashMap;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use crate::api::error::{ApiError, Code};

/// Longer ids than any we give out are not worth looking for, nor repeating in a message.
const MAX_ID: usize = 128;

/// The path's `sandboxId`.
#[derive(Debug, Clone)]
pub(crate) struct SandboxId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SandboxId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = member(parts, state, "sandboxId").await?;
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            return Err(ApiError::new(Code::SandboxNotFound, "sandboxId: this is not the id of any sandbox"));
        }
        Ok(Self(id))
    }
}

/// The path's `snapshotId`.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SnapshotId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let id = member(parts, state, "snapshotId").await?;
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            return Err(ApiError::new(
                Code::SnapshotNotFound,
                "snapshotId: this is not the id of any snapshot",
            ));
        }
        Ok(Self(id))
    }
}

/// The path's `port`, 1 to 65535.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(pub u16);

impl<S: Send + Sync> FromRequestParts<S> for Port {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = member(parts, state, "port").await?;
        match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => {
                let shown: String = text.chars().take(40).collect();
                let problem = format!("port: must be a whole number from 1 to 65535, is {shown:?}");
                Err(ApiError::new(Code::InvalidPort, problem))
            }
        }
    }
}

async fn member<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, ApiError> {
    let Path(mut members) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
        .await
        .map_err(|rejection| ApiError::invalid("path", rejection.body_text()))?;
    members.remove(name).ok_or_else(|| ApiError::internal(format_args!("a route has no {name}")))
}
