//! What the proxy into the sandbox passes on, both ways.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, ws::WebSocketUpgrade},
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
    routing::{any, get, post},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::{Method, body::Frame, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use support::{Execd, PATIENCE, TOKEN, eventually, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

/// A program on loopback.
async fn program(routes: Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    port
}

/// Tells what it was asked.
async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let told = json!({
        "method": method.as_str(), "uri": uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    (
        StatusCode::IM_A_TEAPOT,
        [("x-echo", told.to_string()), ("server", "a program".to_owned())],
        told.to_string(),
    )
}

#[tokio::test]
async fn every_method_passes_with_path_query_headers_and_body() {
    let execd = Execd::start().await;
    let port = program(Router::new().fallback(any(echo))).await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"] {
        let mut request = execd.request(
            method.parse().unwrap(),
            &format!("/proxy/{port}/a%2Fb//c/?q=%20x&q=2"),
            if method == "POST" { "a body" } else { "" },
        );
        let headers = request.headers_mut();
        headers.insert("cookie", "a=b".parse().unwrap());
        headers.insert("x-forwarded-host", "outside.example".parse().unwrap());
        headers.insert("connection", "x-hop".parse().unwrap());
        headers.insert("x-hop", "1".parse().unwrap());
        let response = execd.send(request).await;
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT, "{method}");
        assert_eq!(response.headers()["server"], "a program");
        let told: Value = serde_json::from_str(response.headers()["x-echo"].to_str().unwrap()).unwrap();
        assert_eq!(told["method"], method);
        assert_eq!(told["uri"], "/a%2Fb//c/?q=%20x&q=2");
        assert_eq!(told["body"], if method == "POST" { "a body" } else { "" });
        let seen = |name: &str| -> Vec<String> {
            let headers = told["headers"].as_array().unwrap().iter();
            headers.filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(seen("host"), ["execd"]);
        assert_eq!(seen("x-execd-access-token"), [TOKEN]);
        assert_eq!(seen("cookie"), ["a=b"]);
        assert_eq!(seen("x-forwarded-proto"), ["http"]);
        assert!(seen("x-forwarded-host").is_empty() && seen("x-hop").is_empty(), "{told}");
        let forwarded = seen("x-forwarded-for");
        let (peer, ip) = forwarded[0].split_once(", ").unwrap();
        assert_eq!(ip, "127.0.0.1");
        assert_eq!(peer.parse::<SocketAddr>().unwrap().ip().to_string(), "127.0.0.1");
        let body = response.collect().await.unwrap().to_bytes();
        assert_eq!(body.is_empty(), method == "HEAD", "{method}");
        let root = execd.request(method.parse().unwrap(), &format!("/proxy/{port}"), "");
        let response = execd.send(root).await;
        let told: Value = serde_json::from_str(response.headers()["x-echo"].to_str().unwrap()).unwrap();
        assert_eq!((&told["method"], &told["uri"]), (&json!(method), &json!("/")));
    }
    for root in [format!("/proxy/{port}"), format!("/proxy/{port}/"), format!("/proxy/{port}?a")] {
        let (_, told) = execd.get(&root).await;
        let uri = serde_json::from_str::<Value>(&told).unwrap()["uri"].as_str().unwrap().to_owned();
        assert_eq!(uri, if root.ends_with('a') { "/?a" } else { "/" });
    }
}

#[tokio::test]
async fn refusals() {
    let execd = Execd::start().await;
    for path in ["/proxy", "/proxy/", "/proxy//x", "/proxy/0", "/proxy/http/x", "/proxy/65536/"] {
        let (status, text) = execd.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {text}");
        assert!(text.contains("port"), "{path}: {text}");
    }
    let unused = free_port();
    let response = execd.send(execd.request(Method::POST, &format!("/proxy/{unused}/x"), "body")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(response.collect().await.unwrap().to_bytes(), "Bad Gateway");

    let port = program(Router::new().fallback(any(echo))).await;
    let mut request = execd.request(Method::GET, &format!("/proxy/{port}/"), "");
    request.headers_mut().remove("x-execd-access-token");
    assert_eq!(execd.send(request).await.status(), StatusCode::UNAUTHORIZED);

    // A program that hangs up instead of answering.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let rude = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 16]).await;
        }
    });
    assert_eq!(execd.get(&format!("/proxy/{rude}/")).await.0, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn answers_come_as_they_are_made() {
    let execd = Execd::start().await;
    let (ticks, source) = mpsc::channel::<Bytes>(1);
    let source = Arc::new(tokio::sync::Mutex::new(Some(source)));
    let routes = Router::new().route(
        "/stream",
        get(move || async move {
            let source = source.lock().await.take().unwrap();
            Body::from_stream(stream::unfold(source, |mut source| async move {
                source.recv().await.map(|tick| (Ok::<_, Infallible>(tick), source))
            }))
        }),
    );
    let port = program(routes).await;
    let mut body =
        execd.send(execd.request(Method::GET, &format!("/proxy/{port}/stream"), "")).await.into_body();
    for tick in ["one", "two", "three"] {
        // Each is there before the next is made.
        ticks.send(tick.into()).await.unwrap();
        let frame = timeout(PATIENCE, body.frame()).await.expect("no waiting for more").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), tick);
    }
    // A client that leaves is noticed by the program.
    drop(body);
    timeout(PATIENCE, ticks.closed()).await.expect("the program is told");
}

#[tokio::test]
async fn a_request_of_any_size_passes_while_it_is_sent() {
    const CHUNKS: u64 = 512;
    const CHUNK: usize = 64 * 1024;
    let execd = Execd::start().await;
    let seen = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&seen);
    let routes = Router::new().route(
        "/count",
        post(move |request: Request| async move {
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(chunk)) = body.next().await {
                counting.fetch_add(chunk.len() as u64, Ordering::SeqCst);
            }
            counting.load(Ordering::SeqCst).to_string()
        }),
    );
    let port = program(routes).await;
    let stream = TcpStream::connect(execd.address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (chunks, source) = mpsc::channel::<Bytes>(1);
    let body = StreamBody::new(stream::unfold(source, |mut source| async move {
        source.recv().await.map(|chunk| (Ok::<_, Infallible>(Frame::data(chunk)), source))
    }));
    let request = hyper::Request::post(format!("/proxy/{port}/count"))
        .header("host", "execd")
        .header("x-execd-access-token", TOKEN)
        .body(Box::pin(body))
        .unwrap();
    let answer = tokio::spawn(async move { sender.send_request(request).await });
    chunks.send(Bytes::from_static(b"first")).await.unwrap();
    eventually("the first bytes arrive before the last are sent", || seen.load(Ordering::SeqCst) == 5).await;
    let chunk = Bytes::from(vec![7; CHUNK]);
    for _ in 0..CHUNKS {
        timeout(PATIENCE, chunks.send(chunk.clone())).await.unwrap().unwrap();
    }
    drop(chunks);
    let response = timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    let total = response.collect().await.unwrap().to_bytes();
    assert_eq!(total, (5 + CHUNKS * CHUNK as u64).to_string());
}

#[tokio::test]
async fn a_client_that_does_not_read_slows_the_program_down() {
    const CHUNK: usize = 64 * 1024;
    let execd = Execd::start().await;
    let made = Arc::new(AtomicU64::new(0));
    let making = Arc::clone(&made);
    let routes = Router::new().route(
        "/flood",
        get(move || async move {
            Body::from_stream(stream::repeat_with(move || {
                making.fetch_add(CHUNK as u64, Ordering::SeqCst);
                Ok::<_, Infallible>(Bytes::from(vec![0; CHUNK]))
            }))
        }),
    );
    let port = program(routes).await;
    // What any first request costs is not meant.
    execd.get("/openapi.json").await;
    assert_eq!(execd.get(&format!("/proxy/{port}/other")).await.0, StatusCode::NOT_FOUND);
    let before = execd.memory();
    let response = execd.send(execd.request(Method::GET, &format!("/proxy/{port}/flood"), "")).await;
    // The flow stops once the buffers of the sockets are full.
    let mut last = 0;
    timeout(PATIENCE * 3, async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = made.load(Ordering::SeqCst);
            if now > 0 && now == last {
                break;
            }
            last = now;
        }
    })
    .await
    .expect("the program is held back");
    let grown = execd.memory().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB for one slow reader");
    assert_eq!(execd.get("/ping").await.0, StatusCode::OK);
    drop(response);
}

#[tokio::test]
async fn websockets_pass_whole() {
    let execd = Execd::start().await;
    let routes = Router::new().route(
        "/ws",
        any(|uri: Uri, upgrade: WebSocketUpgrade| async move {
            upgrade.protocols(["second"]).on_upgrade(move |mut socket| async move {
                let hello = axum::extract::ws::Message::Text(uri.to_string().into());
                socket.send(hello).await.unwrap();
                while let Some(Ok(message)) = socket.recv().await {
                    // A close is answered by itself, as long as somebody goes on to receive.
                    if !matches!(message, axum::extract::ws::Message::Close(_)) {
                        socket.send(message).await.unwrap();
                    }
                }
            })
        }),
    );
    let port = program(routes).await;
    let url = format!("ws://{}/proxy/{port}/ws?a=1", execd.address);
    assert!(tokio_tungstenite::connect_async(&url).await.is_err(), "the token is needed");
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-execd-access-token", TOKEN.parse().unwrap());
    request.headers_mut().insert("sec-websocket-protocol", "first, second".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "second");
    let mut next = async || timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(next().await, Message::text("/ws?a=1"));
    let large = Message::binary(vec![9; 3 << 20]);
    for message in [Message::text("héllo"), large] {
        socket.send(message.clone()).await.unwrap();
        let back = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert!(back == message, "a message came back changed");
    }
    let goodbye =
        tokio_tungstenite::tungstenite::protocol::CloseFrame { code: 4242.into(), reason: "enough".into() };
    socket.send(Message::Close(Some(goodbye.clone()))).await.unwrap();
    let back = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(back, Message::Close(Some(goodbye)));
    assert!(timeout(PATIENCE, socket.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_refused_handshake_and_an_old_client_get_plain_answers() {
    let execd = Execd::start().await;
    let port = program(Router::new().fallback(any(echo))).await;
    let mut request = format!("ws://{}/proxy/{port}/ws", execd.address).into_client_request().unwrap();
    request.headers_mut().insert("x-execd-access-token", TOKEN.parse().unwrap());
    match tokio_tungstenite::connect_async(request).await {
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        }
        other => panic!("{other:?}"),
    }
    let mut stream = TcpStream::connect(execd.address).await.unwrap();
    let head = format!("GET /proxy/{port}/old HTTP/1.0\r\nX-EXECD-ACCESS-TOKEN: {TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.0 418"), "{answer}");
    assert!(answer.contains(&format!("127.0.0.1:{port}")), "a host is made up: {answer}");
}
