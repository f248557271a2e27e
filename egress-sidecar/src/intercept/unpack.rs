//! Answers that come packed although nobody asked for that: unpacked as they stream by, so that they can be searched.

use std::{
    io::{self, BufRead, ErrorKind, Read},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use hyper::{
    HeaderMap, StatusCode,
    body::{Body, Frame, Incoming},
    header,
};

use super::body::BodyError;

/// Unpacked at once: however much a body grows, no more of it is held.
const PIECE: usize = 32 << 10;

/// What has come and is not unpacked yet.
#[derive(Default)]
pub(super) struct Input {
    data: Bytes,
    ended: bool,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.data.is_empty() && !self.ended {
            true => Err(ErrorKind::WouldBlock.into()),
            false => Ok(&self.data),
        }
    }

    fn consume(&mut self, count: usize) {
        self.data.advance(count);
    }
}

/// Unpacks one body.
pub(super) enum Unpacker {
    Gzip(Box<MultiGzDecoder<Input>>),
    Deflate(Box<ZlibDecoder<Input>>),
}

impl Unpacker {
    /// For an answer that is packed in a way known here and in no other; its headers then speak of what it unpacks to.
    /// Nothing for others, and for parts of such a body.
    pub(super) fn of(status: StatusCode, headers: &mut HeaderMap) -> Option<Self> {
        let coding = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?.trim().to_ascii_lowercase();
        let unpacker = match coding.as_str() {
            "gzip" | "x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(Input::default()))),
            "deflate" => Self::Deflate(Box::new(ZlibDecoder::new(Input::default()))),
            _ => return None,
        };
        let is_only = headers.get_all(header::CONTENT_ENCODING).iter().count() == 1;
        if !is_only || status == StatusCode::PARTIAL_CONTENT {
            return None;
        }
        for name in [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
            headers.remove(name);
        }
        Some(unpacker)
    }

    /// Takes a piece in. What the last one has unpacked to must have been taken out.
    pub(super) fn put(&mut self, data: Bytes) {
        self.input().data = data;
    }

    /// There is no more.
    pub(super) fn end(&mut self) {
        self.input().ended = true;
    }

    /// A piece of what is unpacked; an empty one at its end. Nothing: more of the body is needed.
    pub(super) fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = vec![0; PIECE];
        let read = match self {
            Self::Gzip(decoder) => decoder.read(&mut piece),
            Self::Deflate(decoder) => decoder.read(&mut piece),
        };
        match read {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
            Ok(count) => {
                piece.truncate(count);
                Ok(Some(piece.into()))
            }
        }
    }

    fn input(&mut self) -> &mut Input {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }
}

/// A packed body, unpacked.
pub(super) struct Unpacked {
    inner: Incoming,
    unpacker: Unpacker,
    begun: bool,
    trailers: Option<HeaderMap>,
}

impl Unpacked {
    pub(super) fn new(inner: Incoming, unpacker: Unpacker) -> Self {
        Self { inner, unpacker, begun: false, trailers: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if let Some(piece) = self.unpacker.next()? {
                let frame = match piece.is_empty() {
                    true => self.trailers.take().map(Frame::trailers),
                    false => Some(Frame::data(piece)),
                };
                return Poll::Ready(frame.map(Ok));
            }
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx)).transpose()?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    self.begun |= !data.is_empty();
                    self.unpacker.put(data);
                    continue;
                }
                Some(Err(frame)) => self.trailers = frame.into_trailers().ok(),
                None => {}
            }
            if !self.begun {
                // Nothing at all was packed.
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            self.unpacker.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};
    use hyper::header::HeaderValue;

    use super::*;

    fn unpacker(coding: &'static str) -> (Option<Unpacker>, HeaderMap) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("7"));
        (Unpacker::of(StatusCode::OK, &mut headers), headers)
    }

    /// The pieces a body unpacks to when it comes in pieces of this size.
    fn unpacked(coding: &'static str, packed: &[u8], size: usize) -> io::Result<Vec<Bytes>> {
        let mut unpacker = unpacker(coding).0.unwrap();
        let mut pieces = Vec::new();
        for data in packed.chunks(size) {
            unpacker.put(Bytes::copy_from_slice(data));
            while let Some(piece) = unpacker.next()? {
                if piece.is_empty() {
                    return Ok(pieces);
                }
                pieces.push(piece);
            }
        }
        unpacker.end();
        while let Some(piece) = unpacker.next()?.filter(|piece| !piece.is_empty()) {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[test]
    fn bodies_are_unpacked_however_they_come() {
        let text = b"what was packed ".repeat(10_000);
        let mut gzip = write::GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&text[..1000]).unwrap();
        let mut gzip = gzip.finish().unwrap();
        // Another member.
        let mut second = write::GzEncoder::new(&mut gzip, Compression::default());
        second.write_all(&text[1000..]).unwrap();
        second.finish().unwrap();
        let mut deflate = write::ZlibEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(&text).unwrap();
        for (coding, packed) in [("gzip", gzip), ("Deflate", deflate.finish().unwrap())] {
            for size in [1, 7, packed.len()] {
                let pieces = unpacked(coding, &packed, size).unwrap();
                assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
                assert!(pieces.concat() == text, "{coding} in pieces of {size}");
            }
            assert!(unpacked(coding, &packed[..packed.len() - 9], 100).is_err(), "{coding} without its end");
        }
        assert!(unpacked("gzip", b"what is not packed", 100).is_err());
    }

    #[test]
    fn headers_speak_of_what_is_unpacked() {
        let (known, headers) = unpacker("x-gzip");
        assert!(known.is_some() && headers.is_empty());
        for coding in ["br", "gzip, gzip", "identity"] {
            let (unknown, headers) = unpacker(coding);
            assert!(unknown.is_none() && headers.len() == 2, "{coding}");
        }
    }
}
