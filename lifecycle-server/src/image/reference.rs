use oci_spec::distribution::Reference;

use super::{digest::Digest, error::ImageError};

/// Longest reference looked at; a repository has at most 255 characters, a tag 128, a digest 71.
const MAX_REFERENCE: usize = 1024;

/// What a caller asks the store for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    /// `sha256:…`: an image id.
    Id(String),
    /// `repository:tag`, fully spelled out.
    Tag(String),
    /// `repository@sha256:…`, fully spelled out; a tag beside a digest says nothing more.
    Manifest(String),
}

/// Longest repository a registry accepts.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;
/// The registry of names without one, its older name, and where its own images are.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_LEGACY: &str = "index.docker.io";
const DEFAULT_NAMESPACE: &str = "library";
const DEFAULT_TAG: &str = "latest";

/// Reads a reference as Docker does: `python` is `docker.io/library/python:latest`.
///
/// By hand: the pattern that its crate compiles for it costs a server megabytes that it keeps for ever.
pub(super) fn parse(text: &str) -> Result<Reference, ImageError> {
    parts(text).map_err(|reason| ImageError::reference(text, reason))
}

fn parts(text: &str) -> Result<Reference, String> {
    if text.len() > MAX_REFERENCE {
        return Err(format!("longer than {MAX_REFERENCE} characters"));
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| Digest::parse(digest).is_none()) {
        return Err("only sha256 digests in lower case are supported".to_owned());
    }
    // A colon before the last slash belongs to the registry's port.
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    if let Some(tag) = tag
        && !is_tag(tag)
    {
        return Err(format!("tag {tag:?} is not up to {MAX_TAG} letters, digits, '_', '.' and '-'"));
    }
    let (registry, repository) = split_registry(path)?;
    if repository.len() > MAX_REPOSITORY {
        return Err(format!("repository longer than {MAX_REPOSITORY} characters"));
    }
    let (tag, digest) = (tag.map(str::to_owned), digest.map(str::to_owned));
    Ok(match (tag, digest) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(registry, repository, tag, digest),
        (None, Some(digest)) => Reference::with_digest(registry, repository, digest),
        (tag, None) => {
            Reference::with_tag(registry, repository, tag.unwrap_or_else(|| DEFAULT_TAG.to_owned()))
        }
    })
}

/// The registry and the repository in it; what comes before the first slash is a registry if it looks like a host.
fn split_registry(path: &str) -> Result<(String, String), String> {
    let (registry, repository) = match path.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => {
            if !is_host(host) {
                return Err(format!("{host:?} is not a registry's host[:port]"));
            }
            (host, rest)
        }
        _ => (DEFAULT_REGISTRY, path),
    };
    if let Some(wrong) = repository.split('/').find(|component| !is_component(component)) {
        return Err(format!(
            "{wrong:?} is not part of a repository's name: lower-case letters and digits, joined by '.', '_' or '-'"
        ));
    }
    if registry != DEFAULT_REGISTRY && registry != DEFAULT_REGISTRY_LEGACY {
        return Ok((registry.to_owned(), repository.to_owned()));
    }
    let official = !repository.contains('/');
    let repository =
        if official { format!("{DEFAULT_NAMESPACE}/{repository}") } else { repository.to_owned() };
    Ok((DEFAULT_REGISTRY.to_owned(), repository))
}

fn is_tag(tag: &str) -> bool {
    tag.len() <= MAX_TAG
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    name.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, joined by one dot, one or two underscores, or any number of hyphens.
fn is_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = component.split(is_word).filter(|between| !between.is_empty());
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && separators.all(|joint| matches!(joint, "." | "_" | "__") || joint.chars().all(|c| c == '-'))
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, ImageError> {
        if Digest::parse(text).is_some() {
            return Ok(Self::Id(text.to_owned()));
        }
        let reference = parse(text)?;
        Ok(match reference.digest() {
            Some(digest) => Self::Manifest(by_digest(&reference, digest)),
            None => Self::Tag(by_tag(&reference)),
        })
    }
}

/// A name given to an image by its importer; a digest cannot be given, only computed.
pub(super) fn parse_name(text: &str) -> Result<String, ImageError> {
    let reference = parse(text)?;
    match reference.digest() {
        Some(_) => Err(ImageError::reference(text, "a name cannot contain a digest")),
        None => Ok(by_tag(&reference)),
    }
}

pub(super) fn by_tag(reference: &Reference) -> String {
    let tag = reference.tag().unwrap_or("latest");
    format!("{}/{}:{tag}", reference.registry(), reference.repository())
}

pub(super) fn by_digest(reference: &Reference, digest: &str) -> String {
    format!("{}/{}@{digest}", reference.registry(), reference.repository())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The (large) pattern of its crate accepts and understands the same.
        #[test]
        fn reads_what_the_client_crate_reads(text in "[a-b0_.:/@-]{0,14}|(localhost|[a-z]{1,3}[.:][a-z0-9]{1,2}|[a-z]{2})/[a-z_.-]{1,6}(:[A-Za-z0-9_.-]{0,4})?") {
            let theirs = text.parse::<Reference>().ok().filter(|theirs| theirs.digest().is_none());
            prop_assert_eq!(parts(&text).ok(), theirs);
        }
    }

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn short_names_mean_what_docker_means() {
        let tag = |text| match Query::parse(text).unwrap() {
            Query::Tag(tag) => tag,
            other => panic!("{other:?}"),
        };
        assert_eq!(tag("python"), "docker.io/library/python:latest");
        assert_eq!(tag("python:3.12"), "docker.io/library/python:3.12");
        assert_eq!(tag("docker.io/python:3.12"), "docker.io/library/python:3.12");
        assert_eq!(tag("index.docker.io/library/python:3.12"), "docker.io/library/python:3.12");
        assert_eq!(tag("ann/app"), "docker.io/ann/app:latest");
        assert_eq!(tag("127.0.0.1:5000/app:1"), "127.0.0.1:5000/app:1");
        assert_eq!(tag("localhost/app"), "localhost/app:latest");
    }

    #[test]
    fn digests_win_over_tags() {
        let expected = format!("docker.io/library/python@sha256:{HEX}");
        for text in [format!("python@sha256:{HEX}"), format!("python:3.12@sha256:{HEX}")] {
            assert_eq!(Query::parse(&text).unwrap(), Query::Manifest(expected.clone()));
        }
        assert_eq!(Query::parse(&format!("sha256:{HEX}")).unwrap(), Query::Id(format!("sha256:{HEX}")));
    }

    #[test]
    fn nonsense_is_refused() {
        let long = "a".repeat(5000);
        for text in ["", " ", "UPPER", "a b", "a:b:c", "../etc", "a//b", "a@sha256:12", "a\0b", "-x", &long] {
            assert!(matches!(Query::parse(text), Err(ImageError::InvalidReference { .. })), "{text:?}");
        }
        assert!(parse_name(&format!("python@sha256:{HEX}")).is_err());
    }
}
