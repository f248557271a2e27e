//! The JSON documents of an image: its configuration, and manifests of either lineage.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    digest::Digest,
    error::{ImageError, clipped},
    types::{ImageConfig, Platform},
};

/// The kernel stacks at most 500 directories in one overlay.
const MAX_LAYERS: usize = 500;
const CONFIG_TYPES: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// What an image's configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) id: Digest,
    pub(super) config: ImageConfig,
    pub(super) platform: Platform,
    pub(super) created: String,
    /// Lowest layer first.
    pub(super) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    variant: Option<String>,
    created: Option<String>,
    config: Option<ConfigSection>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigSection {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    labels: Option<BTreeMap<String, String>>,
    stop_signal: Option<String>,
}

impl Configuration {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let corrupt = |e| unreadable("configuration", &e);
        let file: ConfigFile = serde_json::from_slice(bytes).map_err(corrupt)?;
        let host = Platform::host();
        let platform = Platform {
            os: if file.os.is_empty() { host.os } else { file.os },
            architecture: if file.architecture.is_empty() { host.architecture } else { file.architecture },
            variant: file.variant.filter(|v| !v.is_empty()),
        };
        let diff_ids = file.rootfs.diff_ids.unwrap_or_default();
        if diff_ids.len() > MAX_LAYERS {
            return Err(ImageError::Unsupported(format!("the image has more than {MAX_LAYERS} layers")));
        }
        let section = file.config.unwrap_or_default();
        let split = |pair: String| match pair.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (pair, String::new()),
        };
        let config = ImageConfig {
            env: section.env.unwrap_or_default().into_iter().map(split).collect(),
            entrypoint: section.entrypoint.unwrap_or_default(),
            cmd: section.cmd.unwrap_or_default(),
            working_dir: section.working_dir.unwrap_or_default(),
            user: section.user.unwrap_or_default(),
            exposed_ports: section.exposed_ports.unwrap_or_default().into_keys().collect(),
            labels: section.labels.unwrap_or_default(),
            stop_signal: section.stop_signal.unwrap_or_default(),
        };
        Ok(Self {
            id: Digest::of(bytes),
            config,
            platform,
            created: file.created.unwrap_or_default(),
            diff_ids,
        })
    }
}

/// A pointer to other content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) platform: Option<PlatformField>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PlatformField {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
}

impl Descriptor {
    pub(super) fn offered(&self) -> Option<Platform> {
        let field = self.platform.as_ref()?;
        let variant = field.variant.clone().filter(|v| !v.is_empty());
        Some(Platform { os: field.os.clone(), architecture: field.architecture.clone(), variant })
    }
}

/// Either kind of manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manifest {
    Image { config: Descriptor, layers: Vec<Descriptor> },
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFile {
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            schema_version: u32,
        }
        let corrupt = |e| unreadable("manifest", &e);
        let Version { schema_version } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if schema_version != 2 {
            return Err(ImageError::Unsupported(format!("manifests of schema version {schema_version}")));
        }
        let file: ManifestFile = serde_json::from_slice(bytes).map_err(corrupt)?;
        match (file.config, file.layers, file.manifests) {
            (Some(config), Some(layers), None) => {
                if !CONFIG_TYPES.contains(&config.media_type.as_str()) {
                    return Err(ImageError::Unsupported(format!(
                        "this is no container image: its configuration is of type \"{}\"",
                        clipped(&config.media_type)
                    )));
                }
                if layers.len() > MAX_LAYERS {
                    return Err(ImageError::Unsupported(format!(
                        "the image has more than {MAX_LAYERS} layers"
                    )));
                }
                Ok(Self::Image { config, layers })
            }
            (None, _, Some(manifests)) => Ok(Self::Index(manifests)),
            _ => Err(ImageError::Corrupt("the manifest is neither an image nor an index".into())),
        }
    }
}

/// A document that is not what it should be; the error may repeat some of it.
fn unreadable(what: &str, error: &serde_json::Error) -> ImageError {
    ImageError::Corrupt(format!("the image's {what} cannot be read: {}", clipped(&error.to_string())))
}

/// The entry made for a platform.
pub(super) fn choose<'a>(
    entries: &'a [Descriptor],
    platform: &Platform,
) -> Result<&'a Descriptor, ImageError> {
    let offered = || entries.iter().filter_map(|entry| Some((entry, entry.offered()?)));
    // An entry without a platform is as good as its image's configuration says, which is looked at later.
    let untyped = || entries.iter().find(|entry| entry.platform.is_none());
    let exact = offered().find(|(_, offer)| offer == platform).map(|(entry, _)| entry);
    let fitting = || offered().find(|(_, offer)| platform.accepts(offer)).map(|(entry, _)| entry);
    exact.or_else(fitting).or_else(untyped).ok_or_else(|| {
        // Attestations are listed beside images, for no platform at all.
        let list: Vec<_> =
            offered().filter(|(_, p)| p.os != "unknown").map(|(_, offer)| offer.to_string()).collect();
        ImageError::NotFound(format!(
            "no image for platform {platform}; there are: {}",
            clipped(&list.join(", "))
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn descriptor(n: u8, platform: serde_json::Value) -> serde_json::Value {
        json!({"mediaType": "m", "digest": Digest::of(&[n]).as_str(), "size": n, "platform": platform})
    }

    fn platform(architecture: &str, variant: Option<&str>) -> Platform {
        Platform { os: "linux".into(), architecture: architecture.into(), variant: variant.map(Into::into) }
    }

    #[test]
    fn the_best_platform_wins() {
        let index = json!({"schemaVersion": 2, "manifests": [
            descriptor(0, json!({"os": "unknown", "architecture": "unknown"})),
            descriptor(1, json!({"os": "linux", "architecture": "amd64"})),
            descriptor(2, json!({"os": "linux", "architecture": "arm", "variant": "v6"})),
            descriptor(3, json!({"os": "linux", "architecture": "arm", "variant": "v7"})),
        ]});
        let Manifest::Index(entries) = Manifest::parse(index.to_string().as_bytes()).unwrap() else {
            panic!()
        };
        let size = |p: &Platform| choose(&entries, p).map(|d| d.size);
        assert_eq!(size(&platform("amd64", None)).unwrap(), 1);
        assert_eq!(size(&platform("arm", Some("v7"))).unwrap(), 3);
        assert_eq!(size(&platform("arm", None)).unwrap(), 2);
        let missing = size(&platform("s390x", None)).unwrap_err().to_string();
        assert!(
            missing.contains("linux/s390x")
                && missing.contains("linux/arm/v7")
                && !missing.contains("unknown")
        );
    }

    #[test]
    fn a_configuration_is_read_with_whatever_is_missing() {
        let diff = Digest::of(b"layer");
        let full = json!({
            "architecture": "arm64", "os": "linux", "variant": "", "created": "2026-01-01T00:00:00Z",
            "config": {"Env": ["A=1=2", "B"], "Cmd": ["sh"], "Entrypoint": null, "User": "ann", "WorkingDir": "/w",
                       "ExposedPorts": {"80/tcp": {}}, "Labels": {"k": "v"}, "StopSignal": "SIGINT"},
            "rootfs": {"type": "layers", "diff_ids": [diff.as_str()]}
        });
        let parsed = Configuration::parse(full.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.platform, platform("arm64", None));
        assert_eq!(parsed.config.env, [("A".into(), "1=2".into()), ("B".into(), String::new())]);
        assert_eq!((parsed.config.exposed_ports, parsed.diff_ids), (vec!["80/tcp".to_string()], vec![diff]));
        let bare = Configuration::parse(br#"{"rootfs":{"diff_ids":[]}}"#).unwrap();
        assert_eq!(bare.config, ImageConfig::default());
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let config = |kind: &str| {
            json!({"schemaVersion": 2, "layers": [],
                   "config": {"mediaType": kind, "digest": Digest::of(b"").as_str(), "size": 0}})
        };
        assert!(Manifest::parse(config(CONFIG_TYPES[0]).to_string().as_bytes()).is_ok());
        let chart =
            Manifest::parse(config("application/vnd.cncf.helm.config.v1+json").to_string().as_bytes());
        assert!(matches!(chart, Err(ImageError::Unsupported(_))));
        let old = Manifest::parse(br#"{"schemaVersion": 1, "fsLayers": []}"#);
        assert!(matches!(old, Err(ImageError::Unsupported(_))));
        let escape = br#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]}"#;
        assert!(matches!(Manifest::parse(escape), Err(ImageError::Corrupt(_))));
        let negative =
            json!({"schemaVersion": 2, "manifests": [{"digest": Digest::of(b"").as_str(), "size": -1}]});
        assert!(matches!(Manifest::parse(negative.to_string().as_bytes()), Err(ImageError::Corrupt(_))));
    }
}
