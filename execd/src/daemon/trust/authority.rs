//! A certificate, and what stores want to know of it.

use base64::{Engine, prelude::BASE64_STANDARD};
use sha1::{Digest, Sha1};

use super::der::{self, INTEGER, MEMBER_0, OBJECT, SEQUENCE, SET, UTF8_STRING};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Kinds of text whose bytes are those of UTF-8 as they stand: UTF-8 itself, and three that are ASCII.
const TEXTS: [u8; 4] = [UTF8_STRING, 0x13, 0x16, 0x1a];
/// Kinds of text that would have to be translated first.
const OTHER_TEXTS: [u8; 3] = [0x14, 0x1c, der::BMP_STRING];

#[derive(Debug)]
pub(super) struct Authority {
    /// As it was given, without space around it.
    pub pem: String,
    pub der: Vec<u8>,
}

impl Authority {
    /// The first certificate of this text, `None` if there is none in full.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(BEGIN)?;
        let (body, _) = rest.split_once(END)?;
        let body: String = body.split_ascii_whitespace().collect();
        Some(Self { pem: text.trim().to_owned(), der: BASE64_STANDARD.decode(body).ok()? })
    }

    /// The number by which OpenSSL looks for it in a directory; `None` if its name holds what is not understood.
    pub(super) fn subject_hash(&self) -> Option<u32> {
        let name = canonical(subject(&self.der)?)?;
        let [a, b, c, d, ..] = <[u8; 20]>::from(Sha1::digest(name));
        Some(u32::from_le_bytes([a, b, c, d]))
    }
}

/// The content of the certificate's subject.
fn subject(mut certificate: &[u8]) -> Option<&[u8]> {
    let mut certificate = der::expect(&mut certificate, SEQUENCE)?;
    let mut signed = der::expect(&mut certificate, SEQUENCE)?;
    if signed.first() == Some(&MEMBER_0) {
        der::next(&mut signed)?;
    }
    der::expect(&mut signed, INTEGER)?;
    // How it was signed, by whom, and how long it holds.
    for _ in 0..3 {
        der::expect(&mut signed, SEQUENCE)?;
    }
    der::expect(&mut signed, SEQUENCE)
}

/// The name as OpenSSL compares it: all text as UTF-8, in lower case, with single spaces only in its middle.
fn canonical(name: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    for part in der::all(name)?.into_iter().filter(|part| part.tag == SET) {
        let mut attributes = Vec::new();
        for attribute in der::all(part.content)? {
            let mut content = attribute.content;
            let kind = der::next(&mut content).filter(|kind| kind.tag == OBJECT)?;
            let value = der::next(&mut content)?;
            let value = match value.tag {
                tag if TEXTS.contains(&tag) => der::wrap(UTF8_STRING, &[&folded(value.content)]),
                tag if OTHER_TEXTS.contains(&tag) => return None,
                _ => value.whole.to_vec(),
            };
            attributes.push(der::wrap(SEQUENCE, &[kind.whole, &value]));
        }
        attributes.sort();
        let attributes: Vec<&[u8]> = attributes.iter().map(Vec::as_slice).collect();
        parts.extend(der::wrap(SET, &attributes));
    }
    Some(parts)
}

fn folded(text: &[u8]) -> Vec<u8> {
    // The vertical tabulator is a space there, and none in Rust.
    let words = text.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b);
    let words: Vec<Vec<u8>> = words.filter(|word| !word.is_empty()).map(<[u8]>::to_ascii_lowercase).collect();
    words.join(&b' ')
}

#[cfg(test)]
pub(super) mod tests {
    use std::{path::Path, process::Command};

    use super::*;

    /// A certificate of the real tool for this name, and the hash the tool has for it.
    pub(in super::super) fn made_for(directory: &Path, subject: &str) -> (String, String) {
        let (key, file) = (directory.join("key.pem"), directory.join("certificate.pem"));
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let (key, file) = (key.to_str().unwrap(), file.to_str().unwrap());
        let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-utf8"];
        let names = ["-subj", subject, "-multivalue-rdn", "-keyout", key, "-out", file];
        openssl(&[&["req", "-x509"], &kind[..], &names].concat());
        let hash = openssl(&["x509", "-noout", "-hash", "-in", file]);
        (std::fs::read_to_string(file).unwrap(), hash.trim().to_owned())
    }

    #[test]
    fn openssl_computes_the_same_hashes() {
        let directory = tempfile::tempdir().unwrap();
        for subject in [
            "/CN=Sandkeep egress sidecar",
            "/CN=mitmproxy/O=mitmproxy",
            "/C=DE/O=  Große   Straße /OU=A+CN=b/emailAddress=X@Y.test",
        ] {
            let (pem, hash) = made_for(directory.path(), subject);
            let authority = Authority::read(&pem).unwrap();
            assert_eq!(format!("{:08x}", authority.subject_hash().unwrap()), hash, "{subject}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert!(Authority::read("").is_none());
        assert!(Authority::read(&format!("{BEGIN}\nAAAA\n")).is_none());
        assert!(Authority::read(&format!("{BEGIN}\n?\n{END}\n")).is_none());
        let other = Authority::read(&format!("{BEGIN}\nAAAA\n{END}\n")).unwrap();
        assert_eq!(other.subject_hash(), None);
    }
}
