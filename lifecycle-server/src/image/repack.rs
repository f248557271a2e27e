//! Layers on their way out of the store: packed again, with the configuration and manifest that say so.
//!
//! Compressed layers are not kept, and packing one again need not give the bytes it once came as. The configuration that
//! leaves the store therefore lists the digests of what really leaves with it. The same layer always packs to the same
//! bytes, so that images pushed one after the other share theirs.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    os::fd::OwnedFd,
    sync::atomic::AtomicBool,
};

use serde_json::{Value, json};

use super::{
    digest::{Digest, HashingWriter},
    error::{Context, ImageError},
    import::Spool,
    index::Record,
    pack::{Bounds, pack},
    state::State,
};

pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Compression as most tools choose it: a level higher costs more time than it saves bytes.
const LEVEL: i32 = 3;
const BUFFER: usize = 1 << 20;

/// A layer as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) diff_id: Digest,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) media_type: String,
}

/// The documents of an image whose layers are known.
pub(super) struct Documents {
    pub(super) config: Vec<u8>,
    pub(super) config_digest: Digest,
    pub(super) manifest: Vec<u8>,
    pub(super) manifest_digest: Digest,
}

/// Packs one layer into a file that goes with its process.
pub(super) fn repack(
    state: &State,
    layer: &Digest,
    cancel: &AtomicBool,
) -> Result<(Outgoing, Spool), ImageError> {
    let path = state.layout.layer_files(layer);
    let context = || format!("packing layer {}", layer.short());
    let spool = Spool::create(state)?;
    let compressed = HashingWriter::new(BufWriter::with_capacity(BUFFER, spool.file()));
    let plain = HashingWriter::new(zstd::Encoder::new(compressed, LEVEL).context(context)?);
    let bounds = Bounds { skip: &[], space: Some(&state.space), cancel };
    let root = OwnedFd::from(File::open(&path).context(|| format!("opening {}", path.display()))?);
    let (diff_id, _, encoder) = pack(root, plain, &bounds)?.finish();
    let (digest, size, mut file) = encoder.finish().context(context)?.finish();
    file.flush().context(context)?;
    drop(file);
    spool.file().rewind().context(context)?;
    Ok((Outgoing { diff_id, digest, size, media_type: LAYER_TYPE.to_owned() }, spool))
}

/// Configuration and manifest for these layers, lowest first.
pub(super) fn documents(config: &[u8], layers: &[Outgoing]) -> Result<Documents, ImageError> {
    let mut config: Value = serde_json::from_slice(config)
        .map_err(|e| ImageError::Corrupt(format!("the image's configuration cannot be read: {e}")))?;
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    if config.pointer("/rootfs/diff_ids") != Some(&json!(diff_ids)) {
        let file = config.as_object_mut();
        let file =
            file.ok_or_else(|| ImageError::Corrupt("the image's configuration is no object".into()))?;
        file.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
    }
    let config = render(&config)?;
    let config_digest = Digest::of(&config);
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| json!({ "mediaType": layer.media_type, "digest": layer.digest.as_str(), "size": layer.size }))
        .collect();
    let manifest = render(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": { "mediaType": CONFIG_TYPE, "digest": config_digest.as_str(), "size": config.len() },
        "layers": layers,
    }))?;
    let manifest_digest = Digest::of(&manifest);
    Ok(Documents { config, config_digest, manifest, manifest_digest })
}

pub(super) fn render(document: &Value) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(document).map_err(|e| ImageError::io("writing a document", std::io::Error::from(e)))
}

/// Layers as registries have them already, by the digest of their content: what images were pulled as.
pub(super) fn pulled(state: &State, records: &[Record]) -> Vec<Outgoing> {
    let mut known = Vec::new();
    for record in records {
        let Some(manifest) = &record.manifest else { continue };
        // One that cannot be read only costs a shortcut.
        let Ok(bytes) = std::fs::read(state.layout.blob(manifest)) else { continue };
        let Ok(manifest) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let Some(layers) = manifest["layers"].as_array().filter(|layers| layers.len() == record.layers.len())
        else {
            continue;
        };
        for (diff_id, layer) in record.layers.iter().zip(layers) {
            let digest = layer["digest"].as_str().and_then(Digest::parse);
            if let (Some(digest), Some(size), Some(kind)) =
                (digest, layer["size"].as_u64(), layer["mediaType"].as_str())
            {
                let media_type = oci_name(kind).to_owned();
                known.push(Outgoing { diff_id: diff_id.clone(), digest, size, media_type });
            }
        }
    }
    known
}

/// Our manifests are OCI's: a layer of Docker's lineage is named as OCI names the same bytes.
fn oci_name(kind: &str) -> &str {
    match kind {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => LAYER_TYPE,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_list_what_leaves() {
        let layer = |text: &[u8]| Outgoing {
            diff_id: Digest::of(text),
            digest: Digest::of(&[text, b"z"].concat()),
            size: 9,
            media_type: LAYER_TYPE.to_owned(),
        };
        let layers = [layer(b"1"), layer(b"2")];
        let old = json!({ "os": "linux", "config": {"Env": ["A=1"]}, "rootfs": {"diff_ids": ["sha256:x", "sha256:y"]} });
        let made = documents(old.to_string().as_bytes(), &layers).unwrap();
        let config: Value = serde_json::from_slice(&made.config).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([layers[0].diff_id.as_str(), layers[1].diff_id.as_str()])
        );
        assert_eq!(config["config"]["Env"], json!(["A=1"]));
        let manifest: Value = serde_json::from_slice(&made.manifest).unwrap();
        assert_eq!(manifest["config"]["digest"], Digest::of(&made.config).as_str());
        assert_eq!(manifest["layers"][1]["digest"], layers[1].digest.as_str());
        assert_eq!(made.manifest_digest, Digest::of(&made.manifest));
    }
}
