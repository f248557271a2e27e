//! Archives of whole images: docker's (`docker save`) and the OCI layout.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    sync::Arc,
};

use serde::Deserialize;

use super::{
    config::{Configuration, Descriptor, Manifest, choose},
    digest::Digest,
    error::{Context, ImageError},
    reference,
    types::Platform,
    unpack::{CleanPath, Kind, TarStream, shown},
};

const MAX_MEMBERS: usize = 100_000;
const MAX_DOCUMENT: u64 = 8 << 20;
/// Links to links to links; docker writes one level.
const MAX_LINKS: usize = 8;
const MAX_DEPTH: usize = 3;
const BUFFER: usize = 64 << 10;

/// Where the parts of an archive are. The file is a plain tar.
pub(super) struct Archive {
    file: Arc<File>,
    members: HashMap<Vec<u8>, Member>,
}

enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another member, by its path.
    Link(Vec<u8>),
}

/// One image of an archive.
pub(super) struct Contained {
    pub(super) configuration: Configuration,
    pub(super) config_bytes: Vec<u8>,
    pub(super) manifest: Option<(Digest, Vec<u8>)>,
    /// Full names the archive gives it.
    pub(super) names: Vec<String>,
    /// Lowest first.
    pub(super) layers: Vec<Slice>,
}

/// A part of a file, read by position so that several can be read at once.
#[derive(Clone)]
pub(super) struct Slice {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Slice {
    pub(super) fn size(&self) -> u64 {
        self.end - self.at
    }
}

impl Read for Slice {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer.len().min(usize::try_from(self.size()).unwrap_or(usize::MAX));
        let n = self.file.read_at(&mut buffer[..limit], self.at)?;
        if n == 0 && limit > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

struct Counted<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Archive {
    /// Reads the table of contents.
    pub(super) fn open(mut file: File) -> Result<Self, ImageError> {
        file.seek(SeekFrom::Start(0)).context(|| "reading an image archive".into())?;
        let file = Arc::new(file);
        let mut members = HashMap::new();
        let reader = Counted { inner: BufReader::with_capacity(BUFFER, &*file), at: 0 };
        let mut stream = TarStream::new(reader);
        while let Some(entry) = stream.next_entry()? {
            if members.len() == MAX_MEMBERS {
                return Err(ImageError::Unsupported(format!(
                    "the archive has more than {MAX_MEMBERS} members"
                )));
            }
            let path = CleanPath::new(&entry.path)?.as_bytes().to_vec();
            let member = match entry.kind {
                Kind::File if !entry.is_sparse() => {
                    Member::File { offset: stream.get_ref().at, size: entry.size }
                }
                Kind::HardLink => Member::Link(CleanPath::new(&entry.link)?.as_bytes().to_vec()),
                Kind::Symlink => Member::Link(link_target(&path, &entry.link)),
                _ => continue,
            };
            members.insert(path, member);
        }
        Ok(Self { file, members })
    }

    fn find(&self, path: &str) -> Result<Slice, ImageError> {
        let mut key = CleanPath::new(path.as_bytes())?.as_bytes().to_vec();
        for _ in 0..MAX_LINKS {
            match self.members.get(&key) {
                Some(Member::File { offset, size }) => {
                    let end = offset.checked_add(*size).ok_or_else(|| missing(path))?;
                    return Ok(Slice { file: Arc::clone(&self.file), at: *offset, end });
                }
                Some(Member::Link(target)) => key = target.clone(),
                None => break,
            }
        }
        Err(missing(path))
    }

    fn has(&self, path: &str) -> bool {
        self.members.contains_key(path.as_bytes())
    }

    fn document(&self, path: &str) -> Result<Vec<u8>, ImageError> {
        let mut slice = self.find(path)?;
        if slice.size() > MAX_DOCUMENT {
            return Err(ImageError::Unsupported(format!(
                "\"{path}\" in the archive has {} bytes",
                slice.size()
            )));
        }
        let mut bytes = Vec::new();
        slice.read_to_end(&mut bytes).context(|| format!("reading {path} from the archive"))?;
        Ok(bytes)
    }

    fn verified(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let bytes = self.document(&blob_path(&descriptor.digest))?;
        let actual = Digest::of(&bytes);
        match actual == descriptor.digest {
            true => Ok(bytes),
            false => Err(ImageError::DigestMismatch {
                what: "a document of the archive".into(),
                expected: descriptor.digest.to_string(),
                actual: actual.to_string(),
            }),
        }
    }

    /// The images of the archive, for one platform where an index offers several.
    pub(super) fn images(&self, platform: &Platform) -> Result<Vec<Contained>, ImageError> {
        let images = if self.has("manifest.json") {
            self.docker_images()?
        } else if self.has("index.json") {
            self.layout_images(platform)?
        } else {
            let text =
                "the archive is neither a docker archive (manifest.json) nor an OCI layout (index.json)";
            return Err(ImageError::Unsupported(text.into()));
        };
        match images.is_empty() {
            true => Err(ImageError::NotFound("the archive holds no image".into())),
            false => Ok(images),
        }
    }

    fn docker_images(&self) -> Result<Vec<Contained>, ImageError> {
        let list: Vec<DockerImage> = serde_json::from_slice(&self.document("manifest.json")?)
            .map_err(|e| ImageError::Corrupt(format!("the archive's manifest.json cannot be read: {e}")))?;
        list.into_iter().map(|image| self.docker_image(image)).collect()
    }

    fn docker_image(&self, image: DockerImage) -> Result<Contained, ImageError> {
        let config_bytes = self.document(&image.config)?;
        let tags = image.repo_tags.unwrap_or_default();
        Ok(Contained {
            configuration: Configuration::parse(&config_bytes)?,
            config_bytes,
            manifest: None,
            names: tags.iter().map(|tag| reference::parse_name(tag)).collect::<Result<_, _>>()?,
            layers: image.layers.iter().map(|layer| self.find(layer)).collect::<Result<_, _>>()?,
        })
    }

    fn layout_images(&self, platform: &Platform) -> Result<Vec<Contained>, ImageError> {
        let Manifest::Index(entries) = Manifest::parse(&self.document("index.json")?)? else {
            return Err(ImageError::Corrupt("the archive's index.json is no index".into()));
        };
        // Entries for several platforms are one image; entries without platform are as many as there are.
        let fits = |entry: &&Descriptor| entry.offered().is_none_or(|offer| platform.accepts(&offer));
        let chosen: Vec<_> = entries.iter().filter(fits).collect();
        if chosen.is_empty() && !entries.is_empty() {
            choose(&entries, platform)?;
        }
        chosen.into_iter().map(|entry| self.layout_image(entry, platform)).collect()
    }

    fn layout_image(&self, entry: &Descriptor, platform: &Platform) -> Result<Contained, ImageError> {
        let names = names(entry);
        let mut descriptor = entry.clone();
        for _ in 0..MAX_DEPTH {
            let bytes = self.verified(&descriptor)?;
            match Manifest::parse(&bytes)? {
                Manifest::Index(entries) => descriptor = choose(&entries, platform)?.clone(),
                Manifest::Image { config, layers } => {
                    let config_bytes = self.verified(&config)?;
                    return Ok(Contained {
                        configuration: Configuration::parse(&config_bytes)?,
                        config_bytes,
                        manifest: Some((descriptor.digest, bytes)),
                        names,
                        layers: layers
                            .iter()
                            .map(|l| self.find(&blob_path(&l.digest)))
                            .collect::<Result<_, _>>()?,
                    });
                }
            }
        }
        Err(ImageError::Unsupported("indexes of indexes of indexes".into()))
    }
}

/// Names that writers leave in annotations; a bare tag alone names nothing.
fn names(entry: &Descriptor) -> Vec<String> {
    let annotation = |key| entry.annotations.as_ref()?.get(key);
    let full = annotation("io.containerd.image.name");
    let short = annotation("org.opencontainers.image.ref.name").filter(|name| name.contains(['/', ':']));
    full.or(short).and_then(|name| reference::parse_name(name).ok()).into_iter().collect()
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn missing(path: &str) -> ImageError {
    ImageError::Corrupt(format!("the archive lacks \"{}\"", shown(path.as_bytes())))
}

/// A link relative to its own directory, resolved by its text; what leads out of the archive matches no member.
fn link_target(from: &[u8], target: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = from.split(|&b| b == b'/').collect();
    parts.pop();
    for part in target.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;
    use crate::image::unpack::testing::TarBuilder;

    fn archive(build: impl FnOnce(&mut TarBuilder)) -> Result<Archive, ImageError> {
        let mut tar = TarBuilder::new();
        build(&mut tar);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&tar.finish()).unwrap();
        Archive::open(file)
    }

    fn content(slice: &Slice) -> String {
        let mut text = String::new();
        slice.clone().read_to_string(&mut text).unwrap();
        text
    }

    fn config(diff_ids: &[&[u8]]) -> Vec<u8> {
        let diff_ids: Vec<_> = diff_ids.iter().map(|layer| Digest::of(layer).to_string()).collect();
        json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}})
            .to_string()
            .into_bytes()
    }

    fn amd64() -> Platform {
        Platform { os: "linux".into(), architecture: "amd64".into(), variant: None }
    }

    #[test]
    fn a_docker_archive_with_linked_layers_is_read() {
        let manifest = json!([{"Config": "c.json", "RepoTags": ["app:1", "x/y:2"], "Layers": ["a/layer.tar", "b/layer.tar"]}]);
        let archive = archive(|tar| {
            tar.file("a/layer.tar", b"one").symlink("b/layer.tar", "../a/layer.tar");
            tar.file("c.json", &config(&[b"one", b"one"]))
                .file("manifest.json", manifest.to_string().as_bytes());
        })
        .unwrap();
        let [image] = &archive.images(&amd64()).unwrap()[..] else { panic!() };
        assert_eq!(image.names, ["docker.io/library/app:1", "docker.io/x/y:2"]);
        assert_eq!(image.layers.iter().map(content).collect::<Vec<_>>(), ["one", "one"]);
        assert_eq!(image.configuration.diff_ids.len(), 2);
    }

    #[test]
    fn an_oci_layout_is_read_through_its_indexes_and_verified() {
        let config = config(&[b"layer"]);
        let blob = |bytes: &[u8], kind: &str| json!({"mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len()});
        let image =
            json!({"schemaVersion": 2, "config": blob(&config, "application/vnd.oci.image.config.v1+json"),
                           "layers": [blob(b"layer", "application/vnd.oci.image.layer.v1.tar")]})
            .to_string();
        let mut entry = blob(image.as_bytes(), "application/vnd.oci.image.manifest.v1+json");
        entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
        let inner = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
        let mut top = blob(inner.as_bytes(), "application/vnd.oci.image.index.v1+json");
        top["annotations"] = json!({"org.opencontainers.image.ref.name": "ghcr.io/x/app:1"});
        let index = json!({"schemaVersion": 2, "manifests": [top]}).to_string();
        let build = |tamper: bool| {
            let path = |bytes: &[u8]| blob_path(&Digest::of(bytes));
            archive(|tar| {
                let mut stored = config.clone();
                stored[0] ^= u8::from(tamper);
                tar.file("oci-layout", b"{}").file("index.json", index.as_bytes());
                tar.file(&path(&config), &stored).file(&path(b"layer"), b"layer");
                tar.file(&path(image.as_bytes()), image.as_bytes())
                    .file(&path(inner.as_bytes()), inner.as_bytes());
            })
            .unwrap()
            .images(&amd64())
        };
        let [found] = &build(false).unwrap()[..] else { panic!() };
        assert_eq!(found.names, ["ghcr.io/x/app:1"]);
        assert_eq!(content(&found.layers[0]), "layer");
        assert!(matches!(build(true), Err(ImageError::DigestMismatch { .. })));
    }

    #[test]
    fn archives_that_are_none_or_lead_nowhere_are_refused() {
        let plain = archive(|tar| {
            tar.file("etc/passwd", b"x");
        })
        .unwrap();
        assert!(matches!(plain.images(&amd64()), Err(ImageError::Unsupported(_))));
        let manifest = br#"[{"Config":"../../etc/passwd","Layers":[]}]"#;
        let escape = archive(|tar| {
            tar.file("manifest.json", manifest);
        })
        .unwrap();
        assert!(matches!(escape.images(&amd64()), Err(ImageError::UnsafePath { .. })));
        let round = br#"[{"Config":"a","Layers":[]}]"#;
        let cycle = archive(|tar| {
            tar.symlink("a", "b").symlink("b", "a").file("manifest.json", round);
        });
        assert!(matches!(cycle.unwrap().images(&amd64()), Err(ImageError::Corrupt(_))));
    }
}
