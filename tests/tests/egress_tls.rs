//! Interception and the Credential Vault, with real HTTPS servers in an outside of our own: what is sent on, what is
//! added, what is refused, and that a secret is seen nowhere but at its destination.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use sandkeep_tests::{
    intercepted::{CURL_GAVE_UP, HTTPS, INSIDE, PATIENCE, SECRET, TOKEN, TOKEN_HEADER, World},
    paths, traces,
    wire::{self, Answer},
};
use serde_json::{Value, json};

#[test]
fn requests_pass_in_both_protocols_and_nothing_is_lost() -> Result<()> {
    let world = World::new(&[])?;
    for (protocol, version) in HTTPS.iter().zip([hyper::Version::HTTP_11, hyper::Version::HTTP_2]) {
        let long = format!("X-Long: {}", "l".repeat(20_000));
        let arguments = [protocol, "-H", "X-Own: 1", "-H", &long, "https://api.test/a/b?c=d&e"];
        let (status, body) = world.status(&arguments)?;
        assert_eq!((status, body.as_str()), (200, "hello\n"));
        let received = world.web.only()?;
        assert_eq!((received.method.as_str(), received.target.as_str()), ("GET", "/a/b?c=d&e"));
        assert_eq!((received.version, received.header("x-own")), (version, Some("1")));
        assert_eq!(received.header("x-long").map(str::len), Some(20_000));
        // A body of which nobody knows the length, and one that is only sent when it is asked for.
        let upload = world.file("upload");
        fs::write(&upload, vec![b'u'; 3_000_000])?;
        let data = format!("@{upload}");
        for extra in ["Transfer-Encoding: chunked", "Expect: 100-continue", "X-Plain: 1"] {
            if *protocol == "--http2" && extra.starts_with("Transfer") {
                continue;
            }
            let sent =
                world.fetch(&[protocol, "-H", extra, "--data-binary", &data, "https://api.test/upload"])?;
            assert_eq!(sent, "3000000\n", "{protocol} {extra}");
        }
        // 64 MiB, which must not be collected anywhere.
        let count = world.fetch(&[
            protocol,
            "-o",
            "/dev/null",
            "-w",
            "%{size_download}",
            "https://api.test/big?1024",
        ])?;
        assert_eq!(count, "67108864", "{protocol}");
        assert_eq!(world.status(&[protocol, "-I", "https://api.test/"])?.0, 200);
        world.web.take();
    }
    let (status, _) =
        world.status(&["--http1.1", "-H", "Expect: 100-continue", "-d", "x", "https://api.test/refuse"])?;
    assert_eq!(status, 417);
    assert_eq!(world.status(&["http://api.test/plain"])?, (200, "hello\n".to_owned()));
    assert_eq!(world.status(&["https://api.test:8443/extra"])?, (200, "hello\n".to_owned()));
    let memory = fs::read_to_string(format!("/proc/{}/status", world.sidecar.id()))?;
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a peak")?;
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    // Far less than any of the bodies.
    ensure!(peak < 48 * 1024, "the sidecar took {peak} KiB");
    Ok(())
}

#[test]
fn streams_arrive_as_they_are_sent() -> Result<()> {
    let world = World::new(&[])?;
    for protocol in HTTPS {
        let mut curl =
            world.curl(&[protocol, "-N", "https://api.test/events"]).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(curl.stdout.take().context("an output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        assert_eq!(line, "data: one\n", "{protocol}");
        // The second event is only sent now, so the first one did not wait for it.
        world.web.release();
        let mut rest = String::new();
        lines.read_to_string(&mut rest)?;
        assert_eq!(rest, "\ndata: two\n\n", "{protocol}");
        ensure!(curl.wait()?.success(), "curl failed");
    }
    Ok(())
}

#[test]
fn what_is_not_what_it_says_is_refused() -> Result<()> {
    let world = World::new(&[])?;
    world.bind(
        json!({"type": "bearer", "credential": "key"}),
        json!({"hosts": ["api.test"], "schemes": ["https", "http"]}),
    )?;
    // The right name, at an address whose server cannot prove it.
    let spoofed = ["--connect-to", "api.test:443:203.0.113.20:443", "https://api.test/"];
    // That address is only let pass while a name stands for it.
    world.fetch(&["-o", "/dev/null", "https://bad.test/"])?;
    world.web.take();
    let (status, text) = world.status(&spoofed)?;
    ensure!(status == 502 && text.contains("no secure connection"), "{status} {text}");
    assert_eq!(world.status(&["https://bad.test/"])?.0, 502);
    for protocol in HTTPS {
        // One name in TLS, another in the request: domain fronting.
        let (status, text) = world.status(&[protocol, "-H", "Host: other.test", "https://api.test/"])?;
        ensure!(status == 421, "{protocol} {status} {text}");
        let (status, _) = world.status(&[protocol, "-H", "Host: api.test:8443", "https://api.test/"])?;
        assert_eq!(status, 421, "{protocol}");
    }
    // A denied name at an allowed address.
    world.fails(&["--connect-to", "denied.test:443:203.0.113.10:443", "https://denied.test/"])?;
    let (status, text) =
        world.status(&["--connect-to", "denied.test:80:203.0.113.10:80", "http://denied.test/"])?;
    ensure!(status == 403 && text.contains("denied.test"), "{status} {text}");
    // Another's tunnel.
    let (status, _) = world.status(&[
        "--http1.1",
        "-X",
        "CONNECT",
        "--request-target",
        "api.test:443",
        "https://api.test/",
    ])?;
    ensure!(status == 405 || status == 400, "{status}");
    ensure!(world.web.take().is_empty(), "a refused request has arrived");
    // Without TLS nothing proves who is there, so the request goes where the name leads, and the secret with it.
    let (status, _) = world.status(&["--connect-to", "api.test:80:203.0.113.20:80", "http://api.test/"])?;
    assert_eq!(status, 200);
    assert_eq!(world.web.only()?.header("host"), Some("api.test"));
    let denied: Vec<Value> =
        world.audit()?.into_iter().filter(|entry| entry["host"] == "denied.test").collect();
    ensure!(denied.iter().filter(|entry| entry["kind"] != "dns").count() == 2, "{denied:?}");
    ensure!(denied.iter().all(|entry| entry["allowed"] == false), "{denied:?}");
    Ok(())
}

#[test]
fn what_is_not_opened_passes_only_by_rule() -> Result<()> {
    let world = World::new(&[])?;
    // A pinned host sees its own certificate; no client would otherwise believe it.
    let own = world.file("outside.pem");
    let passed = world
        .inside
        .command("curl")
        .args(["-sS", "--max-time", "60", "--cacert", &own, "https://pinned.test/"])
        .output()?;
    assert_eq!(String::from_utf8_lossy(&passed.stdout), "hello\n");
    world.fails(&["https://pinned.test/"])?;
    // By address, which a rule names.
    assert_eq!(world.status(&["https://203.0.113.10/"])?, (200, "hello\n".to_owned()));
    // Another protocol inside TLS, at an address that a rule names and at one that is only a name's.
    let talk = |address: &str, name: &str| {
        let mut command = world.inside.command("openssl");
        command.args([
            "s_client",
            "-connect",
            address,
            "-servername",
            name,
            "-alpn",
            "imap",
            "-verify_quiet",
        ]);
        anyhow::Ok(command.stdin(Stdio::null()).output()?)
    };
    let passed = talk("203.0.113.10:443", "api.test")?;
    let text = String::from_utf8_lossy(&passed.stdout);
    // The server itself has answered: it speaks no IMAP, and says so in TLS.
    ensure!(!text.contains("Sandkeep"), "{text}");
    world.fetch(&["-o", "/dev/null", "https://bad.test/"])?;
    let refused = talk("203.0.113.20:443", "bad.test")?;
    ensure!(!refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
    let unopened: Vec<Value> =
        world.audit()?.into_iter().filter(|entry| entry["kind"] == "connection").collect();
    let of = |destination: &str, allowed: bool| {
        unopened.iter().any(|entry| entry["destination"] == destination && entry["allowed"] == allowed)
    };
    ensure!(of("203.0.113.10:443", true) && of("203.0.113.20:443", false), "{unopened:?}");
    Ok(())
}

#[test]
fn secrets_go_to_their_hosts_and_come_back_nowhere() -> Result<()> {
    let world = World::new(&[])?;
    let matches = json!({"hosts": ["api.test", "*.wild.test"], "paths": ["/*"], "methods": ["GET", "POST"]});
    world.bind(json!({"type": "bearer", "credential": "key"}), matches)?;
    let bearer = format!("Bearer {SECRET}");
    let masked = "*".repeat(SECRET.len());
    for protocol in HTTPS {
        // What the sandbox sends under that name is replaced.
        let answer =
            world.fetch(&[protocol, "-i", "-H", "Authorization: Bearer own", "https://api.test/echo"])?;
        let received = world.web.only()?;
        assert_eq!(received.header("authorization"), Some(bearer.as_str()));
        ensure!(answer.contains("x-echo: Bearer [REDACTED]"), "{protocol} {answer}");
        ensure!(answer.contains(&format!("you sent Bearer {masked}.")), "{protocol} {answer}");
        assert_eq!(world.fetch(&[protocol, "https://api.test/split"])?, format!("a Bearer {masked} b\n"));
        let trailers =
            world.fetch(&[protocol, "-D", "-", "-H", "TE: trailers", "https://api.test/trailers"])?;
        ensure!(trailers.contains("body\n") && !trailers.contains(SECRET), "{protocol} {trailers}");
        ensure!(trailers.contains("x-status: Bearer [REDACTED]"), "{protocol} {trailers}");
        // A redirect elsewhere is followed without it, and does not tell it either.
        world.web.take();
        world.fetch(&[protocol, "-L", "https://api.test/redirect"])?;
        let (first, second) = match world.web.take().as_slice() {
            [first, second] => (first.clone(), second.clone()),
            others => bail!("{others:?}"),
        };
        assert_eq!(
            (first.header("authorization"), first.header("host")),
            (Some(bearer.as_str()), first.header("host"))
        );
        assert_eq!(
            (second.header("authorization"), second.target.contains(SECRET)),
            (None, false),
            "{second:?}"
        );
        world.fetch(&[protocol, "https://a.wild.test/"])?;
        assert_eq!(world.web.only()?.header("authorization"), Some(bearer.as_str()));
        // Neither another host, nor another method, nor another scheme, nor another port.
        for arguments in [
            &["https://other.test/"][..],
            &["-X", "PUT", "https://api.test/"],
            &["http://api.test/"],
            &["https://api.test:8443/"],
        ] {
            world.fetch(&[&[protocol], arguments].concat())?;
            assert_eq!(world.web.only()?.header("authorization"), None, "{arguments:?}");
        }
    }
    let audit = world.audit()?;
    let used = audit.iter().filter(|entry| entry["binding"] == "the-binding").count();
    ensure!(used == 10, "{used} of {audit:?}");
    let entry = audit.iter().find(|entry| entry["path"] == "/echo").context("an entry")?;
    assert_eq!(
        (&entry["host"], &entry["rule"], &entry["status"]),
        (&json!("api.test"), &json!("api.test"), &json!(200))
    );
    let log = fs::read_to_string(world.directory.path().join("sidecar.log"))?;
    ensure!(!log.contains(SECRET) && !serde_json::to_string(&audit)?.contains(SECRET), "a secret was logged");
    Ok(())
}

#[test]
fn marks_are_replaced_where_a_binding_says_so() -> Result<()> {
    let world = World::new(&[])?;
    let secret = "a b\"c&d";
    let everywhere =
        json!([{"credential": "key", "placeholder": "{MARK}", "in": ["path", "query", "header", "body"]}]);
    world.make_vault(
        json!([{"name": "key", "source": {"value": secret}}]),
        json!([{"name": "b", "match": {"hosts": ["api.test"]}, "auth": {"type": "passthrough", "substitutions": everywhere}}]),
    )?;
    for protocol in HTTPS {
        let url = "https://api.test/x/%7BMARK%7D?k=%7BMARK%7D";
        world.fetch(&[
            protocol,
            "-H",
            "X-Key: k={MARK}",
            "-H",
            "Content-Type: application/json",
            "-d",
            r#"{"k":"{MARK}"}"#,
            url,
        ])?;
        let received = world.web.only()?;
        assert_eq!(received.target, "/x/a%20b%22c%26d?k=a%20b%22c%26d");
        assert_eq!(received.header("x-key"), Some(r#"k=a b"c&d"#));
        assert_eq!(received.body, r#"{"k":"a b\"c&d"}"#);
        world.fetch(&[protocol, "-d", "k=%7BMARK%7D", "https://api.test/"])?;
        assert_eq!(world.web.only()?.body, "k=a%20b%22c%26d");
        // Too long to be collected.
        let long = format!("{}{{MARK}}", "x".repeat(200_000));
        let file = world.file("long");
        fs::write(&file, &long)?;
        let data = format!("@{file}");
        world.fetch(&[
            protocol,
            "-H",
            "Content-Type: text/plain",
            "--data-binary",
            &data,
            "https://api.test/",
        ])?;
        assert_eq!(world.web.only()?.body, long.replace("{MARK}", secret));
        world.fetch(&[protocol, "-F", "k={MARK}", "https://api.test/"])?;
        ensure!(String::from_utf8_lossy(&world.web.only()?.body).contains("{MARK}"), "a form was changed");
        world.fetch(&[protocol, "https://other.test/%7BMARK%7D"])?;
        assert_eq!(world.web.only()?.target, "/%7BMARK%7D");
    }
    Ok(())
}

#[test]
fn websockets_pass_with_a_secret_in_their_first_request() -> Result<()> {
    let world = World::new(&[])?;
    world.bind(
        json!({"type": "apiKey", "name": "X-Api-Key", "credential": "key"}),
        json!({"hosts": ["api.test"]}),
    )?;
    let authority = world.file("ca-cert.pem");
    let script = paths::script("websocket.py");
    let output = world
        .inside
        .command("python3")
        .arg(script)
        .args(["api.test", "/ws", &authority, "hello"])
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let heard = String::from_utf8(output.stdout)?;
    assert_eq!(heard, format!("{}\nhello\n", "*".repeat(SECRET.len())));
    assert_eq!(world.web.only()?.header("x-api-key"), Some(SECRET));
    Ok(())
}

#[test]
fn a_vault_keeps_its_contract() -> Result<()> {
    let world = World::new(&[])?;
    let get = |path: &str, status| world.call("GET", path, None, status);
    let message = |answer: Answer| (answer.status, answer.body);
    assert_eq!(
        message(world.api("GET", "/credential-vault", None)?),
        (404, "credential vault not found\n".to_owned())
    );
    let state = world.bind(
        json!({"type": "apiKey", "name": "X-Key", "credential": "key"}),
        json!({"hosts": ["API.test"]}),
    )?;
    let matches = json!({"schemes": ["https"], "ports": [443], "hosts": ["api.test"],
        "methods": ["GET", "POST", "PUT", "PATCH", "DELETE"], "paths": ["/*"]});
    let credential = json!({"name": "key", "sourceType": "inline", "revision": 1});
    let binding = json!({"name": "the-binding", "revision": 1, "match": matches, "auth": {"type": "apiKey", "name": "X-Key"}});
    assert_eq!(state, json!({"revision": 1, "credentials": [credential], "bindings": [binding]}));
    assert_eq!(get("/credential-vault", 200)?, state);
    assert_eq!(
        get("/credential-vault/credentials", 200)?,
        json!({"revision": 1, "credentials": [credential]})
    );
    assert_eq!(get("/credential-vault/credentials/key", 200)?, credential);
    assert_eq!(get("/credential-vault/bindings", 200)?, json!({"revision": 1, "bindings": [binding]}));
    assert_eq!(get("/credential-vault/bindings/the-binding", 200)?, binding);
    for path in ["/credential-vault/credentials/none", "/credential-vault/bindings/none"] {
        assert_eq!(world.api("GET", path, None)?.status, 404);
    }
    let again = json!({"credentials": [], "bindings": []});
    assert_eq!(world.api("POST", "/credential-vault", Some(again))?.status, 409);
    let rotated = json!({"name": "key", "source": {"value": "rotated-value"}});
    let rotate = json!({"expectedRevision": 1, "credentials": {"replace": [rotated]}});
    let state = world.call("PATCH", "/credential-vault", Some(rotate.clone()), 200)?;
    assert_eq!((&state["revision"], &state["credentials"][0]["revision"]), (&json!(2), &json!(2)));
    assert_eq!(world.api("PATCH", "/credential-vault", Some(rotate))?.status, 409);
    world.fetch(&["https://api.test/"])?;
    assert_eq!(world.web.only()?.header("x-key"), Some("rotated-value"));
    for wrong in [
        json!({"credentials": {"delete": ["key"]}}),
        json!({"credentials": {"delete": ["none"]}}),
        json!({"credentials": {"add": [rotated]}}),
        json!({"credentials": {"add": [{"name": "x", "source": {"value": ""}}]}}),
        json!({"credentials": {"delete": ["key"], "add": [rotated]}}),
        json!({"bindings": {"add": [{"name": "b", "match": {"hosts": ["uncovered.test"]}, "auth": {"type": "passthrough"}}]}}),
        // Nobody looks into what is sent there.
        json!({"bindings": {"add": [{"name": "b", "match": {"hosts": ["pinned.test"]}, "auth": {"type": "passthrough"}}]}}),
        json!({"bindings": {"add": [{"name": "b", "match": {"hosts": ["api.test"]}, "auth": {"type": "passthrough"}}]}}),
        json!({"bindings": {"add": [{"name": "b", "match": {"hosts": ["other.test"]}, "auth": {"type": "bearer", "credential": "none"}}]}}),
        json!({"unknown": 1}),
        json!([]),
    ] {
        let answer = world.api("PATCH", "/credential-vault", Some(wrong.clone()))?;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    assert_eq!(get("/credential-vault", 200)?["revision"], 2);
    // The policy cannot take away what a secret is bound to.
    let answer = world.api("DELETE", "/policy", Some(json!(["api.test"])))?;
    ensure!(answer.status == 400 && answer.body.contains("the-binding"), "{} {}", answer.status, answer.body);
    // What is in force is told on the private socket, and nowhere else.
    let answer = world.api("GET", "/credential-vault/_active", None)?;
    assert_eq!(message(answer), (403, "forbidden\n".to_owned()));
    assert_eq!(world.api("POST", "/credential-vault/_active", None)?.status, 405);
    let socket = world.file("active.sock");
    let active = Command::new("curl")
        .args(["-sS", "--unix-socket", &socket, "http://x/credential-vault/_active"])
        .output()?;
    let active: Value = serde_json::from_slice(&active.stdout)?;
    assert_eq!(active["bindings"][0]["headers"], json!([{"name": "x-key", "value": "rotated-value"}]));
    world.call("DELETE", "/credential-vault", None, 204)?;
    assert_eq!(world.api("DELETE", "/credential-vault", None)?.status, 404);
    world.fetch(&["https://api.test/"])?;
    assert_eq!(world.web.only()?.header("x-key"), None);
    assert_eq!(
        world.bind(json!({"type": "basic", "credential": "key"}), json!({"hosts": ["api.test"]}))?["revision"],
        1
    );
    Ok(())
}

#[test]
fn a_vault_wants_what_keeps_secrets_safe() -> Result<()> {
    let create = || Some(json!({"credentials": [], "bindings": []}));
    let mut world = World::new(&[("OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT", "false")])?;
    assert_eq!(world.api("POST", "/credential-vault", create())?.status, 412);
    world.restart(&[("OPENSANDBOX_EGRESS_MITMPROXY_SSL_INSECURE", "true")])?;
    assert_eq!(world.api("POST", "/credential-vault", create())?.status, 412);
    assert_eq!(world.status(&["https://bad.test/"])?.0, 200);
    world.restart(&[("OPENSANDBOX_EGRESS_MODE", "dns")])?;
    assert_eq!(world.api("POST", "/credential-vault", create())?.status, 412);
    // Who is elsewhere needs TLS, or to be believed that he has it.
    let remote = |world: &World, forwarded: &str| {
        let address = format!("{INSIDE}:18080").parse()?;
        let headers = [(TOKEN_HEADER, TOKEN), ("X-Forwarded-Proto", forwarded)];
        let body = json!({"credentials": [], "bindings": []}).to_string();
        let answer = world
            .outside
            .run(|| wire::request(address, "POST", "/credential-vault", &headers, body.as_bytes()))??;
        anyhow::Ok(answer.status)
    };
    world.restart(&[])?;
    assert_eq!(remote(&world, "https")?, 426);
    world.restart(&[("OPENSANDBOX_EGRESS_CREDENTIAL_VAULT_TRUSTED_PROXY_CIDRS", "198.51.100.0/30")])?;
    assert_eq!(remote(&world, "http")?, 426);
    assert_eq!(remote(&world, "https")?, 201);
    world.restart(&[("OPENSANDBOX_EGRESS_CREDENTIAL_VAULT_REQUIRE_TLS", "false")])?;
    assert_eq!(remote(&world, "http")?, 201);
    world.restart(&[("OPENSANDBOX_EGRESS_CREDENTIAL_VAULT_REQUIRE_SCOPED_MATCH", "true")])?;
    let broad = json!([{"name": "b", "match": {"hosts": ["api.test"]}, "auth": {"type": "passthrough"}}]);
    let answer =
        world.api("POST", "/credential-vault", Some(json!({"credentials": [], "bindings": broad})))?;
    ensure!(answer.status == 400 && answer.body.contains("paths"), "{} {}", answer.status, answer.body);
    Ok(())
}

#[test]
fn a_deleted_secret_is_nowhere_in_memory() -> Result<()> {
    let world = World::new(&[])?;
    let pid = world.sidecar.id();
    let status = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    ensure!(
        status.lines().any(|line| line.starts_with("Max core file size") && line.contains(" 0 ")),
        "{status}"
    );
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    for protocol in HTTPS {
        for path in ["/echo", "/split", "/redirect", "/trailers"] {
            world.fetch(&[protocol, &format!("https://api.test{path}")])?;
        }
    }
    // Streams that are open when the vault goes.
    let mut open = Vec::new();
    for protocol in HTTPS {
        let mut curl = world.curl(&[protocol, "-N", "https://api.test/events"]);
        let mut curl = curl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(curl.stdout.take().context("an output")?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        assert_eq!(line, "data: one\n", "{protocol}");
        open.push((curl, lines));
    }
    ensure!(traces::occurrences(pid, SECRET)? > 0, "the search finds nothing, so it proves nothing");
    world.call("DELETE", "/credential-vault", None, 204)?;
    // What carried the secret is cut, and its memory is cleared when the last task lets go of it.
    for (mut curl, mut lines) in open {
        let mut rest = Vec::new();
        lines.read_to_end(&mut rest)?;
        ensure!(curl.wait()?.code() != Some(CURL_GAVE_UP), "a stream went on without its secret");
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match traces::occurrences(pid, SECRET)? {
            0 => return Ok(()),
            count if Instant::now() > deadline => bail!("the secret is still there {count} times"),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

#[test]
fn the_authority_outlives_a_crash_and_the_vault_does_not() -> Result<()> {
    let mut world = World::new(&[])?;
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    let authority = fs::read(world.file("ca-cert.pem"))?;
    world.sidecar.kill()?;
    world.sidecar.wait()?;
    // Nothing passes while there is nobody to judge it.
    world.fails(&["--max-time", "3", "https://203.0.113.10/"])?;
    ensure!(world.web.take().is_empty(), "a request has passed");
    world.restart(&[])?;
    assert_eq!(fs::read(world.file("ca-cert.pem"))?, authority);
    assert_eq!(world.status(&["https://api.test/"])?.0, 200);
    assert_eq!(world.web.only()?.header("authorization"), None);
    assert_eq!(world.api("GET", "/credential-vault", None)?.status, 404);
    Ok(())
}
