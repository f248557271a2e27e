//! An OCI image layout in a tar, read with the specification's own types and believed in nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, OciLayout};
use serde::de::DeserializeOwned;

const BLOBS: &str = "blobs/sha256";

/// An unpacked layout of one image.
pub struct Layout {
    dir: tempfile::TempDir,
    pub entry: Descriptor,
    pub manifest: ImageManifest,
    pub configuration: ImageConfiguration,
}

impl Layout {
    /// Unpacks an archive and checks every size and digest in it, the layers' inner ones too.
    pub fn open(archive: &Path) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut tar = Command::new("tar");
        ensure!(tar.arg("-xf").arg(archive).arg("-C").arg(dir.path()).status()?.success(), "{archive:?}");
        let marker: OciLayout = parse(&dir.path().join("oci-layout"))?;
        ensure!(marker.image_layout_version() == "1.0.0", "{marker:?}");
        let index: ImageIndex = parse(&dir.path().join("index.json"))?;
        let [entry] = &index.manifests()[..] else {
            anyhow::bail!("not one image: {index:?}");
        };
        ensure!(entry.media_type() == &MediaType::ImageManifest, "{entry:?}");
        let manifest: ImageManifest = parse(&checked(dir.path(), entry)?)?;
        ensure!(manifest.config().media_type() == &MediaType::ImageConfig, "{manifest:?}");
        let configuration: ImageConfiguration = parse(&checked(dir.path(), manifest.config())?)?;
        let diff_ids = configuration.rootfs().diff_ids();
        ensure!(manifest.layers().len() == diff_ids.len(), "{manifest:?} {configuration:?}");
        for (layer, diff_id) in manifest.layers().iter().zip(diff_ids) {
            let file = checked(dir.path(), layer)?;
            ensure!(layer.media_type() == &MediaType::ImageLayerGzip, "{layer:?}");
            let mut unpacked = Command::new("gzip").arg("-dc").arg(file).stdout(Stdio::piped()).spawn()?;
            let content = unpacked.stdout.take().context("an output")?;
            let inner = sha256(Command::new("sha256sum").stdin(content))?;
            ensure!(
                unpacked.wait()?.success() && format!("sha256:{inner}") == *diff_id,
                "{layer:?}: {inner}"
            );
        }
        let layout = Self { dir, entry: entry.clone(), manifest, configuration };
        layout.holds_nothing_else()?;
        Ok(layout)
    }

    fn holds_nothing_else(&self) -> Result<()> {
        let listed = fs::read_dir(self.dir.path().join(BLOBS))?.map(|entry| Ok(entry?.file_name()));
        let kept: BTreeSet<_> = listed.collect::<Result<_>>()?;
        let named: BTreeSet<_> = self.blobs().map(|blob| blob.digest().digest().into()).collect();
        ensure!(kept == named, "{kept:?} are not {named:?}");
        Ok(())
    }

    /// Everything that the layout names by digest.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.entry, self.manifest.config()].into_iter().chain(self.manifest.layers())
    }

    pub fn read(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        Ok(fs::read(self.dir.path().join(path(blob)))?)
    }

    /// A document beside the layout's own.
    pub fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        parse(&self.dir.path().join(name))
    }
}

/// Where a layout keeps a blob.
pub fn path(blob: &Descriptor) -> String {
    format!("{BLOBS}/{}", blob.digest().digest())
}

fn checked(dir: &Path, blob: &Descriptor) -> Result<PathBuf> {
    let file = dir.join(path(blob));
    let size = fs::metadata(&file).with_context(|| format!("{blob:?} is missing"))?.len();
    let digest = sha256(Command::new("sha256sum").arg(&file))?;
    ensure!(size == blob.size() && digest == blob.digest().digest(), "{blob:?} has {size} bytes, {digest}");
    Ok(file)
}

fn sha256(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout)?;
    Ok(line.split(' ').next().unwrap_or_default().to_owned())
}

fn parse<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let bytes = fs::read(file).with_context(|| format!("{}", file.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}", file.display()))
}
