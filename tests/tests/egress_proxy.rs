//! Sidecars that reach the outside through a proxy only.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use sandkeep_tests::{
    connect_proxy::{ConnectProxy, Manner},
    guarded::{Guarded, WEB, make_vault, proxied},
    intercepted::{HTTPS, OUTSIDE, PATIENCE, SECRET, World},
    server::Setup,
    web::TestAuthority,
};
use serde_json::json;

const PORT: u16 = 3128;
/// What opens the proxy.
const SHOWN: &str = "Basic dXNlcjpoNHNoLWgzc2gtaDRzaA==";
/// The part of it that is nowhere else.
const HUSH: &str = "dXNlcjpoNHNoLWgzc2gtaDRzaA";
/// A proxy that says nothing is given up by then, also on a slow machine.
const GIVEN_UP: Duration = Duration::from_secs(45);

fn open() -> Manner {
    Manner::Open(SHOWN.to_owned())
}

fn settings(url: &str) -> [(&'static str, String); 3] {
    [
        ("OPENSANDBOX_EGRESS_UPSTREAM_PROXY", url.to_owned()),
        ("OPENSANDBOX_EGRESS_UPSTREAM_PROXY_AUTH", SHOWN.to_owned()),
        ("OPENSANDBOX_EGRESS_LOG_LEVEL", "trace".to_owned()),
    ]
}

/// Where the proxy was to connect to.
fn destinations(proxy: &ConnectProxy) -> Vec<String> {
    let target = |head: &String| head.split(' ').nth(1).unwrap_or_default().to_owned();
    proxy.take().iter().map(target).collect()
}

/// Nobody but the proxy has been shown what opens it.
fn is_hidden(world: &World, answers: &str) -> Result<()> {
    let log = fs::read_to_string(world.directory.path().join("sidecar.log"))?;
    ensure!(log.contains("\"target\":\"audit\""), "there is no log: {log}");
    for (what, text) in [
        ("the log", log),
        ("the audit", json!(world.audit()?).to_string()),
        ("an answer", answers.to_owned()),
    ] {
        ensure!(
            !text.contains(HUSH) && !text.contains("h4sh-h3sh"),
            "{what} tells what opens the proxy: {text}"
        );
    }
    Ok(())
}

#[test]
fn everything_that_is_read_leaves_through_the_proxy() -> Result<()> {
    let settings = settings(&format!("http://{OUTSIDE}:{PORT}"));
    let world = World::new(&settings.each_ref().map(|(name, value)| (*name, value.as_str())))?;
    let start = || ConnectProxy::start(&world.outside, format!("{OUTSIDE}:{PORT}").parse()?, None, open());
    let proxy = start()?;
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    let web = "203.0.113.10:443";
    let mut answers = String::new();
    for protocol in HTTPS {
        answers += &world.fetch(&[protocol, "-i", "https://api.test/echo"])?;
        let received = world.web.only()?;
        assert_eq!(received.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        assert_eq!(received.header("proxy-authorization"), None, "{received:?}");
        assert_eq!(destinations(&proxy), [web], "{protocol}");
    }
    world.fetch(&["http://api.test/"])?;
    assert_eq!(destinations(&proxy), ["203.0.113.10:80"]);
    let own = world.file("outside.pem");
    let mut pinned = world.inside.command("curl");
    let pinned =
        pinned.args(["-sS", "--max-time", "60", "--cacert", &own, "https://pinned.test/"]).output()?;
    assert_eq!(String::from_utf8_lossy(&pinned.stdout), "hello\n");
    assert_eq!(destinations(&proxy), [web]);
    world.web.take();

    // Who is at the other end is still checked, and who is denied is not asked for.
    let (status, text) = world.status(&["https://bad.test/"])?;
    ensure!(status == 502 && text.contains("no secure connection"), "{status} {text}");
    assert_eq!(destinations(&proxy), ["203.0.113.20:443"]);
    world.fails(&["https://denied.test/"])?;
    // The proxy is nobody else's, whatever the rules say.
    world.call("PATCH", "/policy", Some(json!([{"action": "allow", "target": OUTSIDE}])), 200)?;
    let direct = format!("http://{OUTSIDE}:{PORT}");
    world.fails(&["-x", &direct, "-k", "https://denied.test/"])?;
    ensure!(proxy.take().is_empty() && world.web.take().is_empty(), "a denied request has arrived");

    // One that says nothing is given up, and keeps nobody else waiting.
    proxy.set(Manner::Silent);
    let begun = Instant::now();
    let mut silent = world.curl(&["--http1.1", "-w", "%{http_code}", "https://a.wild.test/"]);
    let silent = silent.stdout(Stdio::piped()).spawn()?;
    while proxy.take().is_empty() {
        ensure!(begun.elapsed() < PATIENCE, "the proxy is not asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (answer, told) in [
        (format!("HTTP/1.1 407 {SHOWN}\r\nProxy-Authenticate: {SHOWN}\r\n\r\n"), "(407)"),
        (format!("HTTP/1.1 503 {SHOWN}\r\n\r\n"), "503"),
        ("SSH-2.0-x\r\n\r\n".to_owned(), "HTTP"),
    ] {
        proxy.set(Manner::Answer(answer));
        let (status, text) = world.status(&["--http1.1", "https://other.test/"])?;
        ensure!(status == 502 && text.contains("upstream proxy") && text.contains(told), "{status} {text}");
        answers += &text;
    }
    proxy.set(open());
    assert_eq!(world.status(&["--http1.1", "https://other.test/"])?.0, 200);
    let told = String::from_utf8(silent.wait_with_output()?.stdout)?;
    ensure!(told.ends_with("502") && begun.elapsed() < GIVEN_UP, "{:?} {told}", begun.elapsed());
    answers += &told;

    drop(proxy);
    world.web.take();
    let (status, text) = world.status(&["--http2", "https://other.test/"])?;
    ensure!(status == 502 && text.contains("cannot be reached"), "{status} {text}");
    ensure!(world.web.take().is_empty(), "a request has gone past the proxy");
    answers += &text;
    let proxy = start()?;
    assert_eq!(world.status(&["--http2", "https://other.test/"])?.0, 200);
    assert_eq!(proxy.take().len(), 1);
    is_hidden(&world, &answers)
}

#[test]
fn a_proxy_that_is_spoken_to_over_tls_must_prove_who_it_is() -> Result<()> {
    // No rule speaks of its name.
    let settings = settings(&format!("https://proxy.test:{PORT}"));
    let world = World::new(&settings.each_ref().map(|(name, value)| (*name, value.as_str())))?;
    let address = format!("{OUTSIDE}:{PORT}").parse()?;
    let stranger = TestAuthority::new("Stranger")?.server(&["proxy.test"])?;
    let proxy = ConnectProxy::start(&world.outside, address, Some(stranger), open())?;
    let (status, text) = world.status(&["https://api.test/"])?;
    ensure!(status == 502 && text.contains("no secure connection to it"), "{status} {text}");
    ensure!(proxy.take().is_empty(), "a stranger is asked");
    drop(proxy);
    let believed = world.authority.server(&["proxy.test"])?;
    let proxy = ConnectProxy::start(&world.outside, address, Some(believed), open())?;
    for protocol in HTTPS {
        assert_eq!(world.status(&[protocol, "https://api.test/"])?, (200, "hello\n".to_owned()));
    }
    assert_eq!(
        world.fetch(&["-o", "/dev/null", "-w", "%{size_download}", "https://api.test/big?256"])?,
        "16777216"
    );
    ensure!(!proxy.take().is_empty(), "the proxy is not asked");
    is_hidden(&world, &text)
}

#[test]
fn the_server_has_its_sidecars_go_through_the_proxy() -> Result<()> {
    let setup = Setup::default()
        .set("egress.upstream_proxy", format!("url = \"http://{OUTSIDE}:{PORT}\""))
        .set("egress.upstream_proxy", format!("authorization = \"{SHOWN}\""))
        .set("log", "level = \"debug\"");
    let world = Guarded::start(setup, None)?;
    let proxy = ConnectProxy::start(&world.net.outside, format!("{OUTSIDE}:{PORT}").parse()?, None, open())?;
    world.run(async |api| {
        let mut body = proxied(&["api.test"]);
        body["credentialProxy"] = json!({"enabled": false});
        let body = sandkeep_tests::api::create_body(body);
        let (_, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
        ensure!(message.starts_with("networkPolicy: "), "{message}");

        let sandbox = api.create(proxied(&["api.test"])).await?;
        let execd = sandbox.execd().await?;
        let bindings = json!([{
            "name": "api", "match": {"hosts": ["api.test"]}, "auth": {"type": "bearer", "credential": "key"},
        }]);
        make_vault(&sandbox, &[("key", SECRET)], bindings).await?;
        let told = execd.output("curl -sS --max-time 60 https://api.test/echo").await?;
        ensure!(told.starts_with("you sent"), "{told}");
        let received = world.web.only()?;
        assert_eq!(received.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        assert_eq!(destinations(&proxy), [format!("{WEB}:443")]);
        // Half of it to look for, so that the command itself is not found.
        let look = format!("cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c {} || true", &HUSH[..12]);
        assert_eq!(execd.output(&look).await?.trim(), "0");
        let shown = api.get(&format!("{}/diagnostics/summary", sandbox.path())).await?.expect(200)?.text();
        ensure!(!shown.contains(HUSH), "{shown}");
        sandbox.delete().await
    })?;
    ensure!(!world.server.log().contains(HUSH), "the log tells what opens the proxy");
    Ok(())
}
