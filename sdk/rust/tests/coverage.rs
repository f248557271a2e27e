//! Every documented operation can be reached: each method is called once on a server that notes what it is asked for and
//! knows nothing. What answers mean is a matter of the tests against real servers.
#![expect(clippy::unwrap_used, reason = "a test whose server breaks must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::Utc;
use futures_util::stream;
use sandkeep::specs::egress::audit::AuditQuery;
use sandkeep::specs::execd::code::CodeContext;
use sandkeep::{
    Client, EventQuery, Execd, FileSource, Files, ListQuery, LogQuery, Method, PtyAttach, SnapshotQuery,
    Timeouts, VaultChanges, VaultContents,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Not reached on purpose: the document, the beginning of method and path, and why.
const EXCEPTIONS: [(&str, &str, &str); 12] = [
    ("execd", "POST /handover", "the server's own: it gives a pooled sandbox to its user"),
    ("execd", "GET /openapi.json", "the document itself, no operation on a sandbox"),
    (
        "execd",
        "GET /proxy/",
        "for programs inside; from outside `Sandbox::port_request` goes the server's way",
    ),
    ("execd", "HEAD /proxy/", "likewise"),
    ("execd", "POST /proxy/", "likewise"),
    ("execd", "PUT /proxy/", "likewise"),
    ("execd", "PATCH /proxy/", "likewise"),
    ("execd", "DELETE /proxy/", "likewise"),
    ("execd", "OPTIONS /proxy/", "likewise"),
    ("egress", "GET /healthz", "the server's own: it starts a sandbox's program once the rules are in force"),
    (
        "egress",
        "GET /credential-vault/_active",
        "answered on the sidecar's own socket only, never to a client",
    ),
    (
        "egress",
        "/policy",
        "`Client::network_policy` and its relatives ask the server, which asks the sidecar",
    ),
];

/// Method and path of every request.
type Asked = Arc<Mutex<BTreeSet<(String, String)>>>;

async fn recorder() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&noted)));
        }
    });
    (url, asked)
}

/// Notes one request and answers it. Its body is read away, because closing a socket with unread input resets it.
async fn answer(mut stream: TcpStream, asked: Asked) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let mut words = text.split([' ', '?']);
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    asked.lock().unwrap().insert((method, path));
    // What a client is told of ports leads back here.
    let to = stream.local_addr().unwrap();
    let body = if text.contains("/endpoints/") {
        format!(r#"{{"endpoint":"{to}/egress"}}"#)
    } else {
        "{}".to_owned()
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}

fn documented(document: &str) -> Vec<String> {
    if document == "egress" {
        return documented_egress();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/operations");
    let text = std::fs::read_to_string(root.join(format!("{document}.txt"))).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// The sidecar's operations, read from the indentation of its document: the exporter writes it one way only.
fn documented_egress() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/openapi/egress.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut found, mut route) = (Vec::new(), "");
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("  /") {
            route = name.trim_end_matches(':');
        } else if let Some(name) = line.strip_prefix("    ") {
            let method = name.trim_end_matches(':');
            if ["get", "put", "post", "patch", "delete"].contains(&method) {
                found.push(format!("{} /{route}", method.to_uppercase()));
            }
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

/// Whether one of the requests is one for this operation; only a `{path}` may hold slashes.
fn is_reached(operation: &str, asked: &BTreeSet<(String, String)>, base: &str) -> bool {
    let (method, pattern) = operation.split_once(' ').unwrap();
    asked.iter().filter(|(of, _)| of == method).filter_map(|(_, path)| path.strip_prefix(base)).any(|path| {
        let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
        loop {
            match (wanted.next(), found.next()) {
                (Some("{path}"), Some(_)) | (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == found || wanted.starts_with('{') => {}
                _ => return false,
            }
        }
    })
}

/// Whether an exception is about an operation: it begins with method and path, or with the path for every method.
fn is_meant(operation: &str, begin: &str) -> bool {
    let path = operation.split_once(' ').map_or(operation, |(_, path)| path);
    if begin.starts_with('/') { path == begin } else { operation.starts_with(begin) }
}

fn body<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Nothing it is told makes sense to a client, which is of no interest here.
macro_rules! ask {
    ($($call:expr),* $(,)?) => { $( let _ = $call.await; )* };
}

async fn ask_the_server(client: &Client) {
    let pieces = || stream::iter([Ok(Bytes::from_static(b"x"))]);
    let image = json!({"image": {"uri": "i"}, "entrypoint": ["e"], "resourceLimits": {}});
    ask!(
        client.health(),
        client.version(),
        client.capabilities(),
        client.prometheus(),
        client.report_event(&body(
            json!({"eventType": "sandbox.create", "createDurationMs": 1, "success": true})
        )),
        client.events(&EventQuery::default()),
        client.create_sandbox(&body(image)),
        client.list_sandboxes(&ListQuery::default()),
        client.get_sandbox("s"),
        client.delete_sandbox("s"),
        client.patch_metadata("s", BTreeMap::new()),
        client.renew_sandbox("s", Utc::now()),
        client.pause_sandbox("s"),
        client.resume_sandbox("s"),
        client.stop_sandbox("s", false),
        client.start_sandbox("s"),
        client.endpoint("s", 1, true),
        client.open_tunnel("s", 1),
        client.logs("s", &LogQuery::default()),
        client.sandbox_events("s", None),
        client.inspect("s"),
        client.summary("s"),
        client.sandbox_metrics("s"),
        client.network_policy("s"),
        client.replace_network_policy("s", &body(json!({}))),
        client.patch_network_policy("s", &[]),
        client.delete_network_rules("s", &["t"]),
        client.create_snapshot("s", None),
        client.list_snapshots(&SnapshotQuery::default()),
        client.get_snapshot("s"),
        client.delete_snapshot("s"),
    );
    let capacity = json!({"bufferMin": 0, "bufferMax": 1, "poolMin": 0, "poolMax": 1});
    let pool = json!({"name": "p", "capacitySpec": capacity, "template": {}});
    ask!(
        client.templates().create_template(&body(json!({"image": "i", "publish": "p"}))),
        client.templates().list_templates(1, 1),
        client.templates().get_template("t"),
        client.templates().delete_template("t"),
        client.pools().create_pool(&body(pool)),
        client.pools().list_pools(),
        client.pools().get_pool("p"),
        client.pools().update_pool("p", body(capacity)),
        client.pools().delete_pool("p"),
        client.images().list(),
        client.images().pull(&body(json!({"uri": "r"}))),
        client.images().push(&body(json!({"reference": "r"}))),
        client.images().export("r"),
        client.images().import(pieces(), &["n"]),
        client.images().delete("r"),
    );
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        ask!(
            client.port_request("s", 1, method.clone(), "").unwrap().send(),
            client.port_request("s", 1, method, "/a/b?c=d").unwrap().send(),
        );
    }
}

async fn ask_the_sidecar(client: &Client) {
    ask!(client.network_audit("s", &AuditQuery { after: 0, limit: Some(1) }));
    let vault = client.vault("s", true).await.unwrap();
    ask!(
        vault.get(),
        vault.create(&VaultContents::default()),
        vault.change(&VaultChanges::default()),
        vault.delete(),
        vault.credentials(),
        vault.credential("c"),
        vault.bindings(),
        vault.binding("b"),
    );
}

async fn ask_for_files(files: Files<'_>) {
    ask!(
        files.read("p"),
        files.upload([FileSource::bytes("p", "x")]),
        files.info(&["p"]),
        files.delete(&["p"]),
        files.rename(&[]),
        files.set_permissions(&BTreeMap::new()),
        files.replace(&BTreeMap::new()),
        files.search("d", "*"),
        files.list("d", 1),
        files.create_directories(&BTreeMap::new()),
        files.delete_directories(&["d"]),
    );
}

async fn ask_the_daemon(execd: &Execd) {
    let context: CodeContext = body(json!({"id": "c", "language": "python"}));
    ask!(
        execd.ping(),
        execd.metrics(),
        execd.watch_metrics(),
        execd.prometheus(),
        execd.commands().run("true"),
        execd.commands().list(),
        execd.commands().attach("c", 0),
        execd.commands().write_stdin("c", "x", true),
        execd.commands().status("c"),
        execd.commands().logs("c", 0),
        execd.commands().interrupt("c"),
        execd.code().run_in(&context, "1"),
        execd.code().create_context("python", None),
        execd.code().contexts(None),
        execd.code().context("c"),
        execd.code().delete_context("c"),
        execd.code().delete_contexts("python"),
        execd.code().interrupt("c"),
        execd.sessions().create_session(None),
        execd.sessions().run_in_session("s", "true"),
        execd.sessions().delete_session("s"),
        execd.create_pty(&body(json!({}))),
        execd.pty_status("p"),
        execd.delete_pty("p"),
        execd.attach_pty("p", PtyAttach::default()),
        execd.files().download_directory("d"),
        execd.files().upload_directory("d", stream::iter([Ok(Bytes::from_static(b"x"))])),
        execd.files().watch("d", true),
    );
    let isolated = execd.isolated();
    let session = isolated.session("s");
    ask!(
        isolated.isolated_capabilities(),
        isolated.create_isolated(&body(json!({}))),
        isolated.list_isolated(),
        session.state(),
        session.run_isolated("true"),
        session.run_status("r"),
        session.run_logs("r", 0),
        session.diff(),
        session.commit(),
        session.delete_isolated(),
        ask_for_files(session.files()),
        ask_for_files(execd.files()),
        ask_for_files(execd.files_as(1, 2)),
    );
}

#[tokio::test]
async fn every_documented_operation_is_reached_or_explained() {
    let (url, asked) = recorder().await;
    let client = Client::new(format!("{url}/server"), "key").unwrap();
    ask_the_server(&client).await;
    ask_the_sidecar(&client).await;
    ask_the_daemon(&Execd::new(&format!("{url}/execd"), "token", Timeouts::default()).unwrap()).await;
    let asked = asked.lock().unwrap();

    let mut unexplained = Vec::new();
    let mut used = BTreeSet::new();
    for (document, base) in
        [("lifecycle", "/server"), ("diagnostics", "/server"), ("execd", "/execd"), ("egress", "/egress")]
    {
        for operation in documented(document) {
            let exception =
                EXCEPTIONS.iter().find(|(of, begin, _)| *of == document && is_meant(&operation, begin));
            match (is_reached(&operation, &asked, base), exception) {
                (false, None) => unexplained.push(format!("{document}: {operation}")),
                (false, Some((_, begin, _))) => drop(used.insert(*begin)),
                (true, Some(_)) => unexplained.push(format!("{operation} is reached, so it is no exception")),
                (true, None) => {}
            }
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert_eq!(used.len(), EXCEPTIONS.len(), "an exception is for nothing: {used:?}");
}

#[test]
fn patterns_match_whole_paths() {
    let asked = BTreeSet::from([("GET".to_owned(), "/b/a/x/y".to_owned())]);
    assert!(is_reached("GET /a/{b}/{c}", &asked, "/b"));
    assert!(is_reached("GET /a/{path}", &asked, "/b"));
    assert!(!is_reached("GET /a/{b}", &asked, "/b"));
    assert!(!is_reached("POST /a/{b}/{c}", &asked, "/b"));
    assert!(!is_reached("GET /a/x/y/z", &asked, "/b"));
}
