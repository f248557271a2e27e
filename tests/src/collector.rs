//! A collector of OpenTelemetry's traces and metrics: OTLP over HTTP, which keeps what it is sent.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, header::CONTENT_TYPE, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value as AnyValue},
    metrics::v1::{Metric, NumberDataPoint, metric::Data, number_data_point::Value as Number},
    trace::v1::Span,
};
use prost::Message as _;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpSocket,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// What a collector was sent.
#[derive(Default)]
pub struct Received {
    pub traces: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Of every request, in order.
    pub headers: Vec<HeaderMap>,
    pub mistakes: Vec<String>,
}

/// An address that refuses connections until its collector listens.
pub struct Absent {
    socket: TcpSocket,
    pub address: SocketAddr,
}

impl Absent {
    /// At this address of the network of the calling thread; port 0 stands for any.
    pub fn at(address: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// On this machine.
    pub fn new() -> Result<Self> {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}

/// A collector; it ends with the value.
pub struct Collector {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    hangs: AtomicBool,
    /// Requests that were left without an answer.
    hung: AtomicUsize,
}

impl Collector {
    pub fn listen(at: Absent) -> Result<Self> {
        Self::listen_with(at, None)
    }

    /// The same over TLS.
    pub fn listen_with(at: Absent, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = at.socket.listen(64)?;
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, shared) = (tls.clone(), serving.clone());
                connections.spawn(async move {
                    let Some(tls) = tls else { return serve(stream, shared).await };
                    // A client may go away at any time.
                    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
                    serve(stream, shared).await;
                });
            }
        });
        Ok(Self { shared, task })
    }

    /// From now on requests are taken and not answered, or answered again.
    pub fn hang(&self, hangs: bool) {
        self.shared.hangs.store(hangs, Ordering::SeqCst);
    }

    /// How many have been left without an answer.
    pub fn hung(&self) -> usize {
        self.shared.hung.load(Ordering::SeqCst)
    }

    pub fn look<T>(&self, at: impl FnOnce(&Received) -> T) -> T {
        at(&self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn spans(&self) -> Vec<Span> {
        self.look(|received| {
            let resources = received.traces.iter().flat_map(|request| &request.resource_spans);
            let scopes = resources.flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| scope.spans.clone()).collect()
        })
    }

    pub fn spans_of(&self, trace: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| hex(&span.trace_id) == trace).collect()
    }

    /// The newest export of a metric.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.look(|received| {
            let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
            let scopes = resources.flat_map(|resource| &resource.scope_metrics);
            scopes.flat_map(|scope| &scope.metrics).rfind(|metric| metric.name == name).cloned()
        })
    }

    /// What a metric counts for these attributes: of a histogram how many values, of others the value.
    pub fn value(&self, name: &str, attributes: &[(&str, &str)]) -> Option<f64> {
        let has = |given: &[KeyValue]| attributes.iter().all(|(key, value)| text(given, key) == *value);
        let numbers = |points: Vec<NumberDataPoint>| {
            let point = points.into_iter().find(|point| has(&point.attributes))?;
            match point.value? {
                Number::AsInt(number) => Some(number as f64),
                Number::AsDouble(number) => Some(number),
            }
        };
        match self.metric(name)?.data? {
            Data::Histogram(all) => {
                all.data_points.iter().find(|point| has(&point.attributes)).map(|point| point.count as f64)
            }
            Data::Sum(all) => numbers(all.data_points),
            Data::Gauge(all) => numbers(all.data_points),
            _ => None,
        }
    }

    /// What the newest export of metrics says of its sender.
    pub fn sender(&self, attribute: &str) -> String {
        self.look(|received| {
            let resource = received.metrics.last().and_then(|request| request.resource_metrics.first());
            let resource = resource.and_then(|resource| resource.resource.as_ref());
            resource.map(|resource| text(&resource.attributes, attribute)).unwrap_or_default()
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| take(request, shared.clone()));
    let http = hyper::server::conn::http1::Builder::new();
    // A client may go away at any time.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn take(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    if shared.hangs.load(Ordering::SeqCst) {
        shared.hung.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let path = request.uri().path().to_owned();
    let headers = request.headers().clone();
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let mut received = shared.received.lock().unwrap_or_else(PoisonError::into_inner);
    let kind = headers.get(CONTENT_TYPE).cloned();
    received.headers.push(headers);
    if kind.as_ref().is_none_or(|kind| kind != "application/x-protobuf") {
        received.mistakes.push(format!("{path}: {kind:?}"));
    }
    match path.as_str() {
        "/v1/traces" => match ExportTraceServiceRequest::decode(body) {
            Ok(request) => received.traces.push(request),
            Err(error) => received.mistakes.push(error.to_string()),
        },
        "/v1/metrics" => match ExportMetricsServiceRequest::decode(body) {
            Ok(request) => received.metrics.push(request),
            Err(error) => received.mistakes.push(error.to_string()),
        },
        other => received.mistakes.push(other.to_owned()),
    }
    Ok(Response::new(Full::default()))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of an attribute as text; blank if it is not there.
pub fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name);
    match value.and_then(|attribute| attribute.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(AnyValue::StringValue(text)) => text.clone(),
        Some(AnyValue::IntValue(number)) => number.to_string(),
        Some(AnyValue::BoolValue(flag)) => flag.to_string(),
        _ => String::new(),
    }
}
