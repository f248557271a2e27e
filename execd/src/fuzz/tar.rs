//! Tar streams.

use super::cuts;
use crate::files::{
    archive::parse::{Entry, Kind, Reader, Sink},
    error::FileError,
};

#[derive(Debug, Default, PartialEq, Eq)]
struct Collected(Vec<(Entry, Vec<u8>, bool)>);

impl Sink for Collected {
    fn entry(&mut self, entry: Entry) -> Result<(), FileError> {
        assert!(self.0.last().is_none_or(|(.., ended)| *ended), "an entry begins inside another one");
        assert!(entry.kind == Kind::File || entry.size == 0, "{entry:?} has content");
        self.0.push((entry, Vec::new(), false));
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), FileError> {
        let (_, content, ended) = self.0.last_mut().expect("content belongs to an entry");
        assert!(!*ended, "content after the end");
        content.extend_from_slice(data);
        Ok(())
    }

    fn end(&mut self) -> Result<(), FileError> {
        let (entry, content, ended) = self.0.last_mut().expect("an end belongs to an entry");
        assert_eq!(content.len() as u64, entry.size, "{entry:?}");
        assert!(!std::mem::replace(ended, true), "an entry ends twice");
        Ok(())
    }
}

/// A stream gives the same entries however it is cut, each with exactly the content its header announces, and no more
/// than there was.
///
/// # Panics
/// When that does not hold.
pub fn tar(data: &[u8]) {
    let [one, whole, other] = cuts(data);
    let (collected, good) = read(data, whole);
    for size in [one, other] {
        assert_eq!(read(data, size), (collected.clone(), good), "in pieces of {size}");
    }
    let content: usize = collected.iter().map(|(_, content, _)| content.len()).sum();
    assert!(content <= data.len(), "more content than stream");
    assert!(!good || collected.iter().all(|(.., ended)| *ended), "a good stream leaves an entry open");
}

fn read(data: &[u8], size: usize) -> (Vec<(Entry, Vec<u8>, bool)>, bool) {
    let (mut reader, mut collected) = (Reader::new(), Collected::default());
    let fed = data.chunks(size).try_for_each(|piece| reader.feed(piece, &mut collected));
    let good = fed.is_ok() && reader.finish().is_ok();
    (collected.0, good)
}
