//! Ports of sandboxes under addresses of their own: by host name, by path and by header, with tokens and signatures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper::{Method, Request};
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, eventually},
    backend::{PORT, sandbox_with_backend},
    execd::Execd,
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

const ACCESS: &str = "OpenSandbox-Secure-Access";
const INGRESS: &str = "OpenSandbox-Ingress-To";

/// A server whose gateway announces `address` and signs with the key `a`.
fn gateway(mode: &str, address: &str) -> Setup {
    Setup::default()
        .set("ingress", "mode = \"gateway\"")
        .set("ingress.gateway", format!("address = \"{address}\""))
        .set("ingress.gateway", format!("route.mode = \"{mode}\""))
        .set("ingress.secure_access", "active_key = \"a\"")
        .set("ingress.secure_access", "keys = [{ key_id = \"a\", key = \"c2VjcmV0\" }]")
}

/// Where a port is announced: address and headers.
async fn announced(sandbox: &Sandbox, port: u16, query: &str) -> Result<(String, Vec<(String, String)>)> {
    let path = format!("{}/endpoints/{port}{query}", sandbox.path());
    let endpoint = sandbox.api.get(&path).await?.expect(200)?.json()?;
    let headers = endpoint["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    Ok((endpoint["endpoint"].as_str().context("an address")?.to_owned(), headers.collect()))
}

/// Follows an announced address as if its name led to the server.
async fn follow(
    api: &Api,
    (address, headers): &(String, Vec<(String, String)>),
    method: Method,
    path: &str,
    own: &[(&str, &str)],
) -> Result<Answer> {
    let (host, prefix) = address
        .split_once('/')
        .map_or((address.as_str(), String::new()), |(host, prefix)| (host, format!("/{prefix}")));
    let mut request = Request::builder().method(method).uri(format!("{}{prefix}{path}", api.base));
    request = request.header("host", host);
    for (name, value) in headers.iter().map(|(name, value)| (&**name, &**value)).chain(own.iter().copied()) {
        request = request.header(name, value);
    }
    api.request(request.body(Full::new(Bytes::from_static(b"body")))?).await
}

fn seconds_from_now(seconds: u64) -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + seconds)
}

#[tokio::test]
async fn a_wildcard_host_is_the_ports_own() -> Result<()> {
    let server = Server::start(gateway("wildcard", "*.box.test"))?;
    let api = server.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let endpoint = announced(&sandbox, PORT, "").await?;
    assert_eq!(endpoint.0, format!("{}-{PORT}.box.test", sandbox.id));

    let own = [("cookie", "of=mine"), ("authorization", "Bearer mine"), ("open-sandbox-api-key", &api.key)];
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer =
            follow(&api, &endpoint, method.clone(), "/v1/sandboxes?a=%2F", &own).await?.expect(200)?;
        assert_eq!(answer.header("reverse-proxy-server-powerby"), "OpenSandbox-ingress");
        let seen = answer.json()?;
        assert_eq!(
            (&seen["method"], &seen["path"]),
            (&json!(method.as_str()), &json!("/v1/sandboxes?a=%2F"))
        );
        let headers = &seen["headers"];
        assert_eq!(
            (&headers["cookie"], &headers["authorization"]),
            (&json!("of=mine"), &json!("Bearer mine"))
        );
        assert_eq!(
            (&headers["host"], &headers["x-forwarded-for"]),
            (&json!(endpoint.0), &json!("127.0.0.1"))
        );
        for dropped in ["open-sandbox-api-key", "opensandbox-secure-access"] {
            ensure!(headers.get(dropped).is_none(), "{dropped} reached the sandbox: {headers}");
        }
    }
    let moved = follow(&api, &endpoint, Method::GET, "/redirect", &[]).await?.expect(302)?;
    assert_eq!(moved.header("location"), "/elsewhere");

    // The API is still where it was.
    api.get(&sandbox.path()).await?.expect(200)?;

    let stranger = (endpoint.0.clone(), Vec::new());
    let refused = follow(&api, &stranger, Method::GET, "/", &[]).await?.expect(401)?;
    ensure!(refused.text().starts_with("OpenSandbox Ingress: "), "{}", refused.text());
    // A wrong token is wrong whatever else is shown.
    follow(&api, &stranger, Method::GET, "/", &[(ACCESS, "x"), own[2]]).await?.expect(401)?;
    follow(&api, &stranger, Method::GET, "/", &[own[2]]).await?.expect(200)?;
    for (host, status) in [
        (format!("{}-80.box.test", "00000000-0000-4000-8000-000000000000"), 404),
        ("nothing.box.test".to_owned(), 400),
        (format!("{}-9.box.test", sandbox.id), 502),
    ] {
        let answer = follow(&api, &(host.clone(), endpoint.1.clone()), Method::GET, "/", &[]).await?;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
    }

    // execd judges those without proof itself, and gets its token from the gateway for those with one.
    let execd = announced(&sandbox, Execd::PORT, "").await?;
    let bare = (execd.0, Vec::new());
    follow(&api, &bare, Method::GET, "/ping", &[]).await?.expect(401)?;
    let token = endpoint.1.iter().find(|(name, _)| name == ACCESS).context("a token")?;
    follow(&api, &bare, Method::GET, "/ping", &[(ACCESS, &token.1)]).await?.expect(200)?;

    let mut handshake = format!("ws://{}/ws?room=1", server.address()).into_client_request()?;
    handshake.headers_mut().insert("host", endpoint.0.parse()?);
    handshake.headers_mut().insert(ACCESS, token.1.parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(handshake).await?;
    assert_eq!(socket.next().await.context("a greeting")??, Message::text("/ws?room=1"));
    socket.send(Message::text("hello")).await?;
    assert_eq!(socket.next().await.context("an echo")??, Message::text("hello"));

    // One that is there and cannot be reached is something else than none.
    api.send(Method::POST, &format!("{}/pause", sandbox.path()), None).await?.expect(202)?;
    let paused = follow(&api, &endpoint, Method::GET, "/", &[]).await?.expect(503)?;
    ensure!(paused.text().contains("is Paused"), "{}", paused.text());
    Ok(())
}

#[tokio::test]
async fn a_signed_address_opens_one_port_until_its_end() -> Result<()> {
    let server = Server::start(gateway("uri", "gw.test/boxes"))?;
    let api = server.api();
    let sandbox = sandbox_with_backend(&api, json!({})).await?;
    let signed = announced(&sandbox, PORT, &format!("?expires={}", seconds_from_now(600)?)).await?;
    ensure!(signed.1.is_empty(), "a signed address needs no header: {:?}", signed.1);
    let seen = follow(&api, &signed, Method::GET, "/hello?x=1", &[]).await?.expect(200)?.json()?;
    assert_eq!(seen["path"], "/hello?x=1");
    let moved = follow(&api, &signed, Method::GET, "/redirect", &[]).await?.expect(302)?;
    let mount = signed.0.strip_prefix("gw.test").context("the announced host")?;
    assert_eq!(moved.header("location"), format!("{mount}/elsewhere"));

    let other = signed.0.replace(&format!("/{PORT}/"), "/8001/");
    follow(&api, &(other, Vec::new()), Method::GET, "/", &[]).await?.expect(401)?;
    let execd = announced(&sandbox, Execd::PORT, &format!("?expires={}", seconds_from_now(600)?)).await?;
    follow(&api, &execd, Method::GET, "/ping", &[]).await?.expect(200)?;

    let short = announced(&sandbox, PORT, &format!("?expires={}", seconds_from_now(3)?)).await?;
    eventually("the signature ends", Duration::from_secs(20), async || {
        let answer = follow(&api, &short, Method::GET, "/", &[]).await?;
        ensure!([200, 401].contains(&answer.status), "{}: {}", answer.status, answer.text());
        Ok(answer.status == 401)
    })
    .await?;

    for bad in ["0", "x", "-1", "1000", "18446744073709551616", "099"] {
        let path = format!("{}/endpoints/{PORT}?expires={bad}", sandbox.path());
        let (_, message) = api.get(&path).await?.expect_error(400)?;
        ensure!(message.starts_with("expires"), "{message}");
    }
    let both = format!("?use_server_proxy=true&expires={}", seconds_from_now(600)?);
    api.get(&format!("{}/endpoints/{PORT}{both}", sandbox.path())).await?.expect_error(400)?;

    // Unsigned, the same port wants the token; what follows the port is the port's own path.
    let plain = announced(&sandbox, PORT, "").await?;
    assert_eq!(plain.0, format!("gw.test/boxes/{}/{PORT}", sandbox.id));
    let seen = follow(&api, &plain, Method::GET, "/a/b", &[]).await?.expect(200)?.json()?;
    assert_eq!(seen["path"], "/a/b");
    Ok(())
}

#[tokio::test]
async fn a_header_names_the_port_on_a_listener_of_its_own() -> Result<()> {
    let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let setup = gateway("header", "gw.test").set("ingress.gateway", format!("listen = \"{free}\""));
    let server = Server::start(setup)?;
    let api = server.api();
    let sandbox =
        sandbox_with_backend(&api, json!({"extensions": {"access.public.ports": PORT.to_string()}})).await?;
    let public = announced(&sandbox, PORT, "").await?;
    assert_eq!(public.0, "gw.test");
    assert_eq!(
        public.1,
        [(INGRESS.to_owned(), format!("{}-{PORT}", sandbox.id))],
        "a public port has no token"
    );

    let there = Api::new(format!("http://{free}"), api.key.clone());
    let seen = follow(&there, &public, Method::GET, "/v1/sandboxes", &[]).await?.expect(200)?.json()?;
    assert_eq!(seen["path"], "/v1/sandboxes");
    // On the gateway's own listener a host name does as well, and there is no API.
    let host = (format!("{}-{PORT}.any.test", sandbox.id), Vec::new());
    follow(&there, &host, Method::GET, "/", &[]).await?.expect(200)?;
    follow(&there, &("gw.test".to_owned(), Vec::new()), Method::GET, &sandbox.path(), &[])
        .await?
        .expect(400)?;
    // On the API's listener there is no gateway.
    let answer = follow(&api, &public, Method::GET, &sandbox.path(), &[]).await?;
    assert_eq!(answer.expect_error(401)?.0, "MISSING_API_KEY");

    let secure = api.create(json!({"secureAccess": true})).await?;
    let (_, headers) = announced(&secure, PORT, "").await?;
    ensure!(
        headers.iter().any(|(name, _)| name == ACCESS),
        "a secure sandbox's port has a token: {headers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn without_a_gateway_nothing_is_signed() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let path = format!("{}/endpoints/80?expires={}", sandbox.path(), seconds_from_now(600)?);
    let (code, _) = api.get(&path).await?.expect_error(400)?;
    assert_eq!(code, "SANDBOX::API_NOT_SUPPORTED");
    let body: Value = json!({"secureAccess": true, "extensions": {"access.public.ports": "80"}});
    api.post("/v1/sandboxes", &sandkeep_tests::api::create_body(body)).await?.expect_error(400)?;
    sandbox.delete().await
}
