//! Everything a hostile root in a sandbox may try, one attempt after the other, each with the answer it must get.
//!
//! The attempts are in `tests/python/escape.py`; `isolation.rs` tells the same story with ordinary programs.

use std::{
    collections::BTreeMap,
    fs,
    os::{linux::net::SocketAddrExt, unix::net},
    time::SystemTime,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use sandkeep_tests::{
    api::Sandbox,
    execd::Execd,
    internet::{self, Internet},
    paths,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// A file in the neighbour's sandbox, with what is in it.
const MARKER: &str = "neighbours-file";
/// An abstract socket in the host's network.
const ABSTRACT: &str = "sandkeep-escape-test";
/// Attempts below this number mean that the script ended early.
const FEWEST_ATTEMPTS: usize = 200;
/// How much the host's clock may have been moved against its uptime.
const CLOCK_TOLERANCE_SECONDS: f64 = 2.0;

/// What an attempt on the host would have changed, by name.
struct HostState(BTreeMap<String, Vec<u8>>);

impl HostState {
    fn of(server: &Server, net: &Internet) -> Result<Self> {
        const SETTINGS: [&str; 12] = [
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/kernel/domainname",
            "/proc/sys/kernel/hostname",
            "/proc/sys/kernel/modprobe",
            "/proc/sys/kernel/panic",
            "/proc/sys/kernel/pid_max",
            "/proc/sys/kernel/printk",
            "/proc/sys/kernel/randomize_va_space",
            "/proc/sys/kernel/sysrq",
            "/proc/sys/kernel/threads-max",
            "/proc/sys/vm/overcommit_memory",
            "/proc/swaps",
        ];
        let mut state = BTreeMap::new();
        for path in SETTINGS {
            state.insert(path.to_owned(), fs::read(path).unwrap_or_default());
        }
        state.insert("the server's configuration".to_owned(), fs::read(server.config())?);
        state.insert("execd".to_owned(), fs::read(paths::dist("execd")?)?);
        for line in ["ip -o -4 address", "ip route", "nft --stateless list ruleset"] {
            let mut words = line.split(' ');
            let output = net.host.command(words.next().unwrap_or_default()).args(words).output()?;
            ensure!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            // Sandboxes' interfaces come and go, and so do the connections counted for them; everything else of
            // this network is the test's own.
            let text = String::from_utf8(output.stdout)?;
            let kept: Vec<&str> = text
                .lines()
                .filter(|line| {
                    !line.split_whitespace().any(|word| word.starts_with("sk") || word == "elements")
                })
                .collect();
            state.insert(line.to_owned(), kept.join("\n").into_bytes());
        }
        Ok(Self(state))
    }

    fn differences(&self, before: &Self) -> Vec<String> {
        let changed = self.0.iter().filter(|(name, now)| before.0.get(*name) != Some(now));
        let told = |(name, now): (&String, &Vec<u8>)| {
            let was = before.0.get(name).map(|was| String::from_utf8_lossy(was)).unwrap_or_default();
            format!("on the host, {name} changed from {was:.2000} to {:.2000}", String::from_utf8_lossy(now))
        };
        changed.map(told).collect()
    }
}

/// Seconds since the epoch at which this host was started, as its clock says now.
fn started() -> Result<f64> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = uptime.split(' ').next().context("an uptime")?.parse()?;
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64() - uptime)
}

struct Attempt {
    name: String,
    expected: String,
    seen: String,
}

impl Attempt {
    fn held(&self) -> bool {
        self.expected.split('|').any(|expected| expected == self.seen)
    }
}

/// Runs the script in a sandbox.
async fn attempts(server: &Server, sandbox: &Sandbox, neighbour: &str, nested: bool) -> Result<Vec<Attempt>> {
    let execd = sandbox.execd().await?;
    let gateway = format!("10.{}.0.1", server.subnet);
    let port = server.port;
    let given = json!({
        "nested": nested,
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
    let ran = execd.run(&format!("exec python3 /tmp/escape.py \"$(echo {arguments} | base64 -d)\"")).await?;
    ensure!(ran.exit_code == 0, "the script ended with {}: {}{}", ran.exit_code, ran.stdout, ran.stderr);
    ran.stdout
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let text = |name: &str| line[name].as_str().map(str::to_owned).context("an attempt");
            Ok(Attempt { name: text("attempt")?, expected: text("expected")?, seen: text("seen")? })
        })
        .collect()
}

fn table(title: &str, attempts: &[Attempt]) -> String {
    let mut text =
        format!("## {title}: {} attempts\n\n| attempt | expected | seen |\n|---|---|---|\n", attempts.len());
    for Attempt { name, expected, seen } in attempts {
        text.push_str(&format!("| {name} | {} | {seen} |\n", expected.replace('|', " or ")));
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
            let (before, clock) = (HostState::of(&server, &net)?, started()?);
            for (title, nested) in
                [("An ordinary sandbox", false), ("A sandbox with isolated sessions", true)]
            {
                let overrides = match nested {
                    true => json!({"extensions": {"bootstrap.execd.isolation": "enable"}}),
                    false => json!({}),
                };
                let sandbox = api.create(overrides).await?;
                let tried = attempts(&server, &sandbox, &address, nested).await?;
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
            wrong.extend(HostState::of(&server, &net)?.differences(&before));
            let moved = (started()? - clock).abs();
            ensure!(moved < CLOCK_TOLERANCE_SECONDS, "the host's clock was moved by {moved} s");
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
