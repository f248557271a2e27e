//! Sparse files: GNU's old header form and the three PAX dialects (0.0, 0.1, 1.0).

use std::io::Read;

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

use super::{
    pax::integer,
    tar_stream::{BLOCK, read_error},
};
use crate::image::error::ImageError;

/// Most pieces of one sparse file.
const MAX_PIECES: usize = 1 << 20;

/// Where the stored pieces of a file with holes belong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SparseMap {
    pub(super) real_size: u64,
    /// Offset and length, in order, without overlap.
    pub(super) pieces: Vec<(u64, u64)>,
}

impl SparseMap {
    /// Holds the map against the number of bytes stored in the archive.
    pub(super) fn checked(self, stored: u64) -> Result<Self, ImageError> {
        let mut end = 0_u64;
        let mut sum = 0_u64;
        for &(offset, length) in &self.pieces {
            if offset < end {
                return Err(malformed());
            }
            end = offset.checked_add(length).ok_or_else(malformed)?;
            sum += length;
        }
        match end <= self.real_size && sum == stored {
            true => Ok(self),
            false => Err(malformed()),
        }
    }

    fn push(&mut self, offset: u64, length: u64) -> Result<(), ImageError> {
        if self.pieces.len() == MAX_PIECES {
            return Err(ImageError::Unsupported(format!("a sparse file of more than {MAX_PIECES} pieces")));
        }
        self.pieces.push((offset, length));
        Ok(())
    }
}

pub(super) fn from_gnu_header(gnu: &GnuHeader, reader: &mut impl Read) -> Result<SparseMap, ImageError> {
    let mut map = SparseMap { real_size: gnu.real_size().map_err(|_| malformed())?, pieces: Vec::new() };
    let add = |map: &mut SparseMap, block: &GnuSparseHeader| match block.is_empty() {
        true => Ok(()),
        false => map.push(block.offset().map_err(|_| malformed())?, block.length().map_err(|_| malformed())?),
    };
    for block in &gnu.sparse {
        add(&mut map, block)?;
    }
    let mut more = gnu.is_extended();
    while more {
        let mut extension = GnuExtSparseHeader::new();
        reader.read_exact(extension.as_mut_bytes()).map_err(read_error)?;
        for block in extension.sparse() {
            add(&mut map, block)?;
        }
        more = extension.is_extended();
    }
    Ok(map)
}

/// PAX 1.0: the payload begins with the map, decimal numbers one a line, padded to a block.
pub(super) fn from_data(real_size: u64, payload: &mut impl Read) -> Result<SparseMap, ImageError> {
    let mut lines = Lines { payload, block: [0; BLOCK], at: BLOCK };
    let count = lines.number()?;
    let mut map = SparseMap { real_size, pieces: Vec::new() };
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        map.push(offset, length)?;
    }
    Ok(map)
}

struct Lines<'a, R> {
    payload: &'a mut R,
    block: [u8; BLOCK],
    at: usize,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> Result<u64, ImageError> {
        const MAX_DIGITS: usize = 20;
        let mut digits = Vec::with_capacity(MAX_DIGITS);
        loop {
            if self.at == BLOCK {
                self.payload.read_exact(&mut self.block).map_err(read_error)?;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return integer(&digits).ok_or_else(malformed),
                _ if digits.len() == MAX_DIGITS => return Err(malformed()),
                byte => digits.push(byte),
            }
        }
    }
}

/// The `GNU.sparse.…` records of an extended header.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    real_size: Option<u64>,
    map: SparseMap,
    pending_offset: Option<u64>,
}

impl PaxSparse {
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), ImageError> {
        let number = || integer(value).ok_or_else(malformed);
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"major" => self.major = Some(number()?),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"offset" => self.pending_offset = Some(number()?),
            b"numbytes" => {
                let offset = self.pending_offset.take().ok_or_else(malformed)?;
                self.map.push(offset, number()?)?;
            }
            b"map" => {
                let numbers: Option<Vec<u64>> = match value {
                    b"" => Some(Vec::new()),
                    value => value.split(|&b| b == b',').map(integer).collect(),
                };
                let numbers = numbers.filter(|n| n.len() % 2 == 0).ok_or_else(malformed)?;
                for pair in numbers.chunks_exact(2) {
                    self.map.push(pair[0], pair[1])?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn is_map_in_data(&self) -> bool {
        self.major == Some(1)
    }

    pub(super) fn real_size(&self) -> Result<u64, ImageError> {
        self.real_size.ok_or_else(malformed)
    }

    pub(super) fn to_map(&self) -> Result<SparseMap, ImageError> {
        Ok(SparseMap { real_size: self.real_size()?, pieces: self.map.pieces.clone() })
    }
}

fn malformed() -> ImageError {
    ImageError::Corrupt("a sparse file's map is malformed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_must_be_ordered_and_account_for_every_byte() {
        let map = |pieces: &[(u64, u64)]| SparseMap { real_size: 100, pieces: pieces.to_vec() };
        assert!(map(&[(0, 10), (50, 50)]).checked(60).is_ok());
        assert!(map(&[(0, 10), (50, 50)]).checked(61).is_err());
        assert!(map(&[(50, 50), (0, 10)]).checked(60).is_err());
        assert!(map(&[(0, 10), (5, 10)]).checked(20).is_err());
        assert!(map(&[(90, 20)]).checked(20).is_err());
        assert!(map(&[(u64::MAX, 20)]).checked(20).is_err());
    }

    #[test]
    fn both_header_dialects_give_the_same_map() {
        let mut old = PaxSparse::default();
        for (key, value) in
            [("size", "9"), ("offset", "1"), ("numbytes", "2"), ("offset", "5"), ("numbytes", "3")]
        {
            old.set(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let mut new = PaxSparse::default();
        new.set(b"realsize", b"9").unwrap();
        new.set(b"map", b"1,2,5,3").unwrap();
        assert_eq!(old.to_map().unwrap(), new.to_map().unwrap());
        assert!(PaxSparse::default().set(b"map", b"1,2,3").is_err());
        assert!(PaxSparse::default().set(b"numbytes", b"3").is_err());
    }
}
