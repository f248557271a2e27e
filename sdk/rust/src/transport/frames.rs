//! Event streams: server-sent events, or bare JSON objects one a line as older daemons send them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::Response;

use super::{Http, within};
use crate::{Error, Result};

/// The longest frame that is taken in; a daemon's own events stay far below.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// How the frames of a stream are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `data:` lines, a blank line after each event.
    Events,
    /// A JSON object a line.
    Bare,
}

/// The JSON texts of an event stream, as they come.
pub(crate) struct Frames {
    http: Http,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
    decoder: Decoder,
    idle: Duration,
    ended: bool,
}

impl Frames {
    pub(crate) fn new(http: &Http, response: Response) -> Self {
        Self {
            http: http.clone(),
            body: response.bytes_stream().boxed(),
            decoder: Decoder::default(),
            idle: http.timeouts.idle,
            ended: false,
        }
    }

    /// How the stream is framed; events until its first byte says otherwise.
    pub(crate) fn framing(&self) -> Framing {
        self.decoder.framing.unwrap_or(Framing::Events)
    }

    /// The next frame, or nothing once the stream has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(frame) = self.decoder.next() {
                return Ok(Some(frame));
            }
            if self.ended {
                return Ok(None);
            }
            match within(self.idle, "the next event", self.body.next()).await? {
                Some(chunk) => self.decoder.push(&chunk.map_err(|source| self.http.transport(source))?)?,
                None => {
                    self.ended = true;
                    self.decoder.finish();
                }
            }
        }
    }
}

/// Takes bytes in and gives frames out; knows nothing of sockets.
#[derive(Default)]
struct Decoder {
    framing: Option<Framing>,
    /// Bytes of a line whose end has not come yet.
    line: BytesMut,
    /// Where in `line` the search for its end goes on.
    searched: usize,
    /// Text of an event whose blank line has not come yet.
    event: Option<BytesMut>,
    frames: VecDeque<Bytes>,
}

impl Decoder {
    fn push(&mut self, chunk: &[u8]) -> Result<()> {
        self.line.extend_from_slice(chunk);
        while let Some(found) = memchr::memchr(b'\n', &self.line[self.searched..]) {
            let line = self.line.split_to(self.searched + found);
            self.line.advance(1);
            self.searched = 0;
            self.take_line(&line.freeze());
        }
        self.searched = self.line.len();
        let held = self.line.len() + self.event.as_ref().map_or(0, BytesMut::len);
        if held > MAX_FRAME {
            return Err(Error::Decode {
                what: "an event",
                detail: format!("it is longer than {MAX_FRAME} bytes"),
            });
        }
        Ok(())
    }

    /// The stream has ended: an object without a line end counts, an event without its blank line does not.
    fn finish(&mut self) {
        let rest = self.line.split().freeze();
        self.searched = 0;
        self.take_line(&rest);
        self.event = None;
    }

    fn next(&mut self) -> Option<Bytes> {
        self.frames.pop_front()
    }

    fn take_line(&mut self, line: &Bytes) {
        let line = line.strip_suffix(b"\r").map_or_else(|| line.clone(), |text| line.slice_ref(text));
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        let framing = match (self.framing, first) {
            (Some(framing), _) => framing,
            (None, None) => return,
            (None, Some(b'{' | b'[')) => Framing::Bare,
            (None, Some(_)) => Framing::Events,
        };
        self.framing = Some(framing);
        match framing {
            Framing::Bare if first.is_some() => self.frames.push_back(line),
            Framing::Bare => {}
            Framing::Events => self.take_event_line(&line),
        }
    }

    fn take_event_line(&mut self, line: &Bytes) {
        if line.is_empty() {
            self.frames.extend(self.event.take().map(BytesMut::freeze));
            return;
        }
        // A daemon that fails within a stream may leave a bare error object behind.
        if line.first() == Some(&b'{') {
            self.frames.push_back(line.clone());
            return;
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        match &mut self.event {
            Some(event) => {
                event.extend_from_slice(b"\n");
                event.extend_from_slice(data);
            }
            None => self.event = Some(BytesMut::from(data)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        for chunk in chunks {
            decoder.push(chunk).unwrap();
        }
        decoder.finish();
        std::iter::from_fn(|| decoder.next())
            .map(|frame| String::from_utf8(frame.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn events_and_bare_objects_are_both_read() {
        assert_eq!(decode(&[b"data: {\"a\":1}\n\ndata: {\"b\":2}\n\n"]), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(decode(&[b"{\"a\":1}\n\n{\"b\":2}\n\n"]), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(decode(&[b"{\"a\":1}\n{\"b\":2}\n"]), ["{\"a\":1}", "{\"b\":2}"]);
    }

    #[test]
    fn the_finer_points_of_event_streams_hold() {
        assert_eq!(decode(&[b": hello\r\nevent: x\r\ndata: 1\r\ndata:2\r\n\r\n"]), ["1\n2"]);
        assert_eq!(decode(&[b"data: cut"]), Vec::<String>::new());
        assert_eq!(decode(&[b"id: 1\n\n\n"]), Vec::<String>::new());
    }

    #[test]
    fn an_error_object_at_the_end_is_kept_in_either_form() {
        let error = "{\"code\":\"X\",\"message\":\"y\"}";
        assert_eq!(decode(&[b"{\"a\":1}\n\n", error.as_bytes()]), ["{\"a\":1}", error]);
        assert_eq!(decode(&[b"data: {\"a\":1}\n\n", error.as_bytes()]), ["{\"a\":1}", error]);
    }

    #[test]
    fn a_line_without_end_is_refused_before_memory_is() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; 1024 * 1024];
        assert!((0..=MAX_FRAME / chunk.len()).any(|_| decoder.push(&chunk).is_err()));
    }

    proptest! {
        #[test]
        fn where_chunks_are_cut_makes_no_difference(
            texts in prop::collection::vec("[ -~é☃]{0,12}", 0..8),
            bare in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let frames: Vec<String> = texts.iter().map(|text| serde_json::json!({ "text": text }).to_string()).collect();
            let prefix = if bare { "" } else { "data: " };
            let wire: String = frames.iter().map(|frame| format!("{prefix}{frame}\n\n")).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &wire.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&chunks), frames);
        }
    }
}
