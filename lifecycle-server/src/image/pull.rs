use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    config::{Configuration, Descriptor},
    digest::Digest,
    download::download,
    error::{ImageError, clipped},
    layer::LayerClaim,
    reference,
    registry::Registry,
    state::{NewImage, Pin, State},
    types::{Credentials, Image, Phase, Platform, ProgressSink},
};

/// Brings an image from its registry into the store. What takes credentials is open to `tenant` only.
pub(super) async fn pull(
    state: &Arc<State>,
    text: &str,
    credentials: Option<&Credentials>,
    platform: Option<&Platform>,
    tenant: Option<&str>,
    progress: &ProgressSink,
) -> Result<Image, ImageError> {
    let limit = state.options.pull_timeout;
    let readers = credentials.and(tenant).map(|tenant| BTreeSet::from([tenant.to_owned()]));
    let pulled = run(state, text, credentials, platform, readers, progress);
    let result = tokio::time::timeout(limit, pulled).await;
    result.unwrap_or_else(|_| {
        Err(ImageError::Stalled(format!("pulling {text} took longer than {} s", limit.as_secs())))
    })
}

async fn run(
    state: &Arc<State>,
    text: &str,
    credentials: Option<&Credentials>,
    platform: Option<&Platform>,
    readers: Option<BTreeSet<String>>,
    progress: &ProgressSink,
) -> Result<Image, ImageError> {
    let reference = reference::parse(text)?;
    let name = match reference.digest() {
        Some(digest) => reference::by_digest(&reference, digest),
        None => reference::by_tag(&reference),
    };
    let (new, pin) = fetch(state, reference, name.clone(), credentials, platform, progress)
        .await
        .map_err(|e| e.within(&format!("image {name}")))?;
    let new = NewImage { readers, ..new };
    let image = blocking(state, move |state| state.commit(new)).await?;
    drop(pin);
    Ok(image)
}

async fn fetch(
    state: &Arc<State>,
    reference: oci_spec::distribution::Reference,
    name: String,
    credentials: Option<&Credentials>,
    platform: Option<&Platform>,
    progress: &ProgressSink,
) -> Result<(NewImage, Pin), ImageError> {
    state.space.check(0)?;
    let platform = platform.unwrap_or(&state.options.platform);
    let registry = Registry::connect(reference.clone(), credentials, &state.options).await?;
    let resolved = registry.resolve(platform).await?;
    let config_bytes = registry.document(&resolved.config).await?;
    let configuration = Configuration::parse(&config_bytes)?;
    if !platform.accepts(&configuration.platform) {
        return Err(ImageError::NotFound(format!(
            "no image for platform {platform}; there are: {}",
            clipped(&configuration.platform.to_string())
        )));
    }
    let layers = pair(&configuration.diff_ids, &resolved.layers)?;
    let pin = blocking(state, {
        let diff_ids = configuration.diff_ids.clone();
        move |state| state.pin(&diff_ids)
    })
    .await?;
    let fetches: Vec<_> =
        layers.iter().map(|(diff_id, blob)| fetch_layer(state, &registry, diff_id, blob, progress)).collect();
    stream::iter(fetches).buffer_unordered(state.options.parallel_layers.max(1)).try_collect::<()>().await?;
    let new = NewImage {
        configuration,
        config_bytes,
        digest: Some(reference::by_digest(&reference, resolved.digest.as_str())),
        manifest: Some((resolved.digest, resolved.bytes)),
        names: vec![name],
        readers: None,
    };
    Ok((new, pin))
}

/// Layers by the digest of their content; an image may use one several times.
fn pair<'a>(
    diff_ids: &[Digest],
    blobs: &'a [Descriptor],
) -> Result<HashMap<Digest, &'a Descriptor>, ImageError> {
    match diff_ids.len() == blobs.len() {
        true => Ok(diff_ids.iter().cloned().zip(blobs).collect()),
        false => Err(ImageError::Corrupt(format!(
            "the manifest lists {} layers, the configuration {}",
            blobs.len(),
            diff_ids.len()
        ))),
    }
}

async fn fetch_layer(
    state: &Arc<State>,
    registry: &Registry,
    diff_id: &Digest,
    blob: &Descriptor,
    progress: &ProgressSink,
) -> Result<(), ImageError> {
    let Some(claim) = LayerClaim::acquire(state, diff_id).await? else {
        progress.report(diff_id.as_str(), Phase::Present, blob.size, Some(blob.size));
        return Ok(());
    };
    let partial = state.layout.partial(&blob.digest, diff_id);
    let report = |bytes| progress.report(diff_id.as_str(), Phase::Downloading, bytes, Some(blob.size));
    let file = download(registry, blob, &partial, &state.space, &report)
        .await
        .map_err(|e| e.within(&format!("layer {}", blob.digest.short())))?;
    let result = claim.unpack(state, file, blob.size, progress).await;
    // Unpacked or useless; only work that was cut short is worth continuing, and that never gets here.
    let _ = std::fs::remove_file(&partial);
    result
}

/// Runs disk work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    state: &Arc<State>,
    work: impl FnOnce(&State) -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    let state = Arc::clone(state);
    let task = tokio::task::spawn_blocking(move || work(&state));
    task.await.unwrap_or_else(|e| Err(ImageError::io("working on the image store", std::io::Error::other(e))))
}
