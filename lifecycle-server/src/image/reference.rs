use oci_client::Reference;

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

/// Reads a reference as Docker does: `python` is `docker.io/library/python:latest`.
pub(super) fn parse(text: &str) -> Result<Reference, ImageError> {
    if text.len() > MAX_REFERENCE {
        return Err(ImageError::reference(text, format!("longer than {MAX_REFERENCE} characters")));
    }
    let parsed: Reference =
        text.parse().map_err(|e: oci_client::ParseError| ImageError::reference(text, e.to_string()))?;
    if parsed.digest().is_some_and(|digest| Digest::parse(digest).is_none()) {
        return Err(ImageError::reference(text, "only sha256 digests in lower case are supported"));
    }
    Ok(parsed)
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
    use super::*;

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
