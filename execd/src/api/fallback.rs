//! Answers to requests that meet no route.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::OpenApi;

const NOT_FOUND: &str = "404 page not found";

/// Everything else: a known path with a trailing slash is redirected, the rest is not there, and a wrong method
/// counts as that too.
pub(super) fn unknown(document: &OpenApi) -> Router {
    let known: Arc<[Vec<String>]> = document.paths.paths.keys().map(|path| segments(path)).collect();
    Router::new().fallback(move |method: Method, uri: Uri| {
        let known = Arc::clone(&known);
        async move { answer(&known, &method, &uri) }
    })
}

/// What a known path with another method gets.
pub(super) async fn wrong_method() -> Response {
    (StatusCode::NOT_FOUND, NOT_FOUND).into_response()
}

fn answer(known: &[Vec<String>], method: &Method, uri: &Uri) -> Response {
    let redirect = uri.path().strip_suffix('/').filter(|path| is_known(known, path)).and_then(|path| {
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        HeaderValue::try_from(format!("{path}{query}")).ok()
    });
    match redirect {
        Some(location) => {
            let status = match *method {
                Method::GET => StatusCode::MOVED_PERMANENTLY,
                _ => StatusCode::TEMPORARY_REDIRECT,
            };
            (status, [(header::LOCATION, location)]).into_response()
        }
        None => (StatusCode::NOT_FOUND, NOT_FOUND).into_response(),
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

fn is_known(known: &[Vec<String>], path: &str) -> bool {
    let asked = segments(path);
    known.iter().any(|template| {
        template.len() == asked.len()
            && template
                .iter()
                .zip(&asked)
                .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(method: Method, uri: &str) -> (StatusCode, Option<String>) {
        let known = [segments("/command/status/{id}"), segments("/ping")];
        let response = answer(&known, &method, &uri.parse().unwrap());
        let location =
            response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        (response.status(), location)
    }

    #[test]
    fn only_known_paths_are_redirected() {
        let moved = StatusCode::MOVED_PERMANENTLY;
        assert_eq!(location(Method::GET, "/ping/?a=1"), (moved, Some("/ping?a=1".to_owned())));
        assert_eq!(
            location(Method::GET, "/command/status/x/"),
            (moved, Some("/command/status/x".to_owned()))
        );
        assert_eq!(location(Method::POST, "/ping/").0, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(location(Method::GET, "/pong/"), (StatusCode::NOT_FOUND, None));
        assert_eq!(location(Method::GET, "//evil.example/ping/"), (StatusCode::NOT_FOUND, None));
        assert_eq!(location(Method::GET, "/"), (StatusCode::NOT_FOUND, None));
    }
}
