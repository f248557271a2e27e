//! Everything a hostile root in a sandbox may try, one attempt after the other, each with the answer it must get.
//!
//! The attempts are in `tests/python/escape.py`; `isolation.rs` tells the same story with ordinary programs.

use std::{
    fs,
    os::{linux::net::SocketAddrExt, unix::net},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use sandkeep_tests::{
    api::Sandbox,
    execd::Execd,
    host_state::{Host, differences},
    internet::{self, Internet},
    paths,
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// A file in the neighbour's sandbox, with what is in it.
const MARKER: &str = "neighbours-file";
/// An abstract socket in the host's network.
const ABSTRACT: &str = "sandkeep-escape-test";
/// Attempts below this number mean that the script ended early.
const FEWEST_ATTEMPTS: usize = 350;
/// Where the script waits for us in its sandbox.
const PORT: u16 = 44800;
/// Longest that an attempt may take, or the script's start.
const PATIENCE: Duration = Duration::from_secs(120);

struct Attempt {
    group: String,
    name: String,
    expected: String,
    seen: String,
}

impl Attempt {
    fn parse(line: &Value) -> Result<Self> {
        let text = |name: &str| line[name].as_str().map(str::to_owned).context("an attempt");
        Ok(Self {
            group: text("group")?,
            name: text("attempt")?,
            expected: text("expected")?,
            seen: text("seen")?,
        })
    }

    /// A change of the host, which nothing a sandbox does may bring about.
    fn of_host(cause: &str, change: String) -> Self {
        let name = format!("the host after {cause}");
        Self { group: "the host".to_owned(), name, expected: "unchanged".to_owned(), seen: change }
    }

    fn held(&self) -> bool {
        self.expected.split('|').any(|expected| expected == self.seen)
    }
}

/// Runs the script in a sandbox. After each attempt the host is looked at, so that a change is known by what made it.
async fn attempts(
    server: &Server,
    host: &Host<'_>,
    sandbox: &Sandbox,
    neighbour: &str,
    nested: bool,
) -> Result<Vec<Attempt>> {
    let execd = sandbox.execd().await?;
    let gateway = format!("10.{}.0.1", server.subnet);
    let port = server.port;
    let given = json!({
        "nested": nested,
        "port": PORT,
        "neighbour": neighbour,
        "gateway": gateway,
        "server": server.pid()?,
        "state": server.state(),
        "config": server.config(),
        "marker": MARKER,
        "abstract": ABSTRACT,
        "host": internet::HOST,
        "unreachable": [
            ("the server at the host's address", internet::HOST, port),
            ("the server at the gateway's address", gateway.as_str(), port),
            ("the server at the subnet's first address", &format!("10.{}.0.0", server.subnet), port),
            ("the server at its own loopback", "127.0.0.1", port),
            ("the host's ssh port", internet::HOST, 22),
            ("the metadata service", internet::METADATA, 80),
            ("a link-local address", "169.254.1.1", 80),
            ("the neighbour's execd", neighbour, Execd::PORT),
            ("the neighbour's web server", neighbour, 8000),
            ("the subnet's broadcast address", &format!("10.{}.255.255", server.subnet), 80),
            ("a multicast address", "224.0.0.1", 80),
        ],
        "reachable": [("a public web server", internet::WEB, 80), ("the own execd", "127.0.0.1", Execd::PORT)],
    });
    let script = BASE64_STANDARD.encode(fs::read(paths::script("escape.py"))?);
    execd.output(&format!("echo {script} | base64 -d > /tmp/escape.py")).await?;
    let arguments = BASE64_STANDARD.encode(given.to_string());
    let command = format!("exec python3 /tmp/escape.py \"$(echo {arguments} | base64 -d)\"");
    let mut script = execd.stream("/command", &json!({ "command": command })).await?;
    let ready = script.next_of(&["stdout", "error"]).await?;
    ensure!(ready["text"].as_str().is_some_and(|text| text.trim() == "ready"), "the script said {ready}");
    let (address, _) = sandbox.endpoint(PORT, false).await?;
    let conversation = async {
        let mut stream = BufReader::new(TcpStream::connect(&address).await?);
        let mut made: Vec<Attempt> = Vec::new();
        let (mut whole, mut glance) = (host.look()?, host.glance()?);
        let mut about = None;
        loop {
            let mut line = String::new();
            timeout(PATIENCE, stream.read_line(&mut line)).await.context("an attempt takes too long")??;
            let step: Vec<Value> =
                serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))?;
            let step = step.iter().map(Attempt::parse).collect::<Result<Vec<_>>>()?;
            let next = step.first().map(|attempt| attempt.group.clone());
            if let Some(before) = about.filter(|before| Some(before) != next.as_ref()) {
                let now = host.look()?;
                let changes = differences(&whole, &now).into_iter();
                made.extend(changes.map(|change| Attempt::of_host(&before, change)));
                whole = now;
            }
            let now = host.glance()?;
            let cause = match &step[..] {
                [only] => &only.name,
                _ => "several attempts at once",
            };
            let changes = differences(&glance, &now).into_iter();
            made.extend(changes.map(|change| Attempt::of_host(cause, change)));
            whole.retain(|name, _| !glance.contains_key(name));
            whole.extend(now.clone());
            glance = now;
            if step.is_empty() {
                return anyhow::Ok(made);
            }
            about = next;
            made.extend(step);
            stream.write_all(b"next\n").await?;
        }
    };
    let made = conversation.await;
    let ended = script.finish().await;
    made.with_context(|| format!("the script: {ended:?}"))
}

fn table(title: &str, attempts: &[Attempt]) -> String {
    let mut text = format!(
        "## {title}: {} attempts\n\n| about | attempt | expected | seen |\n|---|---|---|---|\n",
        attempts.len()
    );
    for Attempt { group, name, expected, seen } in attempts {
        text.push_str(&format!("| {group} | {name} | {} | {seen} |\n", expected.replace('|', " or ")));
    }
    text
}

#[test]
fn every_attempt_to_leave_a_sandbox_fails() -> Result<()> {
    let net = Internet::new()?;
    let setup = Setup::default().inside(&net.host).set("native", format!("dns = [\"{}\"]", internet::DNS));
    let server = Server::start(setup)?;
    let mut report = String::new();
    let mut wrong = Vec::new();
    let run = server.run(|| {
        // What a sandbox would reach if the walls were not there.
        let address = net::SocketAddr::from_abstract_name(ABSTRACT)?;
        let _abstract = net::UnixListener::bind_addr(&address)?;
        let _ssh = std::net::TcpListener::bind((internet::HOST, 22))?;
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let api = server.api();
            let neighbour = api.create(json!({})).await?;
            let guarded = neighbour.execd().await?;
            guarded
                .output(&format!(
                    "echo kept > /{MARKER}; cd /tmp; (python3 -m http.server 8000 >/dev/null 2>&1 &)"
                ))
                .await?;
            let (address, _) = neighbour.endpoint(Execd::PORT, false).await?;
            let address = address.split(':').next().context("an address")?.to_owned();
            for (title, nested) in
                [("An ordinary sandbox", false), ("A sandbox with isolated sessions", true)]
            {
                let overrides = match nested {
                    true => json!({"extensions": {"bootstrap.execd.isolation": "enable"}}),
                    false => json!({}),
                };
                let sandbox = api.create(overrides).await?;
                let host = Host::of(&server, &net.host, &[&sandbox.id, &neighbour.id])?;
                let tried = attempts(&server, &host, &sandbox, &address, nested).await?;
                report.push_str(&table(title, &tried));
                report.push('\n');
                ensure!(tried.len() >= FEWEST_ATTEMPTS, "only {} attempts were made:\n{report}", tried.len());
                wrong.extend(tried.into_iter().filter(|attempt| !attempt.held()).map(|attempt| {
                    format!("{title}: {}: expected {}, seen {}", attempt.name, attempt.expected, attempt.seen)
                }));
                ensure!(
                    sandbox.execd().await?.output("echo alive").await? == "alive",
                    "it no longer answers"
                );
                sandbox.delete().await?;
            }
            ensure!(
                guarded.output(&format!("cat /{MARKER}")).await? == "kept",
                "the neighbour's file changed"
            );
            ensure!(api.ids().await? == [neighbour.id.clone()], "the server's records were changed");
            anyhow::Ok(())
        })
    })?;
    fs::write(paths::artifacts()?.join("escape.md"), &report)?;
    ensure!(wrong.is_empty(), "{} attempts went differently:\n{}\n\n{report}", wrong.len(), wrong.join("\n"));
    run
}
