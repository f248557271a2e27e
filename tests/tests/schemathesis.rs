//! Requests made up from the documents, by the thousand: every answer has a documented status and looks as the document
//! shows it, and none is a 5xx but where one is documented. Most of what they name is there (`living.py`).
//!
//! New operations are tried as soon as the daemons serve them.

use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    internet::Netns,
    outside::{Lab, TOKEN},
    paths::{self, BASE_IMAGE},
    python,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// How long requests are made up for one daemon.
const BUDGET: Duration = Duration::from_secs(30);

/// Where what is made up comes from, unless `SANDKEEP_SEED` says something else.
const SEED: &str = "20260731";

/// What the program itself needs beside that, on a slow machine.
const OVERHEAD: Duration = Duration::from_secs(240);

/// An answer that takes longer is none.
const ANSWER: Duration = Duration::from_secs(20);

/// Where requests go.
struct Target<'a> {
    name: &'a str,
    url: &'a str,
    headers: &'a [(String, String)],
    /// Programs run here, if not on this host.
    netns: Option<&'a Netns>,
    /// What things are made of that requests are about.
    made_of: Value,
}

/// The operations that end by themselves: streams that only the client ends would hold up everything.
fn finite(mut document: Value) -> Result<Value> {
    let paths = document["paths"].as_object_mut().context("a document has paths")?;
    for item in paths.values_mut().filter_map(Value::as_object_mut) {
        item.retain(|method, operation| {
            let responses = operation["responses"].as_object();
            let endless = responses.is_some_and(|responses| {
                responses.contains_key("101")
                    || responses.values().any(|one| !one["content"]["text/event-stream"].is_null())
            });
            // So do logs that are followed.
            if let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) {
                parameters.retain(|parameter| parameter["name"] != "follow");
            }
            !(endless && method == "get")
        });
    }
    Ok(document)
}

fn operations(document: &Value) -> usize {
    let items = document["paths"].as_object().into_iter().flatten().filter_map(|(_, item)| item.as_object());
    items.flatten().filter(|(_, operation)| operation["responses"].is_object()).count()
}

fn try_out(target: &Target, document: Value) -> Result<()> {
    let document = finite(document)?;
    let dir = paths::artifacts()?.join("schemathesis");
    fs::create_dir_all(&dir)?;
    let [schema, log, seen] = ["json", "log", "seen"].map(|kind| dir.join(format!("{}.{kind}", target.name)));
    fs::write(&schema, document.to_string())?;
    let program = python::schemathesis()?.join("schemathesis");
    let mut command = match target.netns {
        Some(netns) => netns.command(&program),
        None => Command::new(&program),
    };
    command.arg("run").arg(&schema).args(["--url", target.url]);
    command.args(["--checks", "status_code_conformance,no_server_error,answers_as_shown"]);
    let seed = std::env::var("SANDKEEP_SEED").unwrap_or_else(|_| SEED.to_owned());
    command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", &seed]);
    command.args(["--max-time", &BUDGET.as_secs().to_string()]);
    command.args(["--request-timeout", &ANSWER.as_secs().to_string()]);
    command.args(["--workers", "1", "--no-color", "--continue-on-failure", "--warnings", "off"]);
    for (name, value) in target.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    command.current_dir(&dir).env("SCHEMATHESIS_HOOKS", "schema_hooks");
    let headers: serde_json::Map<String, Value> =
        target.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut living = json!({ "daemon": target.name, "url": target.url, "headers": headers });
    if let (Some(living), Some(more)) = (living.as_object_mut(), target.made_of.as_object()) {
        living.extend(more.clone());
    }
    command.env("SANDKEEP_LIVING", living.to_string()).env("SANDKEEP_SEEN", &seen);
    command.env("PYTHONPATH", paths::script("")).env("PYTHONDONTWRITEBYTECODE", "1");
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
        command.env_remove(variable);
    }
    let output = fs::File::create(&log)?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().context("starting schemathesis")?;
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if since.elapsed() > BUDGET + OVERHEAD {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("schemathesis does not end by itself: {}", log.display());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let said = fs::read_to_string(&log)?;
    ensure!(status.success(), "{}: {status}\n{said}", target.name);
    let tested = format!("Tested: {}", operations(&document));
    ensure!(said.contains(&tested), "{}: not \"{tested}\"\n{said}", target.name);
    let seen: BTreeMap<String, Vec<u16>> = serde_json::from_slice(&fs::read(seen)?)?;
    // Behind a port, programs may know nothing of a path. What is made up misses a few more.
    let about_things: Vec<_> = seen
        .iter()
        .filter(|(operation, _)| operation.contains('{') && !operation.contains("/proxy/"))
        .collect();
    let missed: Vec<_> = about_things.iter().filter(|(_, statuses)| statuses[..] == [404]).collect();
    let most = about_things.len() / 4;
    ensure!(missed.len() <= most, "{}: what is there was not found: {missed:?}", target.name);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn execd_answers_as_its_document_says() -> Result<()> {
    let server = Server::shared()?;
    // Commands and files are made up, too: they work inside a sandbox that is thrown away.
    let isolation = json!({ "extensions": { "bootstrap.execd.isolation": "enable" } });
    let sandbox = server.api().create(isolation).await?;
    let execd = sandbox.execd().await?;
    let document = execd.send(Method::GET, "/openapi.json", None).await?.expect(200)?.json()?;
    let target =
        Target { name: "execd", url: &execd.base, headers: &execd.headers, netns: None, made_of: json!({}) };
    tokio::task::block_in_place(|| try_out(&target, document))?;
    execd.output("true").await.context("execd is there afterwards")?;
    sandbox.delete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_answers_as_its_document_says() -> Result<()> {
    // No image, address or webhook that is made up can be reached from there.
    let netns = Arc::new(Netns::new()?);
    let server = Server::start(Setup::default().inside(&netns))?;
    let document = serde_json::from_str(&server.call("GET", "/openapi.json")?.body)?;
    let headers = [("open-sandbox-api-key".to_owned(), server.key.clone())];
    let made_of = json!({ "image": BASE_IMAGE });
    let target =
        Target { name: "lifecycle", url: &server.url(), headers: &headers, netns: Some(&netns), made_of };
    tokio::task::block_in_place(|| try_out(&target, document))?;
    ensure!(server.exited().is_none(), "the server has ended");
    server.call("GET", "/v1/sandboxes").context("the server is there afterwards")?;
    Ok(())
}

/// The document as the sidecar prints it; it serves none.
fn egress_document() -> Result<Value> {
    let printed = Command::new(paths::dist("egress-sidecar")?).arg("openapi").output()?;
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), &printed.stdout)?;
    let convert = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let program = python::schemathesis()?.join("python");
    let converted = Command::new(program).args(["-c", convert]).arg(file.path()).output()?;
    ensure!(converted.status.success(), "{}", String::from_utf8_lossy(&converted.stderr));
    Ok(serde_json::from_slice(&converted.stdout)?)
}

#[test]
fn the_egress_sidecar_answers_as_its_document_says() -> Result<()> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[
        ("RULES", r#"{"defaultAction":"deny","egress":[{"action":"allow","target":"*.ok.test"}]}"#),
        ("MITMPROXY_TRANSPARENT", "true"),
        ("CA_FILE", "ca-cert.pem"),
    ])?;
    let headers = [("OPENSANDBOX-EGRESS-AUTH".to_owned(), TOKEN.to_owned())];
    let url = "http://127.0.0.1:18080";
    let target =
        Target { name: "egress", url, headers: &headers, netns: Some(&lab.inside), made_of: json!({}) };
    try_out(&target, egress_document()?)?;
    assert_eq!(lab.call("GET", "/healthz", None)?, (200, "ok\n".to_owned()), "{}", lab.log());
    Ok(())
}
