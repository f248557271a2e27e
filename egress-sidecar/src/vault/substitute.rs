//! Replaces marks in a request by secrets, encoded as their place wants it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::{HeaderMap, Uri, header::HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sandkeep_specs::egress::vault::SubstitutionSurface;

use super::secret::Secret;

/// What the characters that stay as they are in a URL are.
const URL_ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A mark and what it stands for.
pub struct Substitution {
    pub(super) placeholder: String,
    pub(super) secret: Arc<Secret>,
    pub(super) surfaces: Vec<SubstitutionSurface>,
}

/// How a body writes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    Json,
    UrlEncoded,
    Plain,
}

impl BodyForm {
    /// What the headers say of the body; nothing if it is to be left as it is.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let encoding = headers.get(hyper::header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        let text = headers.get(hyper::header::CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        let media_type = text.split(';').next()?.trim();
        match media_type {
            "application/x-www-form-urlencoded" => Some(Self::UrlEncoded),
            "application/json" | "application/x-ndjson" => Some(Self::Json),
            "application/xml" | "application/graphql" => Some(Self::Plain),
            other if other.ends_with("+json") => Some(Self::Json),
            other if other.starts_with("text/") || other.ends_with("+xml") => Some(Self::Plain),
            _ => None,
        }
    }
}

/// The pairs of a mark and its replacement for one place.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(
    substitutions: &[Substitution],
    surface: SubstitutionSurface,
    forms: impl Fn(&str) -> Vec<String>,
    write: impl Fn(&str) -> String,
) -> Pairs {
    let wanted = substitutions.iter().filter(|one| one.surfaces.contains(&surface));
    let expand = |one: &Substitution| {
        let value = write(one.secret.expose()).into_bytes();
        forms(&one.placeholder)
            .into_iter()
            .map(move |form| (form.into_bytes(), value.clone()))
            .collect::<Vec<_>>()
    };
    wanted.flat_map(expand).collect()
}

fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, URL_ENCODED).to_string()
}

/// As it is, and as a URL writes it.
fn url_forms(text: &str) -> Vec<String> {
    let mut forms = vec![text.to_owned(), percent_encoded(text)];
    forms.dedup();
    forms
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// The text with all marks replaced, if there are any.
fn replaced(text: &[u8], pairs: &Pairs) -> Option<Vec<u8>> {
    let mut stream = BodyReplacer { pairs: pairs.clone(), held: BytesMut::new() };
    if !pairs.iter().any(|(mark, _)| memchr::memmem::find(text, mark).is_some()) {
        return None;
    }
    let mut out = stream.push(text).to_vec();
    out.extend_from_slice(&stream.finish());
    Some(out)
}

/// Replaces marks in path and query. Nothing if there are none.
#[must_use]
pub fn in_uri(substitutions: &[Substitution], uri: &Uri) -> Option<Uri> {
    let path_pairs = pairs(substitutions, SubstitutionSurface::Path, url_forms, percent_encoded);
    let query_pairs = pairs(substitutions, SubstitutionSurface::Query, url_forms, percent_encoded);
    let path = replaced(uri.path().as_bytes(), &path_pairs);
    let query = uri.query().and_then(|query| replaced(query.as_bytes(), &query_pairs));
    if path.is_none() && query.is_none() {
        return None;
    }
    let mut text = path.unwrap_or_else(|| uri.path().as_bytes().to_vec());
    if let Some(query) = query.as_deref().or(uri.query().map(str::as_bytes)) {
        text.push(b'?');
        text.extend_from_slice(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(hyper::http::uri::PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Replaces marks in the values of headers.
pub fn in_headers(substitutions: &[Substitution], headers: &mut HeaderMap) {
    let raw = |text: &str| vec![text.to_owned()];
    let pairs = pairs(substitutions, SubstitutionSurface::Header, raw, str::to_owned);
    if pairs.is_empty() {
        return;
    }
    for (name, value) in headers.iter_mut() {
        // Where a request goes and where it ends is not for a secret to say.
        if matches!(name.as_str(), "host" | "content-length" | "transfer-encoding") {
            continue;
        }
        // A secret that cannot stand in a header leaves the mark there.
        let new = replaced(value.as_bytes(), &pairs)
            .and_then(|text| HeaderValue::from_maybe_shared(Bytes::from(text)).ok());
        if let Some(mut new) = new {
            new.set_sensitive(true);
            *value = new;
        }
    }
}

/// Replaces marks in a body while it streams by.
pub struct BodyReplacer {
    pairs: Pairs,
    held: BytesMut,
}

impl BodyReplacer {
    /// One for a body of this form, if any mark is to be replaced there.
    #[must_use]
    pub fn new(substitutions: &[Substitution], form: BodyForm) -> Option<Self> {
        let surface = SubstitutionSurface::Body;
        let raw = |text: &str| vec![text.to_owned()];
        let pairs = match form {
            BodyForm::Json => {
                let forms = |text: &str| {
                    let mut forms = vec![text.to_owned(), json_escaped(text)];
                    forms.dedup();
                    forms
                };
                pairs(substitutions, surface, forms, json_escaped)
            }
            BodyForm::UrlEncoded => pairs(substitutions, surface, url_forms, percent_encoded),
            BodyForm::Plain => pairs(substitutions, surface, raw, str::to_owned),
        };
        (!pairs.is_empty()).then_some(Self { pairs, held: BytesMut::new() })
    }

    /// Takes a piece in and gives out what is certain; may be empty.
    pub fn push(&mut self, chunk: &[u8]) -> Bytes {
        self.held.extend_from_slice(chunk);
        let mut out = BytesMut::with_capacity(self.held.len());
        loop {
            let found = self.pairs.iter().filter_map(|(mark, value)| {
                let at = memchr::memmem::find(&self.held, mark)?;
                Some((at, std::cmp::Reverse(mark.len()), value))
            });
            let Some((at, length, value)) = found.min_by_key(|(at, length, _)| (*at, *length)) else { break };
            out.extend_from_slice(&self.held[..at]);
            out.extend_from_slice(value);
            let _ = self.held.split_to(at + length.0);
        }
        let certain = self.held.len() - self.unfinished();
        out.extend_from_slice(&self.held.split_to(certain));
        out.freeze()
    }

    /// What was kept back at the end.
    pub fn finish(&mut self) -> Bytes {
        self.held.split().freeze()
    }

    /// How many bytes at the end could be the beginning of a mark.
    fn unfinished(&self) -> usize {
        let of = |mark: &[u8]| {
            let longest = (mark.len() - 1).min(self.held.len());
            (1..=longest).rev().find(|length| self.held.ends_with(&mark[..*length])).unwrap_or(0)
        };
        self.pairs.iter().map(|(mark, _)| of(mark)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [SubstitutionSurface; 4] = [
        SubstitutionSurface::Body,
        SubstitutionSurface::Header,
        SubstitutionSurface::Path,
        SubstitutionSurface::Query,
    ];

    fn one(placeholder: &str, secret: &str, surfaces: &[SubstitutionSurface]) -> Vec<Substitution> {
        vec![Substitution {
            placeholder: placeholder.to_owned(),
            secret: Arc::new(Secret::new(secret.to_owned())),
            surfaces: surfaces.to_vec(),
        }]
    }

    fn uri(substitutions: &[Substitution], text: &str) -> Option<String> {
        in_uri(substitutions, &text.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn urls_are_encoded() {
        let substitutions = one("{KEY}", "a/b c?&", &ALL);
        assert_eq!(
            uri(&substitutions, "/x/%7BKEY%7D/y?k=%7BKEY%7D&z").unwrap(),
            "/x/a%2Fb%20c%3F%26/y?k=a%2Fb%20c%3F%26&z"
        );
        assert_eq!(uri(&substitutions, "/x/KEY"), None);
        let in_path = one("KEY", "v", &[SubstitutionSurface::Path]);
        assert_eq!(uri(&in_path, "/KEY?KEY").unwrap(), "/v?KEY");
    }

    #[test]
    fn headers_are_literal() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("k=KEY;KEY"));
        headers.insert("host", HeaderValue::from_static("KEY"));
        in_headers(&one("KEY", "se cret", &ALL), &mut headers);
        assert_eq!(headers["x-key"], "k=se cret;se cret");
        assert!(headers["x-key"].is_sensitive());
        assert_eq!(headers["host"], "KEY");
        in_headers(&one("se", "new\r\nline: x", &ALL), &mut headers);
        assert_eq!(headers["x-key"], "k=se cret;se cret");
    }

    #[test]
    fn bodies_are_encoded_as_their_type_says() {
        let body = |form, text: &str, size: usize| {
            let mut replacer = BodyReplacer::new(&one("{KEY}", "a\"b &", &ALL), form).unwrap();
            let mut out: Vec<u8> =
                text.as_bytes().chunks(size).flat_map(|chunk| replacer.push(chunk)).collect();
            out.extend_from_slice(&replacer.finish());
            String::from_utf8(out).unwrap()
        };
        for size in 1..20 {
            assert_eq!(body(BodyForm::Json, r#"{"k":"{KEY}"} {KE"#, size), r#"{"k":"a\"b &"} {KE"#);
            assert_eq!(
                body(BodyForm::UrlEncoded, "k=%7BKEY%7D&x={KEY}", size),
                "k=a%22b%20%26&x=a%22b%20%26"
            );
            assert_eq!(body(BodyForm::Plain, "{{KEY}{KEY}}", size), "{a\"b &a\"b &}");
        }
    }

    #[test]
    fn only_text_is_touched() {
        let of = |content_type: &'static str, encoding: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            if let Some(encoding) = encoding {
                headers.insert("content-encoding", HeaderValue::from_static(encoding));
            }
            BodyForm::of(&headers)
        };
        assert_eq!(of("application/json; charset=utf-8", None), Some(BodyForm::Json));
        assert_eq!(of("application/vnd.api+json", Some("identity")), Some(BodyForm::Json));
        assert_eq!(of("application/x-www-form-urlencoded", None), Some(BodyForm::UrlEncoded));
        assert_eq!(of("text/plain", None), Some(BodyForm::Plain));
        for (content_type, encoding) in [
            ("application/json", Some("gzip")),
            ("multipart/form-data; boundary=x", None),
            ("application/grpc", None),
        ] {
            assert_eq!(of(content_type, encoding), None);
        }
    }
}
