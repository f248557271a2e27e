//! Secrets of a vault are in no log, however talkative it is, and in nothing else that is told of a sandbox.

use anyhow::{Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use sandkeep_tests::{
    api::Sandbox,
    guarded::{Guarded, proxied, sidecar},
    server::Setup,
};
use serde_json::{Value, json};

/// Each looks different in JSON, in a URL and in Base64.
const SECRET: &str = "s3cret-\"q\"&/+%x-AbCdEfGhIj";
const NEXT: &str = "n3xt-\"q\"&/+%x-KlMnOpQrStUv";
const PASSWORD: &str = "pass-\"q\"&/+%x-UvWxYz01234";

/// What a text may look like where it is told: in Base64 whatever stands before it.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let json = json!(secret).to_string().trim_matches('"').to_owned();
    let twice = json!(json).to_string().trim_matches('"').to_owned();
    let coded = (0..3).map(|before| {
        let coded = STANDARD.encode([&[0; 2][..before], secret.as_bytes()].concat());
        // The digits that depend on nothing else.
        coded[4..coded.len() - 4].to_owned()
    });
    let numbers = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    [secret.to_owned(), percent.to_lowercase(), percent, json, twice, numbers]
        .into_iter()
        .chain(coded)
        .collect()
}

fn tells_nothing(what: &str, text: &str) -> Result<()> {
    for form in [SECRET, NEXT, PASSWORD].into_iter().flat_map(forms) {
        let Some(at) = text.find(&form) else { continue };
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        anyhow::bail!("{what} tells {form:?}: {}", &text[line..end]);
    }
    Ok(())
}

fn credential(name: &str, value: &str) -> Value {
    json!({"name": name, "source": {"type": "inline", "value": value}})
}

/// All kinds of credentials, each for a path of its own.
fn vault() -> Value {
    let places = json!(["path", "query", "header", "body"]);
    let marks = json!([{"credential": "key", "placeholder": "{MARK}", "in": places}]);
    let auths = [
        ("bearer", json!({"type": "bearer", "credential": "key"})),
        ("basic", json!({"type": "basic", "credential": "pair"})),
        ("key", json!({"type": "apiKey", "name": "X-Key", "credential": "key"})),
        ("own", json!({"type": "customHeaders", "headers": [{"name": "X-Own", "credential": "key"}]})),
        ("marks", json!({"type": "passthrough", "substitutions": marks})),
    ];
    let bindings: Vec<Value> = auths
        .into_iter()
        .map(|(name, auth)| {
            let matches = json!({"hosts": ["api.test"], "paths": [format!("/{name}/*")]});
            json!({"name": name, "match": matches, "auth": auth})
        })
        .chain([json!({
            "name": "lost", "match": {"hosts": ["bad.test"]}, "auth": {"type": "bearer", "credential": "key"},
        })])
        .collect();
    let pair = STANDARD.encode(format!("user:{PASSWORD}"));
    json!({"credentials": [credential("key", SECRET), credential("pair", &pair)], "bindings": bindings})
}

/// Changes that are refused, whose answers must not repeat what they say.
fn refused() -> Vec<(&'static str, Value, u16)> {
    let change = |more: Value| json!({"credentials": more});
    vec![
        ("POST", vault(), 409),
        ("PATCH", change(json!({"add": [credential("key", NEXT)]})), 400),
        ("PATCH", change(json!({"add": [{"name": "x", "source": NEXT}]})), 400),
        ("PATCH", change(json!({"add": [{"name": "x", "value": NEXT}]})), 400),
        ("PATCH", change(json!({"add": [{"name": NEXT, "source": {"type": NEXT, "value": ""}}]})), 400),
        ("PATCH", json!({"expectedRevision": NEXT}), 400),
        (
            "PATCH",
            json!({"expectedRevision": 77, "credentials": {"replace": [credential("key", NEXT)]}}),
            409,
        ),
    ]
}

async fn use_everything(world: &Guarded, sandbox: &Sandbox) -> Result<()> {
    let execd = sandbox.execd().await?;
    let mut calls: Vec<String> = Vec::new();
    for protocol in ["--http1.1", "--http2"] {
        for path in ["bearer", "basic", "key", "own"] {
            calls.push(format!("{protocol} https://api.test/{path}/x"));
        }
        calls.push(format!("{protocol} -H 'X-M: {{MARK}}' 'https://api.test/marks/%7BMARK%7D?k=%7BMARK%7D'"));
        for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain"] {
            let data = "{\"k\":\"{MARK}\"}";
            calls.push(format!("{protocol} -H 'Content-Type: {kind}' -d '{data}' https://api.test/marks/x"));
        }
        // A path and a header that no server takes, and a server that is not believed.
        calls.push(format!("{protocol} -H 'Host: other.test' https://api.test/bearer/x"));
        calls.push(format!("{protocol} -k https://bad.test/x"));
    }
    // TLS that is none, which only the most talkative log speaks of.
    let nonsense = "import socket; s = socket.create_connection((\"api.test\", 443)); \
        s.send(bytes([22, 3, 1, 0, 5]) + b\"hello\"); s.recv(9)";
    execd.run(&format!("python3 -c '{nonsense}'")).await?;
    for call in calls {
        let told = execd.output(&format!("curl -s --max-time 60 -i {call}")).await?;
        tells_nothing(&format!("the answer to {call}"), &told)?;
    }
    let arrived = world.web.take();
    let with_it = arrived.iter().filter(|request| format!("{request:?}").contains("AbCdEfGhIj")).count();
    ensure!(with_it >= 14, "{with_it} requests carried a secret: {arrived:?}");
    Ok(())
}

#[test]
fn no_log_tells_a_secret_however_talkative_it_is() -> Result<()> {
    let setup = Setup::default().set("log", "level = \"trace\"");
    let world = Guarded::start(setup, None)?;
    world.run(async |api| {
        let mut body = proxied(&["api.test", "other.test", "bad.test"]);
        body["env"] = json!({"OPENSANDBOX_EGRESS_LOG_LEVEL": "trace"});
        let sandbox = api.create(body).await?;
        sidecar(&sandbox, "POST", "/credential-vault", Some(&vault())).await?.expect(201)?;
        for (method, body, status) in refused() {
            let answer = sidecar(&sandbox, method, "/credential-vault", Some(&body)).await?;
            ensure!(answer.status == status, "{method} {body}: {} {}", answer.status, answer.text());
            tells_nothing(&format!("the answer to {method} {body}"), &answer.text())?;
        }
        use_everything(&world, &sandbox).await?;
        let rotate = json!({"credentials": {"replace": [credential("key", NEXT)]}});
        sidecar(&sandbox, "PATCH", "/credential-vault", Some(&rotate)).await?.expect(200)?;
        for path in ["/audit?limit=1000", "/credential-vault", "/credential-vault/bindings", "/policy"] {
            let told = sidecar(&sandbox, "GET", path, None).await?.expect(200)?;
            tells_nothing(path, &told.text())?;
        }
        for path in
            ["", "/diagnostics/summary", "/diagnostics/inspect", "/diagnostics/events", "/diagnostics/logs"]
        {
            let told = api.get(&format!("{}{path}", sandbox.path())).await?.expect(200)?;
            tells_nothing(path, &told.text())?;
        }
        sidecar(&sandbox, "DELETE", "/credential-vault", None).await?.expect(204)?;
        sandbox.delete().await
    })?;
    let log = world.server.log();
    // Both are there, at their most talkative.
    for line in ["TRACE", "\"target\":\"audit\"", "\"level\":\"DEBUG\""] {
        ensure!(log.contains(line), "the log has no {line}");
    }
    tells_nothing("the log", &log)
}
