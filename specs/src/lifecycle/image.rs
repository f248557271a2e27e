use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, schema::Type},
};

/// An image in a registry or in the local store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageSpec {
    /// Reference as container tools write it: `python:3.12`, `registry.example/team/app@sha256:…`.
    #[schema(example = "python:3.12-slim")]
    pub uri: String,
    /// Credentials for the registry; never part of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub auth: Option<ImageAuth>,
}

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageAuth {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub password: Option<String>,
}

/// Leaves the password out, so that no log can carry it.
impl std::fmt::Debug for ImageAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageAuth").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Operating system and processor architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlatformSpec {
    #[schema(schema_with = operating_system)]
    pub os: String,
    #[schema(schema_with = architecture)]
    pub arch: String,
}

// Texts in the code, so that a wrong value gets an answer that says which are right.
fn operating_system() -> Object {
    one_of(["linux", "windows"])
}

fn architecture() -> Object {
    one_of(["amd64", "arm64"])
}

fn one_of(values: [&'static str; 2]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).build()
}

/// An image that is unpacked and ready on this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredImage {
    /// Digest of the image's configuration, `sha256:…`.
    pub id: String,
    /// Every reference the image is known by.
    pub names: Vec<String>,
    pub platform: PlatformSpec,
    /// Bytes of its unpacked layers.
    pub size_bytes: u64,
    /// When the image was built, as it states itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub created_at: Option<DateTime<Utc>>,
}

/// The images on this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListImagesResponse {
    pub items: Vec<StoredImage>,
}

/// Fetch an image from its registry now instead of on the first create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PullImageRequest {
    /// Reference as container tools write it.
    #[schema(example = "python:3.12-slim")]
    pub uri: String,
    /// Credentials for the registry; not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<ImageAuth>,
    /// Which variant of a multi-platform image; absent takes the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformSpec>,
}

/// The images found in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportImagesResponse {
    pub items: Vec<StoredImage>,
}

/// Which image to send where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushImageRequest {
    /// Name, digest or id of an image of the server.
    #[schema(example = "opensandbox-snapshots:6f0c2c3d-0000-4000-8000-000000000000")]
    pub reference: String,
    /// Name it gets in its registry; absent takes `reference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "registry.example/team/app:1")]
    pub target: Option<String>,
    /// Credentials for the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub auth: Option<ImageAuth>,
}

/// Where an image is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PushImageResponse {
    /// Its name with the digest of its manifest.
    #[schema(
        example = "registry.example/team/app@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    )]
    pub reference: String,
}
