//! One request: judged, given its credentials, sent on, and its answer brought back.

use std::{convert::Infallible, os::fd::AsFd, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Body, Incoming},
    ext::ReasonPhrase,
    header::{self, HeaderValue},
    http::{request::Parts, uri},
    upgrade::OnUpgrade,
};
use sandkeep_specs::egress::{audit::AuditKind, vault::CredentialScheme};
use tokio::{sync::Notify, time::timeout};

use super::{
    Destination, Verdict,
    authority::host_of,
    body::{Protocol, RequestBody, ResponseBody},
    bounded::Bounded,
    connect::{ConnectError, Offer},
    guard::Guard,
    headers,
    session::{Session, connect_secure, named_address, start},
    tunnel::Tunnel,
    unpack::Unpacker,
    upstream::{Busy, Key, Upstream},
};
use crate::{
    audit::Event,
    vault::{
        redact::Frames,
        select::{Active, Ambiguous, Injection, Wanted},
        substitute::{self, BodyForm, BodyReplacer},
    },
};

/// A head of an answer may take so long: a model may think, a build may run.
const ANSWER_LIMIT: Duration = Duration::from_secs(3600);
/// How long an upstream may take to ask for a body that is only sent when asked for.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);
/// A body in which marks are replaced is collected up to this size, as its length changes; longer ones are streamed
/// without saying how long they are.
const COLLECTED: u64 = 64 << 10;
/// A kept connection may have been closed meanwhile, and the next one too.
const ATTEMPTS: usize = 3;

/// An answer of our own.
struct Refused {
    status: StatusCode,
    reason: String,
}

impl Refused {
    fn new(status: StatusCode, reason: impl ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

impl From<ConnectError> for Refused {
    fn from(error: ConnectError) -> Self {
        let status = match error {
            ConnectError::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, error)
    }
}

/// Answers a request in any case.
pub(super) async fn handle(
    session: Arc<Session>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let kind = if session.host.is_some() { AuditKind::Https } else { AuditKind::Http };
    let mut entry = Event {
        kind: Some(kind),
        host: session.host.clone(),
        destination: Some(session.destination.to_string()),
        method: Some(request.method().to_string()),
        path: Some(request.uri().path().to_owned()),
        ..Event::default()
    };
    let response = match serve(&session, request, &mut entry).await {
        Ok(response) => response,
        Err(refused) => {
            entry.reason = Some(refused.reason.clone());
            refusal(&refused)
        }
    };
    entry.status = Some(response.status().as_u16());
    session.shared.audit.record(entry);
    Ok(response)
}

fn refusal(refused: &Refused) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::text(format!("{}\n", refused.reason)));
    *response.status_mut() = refused.status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// Whom a request is for, after all checks.
struct Target {
    host: String,
    /// The host as a name; nothing if it is an address.
    name: Option<String>,
}

async fn serve(
    session: &Arc<Session>,
    mut request: Request<Incoming>,
    entry: &mut Event,
) -> Result<Response<ResponseBody>, Refused> {
    let target = target(session, &request, entry)?;
    if let Some(failure) = &session.failure {
        return Err(failure.clone().into());
    }
    let holding = session.holders.enter();
    let active = session.shared.vault.active();
    let injection =
        injection(session, &target, &request, active.as_deref()).inspect_err(|_| entry.allowed = false)?;
    entry.binding = injection.as_ref().map(|injection| injection.name.clone());
    let method = request.method().clone();
    let change = headers::upgrade(request.headers()).filter(|_| session.protocol == Protocol::H1);
    let client_upgrade = change.is_some().then(|| hyper::upgrade::on(&mut request));
    let guard = active
        .filter(|active| injection.is_some() || active.knows_host(&target.host))
        .map(|active| Guard::new(session.shared.vault.clone(), &active, holding));
    if guard.is_some() {
        headers::ask_unpacked(request.headers_mut());
    }
    let request = prepare(session, &target, injection.as_deref(), request, change).await?;
    let (mut response, busy) = send(session, &target, request, injection.is_some()).await?;
    let status = response.status();
    let has_body = headers::has_body(&method, status);
    let unpacker = match has_body && guard.is_some() {
        true => Unpacker::of(status, response.headers_mut()),
        false => None,
    };
    if injection.is_some()
        && (has_body || status == StatusCode::SWITCHING_PROTOCOLS)
        && let Some(packed) = headers::packed(response.headers())
    {
        return Err(Refused::new(
            StatusCode::BAD_GATEWAY,
            format!("the answer cannot be searched for secrets: {packed:?}"),
        ));
    }
    Ok(answer(session, &method, response, unpacker, busy, client_upgrade, guard))
}

/// Checks whom the request is for.
fn target(session: &Session, request: &Request<Incoming>, entry: &mut Event) -> Result<Target, Refused> {
    let misdirected =
        |reason: &dyn ToString| Refused::new(StatusCode::MISDIRECTED_REQUEST, reason.to_string());
    let port = session.destination.port();
    let host = host_of(request.uri(), request.headers(), port).map_err(|refusal| match refusal {
        super::authority::Refusal::Mismatch => misdirected(&refusal),
        _ => Refused::new(StatusCode::BAD_REQUEST, refusal),
    });
    let host = host?;
    let address = session.destination.ip();
    let is_address = host.parse::<std::net::IpAddr>().ok();
    if let Some(opened_for) = &session.host {
        if *opened_for != host {
            return Err(misdirected(&format!(
                "the connection is for {opened_for:?}, the request for {host:?}"
            )));
        }
    } else if is_address.is_some_and(|named| named.to_canonical() != address) {
        return Err(misdirected(&format!("the connection is to {address}, the request for {host:?}")));
    }
    entry.host = Some(host.clone());
    let name = is_address.is_none().then(|| host.clone());
    let Verdict { allowed, rule } = session.judge(name.as_deref());
    entry.rule = rule;
    if !allowed {
        return Err(Refused::new(StatusCode::FORBIDDEN, format!("the egress policy denies {host:?}")));
    }
    if !session.note(&host) {
        return Err(misdirected(&"the connection has been used for too many hosts"));
    }
    entry.allowed = true;
    if *request.method() == Method::CONNECT {
        entry.allowed = false;
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "there are no tunnels through this proxy"));
    }
    Ok(Target { host, name })
}

/// The binding for a request.
fn injection(
    session: &Session,
    target: &Target,
    request: &Request<Incoming>,
    active: Option<&Active>,
) -> Result<Option<Arc<Injection>>, Refused> {
    let Some(active) = active.filter(|_| session.shared.connector.verifies()) else {
        return Ok(None);
    };
    let scheme = if session.host.is_some() { CredentialScheme::Https } else { CredentialScheme::Http };
    let wanted = Wanted {
        scheme,
        host: &target.host,
        port: session.destination.port(),
        method: request.method(),
        path: request.uri().path(),
    };
    active
        .select(&wanted)
        .map_err(|Ambiguous| Refused::new(StatusCode::FORBIDDEN, "credential binding ambiguous"))
}

/// Makes the request that is sent on.
async fn prepare(
    session: &Session,
    target: &Target,
    injection: Option<&Injection>,
    request: Request<Incoming>,
    change: Option<HeaderValue>,
) -> Result<Request<Box<RequestBody>>, Refused> {
    let (mut parts, body) = request.into_parts();
    headers::end_to_end(&mut parts.headers, session.protocol, change);
    let expects = session.protocol == Protocol::H1 && headers::expects_continue(&parts.headers);
    let body = match injection {
        None => RequestBody::Plain(body),
        Some(injection) => {
            inject(injection, &mut parts);
            Box::pin(replace_in_body(injection, &mut parts, body, session.protocol)).await?
        }
    };
    set_target(&mut parts, session, target);
    let body = match body {
        RequestBody::Plain(body) if expects => return Ok(asked_for(parts, body)),
        other => other,
    };
    Ok(Request::from_parts(parts, Box::new(body)))
}

/// Sets headers, and replaces marks in everything but the body.
fn inject(injection: &Injection, parts: &mut Parts) {
    substitute::in_headers(&injection.substitutions, &mut parts.headers);
    if let Some(uri) = substitute::in_uri(&injection.substitutions, &parts.uri) {
        parts.uri = uri;
    }
    for (name, value) in &injection.headers {
        parts.headers.insert(name.clone(), value.clone());
    }
}

async fn replace_in_body(
    injection: &Injection,
    parts: &mut Parts,
    body: Incoming,
    protocol: Protocol,
) -> Result<RequestBody, Refused> {
    let replacer =
        BodyForm::of(&parts.headers).and_then(|form| BodyReplacer::new(&injection.substitutions, form));
    let Some(mut replacer) = replacer.filter(|_| !body.is_end_stream()) else {
        return Ok(RequestBody::Plain(body));
    };
    if body.size_hint().exact().is_some_and(|length| length <= COLLECTED) {
        let limit = usize::try_from(COLLECTED).unwrap_or(usize::MAX);
        let whole = Limited::new(body, limit).collect().await;
        let whole = whole.map_err(|error| {
            Refused::new(StatusCode::BAD_REQUEST, format!("the body ended early: {error}"))
        })?;
        let trailers = whole.trailers().cloned();
        let text = [replacer.push(&whole.to_bytes()), replacer.finish()].concat();
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        parts.headers.remove(header::EXPECT);
        return Ok(RequestBody::Whole { data: Bytes::from(text), trailers });
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::EXPECT);
    if protocol == Protocol::H1 {
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok(RequestBody::replaced(body, replacer))
}

/// Writes the target as the protocol wants it.
fn set_target(parts: &mut Parts, session: &Session, target: &Target) {
    let scheme = if session.host.is_some() { uri::Scheme::HTTPS } else { uri::Scheme::HTTP };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    match session.protocol {
        Protocol::H1 => {
            // Servers want the path alone and the host in its header, however the client has written it.
            if let Some(authority) = uri.authority.take()
                && let Ok(host) = HeaderValue::from_str(authority.as_str())
            {
                parts.headers.insert(header::HOST, host);
            }
            uri.scheme = None;
            parts.version = hyper::Version::HTTP_11;
        }
        Protocol::H2 => {
            uri.scheme = Some(scheme);
            if uri.authority.is_none() {
                uri.authority = authority(&target.host, session.destination, session.host.is_some());
            }
            parts.version = hyper::Version::HTTP_2;
        }
    }
    if uri.path_and_query.is_none() {
        uri.path_and_query = Some(uri::PathAndQuery::from_static("/"));
    }
    // All parts come from a URI and fit together.
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
}

fn authority(host: &str, destination: Destination, is_secure: bool) -> Option<uri::Authority> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let default = if is_secure { 443 } else { 80 };
    match destination.port() {
        port if port == default => host.parse().ok(),
        port => format!("{host}:{port}").parse().ok(),
    }
}

/// A request whose body the client sends only when it is asked to.
fn asked_for(parts: Parts, body: Incoming) -> Request<Box<RequestBody>> {
    let asked = Arc::new(Notify::new());
    let body = RequestBody::asked(body, asked.clone().notified_owned(), CONTINUE_PATIENCE);
    let mut request = Request::from_parts(parts, Box::new(body));
    hyper::ext::on_informational(&mut request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            asked.notify_one();
        }
    });
    request
}

/// Sends the request, again if the connection turns out to be closed before any of it was sent.
async fn send(
    session: &Session,
    target: &Target,
    mut request: Request<Box<RequestBody>>,
    with_secret: bool,
) -> Result<(Response<Incoming>, Busy), Refused> {
    for _ in 0..ATTEMPTS {
        let mut slot = session.upstream.lock().await;
        let kept = slot.take().filter(|upstream| upstream.key.host == target.host && upstream.is_usable());
        let mut upstream = match kept {
            Some(upstream) => upstream,
            None => Box::pin(connect(session, target)).await?,
        };
        // An HTTP/2 connection is for several requests at once; an HTTP/1.1 one stays locked until the answer comes.
        let mut slot = match upstream.share() {
            Some(shared) => {
                *slot = Some(shared);
                None
            }
            None => Some(slot),
        };
        if !upstream.ready().await {
            continue;
        }
        let sent = timeout(ANSWER_LIMIT, upstream.send(request, with_secret)).await;
        let failed = |error: &dyn std::fmt::Display| format!("no answer from {:?}: {error}", target.host);
        match sent {
            Ok(Ok(answer)) => {
                if let Some(slot) = &mut slot {
                    **slot = Some(upstream);
                }
                return Ok(answer);
            }
            Ok(Err(mut error)) => match error.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(Refused::new(StatusCode::BAD_GATEWAY, failed(error.error()))),
            },
            Err(elapsed) => return Err(Refused::new(StatusCode::GATEWAY_TIMEOUT, failed(&elapsed))),
        }
    }
    Err(Refused::new(StatusCode::BAD_GATEWAY, format!("{:?} closes its connections", target.host)))
}

/// A connection for this target: a kept one or a new one.
async fn connect(session: &Session, target: &Target) -> Result<Upstream, ConnectError> {
    let shared = &*session.shared;
    let (is_secure, protocol) = (session.host.is_some(), session.protocol);
    let address = match &target.name {
        Some(name) if !is_secure => named_address(shared, name, session.destination).await?,
        _ => session.destination,
    };
    let key = Key { host: target.host.clone(), address, secure: is_secure, protocol };
    if let Some(upstream) = shared.pool.take(&key) {
        return Ok(upstream);
    }
    if is_secure {
        let offer = Offer::Only(protocol);
        return connect_secure(shared, &target.host, target.name.as_deref(), session.destination, offer)
            .await;
    }
    let stream = shared.connector.plain(address).await?;
    let socket = stream.as_fd().try_clone_to_owned();
    start(shared, Bounded(stream), socket, key).await
}

/// Brings the answer back.
fn answer(
    session: &Session,
    method: &Method,
    mut response: Response<Incoming>,
    unpacker: Option<Unpacker>,
    busy: Busy,
    client: Option<OnUpgrade>,
    mut guard: Option<Guard>,
) -> Response<ResponseBody> {
    let change = headers::upgrade(response.headers());
    let is_change = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let upstream = is_change.then(|| hyper::upgrade::on(&mut response));
    let (mut parts, body) = response.into_parts();
    headers::end_to_end(&mut parts.headers, session.protocol, change);
    if let Some(guard) = &mut guard {
        guard.redactions().clean_headers(&mut parts.headers);
        // The server's own words for the status may repeat a secret too, and say nothing that the status does not.
        parts.extensions.remove::<ReasonPhrase>();
    }
    if let (Some(client), Some(upstream)) = (client, upstream) {
        session.change(Tunnel {
            client,
            upstream,
            frames: tunnel_frames(&parts.headers),
            guard: guard.take(),
        });
    }
    let is_searchable = headers::has_body(method, parts.status) && headers::packed(&parts.headers).is_none();
    let body = match guard.filter(|_| is_searchable) {
        Some(guard) => ResponseBody::cleaned(body, unpacker, body_frames(&parts.headers), guard, busy),
        None => ResponseBody::Plain(body, busy),
    };
    Response::from_parts(parts, body)
}

/// What goes through a connection that has left HTTP.
fn tunnel_frames(headers: &HeaderMap) -> Frames {
    let to = headers.get(header::UPGRADE).map(HeaderValue::as_bytes).unwrap_or_default();
    if to.eq_ignore_ascii_case(b"websocket") { Frames::WebSocket } else { Frames::Lines }
}

fn body_frames(headers: &HeaderMap) -> Frames {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|text| text.to_str().ok());
    content_type.map(Frames::of).unwrap_or_default()
}
