//! A new image from an image and what changed on top of it.
//!
//! In two steps, so that whoever changes the files has to stand still for the first one only: [`capture`] copies the
//! difference into an archive, [`append`] makes a layer of it.

use std::{
    collections::BTreeSet,
    io::{BufWriter, Seek},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use super::{
    config::Configuration,
    digest::{Digest, HashingWriter},
    error::{Context, ImageError},
    import::Spool,
    layer::LayerClaim,
    pack::{Bounds, pack},
    pull::blocking,
    reference::{self, Query},
    state::{NewImage, State},
    types::{Image, ProgressSink},
};

const BUFFER: usize = 1 << 20;

/// A difference on its way to becoming a layer. Dropping it, or the end of the process, removes it.
pub struct Captured {
    spool: Spool,
    diff_id: Digest,
    size: u64,
}

impl Captured {
    /// Bytes of the plain archive.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Where the image that is to grow comes from.
pub struct Base<'a> {
    /// Id of the image below.
    pub image_id: &'a str,
    /// Name of the new image.
    pub name: &'a str,
    /// What its history says about the new layer.
    pub comment: &'a str,
    /// Whose alone it is, where there are tenants.
    pub tenant: Option<&'a str>,
}

/// Sets `stop` when it goes away.
pub(super) struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    /// What goes away, and what it sets.
    pub(super) fn new() -> (Self, Arc<AtomicBool>) {
        let stop = Arc::<AtomicBool>::default();
        (Self(Arc::clone(&stop)), stop)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Copies the upper directory of an overlay, without the paths in `skip`. Stops when the returned future is dropped.
pub(super) async fn capture(
    state: &Arc<State>,
    upper: OwnedFd,
    skip: &'static [&'static str],
) -> Result<Captured, ImageError> {
    let (stop, cancel) = StopOnDrop::new();
    let captured = blocking(state, move |state| {
        let spool = Spool::create(state)?;
        let bounds = Bounds { skip, space: Some(&state.space), cancel: &cancel };
        let out = BufWriter::with_capacity(BUFFER, spool.file());
        let (diff_id, size, _) = pack(upper, HashingWriter::new(out), &bounds)?.finish();
        Ok(Captured { spool, diff_id, size })
    })
    .await;
    drop(stop);
    captured
}

/// Makes what was captured the topmost layer of a new image.
pub(super) async fn append(
    state: &Arc<State>,
    base: Base<'_>,
    captured: Captured,
) -> Result<Image, ImageError> {
    let name = reference::parse_name(base.name)?;
    let readers = base.tenant.map(|tenant| BTreeSet::from([tenant.to_owned()]));
    let (image_id, comment) = (base.image_id.to_owned(), base.comment.to_owned());
    let diff_id = captured.diff_id.clone();
    let config_bytes =
        blocking(state, move |state| grown(&config_of(state, &image_id)?, &diff_id, &comment)).await?;
    let configuration = Configuration::parse(&config_bytes)?;
    let diff_ids = configuration.diff_ids.clone();
    let pin = blocking(state, move |state| state.pin(&diff_ids)).await?;
    if let Some(claim) = LayerClaim::acquire(state, &captured.diff_id).await? {
        let mut file = captured.spool.file().try_clone().context(|| "reading a new layer".into())?;
        file.rewind().context(|| "reading a new layer".into())?;
        claim.unpack(state, file, captured.size, &ProgressSink::none()).await?;
    }
    let new =
        NewImage { configuration, config_bytes, manifest: None, names: vec![name], digest: None, readers };
    let image = blocking(state, move |state| state.commit(new)).await?;
    drop(pin);
    Ok(image)
}

/// The configuration of an image, byte for byte.
pub(super) fn config_of(state: &State, image_id: &str) -> Result<Vec<u8>, ImageError> {
    let id = state.record(&Query::Id(image_id.to_owned()))?.id;
    let path = state.layout.blob(&id);
    std::fs::read(&path).context(|| format!("reading {}", path.display()))
}

/// A configuration with one more layer.
fn grown(config: &[u8], diff_id: &Digest, comment: &str) -> Result<Vec<u8>, ImageError> {
    let damaged = |what: &str| ImageError::Corrupt(format!("the image's configuration has no {what}"));
    let mut config: Value = serde_json::from_slice(config)
        .map_err(|e| ImageError::Corrupt(format!("the image's configuration cannot be read: {e}")))?;
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let layers = config.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut);
    layers.ok_or_else(|| damaged("list of layers"))?.push(json!(diff_id.as_str()));
    let file = config.as_object_mut().ok_or_else(|| damaged("members"))?;
    file.insert("created".into(), json!(now));
    // An image may have no history; one that covers only some of its layers would be wrong.
    if let Some(Value::Array(history)) = file.get_mut("history") {
        history.push(json!({ "created": now, "created_by": "sandkeep", "comment": comment }));
    }
    serde_json::to_vec(&config)
        .map_err(|e| ImageError::io("writing a configuration", std::io::Error::from(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_grows_by_one_layer_and_keeps_the_rest() {
        let old = json!({
            "architecture": "amd64", "os": "linux", "config": {"Env": ["A=1"], "WorkingDir": "/srv"},
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"1").as_str()]},
            "history": [{"created_by": "someone"}],
        });
        let new = grown(old.to_string().as_bytes(), &Digest::of(b"2"), "snapshot 7").unwrap();
        let parsed = Configuration::parse(&new).unwrap();
        assert_eq!(parsed.diff_ids, [Digest::of(b"1"), Digest::of(b"2")]);
        assert_eq!(parsed.config.working_dir, "/srv");
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(new["history"][1]["comment"], "snapshot 7");
        assert_eq!(new["history"].as_array().unwrap().len(), 2);
        assert!(grown(b"{}", &Digest::of(b"2"), "").is_err());
    }
}
