//! Tenants another service knows: asked once per key and remembered for as long as it says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Client, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use sandkeep_specs::lifecycle::API_KEY_HEADER;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{KeyDigest, LookupError, Tenant, TenantsError, is_namespace};
use crate::{
    config::{QuotaTable, TenantsConfig},
    sandbox::Quota,
};

/// How long an answer without `ttl` is good for.
const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// An answer is asked for again after this long, whatever the service says.
const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
/// A service that failed is not asked about the same key again for so long.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Keys remembered; with more, those that are not in use are forgotten.
const MAX_KEYS: usize = 4096;
/// Lookups at once, over all keys: wrong keys must not become a flood at the service.
const MAX_LOOKUPS: usize = 64;
/// No answer about one tenant is larger.
const MAX_ANSWER: usize = 64 * 1024;

pub(super) struct HttpProvider {
    client: Client,
    endpoint: Url,
    auth: Option<(HeaderName, HeaderValue)>,
    timeout: Duration,
    max_stale: Duration,
    default_quota: Quota,
    slots: Mutex<HashMap<KeyDigest, Arc<Slot>>>,
    lookups: Semaphore,
}

/// One key. Whoever holds `gate` asks; all others wait for the answer.
#[derive(Default)]
struct Slot {
    known: Mutex<Known>,
    gate: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone)]
struct Known {
    answer: Option<Answer>,
    failed_at: Option<(Instant, String)>,
}

#[derive(Clone)]
struct Answer {
    tenant: Arc<Tenant>,
    fresh_until: Instant,
}

#[derive(Deserialize)]
struct Body {
    namespace: String,
    ttl: Option<f64>,
    quota: Option<QuotaTable>,
}

impl HttpProvider {
    pub(super) fn new(config: &TenantsConfig) -> Result<Self, TenantsError> {
        // Fails when a provider was chosen before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self {
            client: client.map_err(|error| TenantsError::Endpoint(error.to_string()))?,
            endpoint: config.endpoint().map_err(TenantsError::Endpoint)?,
            auth: config.auth(),
            timeout: config.timeout(),
            max_stale: config.max_stale(),
            default_quota: config.quota.quota(),
            slots: Mutex::default(),
            lookups: Semaphore::new(MAX_LOOKUPS),
        })
    }

    pub(super) async fn find(&self, key: &[u8], digest: KeyDigest) -> Result<Arc<Tenant>, LookupError> {
        let slot = self.slot(digest);
        if let Some(known) = slot.settled(self.max_stale) {
            return known;
        }
        let _gate = slot.gate.lock().await;
        // Whoever had the gate before may have asked.
        if let Some(known) = slot.settled(self.max_stale) {
            return known;
        }
        match self.ask(key).await {
            Ok(answer) => {
                let tenant = answer.tenant.clone();
                *slot.known() = Known { answer: Some(answer), failed_at: None };
                Ok(tenant)
            }
            Err(LookupError::Unknown) => {
                self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
                slot.known().answer = None;
                Err(LookupError::Unknown)
            }
            Err(LookupError::Unavailable(cause)) => {
                tracing::warn!(%cause, "a tenant could not be looked up");
                slot.known().failed_at = Some((Instant::now(), cause.clone()));
                slot.stale(self.max_stale).ok_or(LookupError::Unavailable(cause))
            }
        }
    }

    fn slot(&self, digest: KeyDigest) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_KEYS && !slots.contains_key(&digest) {
            let now = Instant::now();
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_fresh(now));
            if slots.len() >= MAX_KEYS {
                slots.retain(|_, slot| Arc::strong_count(slot) > 1);
            }
        }
        slots.entry(digest).or_default().clone()
    }

    async fn ask(&self, key: &[u8]) -> Result<Answer, LookupError> {
        let unavailable = |cause: String| LookupError::Unavailable(cause);
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::from_bytes(key).map_err(|_| LookupError::Unknown)?;
        key.set_sensitive(true);
        headers.insert(
            HeaderName::try_from(API_KEY_HEADER).map_err(|error| unavailable(error.to_string()))?,
            key,
        );
        if let Some((name, value)) = &self.auth {
            headers.insert(name.clone(), value.clone());
        }
        let exchange = async {
            let _permit = self.lookups.acquire().await.map_err(|error| unavailable(error.to_string()))?;
            let sent = self.client.get(self.endpoint.clone()).headers(headers).send().await;
            let mut response = sent.map_err(|error| unavailable(error.without_url().to_string()))?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::UNAUTHORIZED => return Err(LookupError::Unknown),
                status => return Err(unavailable(format!("the service answered {status}"))),
            }
            let mut body = Vec::new();
            while let Some(part) =
                response.chunk().await.map_err(|error| unavailable(error.without_url().to_string()))?
            {
                body.extend_from_slice(&part);
                if body.len() > MAX_ANSWER {
                    return Err(unavailable("the service's answer is too long".to_owned()));
                }
            }
            answer(&body, self.default_quota, Instant::now()).map_err(unavailable)
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            Err(unavailable(format!("no answer within {} seconds", self.timeout.as_secs_f64())))
        })
    }
}

impl Slot {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.known().answer.as_ref().is_some_and(|answer| now < answer.fresh_until)
    }

    /// What needs no asking: a fresh answer, or a failure just now.
    fn settled(&self, max_stale: Duration) -> Option<Result<Arc<Tenant>, LookupError>> {
        let now = Instant::now();
        let known = self.known().clone();
        if let Some(answer) = known.answer.filter(|answer| now < answer.fresh_until) {
            return Some(Ok(answer.tenant));
        }
        let (_, cause) = known.failed_at.filter(|(at, _)| now.duration_since(*at) < FAILURE_PAUSE)?;
        Some(self.stale(max_stale).ok_or(LookupError::Unavailable(cause)))
    }

    /// An answer that is no longer fresh but better than none.
    fn stale(&self, max_stale: Duration) -> Option<Arc<Tenant>> {
        let answer = self.known().answer.clone()?;
        let end = answer.fresh_until.checked_add(max_stale);
        end.is_none_or(|end| Instant::now() < end).then_some(answer.tenant)
    }
}

fn answer(body: &[u8], default: Quota, now: Instant) -> Result<Answer, String> {
    let body: Body =
        serde_json::from_slice(body).map_err(|error| format!("the answer is malformed: {error}"))?;
    if !is_namespace(&body.namespace) {
        return Err(format!("the answer's namespace {:?} is not a lower-case label", body.namespace));
    }
    let quota = match &body.quota {
        Some(table) => {
            table.check().map_err(|(key, problem)| format!("the answer's quota.{key}: {problem}"))?;
            table.quota()
        }
        None => default,
    };
    let ttl = body.ttl.map_or(Ok(DEFAULT_TTL), Duration::try_from_secs_f64);
    let ttl = ttl.map_err(|error| format!("the answer's ttl: {error}"))?.min(MAX_TTL);
    let tenant = Arc::new(Tenant { namespace: body.namespace.into(), quota });
    Ok(Answer { tenant, fresh_until: now + ttl })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use axum::{Json, Router, extract::State, http::HeaderMap as Headers, routing::get};
    use serde_json::json;

    use super::*;
    use crate::tenant::digest;

    /// What the service does next (a status), and how often it was asked.
    #[derive(Default)]
    struct Service {
        status: AtomicU64,
        asked: AtomicU32,
    }

    async fn lookup(State(service): State<Arc<Service>>, headers: Headers) -> axum::response::Response {
        use axum::response::IntoResponse;
        service.asked.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(headers["x-own"], "token");
        let status = u16::try_from(service.status.load(Ordering::SeqCst)).unwrap();
        if status != 200 {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        if headers["open-sandbox-api-key"] != "good" {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        Json(json!({"namespace": "team", "ttl": 0.2, "quota": {"sandboxes": 4}})).into_response()
    }

    async fn provider(max_stale: &str) -> (Arc<Service>, Arc<HttpProvider>) {
        let service = Arc::new(Service { status: 200.into(), asked: 0.into() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/who", get(lookup)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let text = format!(
            "provider = \"http\"\nendpoint = \"http://{address}/who\"\nauth_header = \"x-own\"\nauth_token = \
             \"token\"\nmax_stale_seconds = {max_stale}"
        );
        (service, Arc::new(HttpProvider::new(&toml::from_str(&text).unwrap()).unwrap()))
    }

    #[tokio::test]
    async fn many_at_once_ask_once_and_the_answer_is_kept_for_its_time() {
        let (service, provider) = provider("0").await;
        let mut finding = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let provider = provider.clone();
            finding.spawn(async move { provider.find(b"good", digest(b"good")).await });
        }
        while let Some(found) = finding.join_next().await {
            let tenant = found.unwrap().unwrap();
            assert_eq!((&*tenant.namespace, tenant.quota.sandboxes), ("team", Some(4)));
        }
        assert_eq!(service.asked.load(Ordering::SeqCst), 1);
        tokio::time::sleep(Duration::from_millis(250)).await;
        provider.find(b"good", digest(b"good")).await.unwrap();
        assert_eq!(service.asked.load(Ordering::SeqCst), 2);
        assert_eq!(provider.find(b"bad", digest(b"bad")).await, Err(LookupError::Unknown));
    }

    #[tokio::test]
    async fn a_failing_service_leaves_what_was_known_for_a_while() {
        for (max_stale, survives) in [("300", true), ("0", false)] {
            let (service, provider) = provider(max_stale).await;
            provider.find(b"good", digest(b"good")).await.unwrap();
            service.status.store(500, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(250)).await;
            let found = provider.find(b"good", digest(b"good")).await;
            assert_eq!(found.is_ok(), survives, "{found:?}");
            let asked = service.asked.load(Ordering::SeqCst);
            let again = provider.find(b"good", digest(b"good")).await;
            assert_eq!(again.is_ok(), survives);
            assert_eq!(service.asked.load(Ordering::SeqCst), asked, "a failing service is left alone");
            let new = provider.find(b"other", digest(b"other")).await;
            assert!(matches!(new, Err(LookupError::Unavailable(_))), "{new:?}");
        }
    }

    #[tokio::test]
    async fn a_key_taken_back_is_forgotten_at_once() {
        let (service, provider) = provider("300").await;
        provider.find(b"good", digest(b"good")).await.unwrap();
        service.status.store(401, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(250)).await;
        assert_eq!(provider.find(b"good", digest(b"good")).await, Err(LookupError::Unknown));
        service.status.store(500, Ordering::SeqCst);
        let found = provider.find(b"good", digest(b"good")).await;
        assert!(matches!(found, Err(LookupError::Unavailable(_))), "{found:?}");
    }

    #[test]
    fn malformed_answers_are_no_tenants() {
        for body in [
            "",
            "{}",
            "{\"namespace\": \"A B\"}",
            "{\"namespace\": \"a\", \"ttl\": -1}",
            "{\"namespace\": \"a\", \"quota\": {\"cpu\": \"x\"}}",
        ] {
            assert!(answer(body.as_bytes(), Quota::default(), Instant::now()).is_err(), "{body}");
        }
    }
}
