//! Reading `multipart/form-data` as it arrives: file content is handed on as slices of the frames it came in.

use axum::body::Bytes;
use memchr::memmem::Finder;

/// Longest boundary RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// Longest header block of one part, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// What the body says next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A part begins; the field's name.
    Part(String),
    /// More of the current part's content.
    Data(Bytes),
    /// The current part is complete.
    End,
}

/// Why a body is not multipart.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    #[error("Content-Type is not multipart/form-data with a boundary of 1 to 70 characters")]
    Boundary,
    #[error("multipart body: a part's headers are longer than {MAX_HEAD} bytes")]
    HeadTooLong,
    #[error("multipart body: a part has no Content-Disposition with a name")]
    Unnamed,
    #[error("multipart body: unexpected bytes after a boundary")]
    Delimiter,
    #[error("multipart body: it ends before its closing boundary")]
    Truncated,
}

enum State {
    /// Before the first boundary, or in a part's content.
    Content,
    /// After a boundary: its rest and the part's headers gather here.
    Head(Vec<u8>),
    /// After the closing boundary.
    Closed,
}

/// An incremental reader: frames go in through [`push`](Self::push), events come out of [`next`](Self::next).
pub(crate) struct Multipart {
    /// CR LF, two dashes, the boundary.
    delimiter: Bytes,
    finder: Finder<'static>,
    state: State,
    /// Whether a part is open; before the first one content is a preamble and is dropped.
    in_part: bool,
    /// How many bytes of the delimiter the content so far ends with. They need not be kept: a boundary has no CR, so a
    /// delimiter cannot begin inside another one, and these bytes are the delimiter's own beginning.
    matched: usize,
    input: Bytes,
}

impl Multipart {
    /// A reader for a body with this content type.
    ///
    /// # Errors
    /// When that is not `multipart/form-data` with a usable boundary.
    pub(crate) fn new(content_type: &str) -> Result<Self, MultipartError> {
        let boundary = boundary(content_type).ok_or(MultipartError::Boundary)?;
        let delimiter = Bytes::from([b"\r\n--", boundary.as_bytes()].concat());
        let finder = Finder::new(&delimiter).into_owned();
        // The first boundary has no line before it: as if its CR LF had been read.
        Ok(Self { delimiter, finder, state: State::Content, in_part: false, matched: 2, input: Bytes::new() })
    }

    /// Gives the next frame. The events of the one before must have been taken.
    pub(crate) fn push(&mut self, frame: Bytes) {
        debug_assert!(self.input.is_empty());
        self.input = frame;
    }

    /// The next event; `None` when another frame is needed.
    ///
    /// # Errors
    /// When the body is not multipart.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, MultipartError> {
        while !self.input.is_empty() {
            let event = match &mut self.state {
                State::Content => self.content(),
                State::Head(_) => self.head()?,
                State::Closed => {
                    self.input.clear();
                    None
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Whether the closing boundary has been read.
    pub(crate) fn closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Reads content up to the next boundary.
    fn content(&mut self) -> Option<Event> {
        if self.matched > 0 {
            return self.resume();
        }
        if let Some(at) = self.finder.find(&self.input) {
            if at > 0 {
                return self.data(at);
            }
            return self.delimited(self.delimiter.len());
        }
        let tail = self.input.len().saturating_sub(self.delimiter.len() - 1);
        let partial = memchr::memrchr(b'\r', &self.input[tail..])
            .map(|at| tail + at)
            .filter(|at| self.delimiter.starts_with(&self.input[*at..]));
        match partial {
            Some(0) => {
                self.matched = self.input.len();
                self.input.clear();
                None
            }
            Some(at) => self.data(at),
            None => self.data(self.input.len()),
        }
    }

    /// Goes on where the content so far ends with the beginning of a delimiter.
    fn resume(&mut self) -> Option<Event> {
        let rest = &self.delimiter[self.matched..];
        let compared = rest.len().min(self.input.len());
        if self.input[..compared] == rest[..compared] {
            if compared == rest.len() {
                return self.delimited(compared);
            }
            self.matched += compared;
            self.input.clear();
            return None;
        }
        let held = self.delimiter.slice(..std::mem::take(&mut self.matched));
        self.in_part.then_some(Event::Data(held))
    }

    /// Hands on this many bytes of content.
    fn data(&mut self, length: usize) -> Option<Event> {
        let data = self.input.split_to(length);
        self.in_part.then_some(Event::Data(data))
    }

    /// The delimiter ends after this many bytes of the input.
    fn delimited(&mut self, length: usize) -> Option<Event> {
        let _ = self.input.split_to(length);
        self.matched = 0;
        self.state = State::Head(Vec::new());
        std::mem::take(&mut self.in_part).then_some(Event::End)
    }

    /// Gathers a part's headers, or finds that the boundary was the closing one.
    fn head(&mut self) -> Result<Option<Event>, MultipartError> {
        let State::Head(head) = &mut self.state else { return Ok(None) };
        let before = head.len();
        head.extend_from_slice(&self.input[..self.input.len().min(MAX_HEAD + 4 - before)]);
        if head.starts_with(b"--") {
            self.state = State::Closed;
            return Ok(None);
        }
        // Blanks may follow a boundary on its line; the line end belongs to the blank line that ends the headers, too.
        let blanks = head.iter().take_while(|b| **b == b' ' || **b == b'\t').count();
        let line = &head[blanks..];
        if !b"\r\n".starts_with(&line[..line.len().min(2)]) && line != b"-" {
            return Err(MultipartError::Delimiter);
        }
        let Some(end) = memchr::memmem::find(head, b"\r\n\r\n").map(|at| at + 4) else {
            if head.len() > MAX_HEAD {
                return Err(MultipartError::HeadTooLong);
            }
            self.input.clear();
            return Ok(None);
        };
        let name = field_name(&head[..end]).ok_or(MultipartError::Unnamed)?;
        let _ = self.input.split_to(end - before);
        self.state = State::Content;
        self.in_part = true;
        Ok(Some(Event::Part(name)))
    }
}

/// The `boundary` parameter of a `multipart/form-data` content type.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameter(parameters, "boundary")?;
    let usable = |b: u8| matches!(b, b' '..=b'~');
    (!value.is_empty() && value.len() <= MAX_BOUNDARY && value.bytes().all(usable)).then_some(value)
}

/// The field name in a part's header block.
fn field_name(head: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(head);
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (_, parameters) = disposition.split_once(';')?;
    parameter(parameters, "name")
}

/// A parameter out of `a=b; c="d \" e"`.
fn parameter(mut text: &str, wanted: &str) -> Option<String> {
    loop {
        let (name, rest) = text.split_once('=')?;
        let name = name.trim_matches([' ', '\t', ';']);
        let rest = rest.trim_start();
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => rest
                .split_once(';')
                .map_or((rest.trim().to_owned(), ""), |(v, after)| (v.trim().to_owned(), after)),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        text = after;
    }
}

/// A quoted string's value, after its opening quote, and what follows its closing one.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Parts = Vec<(String, Vec<u8>)>;

    /// Reads a body that arrives in frames of this size; an unfinished body is an error.
    fn read(body: &[u8], boundary: &str, frame: usize) -> Result<Parts, MultipartError> {
        let mut reader = Multipart::new(&format!("multipart/form-data; boundary=\"{boundary}\""))?;
        let mut parts: Parts = Vec::new();
        let mut open = false;
        for chunk in body.chunks(frame) {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Some(event) = reader.next()? {
                match event {
                    Event::Part(name) => {
                        assert!(!std::mem::replace(&mut open, true));
                        parts.push((name, Vec::new()));
                    }
                    Event::Data(data) => {
                        assert!(open && !data.is_empty());
                        parts.last_mut().unwrap().1.extend_from_slice(&data);
                    }
                    Event::End => assert!(std::mem::replace(&mut open, false)),
                }
            }
        }
        if reader.closed() { Ok(parts) } else { Err(MultipartError::Truncated) }
    }

    fn write(parts: &Parts, boundary: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, content) in parts {
            body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a\\\"b\"\r\nContent-Type: x/y\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        body
    }

    /// Content made of what looks almost like the delimiter.
    fn near_boundary() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"\r".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r\n-".to_vec()),
            Just(b"\r\n--".to_vec()),
            Just(b"\r\n--a".to_vec()),
            Just(b"--ab".to_vec()),
            Just(b"\r\n--aa".to_vec()),
            Just(b"-".to_vec()),
            Just(b"a".to_vec()),
            any::<u8>().prop_map(|b| vec![b]),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_framing_gives_the_content_back(
            contents in proptest::collection::vec(near_boundary(), 1..4),
            frame in 1usize..40,
        ) {
            let boundary = "aab";
            prop_assume!(contents.iter().all(|c| memchr::memmem::find(&[b"\r\n", c.as_slice(), b"\r\n"].concat(), b"\r\n--aab").is_none()));
            let parts: Parts = contents.into_iter().map(|content| ("file".to_owned(), content)).collect();
            prop_assert_eq!(read(&write(&parts, boundary), boundary, frame), Ok(parts));
        }

        #[test]
        fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200), frame in 1usize..50) {
            let _ = read(&body, "b", frame);
            let _ = read(&[b"--b\r\n", body.as_slice()].concat(), "b", frame);
        }
    }

    #[test]
    fn a_cut_body_is_noticed() {
        let whole = write(&vec![("file".to_owned(), b"content".to_vec())], "bound");
        let closed = whole.len() - b"\r\n".len();
        for frame in [1, 7, 1000] {
            for cut in 0..closed {
                assert_eq!(read(&whole[..cut], "bound", frame), Err(MultipartError::Truncated), "{cut}");
            }
            assert!(read(&whole[..closed], "bound", frame).is_ok());
        }
    }

    #[test]
    fn preamble_blanks_and_epilogue_are_allowed() {
        let body =
            b"preamble\r\n--b \t\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\nepilogue --b";
        for frame in 1..body.len() {
            assert_eq!(read(body, "b", frame), Ok(vec![("x".to_owned(), b"1".to_vec())]), "{frame}");
        }
        assert_eq!(read(b"--b--", "b", 2), Ok(vec![]));
    }

    #[test]
    fn malformed_bodies_are_refused() {
        assert_eq!(read(b"--b\r\n\r\n1\r\n--b--", "b", 3), Err(MultipartError::Unnamed));
        assert_eq!(read(b"--bX\r\n\r\n", "b", 100), Err(MultipartError::Delimiter));
        let long = [b"--b\r\nX: ".to_vec(), vec![b'a'; MAX_HEAD + 10]].concat();
        assert_eq!(read(&long, "b", 1000), Err(MultipartError::HeadTooLong));
        for bad in [
            "text/plain; boundary=b",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; charset=x",
        ] {
            assert_eq!(Multipart::new(bad).err(), Some(MultipartError::Boundary), "{bad}");
        }
        assert!(Multipart::new(&format!("multipart/form-data; boundary={}", "b".repeat(71))).is_err());
    }

    #[test]
    fn parameters() {
        assert_eq!(parameter(" name=\"a;b=\\\"c\\\"\"; filename=x", "filename").as_deref(), Some("x"));
        assert_eq!(parameter(" filename=\"name=x\"; name=file", "name").as_deref(), Some("file"));
        assert_eq!(parameter(" filename=x", "name"), None);
        assert_eq!(boundary("multipart/form-data; charset=utf-8; boundary=abc ").as_deref(), Some("abc"));
    }
}
