//! Images as one tar that is both an OCI image layout and what `docker load` has always read: `index.json` and
//! `manifest.json` name the same files below `blobs/sha256`.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, ensure};
use oci_spec::image::{
    ANNOTATION_REF_NAME, Arch, Config, Descriptor, Digest, History, HistoryBuilder, ImageConfiguration,
    ImageConfigurationBuilder, ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os,
    PlatformBuilder, RootFsBuilder, SCHEMA_VERSION,
};
use serde::Serialize;
use serde_json::json;

use crate::shell;

/// The date of everything made here; the same for every build, so that equal content gives equal archives.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";

/// Version of the layout's form.
const LAYOUT_VERSION: &str = "1.0.0";

/// Where the layout keeps what it names by digest.
const BLOBS: &str = "blobs/sha256";

/// The full name of an image, of which `ANNOTATION_REF_NAME` holds the tag only. containerd and podman read it.
const FULL_NAME: &str = "io.containerd.image.name";

/// What an archive says about its image besides the layers.
pub(crate) struct Description<'a> {
    /// Names the image is loaded under.
    pub(crate) tags: &'a [&'a str],
    /// What runs in it, and how.
    pub(crate) config: Config,
    /// The chore that made it.
    pub(crate) created_by: &'a str,
    /// How the layers lie in the archive.
    pub(crate) packing: Packing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As they are: for this machine, where nothing is gained by packing what is unpacked at once.
    Plain,
    /// Compressed: for the way to other machines.
    Gzip,
}

/// Writes the uncompressed `layers`, lowest first, with their description as an archive at `to`, replacing it whole.
/// The layers' files are moved away.
pub(crate) fn write(image: &Description<'_>, layers: &[&Path], work: &Path, to: &Path) -> Result<()> {
    let mut layout = Layout::new(work.join("archive"))?;
    let mut diff_ids = Vec::new();
    let mut packed = Vec::new();
    for layer in layers {
        diff_ids.push(format!("sha256:{}", sha256_file(layer)?));
        packed.push(match image.packing {
            Packing::Plain => layout.take(MediaType::ImageLayer, layer)?,
            Packing::Gzip => layout.take(MediaType::ImageLayerGzip, &gzip(layer)?)?,
        });
    }
    let configuration = configuration(image, diff_ids)?;
    let config = layout.blob(MediaType::ImageConfig, &configuration)?;
    let platform = PlatformBuilder::default()
        .architecture(configuration.architecture().clone())
        .os(configuration.os().clone())
        .build()?;
    let of_docker = json!([{
        "Config": path_of(&config),
        "RepoTags": image.tags,
        "Layers": packed.iter().map(path_of).collect::<Vec<_>>(),
    }]);
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(packed)
        .build()?;
    let mut manifest = layout.blob(MediaType::ImageManifest, &manifest)?;
    manifest.set_platform(Some(platform));
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(image.tags.iter().map(|name| named(&manifest, name)).collect::<Vec<_>>())
        .build()?;
    let marker = OciLayoutBuilder::default().image_layout_version(LAYOUT_VERSION).build()?;
    layout.document("manifest.json", &of_docker)?;
    layout.document("index.json", &index)?;
    layout.document("oci-layout", &marker)?;
    layout.pack(to)
}

/// A layout on its way into a tar.
struct Layout {
    dir: PathBuf,
    members: Vec<String>,
}

impl Layout {
    fn new(dir: PathBuf) -> Result<Self> {
        fs::create_dir_all(dir.join(BLOBS))?;
        Ok(Self { dir, members: Vec::new() })
    }

    /// Moves a file among the blobs.
    fn take(&mut self, kind: MediaType, file: &Path) -> Result<Descriptor> {
        let hex = sha256_file(file)?;
        let size = fs::metadata(file)?.len();
        let name = format!("{BLOBS}/{hex}");
        fs::rename(file, self.dir.join(&name))?;
        self.members.push(name);
        Ok(Descriptor::new(kind, size, Digest::from_str(&format!("sha256:{hex}"))?))
    }

    fn blob(&mut self, kind: MediaType, document: &impl Serialize) -> Result<Descriptor> {
        let file = self.dir.join("document");
        fs::write(&file, render(document)?)?;
        self.take(kind, &file)
    }

    /// A file beside the blobs.
    fn document(&mut self, name: &str, document: &impl Serialize) -> Result<()> {
        fs::write(self.dir.join(name), render(document)?)?;
        self.members.push(name.to_owned());
        Ok(())
    }

    /// The documents come first, for those who only want to know what an archive holds.
    fn pack(mut self, to: &Path) -> Result<()> {
        self.members.reverse();
        let fresh = to.with_extension("tar.new");
        shell::run(plain_tar(&fresh, &self.dir).arg("--mode=0644").args(&self.members))?;
        fs::rename(&fresh, to).with_context(|| format!("cannot replace {}", to.display()))
    }
}

/// The same bytes for the same document, whatever order its maps have in memory.
fn render(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut value = serde_json::to_value(document)?;
    value.sort_all_objects();
    Ok(serde_json::to_vec(&value)?)
}

fn path_of(blob: &Descriptor) -> String {
    format!("{BLOBS}/{}", blob.digest().digest())
}

/// The image under one of its names. Readers take the tag for what an archive's reference selects.
fn named(manifest: &Descriptor, name: &str) -> Descriptor {
    let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let mut named = manifest.clone();
    named.set_annotations(Some(HashMap::from([
        (ANNOTATION_REF_NAME.to_owned(), tag.to_owned()),
        (FULL_NAME.to_owned(), format!("docker.io/{name}")),
    ])));
    named
}

/// Replaces a file by its compressed form, without name and time in it.
fn gzip(file: &Path) -> Result<PathBuf> {
    shell::run(Command::new("gzip").args(["--no-name", "--force"]).arg(file))?;
    let mut packed = file.as_os_str().to_owned();
    packed.push(".gz");
    Ok(packed.into())
}

/// A tar command that writes members named by the caller, below `dir`, with nothing of this machine and moment in them.
pub(crate) fn plain_tar(to: &Path, dir: &Path) -> Command {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime={CREATED}")).arg("--file").arg(to).arg("--directory").arg(dir);
    tar
}

fn configuration(image: &Description<'_>, diff_ids: Vec<String>) -> Result<ImageConfiguration> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => Arch::Amd64,
        "aarch64" => Arch::ARM64,
        other => anyhow::bail!("images for {other} are not made here"),
    };
    let step = || HistoryBuilder::default().created(CREATED).created_by(image.created_by).build();
    let history: Vec<History> = diff_ids.iter().map(|_| step()).collect::<Result<_, _>>()?;
    Ok(ImageConfigurationBuilder::default()
        .created(CREATED)
        .architecture(architecture)
        .os(Os::Linux)
        .config(image.config.clone())
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
        .history(history)
        .build()?)
}

/// SHA-256 of a text, in hex.
pub(crate) fn sha256_text(text: &str) -> Result<String> {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sha256sum")?;
    child.stdin.take().context("sha256sum has no input")?.write_all(text.as_bytes())?;
    first_word(&String::from_utf8(child.wait_with_output()?.stdout)?)
}

/// SHA-256 of a file, in hex.
pub(crate) fn sha256_file(path: &Path) -> Result<String> {
    first_word(&shell::capture(Command::new("sha256sum").arg(path))?)
}

fn first_word(line: &str) -> Result<String> {
    let word = line.split_whitespace().next().unwrap_or_default();
    ensure!(word.len() == 64, "sha256sum printed {line:?}");
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use oci_spec::image::{ConfigBuilder, ImageIndex, ImageManifest, OciLayout};
    use serde_json::Value;

    use super::*;

    #[test]
    fn digests_match_a_known_one() {
        let digest = sha256_text("abc").unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    /// An archive of two layers, the lower of zeros.
    fn made(name: &str, packing: Packing) -> (PathBuf, PathBuf) {
        let work = std::env::temp_dir().join(format!("xtask-archive-{name}-{}", std::process::id()));
        fs::create_dir_all(&work).unwrap();
        let (lower, upper) = (work.join("lower"), work.join("upper"));
        fs::write(&lower, vec![0u8; 1024]).unwrap();
        fs::write(&upper, "x".repeat(2048)).unwrap();
        let tar = work.join("image.tar");
        let labels = ["a", "b", "c", "d", "e"].map(|label| (label.to_owned(), label.to_owned()));
        let config = ConfigBuilder::default()
            .cmd(["bash".to_owned()])
            .exposed_ports(["1/tcp", "2/tcp", "3/tcp"].map(str::to_owned))
            .labels(labels)
            .build()
            .unwrap();
        let tags = &["sandkeep/base:latest", "sandkeep/base:1.2"];
        let image = Description { tags, config, created_by: "a test", packing };
        write(&image, &[&lower, &upper], &work, &tar).unwrap();
        (work, tar)
    }

    fn member(tar: &Path, name: &str) -> Vec<u8> {
        let mut command = Command::new("tar");
        command.arg("--extract").arg("--to-stdout").arg("--file").arg(tar).arg(name);
        let output = shell::capture_any(&mut command).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn both_tables_of_contents_name_the_same_image() {
        let (work, tar) = made("tables", Packing::Plain);
        let blob = |blob: &Descriptor| {
            let bytes = member(&tar, &path_of(blob));
            assert_eq!(bytes.len() as u64, blob.size());
            bytes
        };
        let marker = OciLayout::from_reader(&member(&tar, "oci-layout")[..]).unwrap();
        assert_eq!(marker.image_layout_version(), "1.0.0");
        let index = ImageIndex::from_reader(&member(&tar, "index.json")[..]).unwrap();
        let name = |image: &Descriptor, key: &str| image.annotations().as_ref().unwrap()[key].clone();
        let names: Vec<_> = index.manifests().iter().map(|image| name(image, FULL_NAME)).collect();
        assert_eq!(names, ["docker.io/sandkeep/base:latest", "docker.io/sandkeep/base:1.2"]);
        assert_eq!(name(&index.manifests()[1], ANNOTATION_REF_NAME), "1.2");
        let manifest = ImageManifest::from_reader(&blob(&index.manifests()[0])[..]).unwrap();
        let config = ImageConfiguration::from_reader(&blob(manifest.config())[..]).unwrap();
        assert_eq!(config.config().as_ref().unwrap().cmd(), &Some(vec!["bash".to_owned()]));
        assert_eq!(config.history().as_ref().unwrap().len(), 2);
        for (layer, diff_id) in manifest.layers().iter().zip(config.rootfs().diff_ids()) {
            assert_eq!((layer.media_type(), layer.digest().as_ref()), (&MediaType::ImageLayer, &**diff_id));
        }
        assert_eq!(blob(&manifest.layers()[0]), [0u8; 1024]);
        let of_docker: Value = serde_json::from_slice(&member(&tar, "manifest.json")).unwrap();
        assert_eq!(of_docker[0]["Config"], path_of(manifest.config()));
        assert_eq!(of_docker[0]["RepoTags"], json!(["sandkeep/base:latest", "sandkeep/base:1.2"]));
        assert_eq!(of_docker[0]["Layers"], json!([0, 1].map(|index| path_of(&manifest.layers()[index]))));
        fs::remove_dir_all(&work).unwrap();
    }

    #[test]
    fn equal_layers_make_equal_archives() {
        let (work, first) = made("first", Packing::Gzip);
        let (again, second) = made("second", Packing::Gzip);
        assert_eq!(sha256_file(&first).unwrap(), sha256_file(&second).unwrap());
        let index = ImageIndex::from_reader(&member(&first, "index.json")[..]).unwrap();
        let manifest = member(&first, &path_of(&index.manifests()[0]));
        let manifest = ImageManifest::from_reader(&manifest[..]).unwrap();
        assert_eq!(manifest.layers()[0].media_type(), &MediaType::ImageLayerGzip);
        assert_eq!(&member(&first, &path_of(&manifest.layers()[0]))[..2], b"\x1f\x8b");
        fs::remove_dir_all(&work).unwrap();
        fs::remove_dir_all(&again).unwrap();
    }
}
