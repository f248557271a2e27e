//! Ports of a sandbox, reached directly and through the server: HTTP, event streams and WebSockets.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::{Method, Request};
use sandkeep_tests::{
    api::Api,
    backend::{PORT, sandbox_with_backend, serve},
    execd::Execd,
    server::Server,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message, client::IntoClientRequest, handshake::client::Request as Handshake,
    protocol::frame::coding::CloseCode,
};

#[tokio::test]
async fn endpoints_lead_to_the_port() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    for through_server in [false, true] {
        let (address, headers) = sandbox.endpoint(PORT, through_server).await?;
        ensure!(!address.contains("://"), "an endpoint has no scheme: {address}");
        let mut request = Request::get(format!("http://{address}/hello?a=1&b=%2F"));
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let answer = api.request(request.body(Full::default())?).await?.expect(200)?;
        let seen = answer.json()?;
        assert_eq!(seen["path"], "/hello?a=1&b=%2F", "through the server: {through_server}");
    }
    let (proxied, _) = sandbox.endpoint(PORT, true).await?;
    assert_eq!(proxied, format!("{}/v1/sandboxes/{}/proxy/{PORT}", server.address(), sandbox.id));

    for bad in ["0", "65536", "x"] {
        let path = format!("{}/endpoints/{bad}", sandbox.path());
        let (_, message) = api.get(&path).await?.expect_error(400)?;
        ensure!(message.contains("port"), "{bad}: {message}");
    }
    api.get(&format!("{}/endpoints/80?expires=2000000000", sandbox.path())).await?.expect_error(400)?;
    sandbox.delete().await
}

#[tokio::test]
async fn the_proxy_forwards_and_keeps_secrets_back() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let base = format!("{}{}/proxy/{PORT}", api.base, sandbox.path());
    let body = Bytes::from(vec![b'x'; 300_000]);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("{base}/in"))
            .header("open-sandbox-api-key", &api.key)
            .header("authorization", "Bearer outer")
            .header("cookie", "outer=1")
            .header("x-forwarded-for", "203.0.113.9")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("x-kept", "yes")
            .body(Full::new(body.clone()))?;
        let answer = api.request(request).await?.expect(200)?;
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2, "repeated headers survive");
        let seen = answer.json()?;
        assert_eq!((&seen["method"], &seen["length"]), (&json!(method.as_str()), &json!(body.len())));
        let headers = &seen["headers"];
        assert_eq!((&headers["x-kept"], &headers["x-forwarded-proto"]), (&json!("yes"), &json!("http")));
        assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
        for dropped in ["authorization", "cookie", "open-sandbox-api-key", "x-hop", "x-execd-access-token"] {
            ensure!(headers.get(dropped).is_none(), "{dropped} reached the sandbox: {headers}");
        }
    }
    let moved = api.get(&format!("{}/proxy/{PORT}/redirect", sandbox.path())).await?.expect(302)?;
    assert_eq!(moved.header("location"), format!("{}/proxy/{PORT}/elsewhere", sandbox.path()));
    for method in [Method::HEAD, Method::OPTIONS] {
        let answer = api.send(method, &format!("{}/proxy/{PORT}/", sandbox.path()), None).await?;
        assert_eq!(answer.status, 405);
    }
    let nobody = api.get(&format!("{}/proxy/9/", sandbox.path())).await?;
    assert_eq!(nobody.expect_error(502)?.0, "BACKEND_CONNECTION_FAILED");
    let missing = "/v1/sandboxes/00000000-0000-4000-8000-000000000000/proxy/80/";
    api.get(missing).await?.expect_error(404)?;
    sandbox.delete().await
}

/// Tells each request how many connections there were, which request on its own it is, and how many requests were left
/// without an answer, as some ask for.
const COUNTING: &str = r#"
import socket, sys, threading
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
connections = unanswered = 0

def serve(connection):
    global unanswered
    stream, request = connection.makefile("rb"), 0
    while line := stream.readline():
        request += 1
        path, length = line.split(b" ")[1], 0
        while (header := stream.readline().strip().lower()) != b"":
            if header.startswith(b"content-length:"):
                length = int(header.split(b":")[1])
        stream.read(length)
        if path.endswith(b"/first-only") and request > 1 or path.endswith(b"/never"):
            unanswered += 1
            break
        body = f"{connections} {request} {unanswered}".encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        if path.endswith(b"/last"):
            break
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()

while True:
    connection, _ = listener.accept()
    connections += 1
    threading.Thread(target=serve, args=(connection,)).start()
"#;

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() -> Result<()> {
    /// A connection may be on its way back when the next request comes, so that this one gets another.
    const ROUNDS: u32 = 30;
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    serve(&sandbox, COUNTING, PORT).await?;
    let send = async |method: Method, path: &str| {
        api.send(method, &format!("{}/proxy/{PORT}/{path}", sandbox.path()), None).await
    };
    let told = async |method: Method, path: &str| -> Result<[u32; 3]> {
        let answer = send(method, path).await?.expect(200)?.text();
        let numbers = answer.split(' ').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        numbers.try_into().map_err(|_| anyhow::anyhow!("{answer}"))
    };
    let [before, ..] = told(Method::GET, "x").await?;
    for round in 0..ROUNDS {
        told(if round % 3 == 0 { Method::POST } else { Method::GET }, "x").await?;
    }
    let [connections, ..] = told(Method::GET, "x").await?;
    ensure!(connections - before < ROUNDS / 3, "{ROUNDS} requests took {} connections", connections - before);

    // Closed after an answer: nobody notices, whether the end comes before the next request or after it.
    for round in 0..ROUNDS {
        told(Method::GET, "last").await?;
        let [_, request, _] = told(Method::GET, "x").await.with_context(|| format!("round {round}"))?;
        assert_eq!(request, 1);
    }
    // Closed when the next request had come: one that changes nothing is sent again, others are not.
    let (mut sent_again, mut refused) = (false, false);
    for _ in 0..ROUNDS {
        let [_, _, before] = told(Method::GET, "x").await?;
        let [_, request, after] = told(Method::GET, "first-only").await?;
        assert_eq!(request, 1);
        sent_again |= after > before;
        let answer = send(Method::POST, "first-only").await?;
        if answer.status != 200 {
            answer.expect_error(502)?;
            refused = true;
        }
        if sent_again && refused {
            break;
        }
    }
    ensure!(sent_again && refused, "sent again: {sent_again}, refused: {refused}");
    send(Method::GET, "never").await?.expect_error(502)?;
    sandbox.delete().await
}

#[tokio::test]
async fn a_stranger_gets_into_no_port() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let path = format!("{}/proxy", sandbox.path());
    let stranger = Api::new(server.url(), "wrong");
    for port in [PORT, Execd::PORT] {
        let answer = stranger.get(&format!("{path}/{port}/ping")).await?;
        ensure!(answer.status == 401, "port {port} answers a stranger {}", answer.status);
    }
    api.get(&format!("{path}/{}/ping", Execd::PORT)).await?.expect(200)?;
    let direct = Execd::new(sandbox.execd().await?.base, Vec::new());
    let refused = direct.send(Method::GET, "/ping", None).await?.expect(401)?;
    ensure!(refused.json()?["error"].is_string(), "execd's 401 has the member error: {}", refused.text());
    sandbox.delete().await
}

#[tokio::test]
async fn events_pass_the_proxy_as_they_happen() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let execd = sandbox.execd_through_server().await?;
    let body = json!({"command": "for i in 1 2 3; do echo line $i; sleep 0.4; done"});
    let mut events = execd.stream("/command", &body).await?;
    let mut seen = Vec::new();
    for number in 1..=3 {
        let event = events.next_of(&["stdout"]).await?;
        assert_eq!(event["text"], format!("line {number}\n"));
        seen.push(Instant::now());
    }
    let gaps: Vec<Duration> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
    ensure!(gaps.iter().all(|gap| *gap > Duration::from_millis(250)), "the lines came together: {gaps:?}");
    assert_eq!(events.finish().await?.exit_code, 0);
    sandbox.delete().await
}

#[tokio::test]
async fn bulk_passes_the_proxy_intact() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let path = format!("{}/proxy/{PORT}/bulk?bytes=50000000", sandbox.path());
    let answer = api.get(&path).await?.expect(200)?;
    assert_eq!(answer.body.len(), 50_000_000);
    ensure!(answer.body.iter().all(|byte| *byte == b'z'), "the bytes changed on their way");
    sandbox.delete().await
}

fn handshake(url: &str, api: &Api) -> Result<Handshake> {
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("open-sandbox-api-key", api.key.parse()?);
    request.headers_mut().insert("sec-websocket-protocol", "echo.v1".parse()?);
    Ok(request)
}

#[tokio::test]
async fn websockets_pass_the_proxy() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let url = format!("ws://{}{}/proxy/{PORT}/ws?room=1", server.address(), sandbox.path());
    let (mut socket, answer) = tokio_tungstenite::connect_async(handshake(&url, &api)?).await?;
    assert_eq!(answer.headers().get("sec-websocket-protocol").context("a sub-protocol")?, "echo.v1");

    let first = socket.next().await.context("a greeting")??;
    assert_eq!(first, Message::text("/ws?room=1"), "path and query reach the backend");
    socket.send(Message::text("hello")).await?;
    assert_eq!(socket.next().await.context("an echo")??, Message::text("hello"));
    let large = Bytes::from(vec![7; 200_000]);
    socket.send(Message::binary(large.clone())).await?;
    assert_eq!(socket.next().await.context("an echo")??, Message::binary(large));

    socket.send(Message::text("close 4321")).await?;
    let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
        anyhow::bail!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::from(4321));
    sandbox.delete().await
}
