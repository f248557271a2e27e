use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Storage mounted into a sandbox; exactly one of `host`, `pvc` and `ossfs` says where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Unique among the sandbox's volumes.
    #[schema(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 63)]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pvc: Option<Pvc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ossfs: Option<Ossfs>,
    /// Absolute path inside the sandbox.
    #[schema(pattern = "^/.*")]
    pub mount_path: String,
    #[serde(default)]
    pub read_only: bool,
    /// Directory of the storage to mount instead of its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
}

/// A directory of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    #[schema(pattern = r"^(/|[A-Za-z]:[\\/])")]
    pub path: String,
}

/// A named volume the platform manages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pvc {
    #[schema(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length = 253)]
    pub claim_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = true)]
    pub create_if_not_exists: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(default = false)]
    pub delete_on_sandbox_termination: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// Size of a volume created by this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti|Pi|Ei)?$")]
    pub storage: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_modes: Option<Vec<String>>,
}

/// A bucket of an object store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OSSFS)]
pub struct Ossfs {
    #[schema(min_length = 3, max_length = 63)]
    pub bucket: String,
    #[schema(min_length = 1)]
    pub endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<OssfsVersion>)]
    pub version: Option<String>,
    /// Extra mount options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    #[schema(min_length = 1)]
    pub access_key_id: String,
    #[schema(min_length = 1)]
    pub access_key_secret: String,
}

/// Leaves the keys out, so that no log can carry them.
impl std::fmt::Debug for Ossfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ossfs")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Generation of the ossfs program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum OssfsVersion {
    #[serde(rename = "1.0")]
    V1,
    #[serde(rename = "2.0")]
    V2,
}
