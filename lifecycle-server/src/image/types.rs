use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::guard::Guard;

/// An image whose layers are all unpacked in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of the image's configuration: `sha256:` and 64 hex digits.
    pub id: String,
    /// Full names with tag (`docker.io/library/python:3.12`); may be empty while a sandbox uses a replaced image.
    pub names: Vec<String>,
    /// Where it was pulled from, by manifest digest (`docker.io/library/python@sha256:…`).
    pub digests: Vec<String>,
    /// Unpacked layers, topmost first; never written after they appear.
    pub layers: Vec<PathBuf>,
    pub config: ImageConfig,
    pub platform: Platform,
    /// Bytes of file content in the unpacked layers; shared layers count for each image.
    pub size_bytes: u64,
    /// When the image was built, as its configuration says (RFC 3339); empty when unknown.
    pub created: String,
    /// Tenants that may use it because they have shown credentials for it; `None` is everybody.
    pub readers: Option<BTreeSet<String>>,
}

impl Image {
    /// Whether `tenant` may use it as it lies here; without tenants everybody may.
    pub fn is_open_to(&self, tenant: Option<&str>) -> bool {
        match (&self.readers, tenant) {
            (Some(readers), Some(tenant)) => readers.contains(tenant),
            (None, _) | (_, None) => true,
        }
    }
}

/// What an image says about the process to run in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    pub env: Vec<(String, String)>,
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    /// Empty means `/`.
    pub working_dir: String,
    /// `user[:group]`, by name or number; empty means root.
    pub user: String,
    /// As written in the image, such as `8080/tcp`.
    pub exposed_ports: Vec<String>,
    pub labels: BTreeMap<String, String>,
    /// Name or number of the signal that asks the program to stop; empty means `SIGTERM`.
    pub stop_signal: String,
}

/// Operating system and processor an image is made for, in Go's spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform of this machine.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// Whether something made for `offered` runs where `self` is asked for.
    pub(super) fn accepts(&self, offered: &Self) -> bool {
        self.os == offered.os
            && self.architecture == offered.architecture
            && (self.variant.is_none() || offered.variant.is_none() || self.variant == offered.variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// How to prove oneself to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Sent as HTTP Basic, or exchanged for a token where the registry asks for one.
    Basic { username: String, password: String },
    /// A ready-made bearer token.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { username, .. } => write!(f, "Basic({username}, …)"),
            Self::Token(_) => f.write_str("Token(…)"),
        }
    }
}

/// One step of a pull or import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Digest of the layer's unpacked content.
    pub layer: String,
    pub phase: Phase,
    /// Bytes done in this phase; for [`Phase::Downloading`] what an earlier, broken attempt left counts too.
    pub bytes: u64,
    /// Bytes this phase will take, where known.
    pub total: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The layer was in the store already.
    Present,
    Downloading,
    Unpacking,
    /// On its way out: packed, then sent.
    Packing,
    Uploading,
    Done,
}

/// Where progress is reported; called often and from several tasks, so it must be quick.
#[derive(Clone, Default)]
pub struct ProgressSink(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl ProgressSink {
    pub fn new(report: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    /// Nobody is interested.
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn report(&self, layer: &str, phase: Phase, bytes: u64, total: Option<u64>) {
        if let Some(report) = &self.0 {
            report(Progress { layer: layer.to_owned(), phase, bytes, total });
        }
    }
}

/// How a store behaves; [`Default`] suits a server.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Registries (`host` or `host:port`) reached through plain HTTP. Loopback addresses always are.
    pub insecure_registries: Vec<String>,
    /// Where registries may not be unless they are listed there; `None` lets them be anywhere.
    pub guard: Option<Guard>,
    /// Longest wait for a TCP and TLS connection to a registry.
    pub connect_timeout: Duration,
    /// Longest silence of a registry, before its answer and between two pieces of one.
    pub stall_timeout: Duration,
    /// Longest duration of one pull.
    pub pull_timeout: Duration,
    /// Layers of one image fetched at once.
    pub parallel_layers: usize,
    /// Free bytes on the store's disk that pulls and imports leave untouched.
    pub min_free_bytes: u64,
    /// The same as a share of the disk, in percent; the larger of the two counts.
    pub min_free_percent: u8,
    /// Most bytes one unpacked layer may take.
    pub max_layer_bytes: u64,
    /// What is pulled when the caller names no platform.
    pub platform: Platform,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            insecure_registries: Vec::new(),
            guard: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            pull_timeout: Duration::from_secs(30 * 60),
            parallel_layers: 3,
            min_free_bytes: 1 << 30,
            min_free_percent: 2,
            max_layer_bytes: 64 << 30,
            platform: Platform::host(),
        }
    }
}

/// What [`super::ImageStore::remove`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names that no longer exist.
    pub untagged: Vec<String>,
    /// Id of the image, when its last name went and the image with it.
    pub deleted: Option<String>,
    pub freed: Freed,
}

/// What a collection gave back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    pub images: usize,
    pub layers: usize,
    /// Bytes of file content, partial downloads included.
    pub bytes: u64,
}

/// A sandbox's claim on an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub owner: String,
    pub image_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_their_secret() {
        let shown = format!(
            "{:?} {:?}",
            Credentials::Basic { username: "ann".into(), password: "hunter2".into() },
            Credentials::Token("hunter2".into())
        );
        assert!(shown.contains("ann") && !shown.contains("hunter2"));
    }

    #[test]
    fn a_variant_matters_only_when_both_sides_name_one() {
        let arm = |variant: Option<&str>| Platform {
            os: "linux".into(),
            architecture: "arm".into(),
            variant: variant.map(Into::into),
        };
        assert!(arm(None).accepts(&arm(Some("v7"))));
        assert!(arm(Some("v7")).accepts(&arm(None)));
        assert!(!arm(Some("v7")).accepts(&arm(Some("v6"))));
        assert!(!arm(None).accepts(&Platform { os: "windows".into(), ..arm(None) }));
    }
}
