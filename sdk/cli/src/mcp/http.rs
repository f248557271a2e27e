//! The tools over streamable HTTP, for clients on this machine that show the token.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use subtle::ConstantTimeEq as _;
use tokio::{net::TcpListener, time::timeout};

use super::{FAREWELL, token_of, told_to_end, tools::Tools};
use crate::args::Serve;

/// Holds the token that callers must show.
pub(super) const TOKEN_VARIABLE: &str = "SANDKEEP_MCP_TOKEN";
/// The one place there is.
const PATH: &str = "/mcp";
/// Sign of life on an answer that takes long; a client that left is noticed by it.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Longest wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request: a file is written with one.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

type Answer = Response<BoxBody<Bytes, std::convert::Infallible>>;
type Service = StreamableHttpService<Tools, LocalSessionManager>;

pub(super) async fn serve(tools: &Tools, args: &Serve) -> Result<()> {
    let address = SocketAddr::new(args.host, args.port);
    if !args.host.is_loopback() {
        bail!(
            "{} is not an address of this machine alone; a proxy that encrypts belongs before it",
            args.host
        );
    }
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let url = format!("http://{}{PATH}", listener.local_addr()?);
    let (token, is_new) = token_of(args)?;
    eprintln!("listening on {url}");
    if is_new {
        eprintln!("callers send the header `Authorization: Bearer {token}`");
    }
    let config = config(args);
    let stop = config.cancellation_token.clone();
    let made = tools.clone();
    let service = Service::new(move || Ok(made.clone()), Arc::new(LocalSessionManager::default()), config);
    let door = Arc::new(Door { service, token });
    let graceful = GracefulShutdown::new();
    let mut end = std::pin::pin!(told_to_end());
    loop {
        let visitor = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => match accepted {
                Ok((visitor, _)) => visitor,
                // Out of descriptors, for one: that passes.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let door = Arc::clone(&door);
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let answer = service_fn(move |request| {
            let door = Arc::clone(&door);
            async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
        });
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(visitor), answer).into_owned());
        // How a connection ends is the client's affair.
        tokio::spawn(async move { drop(connection.await) });
    }
    stop.cancel();
    let _ = timeout(FAREWELL, graceful.shutdown()).await;
    Ok(())
}

/// Requests must be for a name of this machine, and come from no web page but those that are allowed: a page of
/// somebody's that has its name point here is neither.
fn config(args: &Serve) -> StreamableHttpServerConfig {
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(["localhost", "127.0.0.1", "::1"])
        .with_allowed_origins(args.allow_origin.iter().cloned())
        .enforce_origin_validation()
        .with_sse_keep_alive(Some(KEEP_ALIVE))
        .with_max_request_body_bytes(BODY_LIMIT)
}

/// Lets those in that know the token.
struct Door {
    service: Service,
    token: String,
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND, "the tools are at /mcp");
        }
        if !self.knows(&request) {
            return refusal(StatusCode::UNAUTHORIZED, "send the token as `Authorization: Bearer TOKEN`");
        }
        self.service.handle(request).await
    }

    fn knows(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|value| value.split_once(' '));
        shown.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("bearer")
                && token.trim().as_bytes().ct_eq(self.token.as_bytes()).into()
        })
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *answer.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, hyper::header::HeaderValue::from_static("Bearer"));
    }
    answer
}
