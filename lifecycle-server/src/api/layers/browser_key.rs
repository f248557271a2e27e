//! The API key of browsers' WebSockets, which can carry no headers of a page's own: it comes as a subprotocol.

use axum::{
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    },
    middleware::Next,
    response::Response,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sandkeep_specs::lifecycle::API_KEY_HEADER;

/// What is agreed on: browsers give up when none of the subprotocols they offer is.
const AGREED: &str = "sandkeep";
/// Begins the subprotocol whose rest is the key in base64url, without padding.
const KEY_PREFIX: &str = "sandkeep.key.";

/// Makes a key among the subprotocols of a WebSocket into the header that everybody else sends. No sandbox sees it.
pub(in crate::api) async fn browser_key(mut request: Request, next: Next) -> Response {
    if !take_key(request.headers_mut()) {
        return next.run(request).await;
    }
    let mut response = next.run(request).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let agreed = HeaderValue::from_static(AGREED);
        response.headers_mut().entry(SEC_WEBSOCKET_PROTOCOL).or_insert(agreed);
    }
    response
}

/// Whether there was one.
fn take_key(headers: &mut HeaderMap) -> bool {
    if !headers.get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return false;
    }
    let offered: Vec<String> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    let Some(mut key) = offered.iter().find_map(|name| decode(name.strip_prefix(KEY_PREFIX)?)) else {
        return false;
    };
    key.set_sensitive(true);
    headers.entry(API_KEY_HEADER).or_insert(key);
    let others: Vec<String> =
        offered.into_iter().filter(|name| name != AGREED && !name.starts_with(KEY_PREFIX)).collect();
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Ok(others) = HeaderValue::try_from(others.join(", "))
        && !others.is_empty()
    {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
    true
}

fn decode(text: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a key was taken, the key, and the subprotocols that are left.
    fn take(upgrade: &'static str, offered: &'static str) -> (bool, Option<String>, Option<String>) {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static(upgrade));
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(offered));
        let taken = take_key(&mut headers);
        let text = |value: Option<&HeaderValue>| value.map(|value| value.to_str().unwrap().to_owned());
        (taken, text(headers.get(API_KEY_HEADER)), text(headers.get(SEC_WEBSOCKET_PROTOCOL)))
    }

    #[test]
    fn a_key_becomes_a_header_and_leaves_nothing_behind() {
        assert_eq!(
            take("websocket", "sandkeep, sandkeep.key.YSBrZXk"),
            (true, Some("a key".to_owned()), None)
        );
        assert_eq!(
            take("WebSocket", "chat, sandkeep.key.YSBrZXk, soap"),
            (true, Some("a key".to_owned()), Some("chat, soap".to_owned()))
        );
    }

    #[test]
    fn what_shows_no_key_stays_as_it_is() {
        for offered in ["chat, soap", "sandkeep", "sandkeep.key.%", "sandkeep.key.AA"] {
            assert_eq!(take("websocket", offered), (false, None, Some(offered.to_owned())), "{offered}");
        }
        assert!(!take("h2c", "sandkeep.key.YSBrZXk").0);
    }
}
