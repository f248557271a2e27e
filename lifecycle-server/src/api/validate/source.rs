//! What the sandbox starts from.

use sandkeep_specs::lifecycle::{CreateSandboxRequest, ImageAuth, PullImageRequest, PushImageRequest};

use super::{Rules, platform};
use crate::{
    api::error::ApiError,
    sandbox::{Credentials, ImageRequest},
};

/// Longest reference that can name anything: 255 for the host, 255 for the path, 128 for the tag, 72 for a digest.
const MAX_REFERENCE: usize = 1024;

/// What a sandbox starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Image(ImageRequest),
    /// By id; its image is found when the sandbox is made.
    Snapshot(String),
}

/// The one source that is given; others and combinations are refused.
pub(super) fn source(request: &CreateSandboxRequest) -> Result<Source, ApiError> {
    let others = [("snapshotId", request.snapshot_id.as_deref())];
    let other = others.into_iter().find(|(_, id)| given(*id)).map(|(member, _)| member);
    match (&request.image, other) {
        (Some(_), Some(member)) => {
            Err(ApiError::invalid("image", format_args!("give either image or {member}, not both")))
        }
        (None, Some("snapshotId")) => {
            Ok(Source::Snapshot(request.snapshot_id.as_deref().unwrap_or_default().trim().to_owned()))
        }
        (None, Some(member)) => {
            Err(ApiError::not_supported(member, "is not available on this server; give image or snapshotId"))
        }
        (None, None) => Err(ApiError::invalid("image", "is required")),
        (Some(image), None) => Ok(Source::Image(ImageRequest {
            reference: reference("image.uri", &image.uri)?,
            id: None,
            credentials: image
                .auth
                .as_ref()
                .map(|auth| credentials("image.auth", auth))
                .transpose()?
                .flatten(),
            platform: None,
            tenant: None,
        })),
    }
}

/// The image of a pull request.
pub(in crate::api) fn pull(request: &PullImageRequest, rules: &Rules) -> Result<ImageRequest, ApiError> {
    Ok(ImageRequest {
        reference: reference("uri", &request.uri)?,
        id: None,
        credentials: request.auth.as_ref().map(|auth| credentials("auth", auth)).transpose()?.flatten(),
        platform: request.platform.as_ref().map(|wanted| platform::check(wanted, &rules.host)).transpose()?,
        tenant: None,
    })
}

/// A push, read.
pub(in crate::api) struct Push {
    pub(in crate::api) reference: String,
    pub(in crate::api) target: Option<String>,
    pub(in crate::api) credentials: Option<Credentials>,
}

pub(in crate::api) fn push(request: &PushImageRequest) -> Result<Push, ApiError> {
    Ok(Push {
        reference: reference("reference", &request.reference)?,
        target: request.target.as_deref().map(|target| reference("target", target)).transpose()?,
        credentials: request.auth.as_ref().map(|auth| credentials("auth", auth)).transpose()?.flatten(),
    })
}

pub(super) fn reference(place: &str, uri: &str) -> Result<String, ApiError> {
    let uri = uri.trim();
    if uri.is_empty() {
        return Err(ApiError::invalid(place, "must not be empty"));
    }
    if uri.len() > MAX_REFERENCE {
        let problem = format!("must be at most {MAX_REFERENCE} bytes, has {}", uri.len());
        return Err(ApiError::invalid(place, problem));
    }
    Ok(uri.to_owned())
}

/// Both or neither: half a login would only fail later, at the registry.
fn credentials(place: &str, auth: &ImageAuth) -> Result<Option<Credentials>, ApiError> {
    match (auth.username.as_deref(), auth.password.as_deref()) {
        (Some(username), Some(password)) if !username.is_empty() => {
            Ok(Some(Credentials { username: username.to_owned(), password: password.to_owned() }))
        }
        (None, None) => Ok(None),
        _ => Err(ApiError::invalid(place, "needs both username and password")),
    }
}

fn given(value: Option<&str>) -> bool {
    value.is_some_and(|value| !value.trim().is_empty())
}
