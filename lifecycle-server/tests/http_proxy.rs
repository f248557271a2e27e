//! Requests forwarded into sandboxes, to real backends on the loopback address.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod http_support;
mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_support::{KEY, KEY_HEADER, Server, error_of};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    Message,
    client::IntoClientRequest,
    handshake::server::{Request as Handshake, Response as HandshakeResponse},
    protocol::{CloseFrame, frame::coding::CloseCode},
};

const PATIENCE: Duration = Duration::from_secs(10);

async fn backend(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server with one sandbox, and the path under which the backend's port is seen.
async fn proxied(toml: &str, backend: SocketAddr) -> (Server, String) {
    let server = Server::start_with(toml).await;
    let id = server.create(json!({})).await;
    let mount = format!("/v1/sandboxes/{id}/proxy/{}", backend.port());
    (server, mount)
}

/// Shows what arrived: the request line, its headers and the body.
async fn echo(request: Request) -> String {
    let (parts, body) = request.into_parts();
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        text += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    text + "\n" + &String::from_utf8_lossy(&body)
}

#[tokio::test]
async fn method_path_query_headers_and_body_arrive() {
    let (server, mount) = proxied("", backend(Router::new().fallback(any(echo))).await).await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request =
            server.request(method.clone(), &format!("{mount}/a%2Fb//c?x=1&y=%20&z")).body("content");
        let text = request.header("x-mine", "yes").send().await.unwrap().text().await.unwrap();
        assert!(text.starts_with(&format!("{method} /a%2Fb//c?x=1&y=%20&z\n")), "{text}");
        assert!(text.contains("\nx-mine: yes\n") && text.ends_with("\n\ncontent"), "{text}");
        assert!(text.contains(&format!("\nx-forwarded-host: {}\n", server.address)), "{text}");
        assert!(text.contains("\nx-forwarded-for: 127.0.0.1\n"), "{text}");
        assert!(!text.contains(KEY), "{text}");
        let text = server.request(method.clone(), &mount).send().await.unwrap().text().await.unwrap();
        assert!(text.starts_with(&format!("{method} /\n")), "{text}");
    }
    for (path, arrives) in [("", "/"), ("/", "/"), ("?q=1", "/?q=1"), ("/x/", "/x/")] {
        let text = server.get(&format!("{mount}{path}")).send().await.unwrap().text().await.unwrap();
        assert!(text.starts_with(&format!("GET {arrives}\n")), "{path}: {text}");
    }
    let text = server.get(&mount).body("ignored").send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with("\n\n"), "a GET has no body: {text}");
}

#[tokio::test]
async fn callers_secrets_stay_with_the_server() {
    let (server, mount) = proxied("", backend(Router::new().fallback(any(echo))).await).await;
    let text = server
        .get(&mount)
        .header("authorization", "Bearer secret")
        .header("cookie", "session=secret")
        .header("x-real-ip", "6.6.6.6")
        .header("opensandbox-access-renew", "skip")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for absent in ["secret", "6.6.6.6", "opensandbox-access-renew", "open-sandbox-api-key"] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
}

#[tokio::test]
async fn a_port_needs_the_key_or_the_access_token_unless_it_is_public() {
    let backend = backend(Router::new().fallback(any(echo))).await;
    let (server, mount) = proxied("", backend).await;
    let refused = server.bare(Method::GET, &mount).send().await.unwrap();
    assert_eq!(error_of(refused).await.1, "MISSING_OR_INVALID_SECURE_ACCESS");
    let wrong = server.bare(Method::GET, &mount).header(KEY_HEADER, "guess").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);

    let id = mount.split('/').nth(3).unwrap();
    let path = format!("/v1/sandboxes/{id}/endpoints/{}?use_server_proxy=true", backend.port());
    let endpoint: serde_json::Value = server.get(&path).send().await.unwrap().json().await.unwrap();
    let token = endpoint["headers"]["OpenSandbox-Secure-Access"].as_str().unwrap();
    let admitted =
        server.bare(Method::GET, &mount).header("OpenSandbox-Secure-Access", token).send().await.unwrap();
    assert_eq!(admitted.status(), StatusCode::OK);
    assert!(!admitted.text().await.unwrap().contains(token));
    let other =
        server.bare(Method::GET, &mount).header("OpenSandbox-Secure-Access", "x").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);

    let (server, mount) = proxied(&format!("[proxy]\npublic_ports = [{}]", backend.port()), backend).await;
    assert_eq!(server.bare(Method::GET, &mount).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn answers_pass_with_their_status_and_repeated_headers() {
    let answer = || async {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", "a=1".parse().unwrap());
        headers.append("set-cookie", "b=2".parse().unwrap());
        headers.insert("server", "secret-server/1".parse().unwrap());
        headers.insert("x-request-id", "the-backends".parse().unwrap());
        (StatusCode::IM_A_TEAPOT, headers, "short and stout")
    };
    let router = Router::new()
        .route("/tea", get(answer))
        .route("/move", get(|| async { Redirect::to("/login?next=/") }))
        .route("/away", get(|| async { Redirect::to("https://other.example/x") }));
    let (server, mount) = proxied("", backend(router).await).await;
    let response = server.get(&format!("{mount}/tea")).header("x-request-id", "mine").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    assert!(response.headers().get("server").is_none());
    assert_eq!(response.headers()["x-request-id"], "mine");
    assert_eq!(response.text().await.unwrap(), "short and stout");
    let location = async |path: &str| {
        let response = server.get(&format!("{mount}/{path}")).send().await.unwrap();
        response.headers()["location"].to_str().unwrap().to_owned()
    };
    assert_eq!(location("move").await, format!("{mount}/login?next=/"));
    assert_eq!(location("away").await, "https://other.example/x");
}

#[tokio::test]
async fn a_proxy_in_front_may_serve_the_api_below_a_path_of_its_own() {
    let router = Router::new().route("/move", get(|| async { Redirect::to("/login") }));
    let (server, mount) = proxied("[server]\neip = \"gw.example/box/\"", backend(router).await).await;
    let response = server.get(&format!("{mount}/move")).send().await.unwrap();
    assert_eq!(response.headers()["location"], format!("/box{mount}/login"));
}

#[tokio::test]
async fn events_arrive_at_once() {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let stream = Arc::new(tokio::sync::Mutex::new(Some(receiver)));
    let events = move || {
        let stream = stream.clone();
        async move {
            let receiver = stream.lock().await.take().unwrap();
            let body = futures_util::stream::unfold(receiver, |mut receiver| async move {
                receiver.recv().await.map(|text| (Ok::<_, std::io::Error>(text), receiver))
            });
            ([("content-type", "text/event-stream")], Body::from_stream(body))
        }
    };
    let (server, mount) = proxied("", backend(Router::new().route("/events", get(events))).await).await;
    let mut response = server.get(&format!("{mount}/events")).send().await.unwrap();
    for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
        sender.send(event).await.unwrap();
        let chunk =
            timeout(PATIENCE, response.chunk()).await.expect("the event was held back").unwrap().unwrap();
        assert_eq!(chunk, event);
    }
    drop(sender);
    assert!(timeout(PATIENCE, response.chunk()).await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_the_request_in_the_sandbox() {
    struct Gone(mpsc::UnboundedSender<()>);
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (sender, mut gone) = mpsc::unbounded_channel();
    let endless = move || {
        let guard = Gone(sender.clone());
        async move {
            let body = futures_util::stream::unfold(guard, |guard| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok::<_, std::io::Error>("tick"), guard))
            });
            Body::from_stream(body).into_response()
        }
    };
    // The route's own copy of the sender's guard must not be confused with the stream's.
    let (server, mount) = proxied("", backend(Router::new().route("/endless", get(endless))).await).await;
    let mut response = server.get(&format!("{mount}/endless")).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    assert!(gone.try_recv().is_err());
    drop(response);
    timeout(PATIENCE, gone.recv()).await.expect("the backend still streams");
}

#[tokio::test]
async fn nobody_there_is_a_bad_gateway() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (server, mount) = proxied("", closed).await;
    let (status, code, message) = error_of(server.get(&mount).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (502, "BACKEND_CONNECTION_FAILED"));
    assert!(message.contains(&closed.port().to_string()), "{message}");
}

#[tokio::test]
async fn a_backend_that_breaks_off_is_a_bad_gateway() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut start = [0; 16];
            let _ = stream.read(&mut start).await;
        }
    });
    let (server, mount) = proxied("", address).await;
    let response = server.request(Method::POST, &mount).body("x").send().await.unwrap();
    assert_eq!(error_of(response).await.1, "BACKEND_RESPONSE_FAILED");
}

#[tokio::test]
async fn silence_times_out_before_and_within_an_answer() {
    let stalled = || async {
        let first = futures_util::stream::once(async { Ok::<_, std::io::Error>("start") });
        Body::from_stream(first.chain(futures_util::stream::pending()))
    };
    let router =
        Router::new().route("/silent", get(std::future::pending::<()>)).route("/stalled", get(stalled));
    let (server, mount) = proxied("[proxy]\nread_timeout_seconds = 1", backend(router).await).await;
    let started = Instant::now();
    let (status, code, _) = error_of(server.get(&format!("{mount}/silent")).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (504, "BACKEND_TIMEOUT"));
    assert!(started.elapsed() < PATIENCE);
    let response = server.get(&format!("{mount}/stalled")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = timeout(PATIENCE, response.bytes()).await.expect("a stalled answer goes on for ever");
    assert!(body.is_err(), "a cut answer must not look complete");
}

#[tokio::test]
async fn an_upload_that_moves_may_take_longer_than_the_timeout() {
    let (server, mount) =
        proxied("[proxy]\nread_timeout_seconds = 2", backend(Router::new().fallback(post(echo))).await).await;
    let slow = futures_util::stream::unfold(0, |count| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        (count < 6).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"piece.")), count + 1))
    });
    let request = server.request(Method::POST, &mount).body(reqwest::Body::wrap_stream(slow));
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with(&"piece.".repeat(6)), "{text}");
}

#[tokio::test]
async fn a_reader_that_stops_holds_the_sandbox_back() {
    const CHUNK: usize = 64 * 1024;
    const ALL: usize = 2048;
    /// Buffers of two sockets and two programs, generously.
    const MOST_BUFFERED: usize = 40 << 20;
    let sent = Arc::new(AtomicUsize::new(0));
    async fn flood(State(sent): State<Arc<AtomicUsize>>) -> Response {
        let body = futures_util::stream::unfold(0, move |count| {
            let sent = sent.clone();
            async move {
                (count < ALL).then(|| {
                    sent.fetch_add(CHUNK, Ordering::SeqCst);
                    (Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; CHUNK])), count + 1)
                })
            }
        });
        Body::from_stream(body).into_response()
    }
    let router = Router::new().route("/flood", get(flood)).with_state(sent.clone());
    let (server, mount) = proxied("", backend(router).await).await;
    let mut response = server.get(&format!("{mount}/flood")).send().await.unwrap();
    let mut got = response.chunk().await.unwrap().unwrap().len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let buffered = sent.load(Ordering::SeqCst);
    assert!(
        buffered < MOST_BUFFERED,
        "{buffered} bytes were taken from the sandbox for a caller that does not read"
    );
    while let Some(chunk) = response.chunk().await.unwrap() {
        got += chunk.len();
    }
    assert_eq!(got, CHUNK * ALL);
}

/// A WebSocket echo that agrees to the sub-protocol `chat` and closes as it is told.
async fn websocket_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo_websocket(stream));
        }
    });
    address
}

#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
async fn echo_websocket(stream: TcpStream) {
    let agree = |request: &Handshake, mut response: HandshakeResponse| {
        assert_eq!(request.uri().to_string(), "/socket?room=1");
        assert!(!request.headers().contains_key(KEY_HEADER));
        assert_eq!(request.headers()["origin"], "https://app.example");
        response.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
        Ok(response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, agree).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) if text.as_str() == "close" => {
                let frame = CloseFrame { code: CloseCode::Library(4321), reason: "as told".into() };
                let _ = socket.close(Some(frame)).await;
            }
            Message::Text(_) | Message::Binary(_) => socket.send(message).await.unwrap(),
            _ => {}
        }
    }
}

#[tokio::test]
async fn websockets_pass_with_subprotocol_and_close_code() {
    let (server, mount) = proxied("", websocket_backend().await).await;
    let mut request = format!("ws://{}{mount}/socket?room=1", server.address).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert(KEY_HEADER, KEY.parse().unwrap());
    headers.insert("origin", "https://app.example".parse().unwrap());
    headers.insert("sec-websocket-protocol", "chat, other".parse().unwrap());
    let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    let big = Message::Binary(vec![7; 3 << 20].into());
    for message in [Message::text("hello"), big] {
        socket.send(message.clone()).await.unwrap();
        let answer = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        assert!(answer == message, "an echo of {} bytes differs", message.len());
    }
    socket.send(Message::text("close")).await.unwrap();
    let Message::Close(Some(frame)) = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap()
    else {
        panic!("expected a close frame");
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4321, "as told"));
}

#[tokio::test]
async fn a_websocket_needs_a_proof_and_somebody_to_talk_to() {
    let (server, mount) = proxied("", websocket_backend().await).await;
    let url = format!("ws://{}{mount}/socket", server.address);
    assert_eq!(closed_with(&url, "guess").await, 1008, "without a proof");

    // One that answers, but no WebSocket.
    let (server, mount) = proxied("", backend(Router::new().fallback(any(echo))).await).await;
    let url = format!("ws://{}{mount}/", server.address);
    assert_eq!(closed_with(&url, KEY).await, 1008, "refused by the backend");
    // What is no complete handshake gets an answer instead.
    let torn = server.get(&mount).header("upgrade", "websocket").send().await.unwrap();
    assert_eq!(error_of(torn).await.0, 400);

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (server, mount) = proxied("", closed).await;
    let url = format!("ws://{}{mount}/", server.address);
    assert_eq!(closed_with(&url, KEY).await, 1011, "nobody there");
    let unknown = format!("ws://{}/v1/sandboxes/unknown/proxy/80/", server.address);
    assert_eq!(closed_with(&unknown, KEY).await, 1011, "no such sandbox");
}

/// The code a WebSocket is closed with right after its handshake.
async fn closed_with(url: &str, key: &str) -> u16 {
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert(KEY_HEADER, key.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    match timeout(PATIENCE, socket.next()).await.unwrap() {
        Some(Ok(Message::Close(Some(frame)))) => frame.code.into(),
        other => panic!("{url}: expected a close frame, got {other:?}"),
    }
}

#[tokio::test]
async fn either_end_that_vanishes_is_told_of_by_a_code() {
    // Sends one message and drops the connection, or waits for the other side's end and shows it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send(Message::text("hello")).await.unwrap();
                let Some(Ok(Message::Text(_))) = socket.next().await else { return };
                let _ = sender.send(socket.next().await);
            });
        }
    });
    let (server, mount) = proxied("", address).await;
    let mut request = format!("ws://{}{mount}/", server.address).into_client_request().unwrap();
    request.headers_mut().insert(KEY_HEADER, KEY.parse().unwrap());
    let (mut left, _) = tokio_tungstenite::connect_async(request.clone()).await.unwrap();
    left.next().await.unwrap().unwrap();
    // The backend drops its connection on anything but a text.
    left.send(Message::binary(vec![1])).await.unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = timeout(PATIENCE, left.next()).await.unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(u16::from(frame.code), 1011);

    let (mut right, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    right.next().await.unwrap().unwrap();
    right.send(Message::text("stay")).await.unwrap();
    drop(right);
    let end = timeout(PATIENCE, seen.recv()).await.unwrap().unwrap();
    let Some(Ok(Message::Close(Some(frame)))) = end else { panic!("no close frame: {end:?}") };
    assert_eq!(u16::from(frame.code), 1001);
}

#[tokio::test]
async fn unknown_and_ended_sandboxes_are_not_found() {
    let backend = backend(Router::new().fallback(any(echo))).await;
    let (server, mount) = proxied("", backend).await;
    let unknown = server.get("/v1/sandboxes/unknown/proxy/80/").send().await.unwrap();
    assert_eq!(error_of(unknown).await.1, "SANDBOX::NOT_FOUND");
    let port = server.get("/v1/sandboxes/unknown/proxy/http/").send().await.unwrap();
    assert_eq!(error_of(port).await.1, "SANDBOX::INVALID_PORT");
    let id = mount.split('/').nth(3).unwrap();
    server.runtime.end(id, Some(0));
    for _ in 0..100 {
        let response = server.get(&mount).send().await.unwrap();
        if response.status() == StatusCode::NOT_FOUND {
            assert_eq!(error_of(response).await.1, "SANDBOX::NOT_REACHABLE");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("requests still reach an ended sandbox's address");
}

#[tokio::test]
async fn use_renews_a_sandbox_that_was_created_so() {
    let backend = backend(Router::new().fallback(any(echo))).await;
    let server = Server::start_with("[renew_intent]\nenabled = true").await;
    let extension = json!({"timeout": 60, "extensions": {"access.renew.extend.seconds": "3600"}});
    let renewed = server.create(extension).await;
    let plain = server.create(json!({"timeout": 60})).await;
    let expiry = |id: &str| server.service.get(id).unwrap().expires_at.unwrap();
    let before = (expiry(&renewed), expiry(&plain));
    let touch = async |id: &str, renew: &str| {
        let path = format!("/v1/sandboxes/{id}/proxy/{}", backend.port());
        let response = server.get(&path).header("opensandbox-access-renew", renew).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    };
    touch(&renewed, "skip").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(expiry(&renewed), before.0);
    touch(&renewed, "").await;
    touch(&plain, "").await;
    for _ in 0..100 {
        if expiry(&renewed) != before.0 {
            assert!((expiry(&renewed) - chrono::Utc::now()).num_seconds() > 3500);
            assert_eq!(expiry(&plain), before.1);
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sandbox was not renewed");
}

#[tokio::test]
async fn http2_callers_are_served_too() {
    let (server, mount) = proxied("", backend(Router::new().fallback(any(echo))).await).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let response =
        client.post(server.url(&mount)).header(KEY_HEADER, KEY).body("over h2").send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    let text = response.text().await.unwrap();
    assert!(text.ends_with("over h2") && text.contains("\nx-forwarded-host: 127.0.0.1"), "{text}");
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed_and_harm_nobody() {
    let server = Server::start_with("[server]\ntimeout_keep_alive = 1").await;
    let mut silent = Vec::new();
    for start in ["", "G", "GET /health HTTP/1.1\r\nhost: x\r\n", "PRI * HT"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        silent.push((start, stream));
    }
    assert_eq!(server.get("/health").send().await.unwrap().status(), StatusCode::OK);
    for (start, mut stream) in silent {
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "a connection that sent {start:?} is still open");
    }
}
