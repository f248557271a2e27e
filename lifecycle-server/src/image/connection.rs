//! Requests to one registry. It may be anybody's, so nothing it answers is taken in without a bound.

use std::{sync::Once, time::Duration};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::{
    error::{ImageError, clipped},
    guard::{Refusal, Watch},
    login::Login,
    types::StoreOptions,
};

/// Most of an error that is read; its text is for people.
const MAX_ERROR: usize = 64 << 10;

pub(super) struct Connection {
    pub(super) client: Client,
    /// Where everything of the registry is: `https://host/v2/`.
    pub(super) base: Url,
    pub(super) host: String,
    login: Login,
    watch: Option<Watch>,
    stall: Duration,
}

/// A registry's errors, as the distribution specification has them.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Connection {
    pub(super) fn new(host: &str, login: Login, options: &StoreOptions) -> Result<Self, ImageError> {
        static PROVIDER: Once = Once::new();
        // An error means that the program has chosen one already.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let scheme = if is_insecure(host, &options.insecure_registries) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/"))
            .map_err(|e| ImageError::reference(host, format!("not the address of a registry: {e}")))?;
        // Silence is timed here, answer by answer: the client's own limit also fires when data has come and this process
        // was too busy to look. Redirections to other hosts are followed without credentials.
        let watch = options.guard.as_ref().map(|guard| guard.of(host, &options.insecure_registries));
        let client = Client::builder()
            .connect_timeout(options.connect_timeout)
            .user_agent(concat!("sandkeep/", env!("CARGO_PKG_VERSION")));
        let client = match &watch {
            Some(watch) => client.redirect(watch.redirections()).dns_resolver(watch.clone()),
            None => client,
        };
        let client = client.build().map_err(|e| {
            let what = "cannot set up TLS (Debian's package ca-certificates may be missing)";
            transport(e, host).within(what)
        })?;
        Ok(Self { client, base, host: host.to_owned(), login, watch, stall: options.stall_timeout })
    }

    /// The address of something in the registry.
    pub(super) fn url(&self, path: &str) -> Result<Url, ImageError> {
        self.base.join(path).map_err(|e| self.failed(&format!("{path}: {e}")))
    }

    /// Proves who we are where the registry asks for it; requests do that by themselves, but later.
    pub(super) async fn log_in(&self) -> Result<(), ImageError> {
        self.login.sign(self, self.client.get(self.base.clone())).await.map(drop)
    }

    /// The answer to a request, if the registry does what is asked of it. The wait for it has no bound.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        add: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, ImageError> {
        // A registry may send elsewhere, as for an upload; its credentials are for nobody else.
        let is_own = url.origin() == self.base.origin();
        let request = add(self.client.request(method, url));
        let request = if is_own { self.login.sign(self, request).await? } else { request };
        let answer = self.send(request).await?;
        let status = answer.status();
        match status.is_success() {
            true => Ok(answer),
            false => Err(refusal(status, &self.beginning(answer, MAX_ERROR).await?, &self.host)),
        }
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ImageError> {
        let (client, request) = request.build_split();
        let request = request.map_err(|e| transport(e, &self.host))?;
        if let Some(watch) = &self.watch {
            watch.check(request.url()).map_err(|refusal| refused(&refusal, &self.host))?;
        }
        client.execute(request).await.map_err(|e| transport(e, &self.host))
    }

    /// All of a document that may have `limit` bytes.
    pub(super) async fn whole(
        &self,
        what: &str,
        answer: Response,
        limit: usize,
    ) -> Result<Vec<u8>, ImageError> {
        let body = self.beginning(answer, limit).await?;
        match body.len() <= limit {
            true => Ok(body),
            false => Err(ImageError::Unsupported(format!(
                "registry {} sends {what} of more than {} KiB",
                self.host,
                limit >> 10
            ))),
        }
    }

    /// A body up to a little beyond `limit`.
    async fn beginning(&self, mut answer: Response, limit: usize) -> Result<Vec<u8>, ImageError> {
        let mut body = Vec::new();
        while body.len() <= limit
            && let Some(piece) = self.piece(&mut answer).await?
        {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What came next of a body; `None` at its end.
    pub(super) async fn piece(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, ImageError> {
        answer.chunk().await.map_err(|e| transport(e, &self.host))
    }

    /// Waits as long as a registry may be silent.
    pub(super) async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, ImageError>>,
    ) -> Result<T, ImageError> {
        tokio::time::timeout(self.stall, answer).await.unwrap_or_else(|_| Err(self.stalled()))
    }

    /// Waits for `work` as long as `moved` goes on to change; at the end of that as long as for an answer.
    pub(super) async fn bounded_by_progress<T>(
        &self,
        work: impl Future<Output = Result<T, ImageError>>,
        mut moved: tokio::sync::watch::Receiver<()>,
    ) -> Result<T, ImageError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                moved = tokio::time::timeout(self.stall, moved.changed()) => match moved {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return self.bounded(work).await,
                    Err(_) => return Err(self.stalled()),
                },
            }
        }
    }

    fn stalled(&self) -> ImageError {
        let (host, limit) = (&self.host, self.stall.as_secs_f64());
        ImageError::Stalled(format!("registry {host} sent nothing for {limit:.1} s"))
    }

    /// The registry does something it should not.
    pub(super) fn failed(&self, text: &str) -> ImageError {
        ImageError::RegistryUnreachable(format!("registry {}: {}", self.host, clipped(text)))
    }

    pub(super) fn unauthorized(&self) -> ImageError {
        unauthorized(&self.host)
    }
}

/// Loopback needs no encryption; other registries only when the operator says so.
fn is_insecure(registry: &str, allowed: &[String]) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || allowed.iter().any(|a| a == registry || a == host)
}

/// What a registry's refusal means.
fn refusal(status: StatusCode, body: &[u8], host: &str) -> ImageError {
    let said = serde_json::from_slice(body).unwrap_or(Errors { errors: Vec::new() }).errors;
    let text = match said.is_empty() {
        true => clipped(&String::from_utf8_lossy(body)),
        false => clipped(&said.iter().map(|e| e.message.as_str()).collect::<Vec<_>>().join("; ")),
    };
    let code = said.first().map(|e| e.code.as_str()).filter(|_| status.is_client_error());
    match (status, code) {
        (StatusCode::UNAUTHORIZED, _) | (_, Some("UNAUTHORIZED" | "DENIED")) => unauthorized(host),
        (
            _,
            Some(
                "MANIFEST_UNKNOWN"
                | "NAME_UNKNOWN"
                | "NAME_INVALID"
                | "BLOB_UNKNOWN"
                | "MANIFEST_BLOB_UNKNOWN"
                | "NOT_FOUND",
            ),
        ) => ImageError::NotFound(format!("registry {host}: {text}")),
        (_, Some(_)) => ImageError::RegistryUnreachable(format!("registry {host}: {text}")),
        (StatusCode::FORBIDDEN, None) => unauthorized(host),
        (StatusCode::NOT_FOUND, None) => ImageError::NotFound(format!("registry {host} has no such image")),
        (_, None) => {
            ImageError::RegistryUnreachable(format!("registry {host} answers {}: {text}", status.as_u16()))
        }
    }
}

fn unauthorized(host: &str) -> ImageError {
    ImageError::Unauthorized(format!("registry {host} does not let these credentials do this with the image"))
}

fn refused(refusal: &Refusal, host: &str) -> ImageError {
    ImageError::Refused(format!("registry {host}: {refusal}"))
}

fn transport(error: reqwest::Error, host: &str) -> ImageError {
    // The address may hold a token; the innermost cause says what happened.
    let error = error.without_url();
    let timeout = error.is_timeout();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if let Some(refusal) = cause.downcast_ref::<Refusal>() {
        return refused(refusal, host);
    }
    let text = format!("registry {host}: {cause}");
    match timeout && !error.is_connect() {
        true => ImageError::Stalled(text),
        false => ImageError::RegistryUnreachable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_listed_registries_are_spoken_to_in_the_clear() {
        let listed = ["registry.lan".to_owned(), "10.0.0.1:5000".to_owned()];
        for host in [
            "localhost:5000",
            "127.0.0.1:5000",
            "127.8.9.1",
            "registry.lan:80",
            "registry.lan",
            "10.0.0.1:5000",
        ] {
            assert!(is_insecure(host, &listed), "{host}");
        }
        for host in ["ghcr.io", "10.0.0.1:5001", "10.0.0.1", "localhost.evil.com", "127.0.0.1.evil.com:5000"]
        {
            assert!(!is_insecure(host, &listed), "{host}");
        }
    }

    #[test]
    fn what_a_registry_says_is_kept_short_and_plain() {
        let long = format!("\u{1b}[31m{}", "x".repeat(10_000));
        let listed =
            format!("{{\"errors\": [{{\"code\": \"X\", \"message\": \"{}\"}}]}}", "y".repeat(10_000));
        for (status, body, shown) in [(500, long, "xxx"), (400, listed, "yyy")] {
            let status = StatusCode::from_u16(status).unwrap();
            let text = refusal(status, body.as_bytes(), "r").to_string();
            assert!(text.len() < 400 && !text.contains('\u{1b}') && text.contains(shown), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_what_its_code_says_or_else_its_status() {
        let kind = |status: StatusCode, body: &str| refusal(status, body.as_bytes(), "r");
        let said = |code: &str| format!("{{\"errors\": [{{\"code\": \"{code}\", \"detail\": null}}]}}");
        let not_found = StatusCode::NOT_FOUND;
        assert!(matches!(kind(not_found, "<html>"), ImageError::NotFound(_)));
        assert!(matches!(kind(not_found, &said("MANIFEST_UNKNOWN")), ImageError::NotFound(_)));
        assert!(matches!(kind(not_found, &said("DENIED")), ImageError::Unauthorized(_)));
        assert!(matches!(kind(StatusCode::FORBIDDEN, ""), ImageError::Unauthorized(_)));
        assert!(matches!(kind(StatusCode::UNAUTHORIZED, &said("OWN")), ImageError::Unauthorized(_)));
        let busy = StatusCode::TOO_MANY_REQUESTS;
        assert!(matches!(kind(busy, &said("TOOMANYREQUESTS")), ImageError::RegistryUnreachable(_)));
        let broken = StatusCode::BAD_GATEWAY;
        assert!(matches!(kind(broken, &said("NAME_UNKNOWN")), ImageError::RegistryUnreachable(_)));
    }
}
