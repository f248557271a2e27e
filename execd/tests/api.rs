//! Access, refusals and documents, over HTTP against the real binary.

mod support;

use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Execd, TOKEN};

#[tokio::test]
async fn every_route_wants_the_token() {
    let execd = Execd::start().await;
    let refusal = r#"{"error":"Unauthorized: invalid or missing header X-EXECD-ACCESS-TOKEN"}"#;
    for path in [
        "/ping",
        "/command",
        "/command/status/x",
        "/metrics",
        "/metrics/watch",
        "/openapi.json",
        "/no/such/path",
    ] {
        for token in [None, Some(""), Some("wrong"), Some("a-test-token "), Some("A-TEST-TOKEN")] {
            let mut request = execd.request(Method::GET, path, "");
            request.headers_mut().remove("x-execd-access-token");
            if let Some(token) = token.filter(|token| *token != "a-test-token ") {
                request.headers_mut().insert("x-execd-access-token", token.parse().unwrap());
            }
            let response = execd.send(request).await;
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path} with {token:?}");
            assert_eq!(response.collect().await.unwrap().to_bytes(), refusal);
        }
    }
    assert_eq!(execd.get("/ping").await, (StatusCode::OK, String::new()));
}

#[tokio::test]
async fn without_a_token_only_this_machine_is_served() {
    let execd = Execd::start_with(|command, _| {
        command.env_remove("EXECD_ACCESS_TOKEN");
    })
    .await;
    let mut request = execd.request(Method::GET, "/ping", "");
    request.headers_mut().remove("x-execd-access-token");
    assert_eq!(execd.send(request).await.status(), StatusCode::OK);
    let listening = std::fs::read_to_string(format!("/proc/{}/net/tcp", execd.pid())).unwrap();
    let (port, local) = (format!(":{:04X}", execd.address.port()), u32::from_ne_bytes([127, 0, 0, 1]));
    let sockets: Vec<_> = listening
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter(|address| address.ends_with(&port))
        .collect();
    assert!(sockets.iter().all(|address| address.starts_with(&format!("{local:08X}"))), "{sockets:?}");
}

#[tokio::test]
async fn unknown_paths_methods_and_slashes() {
    let execd = Execd::start().await;
    let missing = (StatusCode::NOT_FOUND, "404 page not found".to_owned());
    assert_eq!(execd.get("/nothing").await, missing);
    assert_eq!(execd.call(Method::POST, "/ping", "").await, missing);
    assert_eq!(execd.call(Method::PUT, "/command", "{}").await, missing);
    assert_eq!(execd.get("/%00").await, missing);
    let moved = execd.send(execd.request(Method::GET, "/metrics/", "")).await;
    assert_eq!(
        (moved.status(), moved.headers()["location"].to_str().unwrap()),
        (StatusCode::MOVED_PERMANENTLY, "/metrics")
    );
    let moved = execd.send(execd.request(Method::POST, "/command/", "")).await;
    assert_eq!(moved.status(), StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn bad_input_is_refused_with_a_reason() {
    let execd = Execd::start().await;
    let table = [
        (Method::POST, "/command", "", 400, "INVALID_REQUEST_BODY", "EOF"),
        (Method::POST, "/command", "{", 400, "INVALID_REQUEST_BODY", "line 1"),
        (Method::POST, "/command", "7", 400, "INVALID_REQUEST_BODY", "request body"),
        (Method::POST, "/command", "nonsense", 400, "INVALID_REQUEST_BODY", "expected"),
        (Method::POST, "/command", "{}", 400, "INVALID_REQUEST_BODY", "required"),
        (Method::POST, "/command", r#"{"command":"  "}"#, 400, "INVALID_REQUEST_BODY", "blank"),
        (Method::POST, "/command", r#"{"command":7}"#, 400, "INVALID_REQUEST_BODY", "invalid type"),
        (Method::POST, "/command", r#"{"argv":[]}"#, 400, "INVALID_REQUEST_BODY", "argv[0]"),
        (
            Method::POST,
            "/command",
            r#"{"argv":["a"],"command":"a"}"#,
            400,
            "INVALID_REQUEST_BODY",
            "not both",
        ),
        (Method::POST, "/command", r#"{"command":"a\u0000b"}"#, 400, "INVALID_REQUEST_BODY", "NUL"),
        (
            Method::POST,
            "/command",
            r#"{"command":"a","cwd":"/x\u0000y"}"#,
            400,
            "INVALID_REQUEST_BODY",
            "NUL",
        ),
        (
            Method::POST,
            "/command",
            r#"{"command":"a","cwd":"/no/such"}"#,
            400,
            "INVALID_REQUEST_BODY",
            "/no/such",
        ),
        (Method::POST, "/command", r#"{"command":"a","cwd":"$NOPE"}"#, 400, "INVALID_REQUEST_BODY", "NOPE"),
        (Method::POST, "/command", r#"{"command":"a","timeout":-1}"#, 400, "INVALID_REQUEST_BODY", "-1"),
        (
            Method::POST,
            "/command",
            r#"{"command":"a","gid":1}"#,
            400,
            "INVALID_REQUEST_BODY",
            "gid needs uid",
        ),
        (
            Method::POST,
            "/command",
            r#"{"command":"a","uid":4294967296}"#,
            400,
            "INVALID_REQUEST_BODY",
            "4294967296",
        ),
        (Method::POST, "/command", r#"{"command":"a","envs":{"A=":"b"}}"#, 400, "INVALID_REQUEST_BODY", "A="),
        (Method::DELETE, "/command", "", 400, "MISSING_QUERY", "id"),
        (Method::DELETE, "/command?id=unknown", "", 404, "COMMAND_NOT_FOUND", "unknown"),
        (Method::GET, "/command/status/unknown", "", 404, "COMMAND_NOT_FOUND", "unknown"),
        (Method::GET, "/command/status/%00", "", 404, "COMMAND_NOT_FOUND", ""),
        (Method::GET, "/command/unknown/logs", "", 404, "COMMAND_NOT_FOUND", "unknown"),
        (Method::GET, "/command/unknown/logs?cursor=-7", "", 400, "INVALID_REQUEST_BODY", "-7"),
    ];
    for (method, path, body, status, code, hint) in table {
        let (found, text) = execd.call(method.clone(), path, body).await;
        let error: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path} {body}: {text}"));
        assert_eq!(
            (found.as_u16(), error["code"].as_str().unwrap()),
            (status, code),
            "{method} {path} {body}: {text}"
        );
        assert!(error["message"].as_str().unwrap().contains(hint), "{method} {path} {body}: {text}");
    }
    let run = execd.run(json!({"command": "true"})).await;
    let (status, text) = execd.get(&format!("/command/{}/logs", run.id())).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(text.contains("foreground"), "{text}");
    assert_eq!(execd.get("/ping").await.0, StatusCode::OK);
}

#[tokio::test]
async fn metrics_in_all_forms() {
    let execd = Execd::start().await;
    let (status, text) = execd.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    let metrics: Value = serde_json::from_str(&text).unwrap();
    for name in ["cpu_count", "cpu_used_pct", "mem_total_mib", "mem_used_mib", "timestamp"] {
        assert!(metrics[name].is_number(), "{name} in {text}");
    }
    execd.run(json!({"command": "true"})).await;
    let (_, text) = execd.get("/metrics/prometheus").await;
    assert!(text.contains("\nexecd_commands_started_total 1\n"), "{text}");

    let mut watch = execd.send(execd.request(Method::GET, "/metrics/watch", "")).await;
    assert_eq!(watch.headers()["content-type"], "text/event-stream");
    for _ in 0..2 {
        let frame = watch.frame().await.unwrap().unwrap().into_data().unwrap();
        let text = String::from_utf8(frame.to_vec()).unwrap();
        let sample: Value =
            serde_json::from_str(text.strip_prefix("data: ").unwrap().strip_suffix("\n\n").unwrap()).unwrap();
        assert!(sample["timestamp"].is_i64());
    }
}

#[tokio::test]
async fn the_document_lists_what_is_served() {
    let execd = Execd::start().await;
    let (_, text) = execd.get("/openapi.json").await;
    let served: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(served["openapi"], "3.1.0");
    for path in
        ["/ping", "/command", "/command/status/{id}", "/command/{id}/logs", "/metrics", "/metrics/watch"]
    {
        assert!(served["paths"][path].is_object(), "{path}");
    }
    let printed = support::command().arg("openapi").output().unwrap();
    assert!(printed.status.success());
    assert!(String::from_utf8(printed.stdout).unwrap().starts_with("openapi: 3.1.0"));
}

#[test]
fn a_wrong_command_line_is_a_clear_error() {
    let attempt = |arguments: &[&str], env: &[(&str, &str)]| {
        let result = support::command().args(arguments).envs(env.iter().copied()).output().unwrap();
        (result.status.code(), String::from_utf8(result.stderr).unwrap())
    };
    type Row = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);
    let table: [Row; 9] = [
        (&["--port", "x"], &[], "--port"),
        (&["--port", "0"], &[], "--port"),
        (&["--nonsense"], &[], "--nonsense"),
        (&[], &[("EXECD_API_GRACE_SHUTDOWN", "soon")], "soon"),
        (&[], &[("EXECD_INIT", "perhaps")], "perhaps"),
        (&[], &[("EXECD_LOG_FILE", "/no/such/dir/log")], "/no/such/dir/log"),
        (&["--ready-fd", "77"], &[], "--ready-fd 77"),
        (&["--init", "--user", "nobody-of-that-name"], &[], "nobody-of-that-name"),
        (&["--", "sleep", "1"], &[], "--init"),
    ];
    for (arguments, env, hint) in table {
        let (status, stderr) = attempt(arguments, env);
        assert_eq!(status, Some(2), "{arguments:?} {env:?}: {stderr}");
        assert!(stderr.contains(hint) && !stderr.contains("panicked"), "{arguments:?} {env:?}: {stderr}");
    }
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (status, stderr) = attempt(&["--port", &port, "--access-token", TOKEN], &[]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains(&port), "{stderr}");
}

#[tokio::test]
async fn requests_have_ids() {
    let execd = Execd::start().await;
    let id_of = |given: Option<&'static str>, path: &'static str| {
        let mut request = execd.request(Method::GET, path, "");
        if let Some(given) = given {
            request.headers_mut().insert("x-request-id", given.parse().unwrap());
        }
        let execd = &execd;
        async move { execd.send(request).await.headers()["x-request-id"].to_str().unwrap().to_owned() }
    };
    assert_eq!(id_of(Some("mine-1"), "/ping").await, "mine-1");
    assert_eq!(id_of(Some("mine-2"), "/command/status/none").await, "mine-2");
    let (one, other) = (id_of(None, "/ping").await, id_of(Some("not sound"), "/no/such/path").await);
    assert!(one.len() == 32 && other.len() == 32 && one != other);
}

#[tokio::test]
async fn arrays_are_no_objects() {
    let execd = Execd::start().await;
    for (path, body) in [
        ("/command", r#"["true"]"#),
        ("/session", r#"["/tmp"]"#),
        ("/files/mv", r#"[["/a","/b"]]"#),
        ("/files/permissions", r#"{"/tmp": ["root", "root", 755]}"#),
        ("/code/context", r#"["python"]"#),
    ] {
        let (status, answer) = execd.call(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
        assert!(answer.contains("invalid type: sequence"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn watchers_of_metrics_are_bounded() {
    let execd = Execd::start().await;
    let mut open = Vec::new();
    let refused = loop {
        let response = execd.send(execd.request(Method::GET, "/metrics/watch", "")).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        open.push(response);
        assert!(open.len() < 1000);
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains(&open.len().to_string()) && text.contains("limit of metrics watchers"), "{text}");
}
