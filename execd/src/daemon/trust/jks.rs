//! Java's own kind of key store: numbers in network order, texts and certificates with their lengths before them, and at
//! the end a digest over a password and all that.

use sha1::{Digest, Sha1};

use super::java::{PASSWORD, Refused, big_endian};

pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const VERSION: u32 = 2;
const KEY: u32 = 1;
const CERTIFICATE: u32 = 2;
const KIND: &str = "X.509";
const DIGEST: usize = 20;
/// Goes into the digest after the password.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// The store with this certificate under the first of these names, and no other under any of them; `None` if that is
/// what it is.
pub(super) fn with(
    store: &[u8],
    aliases: &[&str],
    certificate: &[u8],
    now_ms: u64,
) -> Result<Option<Vec<u8>>, Refused> {
    let (content, digest) = store.split_last_chunk::<DIGEST>().ok_or(Refused::Unknown)?;
    if digest_of(content) != *digest {
        return Err(Refused::Password);
    }
    let mut rest = Reader(content);
    if rest.take(4)? != MAGIC || rest.number()? != VERSION {
        return Err(Refused::Unknown);
    }
    let (mut others, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rest.number()? {
        let before = rest.0;
        let found = rest.entry()?;
        let whole = &before[..before.len() - rest.0.len()];
        match found {
            Some((alias, kept)) if aliases.iter().any(|own| own.as_bytes() == alias) => {
                ours.push((alias, kept));
            }
            _ => others.push(whole),
        }
    }
    if !rest.0.is_empty() {
        return Err(Refused::Unknown);
    }
    let alias = aliases[0].as_bytes();
    if ours == [(alias, certificate)] {
        return Ok(None);
    }
    let count = u32::try_from(others.len() + 1).map_err(|_| Refused::Unknown)?;
    let mut new = [&MAGIC[..], &VERSION.to_be_bytes(), &count.to_be_bytes()].concat();
    others.iter().for_each(|entry| new.extend(*entry));
    new.extend(CERTIFICATE.to_be_bytes());
    put_text(&mut new, alias)?;
    new.extend(now_ms.to_be_bytes());
    put_text(&mut new, KIND.as_bytes())?;
    new.extend(u32::try_from(certificate.len()).map_err(|_| Refused::Unknown)?.to_be_bytes());
    new.extend(certificate);
    new.extend(digest_of(&new));
    Ok(Some(new))
}

fn digest_of(content: &[u8]) -> [u8; DIGEST] {
    Sha1::new()
        .chain_update(big_endian(PASSWORD))
        .chain_update(WHITENER)
        .chain_update(content)
        .finalize()
        .into()
}

fn put_text(store: &mut Vec<u8>, text: &[u8]) -> Result<(), Refused> {
    store.extend(u16::try_from(text.len()).map_err(|_| Refused::Unknown)?.to_be_bytes());
    store.extend(text);
    Ok(())
}

struct Reader<'a>(&'a [u8]);

/// Name and content of a certificate; `None` stands for a private key.
type Entry<'a> = Option<(&'a [u8], &'a [u8])>;

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refused> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Refused::Unknown)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Refused> {
        let (number, rest) = self.0.split_first_chunk().ok_or(Refused::Unknown)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    fn text(&mut self) -> Result<&'a [u8], Refused> {
        let (length, rest) = self.0.split_first_chunk().ok_or(Refused::Unknown)?;
        self.0 = rest;
        self.take(usize::from(u16::from_be_bytes(*length)))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Refused> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Refused::Unknown)?)
    }

    fn certificate(&mut self) -> Result<&'a [u8], Refused> {
        self.text()?;
        self.bytes()
    }

    fn entry(&mut self) -> Result<Entry<'a>, Refused> {
        let kind = self.number()?;
        let alias = self.text()?;
        // When it was made.
        self.take(8)?;
        match kind {
            CERTIFICATE => Ok(Some((alias, self.certificate()?))),
            KEY => {
                self.bytes()?;
                for _ in 0..self.number()? {
                    self.certificate()?;
                }
                Ok(None)
            }
            _ => Err(Refused::Unknown),
        }
    }
}
