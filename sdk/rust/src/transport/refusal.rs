//! Turning an error answer of either daemon into [`Error::Api`].

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use crate::Error;

/// Header that names a request in the server's log.
const REQUEST_ID: &str = "x-request-id";

/// The longest error text that is kept; anything longer is no message for people.
const MAX_MESSAGE: usize = 4096;

/// The shapes of error bodies: `{code, message}`, execd's `{error}`, and `{detail}` of other servers.
#[derive(Default, Deserialize)]
struct Body {
    code: Option<String>,
    message: Option<String>,
    error: Option<String>,
    detail: Option<serde_json::Value>,
}

/// Reads what the server said about a request it refused.
pub(super) async fn refusal(response: Response) -> Error {
    let status = response.status().as_u16();
    let request_id = request_id(response.headers());
    // A body that cannot be read leaves the status, which says the most already.
    let body = response.bytes().await.unwrap_or_default();
    let (code, message) = explain(status, &body);
    Error::Api { status, code, message, request_id }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(REQUEST_ID)?.to_str().ok()?.to_owned())
}

fn explain(status: u16, body: &[u8]) -> (String, String) {
    let parsed: Body = serde_json::from_slice(body).unwrap_or_default();
    let code = parsed.code.unwrap_or_else(|| format!("HTTP_{status}"));
    let said = parsed.message.or(parsed.error).or_else(|| parsed.detail.map(|detail| detail.to_string()));
    let mut message = said.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    if let Some((cut, _)) = message.char_indices().find(|(index, _)| *index >= MAX_MESSAGE) {
        message.truncate(cut);
    }
    (code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_shape_is_understood() {
        let of = |body: &str| explain(400, body.as_bytes());
        assert_eq!(of(r#"{"code":"A::B","message":"no"}"#), ("A::B".into(), "no".into()));
        assert_eq!(of(r#"{"error":"Unauthorized"}"#), ("HTTP_400".into(), "Unauthorized".into()));
        assert_eq!(of(r#"{"detail":"Not Found"}"#), ("HTTP_400".into(), "\"Not Found\"".into()));
        assert_eq!(of("404 page not found\n"), ("HTTP_400".into(), "404 page not found".into()));
        assert_eq!(of(""), ("HTTP_400".into(), String::new()));
    }

    #[test]
    fn an_endless_message_is_cut_between_characters() {
        let (_, message) = explain(500, "é".repeat(10_000).as_bytes());
        assert!(message.len() <= MAX_MESSAGE + 1 && message.chars().all(|c| c == 'é'));
    }
}
