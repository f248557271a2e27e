//! Sends an image to a registry.

use std::sync::Arc;

use tokio_util::io::ReaderStream;

use super::{
    capture::{StopOnDrop, config_of},
    error::{Context, ImageError},
    pull::blocking,
    reference::{self, Query},
    registry::Registry,
    repack::{Outgoing, documents, pulled, repack},
    state::State,
    types::{Credentials, Phase, ProgressSink},
};

const PIECE: usize = 128 << 10;

/// Sends the image `query` to `target` and returns its reference by digest. What the registry has is not sent again.
pub(super) async fn push(
    state: &Arc<State>,
    query: Query,
    target: &str,
    credentials: Option<&Credentials>,
    progress: &ProgressSink,
) -> Result<String, ImageError> {
    let limit = state.options.pull_timeout;
    let work = tokio::time::timeout(limit, run(state, query, target, credentials, progress));
    work.await.unwrap_or_else(|_| {
        Err(ImageError::Stalled(format!("pushing to {target} took longer than {} s", limit.as_secs())))
    })
}

async fn run(
    state: &Arc<State>,
    query: Query,
    target: &str,
    credentials: Option<&Credentials>,
    progress: &ProgressSink,
) -> Result<String, ImageError> {
    let reference = reference::parse(target)?;
    if reference.digest().is_some() {
        return Err(ImageError::reference(target, "an image is pushed to a tag, not to a digest"));
    }
    let registry = Registry::connect_to_push(reference.clone(), credentials, &state.options).await?;
    let (record, pin, config, known) = blocking(state, move |state| {
        let record = state.record(&query)?;
        let pin = state.pin(&record.layers)?;
        let config = config_of(state, record.id.as_str())?;
        let known = pulled(state, &state.records()?);
        Ok((record, pin, config, known))
    })
    .await?;
    let mut layers = Vec::with_capacity(record.layers.len());
    for diff_id in &record.layers {
        let mut there = None;
        for layer in known.iter().filter(|layer| layer.diff_id == *diff_id) {
            if registry.has_blob(&layer.digest).await? {
                there = Some(layer.clone());
                break;
            }
        }
        let layer = match there {
            Some(layer) => {
                progress.report(diff_id.as_str(), Phase::Present, layer.size, Some(layer.size));
                layer
            }
            None => send_layer(state, &registry, diff_id, progress).await?,
        };
        layers.push(layer);
    }
    let made = documents(&config, &layers)?;
    if !registry.has_blob(&made.config_digest).await? {
        let (bytes, size) = (made.config.clone(), made.config.len() as u64);
        let stream = futures_util::stream::once(async move { Ok(bytes.into()) });
        registry.send_blob(&made.config_digest, size, stream).await?;
    }
    registry.send_manifest(made.manifest).await?;
    drop(pin);
    Ok(reference::by_digest(&reference, made.manifest_digest.as_str()))
}

async fn send_layer(
    state: &Arc<State>,
    registry: &Registry,
    diff_id: &super::digest::Digest,
    progress: &ProgressSink,
) -> Result<Outgoing, ImageError> {
    progress.report(diff_id.as_str(), Phase::Packing, 0, None);
    let _processor = state.unpacking.acquire().await;
    let (stop, cancel) = StopOnDrop::new();
    let layer = diff_id.clone();
    let (outgoing, spool) = blocking(state, move |state| repack(state, &layer, &cancel)).await?;
    drop(stop);
    if !registry.has_blob(&outgoing.digest).await? {
        let file = spool.file().try_clone().context(|| "reading a packed layer".into())?;
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
        let (sink, id, total) = (progress.clone(), diff_id.as_str().to_owned(), outgoing.size);
        let mut sent = 0;
        let stream = futures_util::StreamExt::map(stream, move |piece| {
            let piece: bytes::Bytes = piece?;
            sent += piece.len() as u64;
            sink.report(&id, Phase::Uploading, sent, Some(total));
            Ok(piece)
        });
        registry.send_blob(&outgoing.digest, outgoing.size, stream).await?;
    }
    progress.report(diff_id.as_str(), Phase::Done, outgoing.size, Some(outgoing.size));
    Ok(outgoing)
}
