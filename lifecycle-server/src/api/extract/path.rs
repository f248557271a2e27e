//! Members of a path.

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::request::Parts,
};
use percent_encoding::percent_decode_str;

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

/// The only member of a path.
#[derive(Debug, Clone)]
pub(crate) struct PathMember(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathMember {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let members = PathMembers::from_request_parts(parts, state).await?;
        let only = members.0.into_iter().next();
        only.map(|(_, value)| Self(value)).ok_or_else(|| ApiError::internal("a route has no member"))
    }
}

/// All members of a path, by name. Bytes that are no text stand for nothing that exists, and are looked for all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathMembers(Vec<(String, String)>);

impl PathMembers {
    fn read(route: &str, path: &str) -> Self {
        let (mut members, mut rest) = (Vec::new(), path);
        for segment in route.split('/') {
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let (value, after) = rest.split_once('/').unwrap_or((rest, ""));
            match name.map(|name| name.strip_prefix('*').ok_or(name)) {
                None => {}
                Some(Err(name)) => members.push((name.to_owned(), unescaped(value))),
                Some(Ok(name)) => members.push((name.to_owned(), unescaped(rest))),
            }
            rest = after;
        }
        Self(members)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl<S: Send + Sync> FromRequestParts<S> for PathMembers {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let route = MatchedPath::from_request_parts(parts, state).await.map_err(ApiError::internal)?;
        Ok(Self::read(route.as_str(), parts.uri.path()))
    }
}

async fn member<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, ApiError> {
    let members = PathMembers::from_request_parts(parts, state).await?;
    let value = members.get(name).map(str::to_owned);
    value.ok_or_else(|| ApiError::internal(format_args!("a route has no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_what_stands_in_their_places() {
        let read = |route: &str, path: &str| PathMembers::read(route, path).0;
        let member = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read("/v1/pools/{name}", "/v1/pools/a%20b"), [member("name", "a b")]);
        assert_eq!(read("/v1/pools/{name}", "/v1/pools/%ff"), [member("name", "\u{fffd}")]);
        let route = "/v1/sandboxes/{sandboxId}/proxy/{port}/{*path}";
        let expected = [member("sandboxId", "s"), member("port", "80"), member("path", "a/b\u{fffd}//c")];
        assert_eq!(read(route, "/v1/sandboxes/%73/proxy/80/a%2Fb%ff//c"), expected);
        assert_eq!(read("/v1/pools", "/v1/pools"), []);
    }
}
