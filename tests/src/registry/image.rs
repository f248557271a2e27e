use std::{fmt::Write as _, io::Write as _};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A layer as a registry keeps it.
#[derive(Debug, Clone)]
pub struct Layer {
    pub diff_id: String,
    pub blob: Vec<u8>,
    media_type: &'static str,
}

impl Layer {
    pub fn plain(tar: &[u8]) -> Self {
        Self::new(tar, tar.to_vec(), "application/vnd.oci.image.layer.v1.tar")
    }

    pub fn gzip(tar: &[u8]) -> anyhow::Result<Self> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(tar)?;
        Ok(Self::new(tar, encoder.finish()?, "application/vnd.oci.image.layer.v1.tar+gzip"))
    }

    pub fn zstd(tar: &[u8]) -> anyhow::Result<Self> {
        Ok(Self::new(tar, zstd::encode_all(tar, 1)?, "application/vnd.oci.image.layer.v1.tar+zstd"))
    }

    fn new(tar: &[u8], blob: Vec<u8>, media_type: &'static str) -> Self {
        Self { diff_id: digest(tar), blob, media_type }
    }

    pub fn blob_digest(&self) -> String {
        digest(&self.blob)
    }
}

pub(super) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(bytes), "size": bytes.len()})
}

pub(super) fn config(architecture: &str, layers: &[Layer]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
    json!({
        "os": "linux", "architecture": architecture, "created": "2026-01-02T03:04:05Z",
        "config": {"Env": ["PATH=/bin", "GREETING=hi=there"], "Cmd": ["sh"], "WorkingDir": "/srv", "User": "33"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}
    })
    .to_string()
    .into_bytes()
}

pub(super) fn manifest(config: &[u8], layers: &[Layer]) -> Vec<u8> {
    let layers: Vec<_> = layers.iter().map(|layer| descriptor(layer.media_type, &layer.blob)).collect();
    json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, config), "layers": layers})
        .to_string()
        .into_bytes()
}

/// A tar archive.
pub fn tar(build: impl FnOnce(&mut tar::Builder<Vec<u8>>) -> std::io::Result<()>) -> anyhow::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    build(&mut builder)?;
    Ok(builder.into_inner()?)
}

/// A tar archive of plain files.
pub fn files(list: &[(&str, &[u8])]) -> anyhow::Result<Vec<u8>> {
    tar(|builder| {
        for (name, content) in list {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content)?;
        }
        Ok(())
    })
}

/// Bytes that do not compress; the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// What `docker save` writes.
pub fn docker_archive(name: &str, layers: &[Layer]) -> anyhow::Result<Vec<u8>> {
    let config = config("amd64", layers);
    let mut members: Vec<(String, Vec<u8>)> =
        layers.iter().enumerate().map(|(i, layer)| (format!("{i}/layer.tar"), layer.blob.clone())).collect();
    let paths: Vec<_> = members.iter().map(|(path, _)| path.clone()).collect();
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": paths}]);
    members.push(("config.json".into(), config));
    members.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    archive(&members)
}

/// An OCI layout in a tar, without a name.
pub fn oci_archive(layers: &[Layer]) -> anyhow::Result<Vec<u8>> {
    let config = config("amd64", layers);
    let manifest = manifest(&config, layers);
    let index = json!({"schemaVersion": 2, "manifests": [descriptor(MANIFEST, &manifest)]}).to_string();
    let blobs = layers.iter().map(|layer| &layer.blob).chain([&config, &manifest]);
    let mut members: Vec<(String, Vec<u8>)> = blobs
        .map(|blob| (format!("blobs/sha256/{}", digest(blob).trim_start_matches("sha256:")), blob.clone()))
        .collect();
    members.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    members.push(("index.json".into(), index.into_bytes()));
    archive(&members)
}

fn archive(members: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let list: Vec<_> = members.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    files(&list)
}
