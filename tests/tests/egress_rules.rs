//! The egress sidecar alone, in a namespace of the test's own: what its rules say, and that it stays small and heard.

use std::{
    fs,
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, StatusCode,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sandkeep_tests::outside::{Lab, RESOLVER, SILENT, Sidecar};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

/// What a sidecar may have taken at most while somebody floods it; a limit of memory that its server sets is far above.
const FLOODED_KILOBYTES: u64 = 48 << 10;

/// A port that nothing else listens on.
const PORT: u16 = 8081;
/// Connections of somebody who wants it to hold far more than it may, and the uploads of each: what a stream may have under
/// way is nearly that large.
const GREEDY: usize = 40;
const UPLOADS: usize = 4;
const UPLOAD: &[u8] = &[0; 2 << 20];
/// A sidecar of a sandbox is ended at 192 MiB.
const FULL_KILOBYTES: u64 = 160 << 10;

/// How long it may take to give most of that back, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(90);
/// Three calls of the owner may take so long while others crowd the API; one place in their queue takes ten seconds.
const HEARD: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

const RULES: &str = r#"{"defaultAction":"deny","egress":[
    {"action":"deny","target":"denied.test"},
    {"action":"allow","target":"ok.test"},
    {"action":"allow","target":"*.ok.test"}]}"#;

#[test]
fn rules_are_merged_listed_and_kept() -> Result<()> {
    let lab = Lab::new()?;
    let sidecar = lab.sidecar(&[("MAX_RULES", "3"), ("POLICY_FILE", "policy.json")])?;
    let shown = lab.ask("GET", "/policy", None)?;
    assert_eq!(shown["mode"], "deny_all");
    assert_eq!(shown["enforcementMode"], "dns+nft");
    assert_eq!(shown["policy"], json!({"defaultAction": "deny", "egress": []}));

    let put =
        r#"{"defaultAction":"allow","egress":[{"target":"a.test"},{"action":"allow","target":"B.test"}]}"#;
    assert_eq!(
        lab.ask("PUT", "/policy", Some(put))?,
        json!({"status": "ok", "mode": "enforcing", "enforcementMode": "dns+nft"})
    );
    let patch = r#"[{"action":"deny","target":"b.test"},{"action":"allow","target":"c.test"},{"action":"deny","target":"C.test"}]"#;
    lab.ask("PATCH", "/policy", Some(patch))?;
    let rules = json!({"defaultAction": "allow", "egress": [
        {"action": "deny", "target": "b.test"},
        {"action": "allow", "target": "c.test"},
        {"action": "deny", "target": "a.test"},
    ]});
    assert_eq!(lab.ask("GET", "/policy", None)?["policy"], rules);
    assert_eq!(lab.ask("DELETE", "/policy", Some(r#"["x.test"]"#))?["reason"], "no matching targets found");

    for (method, body, status) in [
        ("PATCH", Some("[]"), 400),
        ("PATCH", None, 400),
        ("PATCH", Some(r#"[{"action":"allow","target":" "}]"#), 400),
        ("PATCH", Some(r#"[{"action":"pass","target":"a"}]"#), 400),
        ("PATCH", Some(r#"[{"action":"allow","target":"fourth.test"}]"#), 413),
        ("DELETE", Some("[]"), 400),
        ("DELETE", Some("{"), 400),
        ("PUT", Some("[]"), 400),
        ("POST", Some(r#"{"egress":[{"action":"allow"}]}"#), 400),
        ("OPTIONS", None, 405),
    ] {
        let (seen, text) = lab.call(method, "/policy", body)?;
        ensure!(seen == status && text.ends_with('\n'), "{method} {body:?}: {seen} {text}");
    }
    let large = format!(r#"{{"egress":[],"x":"{}"}}"#, "x".repeat(90_000));
    assert_eq!(lab.call("PUT", "/policy", Some(&large))?.0, 200, "unknown members are nobody's business");
    lab.ask("PUT", "/policy", Some(&rules.to_string()))?;
    assert_eq!(lab.call("GET", "/nothing", None)?.0, 404);
    assert_eq!(lab.call("GET", "/healthz", None)?, (200, "ok\n".to_owned()));

    // Another sidecar finds the policy, however the one before ended.
    sidecar.kill()?;
    let _sidecar =
        lab.sidecar(&[("RULES", r#"{"defaultAction":"deny"}"#), ("POLICY_FILE", "policy.json")])?;
    assert_eq!(lab.ask("GET", "/policy", None)?["policy"], rules);
    let reset = lab.ask("POST", "/policy", None)?;
    assert_eq!(
        reset,
        json!({"status": "ok", "mode": "deny_all", "reason": "policy reset to default deny-all"})
    );
    Ok(())
}

#[test]
fn blocks_of_addresses_and_lists_above_the_policy_hold() -> Result<()> {
    let lab = Lab::new()?;
    fs::create_dir(lab.dir().join("rules"))?;
    fs::write(lab.dir().join("rules/deny.always"), "8.8.8.8 # never\n*.never.test\n")?;
    fs::write(lab.dir().join("rules/allow.always"), "93.184.216.34\n")?;
    let rules = r#"{"defaultAction":"allow","egress":[
        {"action":"allow","target":"8.8.8.8"},
        {"action":"allow","target":"10.0.0.0/8"},
        {"action":"allow","target":"9.9.9.9"},
        {"action":"deny","target":"93.184.216.0/24"},
        {"action":"deny","target":"2001:db8:1::/64"}]}"#;
    let _sidecar = lab.sidecar_with(&[("RULES", rules)], &[("SANDKEEP_EGRESS_LISTS_RELOAD_SEC", "1")])?;
    let mut intruder = lab.intruder()?;
    for (address, port, expected) in [
        ("8.8.8.8", 80, "refused"),
        ("93.184.216.34", 80, "reached"),
        ("93.184.216.35", 80, "refused"),
        ("2001:db8:1::34", 80, "refused"),
        ("10.9.9.9", 80, "reached"),
        // Known resolvers over HTTPS pass where a rule says so.
        ("9.9.9.9", 443, "reached"),
        ("1.1.1.1", 443, "refused"),
        ("1.1.1.1", 80, "reached"),
    ] {
        assert_eq!(intruder.tries("tcp", json!([address, port]))?, expected, "{address}:{port}");
    }
    for (name, expected) in [
        ("x.never.test", "NXDOMAIN"),
        ("dns.google", "NXDOMAIN"),
        ("private.ok.test", "10.9.9.9"),
        ("rebind.ok.test", "NXDOMAIN"),
        ("ok.test", "93.184.216.34"),
    ] {
        assert_eq!(intruder.tries("dns", json!([name]))?, expected, "{name}");
    }
    // The lists are read again, both for addresses and for names.
    fs::write(lab.dir().join("rules/deny.always"), "10.9.9.0/24\nok.test\n")?;
    let end = Instant::now() + PATIENCE;
    while intruder.tries("tcp", json!(["10.9.9.9", 80]))? != "refused" {
        ensure!(Instant::now() < end, "a list is not read again");
        thread::sleep(POLL);
    }
    assert_eq!(intruder.tries("dns", json!(["ok.test"]))?, "NXDOMAIN");
    assert_eq!(intruder.tries("tcp", json!(["8.8.8.8", 80]))?, "reached");
    // A name that is denied takes its connections along, though everything else passes.
    lab.ask("PUT", "/policy", Some(r#"{"defaultAction":"allow"}"#))?;
    assert_eq!(intruder.tries("dns", json!(["denied.test"]))?, "93.184.216.35");
    let kept = intruder.tries_with("tcp", json!(["93.184.216.35", 9999]), json!({"keep": "a"}))?;
    assert_eq!((kept.as_str(), intruder.tries("again", json!(["a"]))?.as_str()), ("reached", "reached"));
    lab.ask("PATCH", "/policy", Some(r#"[{"action":"deny","target":"denied.test"}]"#))?;
    assert_eq!(intruder.tries("again", json!(["a"]))?, "refused");
    Ok(())
}

#[test]
fn answers_are_kept_and_silent_servers_passed_over() -> Result<()> {
    let lab = Lab::new()?;
    let upstreams = format!("{SILENT},{RESOLVER}");
    let _sidecar = lab.sidecar(&[("RULES", RULES), ("DNS_UPSTREAM", &upstreams)])?;
    let mut intruder = lab.intruder()?;
    assert_eq!(intruder.tries("dns", json!(["ok.test"]))?, "93.184.216.34");
    let asked = |name: &str| {
        let wanted = format!("{RESOLVER} udp {name} 1");
        anyhow::Ok(lab.questions()?.into_iter().filter(|question| *question == wanted).count())
    };
    assert_eq!(asked("ok.test")?, 1);
    for _ in 0..3 {
        assert_eq!(intruder.tries("dns", json!(["ok.test"]))?, "93.184.216.34");
        assert_eq!(intruder.tries("dns", json!(["nothing.ok.test"]))?, "NXDOMAIN");
    }
    assert_eq!((asked("ok.test")?, asked("nothing.ok.test")?), (1, 1));
    // What lives for a second is asked for again, and the rules that judged it count too.
    assert_eq!(intruder.tries("dns", json!(["short.ok.test"]))?, "93.184.216.34");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(intruder.tries("dns", json!(["short.ok.test"]))?, "93.184.216.34");
    assert_eq!(asked("short.ok.test")?, 2);
    lab.ask("PATCH", "/policy", Some(r#"[{"action":"deny","target":"ok.test"}]"#))?;
    assert_eq!(intruder.tries("dns", json!(["ok.test"]))?, "NXDOMAIN");
    Ok(())
}

#[test]
fn names_alone_are_judged_where_addresses_are_not() -> Result<()> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[("RULES", RULES), ("MODE", "dns")])?;
    assert_eq!(lab.ask("GET", "/policy", None)?["enforcementMode"], "dns");
    let mut intruder = lab.intruder()?;
    assert_eq!(intruder.tries("dns", json!(["ok.test", "9.9.9.9"]))?, "93.184.216.34");
    assert_eq!(intruder.tries("dns", json!(["other.test", "9.9.9.9"]))?, "NXDOMAIN");
    assert_eq!(intruder.tries("dns", json!(["rebind.ok.test"]))?, "NXDOMAIN");
    assert_eq!(intruder.tries("tcp", json!(["93.184.216.35", 80]))?, "reached");
    Ok(())
}

#[test]
fn the_owner_is_heard_whoever_crowds_the_api() -> Result<()> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[("RULES", RULES)])?;
    let mut intruder = lab.intruder()?;
    assert_eq!(intruder.tries("besiege", json!([2000]))?, "besieging");
    let mut inside = 0;
    let besieged = Instant::now() + PATIENCE;
    while inside < 64 {
        ensure!(Instant::now() < besieged, "{inside} connections are no siege");
        thread::sleep(POLL);
        let listed =
            lab.inside.command("ss").args(["-Htn", "state", "established", "dport = 18080"]).output()?;
        inside = String::from_utf8(listed.stdout)?.lines().count();
    }
    let begun = Instant::now();
    for (method, body) in [
        ("PATCH", r#"[{"action":"allow","target":"new.test"}]"#),
        ("DELETE", r#"["new.test"]"#),
        ("PATCH", r#"[{"action":"deny","target":"ok.test"}]"#),
    ] {
        let (status, text) = lab.call_from_outside(method, "/policy", Some(body))?;
        ensure!(status == 200, "{method}: {status} {text}");
    }
    ensure!(begun.elapsed() < HEARD, "{:?} until the owner is heard", begun.elapsed());
    assert_eq!(intruder.tries("dns", json!(["ok.test"]))?, "NXDOMAIN");
    Ok(())
}

#[test]
fn nothing_passes_or_is_lost_between_two_policies() -> Result<()> {
    let lab = Lab::new()?;
    let rules = |more: usize| {
        let mut rules = vec![
            json!({"action": "allow", "target": "ok.test"}),
            json!({"action": "deny", "target": "93.184.216.35"}),
            json!({"action": "allow", "target": "9.9.9.9"}),
        ];
        let more = (0..more).map(|at| json!({"action": "allow", "target": format!("10.1.{}.0/30", at)}));
        rules.extend(more);
        json!({"defaultAction": "deny", "egress": rules}).to_string()
    };
    let policies = [rules(0), rules(250)];
    let _sidecar = lab.sidecar(&[("RULES", &policies[0])])?;
    let mut intruder = lab.intruder()?;
    let is_over = AtomicBool::new(false);
    let (seen, changes) = thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let mut changes = 0;
            while !is_over.load(Ordering::Relaxed) {
                lab.ask("PUT", "/policy", Some(&policies[(changes + 1) % 2]))?;
                changes += 1;
            }
            anyhow::Ok(changes)
        });
        let seen = intruder.tries("steadily", json!([300]));
        is_over.store(true, Ordering::Relaxed);
        (seen, changing.join())
    });
    assert_eq!(seen?, "always the same");
    let changes = changes.map_err(|_| anyhow::anyhow!("the changes panicked"))??;
    ensure!(changes > 5, "only {changes} changes");
    Ok(())
}

#[test]
fn refusals_are_told_to_a_web_hook() -> Result<()> {
    let lab = Lab::new()?;
    let mut hook =
        lab.inside.command("python3").args(["-c", HOOK]).stdout(std::process::Stdio::piped()).spawn()?;
    let output = hook.stdout.take();
    let _sidecar = lab.sidecar(&[
        ("RULES", RULES),
        ("DENY_WEBHOOK", "http://127.0.0.1:8099/denied?a=1"),
        ("SANDBOX_ID", "one"),
    ])?;
    assert_eq!(lab.intruder()?.tries("dns", json!(["other.test"]))?, "NXDOMAIN");
    let told: Value = serde_json::from_reader(output.ok_or_else(|| anyhow::anyhow!("its output"))?)?;
    let ended = hook.wait()?;
    ensure!(ended.success(), "the hook fails");
    assert_eq!(
        (&told["path"], &told["hostname"], &told["source"], &told["sandboxId"]),
        (&json!("/denied?a=1"), &json!("other.test"), &json!("opensandbox-egress"), &json!("one"))
    );
    ensure!(told["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{told}");
    Ok(())
}

#[test]
fn a_web_hook_that_hangs_keeps_nobody_waiting() -> Result<()> {
    let lab = Lab::new()?;
    // Connections are taken by the kernel, and nothing is ever answered.
    let _hook = lab.inside.run(|| TcpListener::bind(("127.0.0.1", 8099)))??;
    let hook = "http://127.0.0.1:8099/denied";
    let sidecar = lab.sidecar(&[("RULES", RULES), ("DENY_WEBHOOK", hook)])?;
    let mut intruder = lab.intruder()?;
    assert_eq!(intruder.tries("dns", json!(["other.test"]))?, "NXDOMAIN");
    let open = || -> Result<usize> {
        let mut list = lab.inside.command("ss");
        let listed = list.args(["-Htn", "state", "established", "dport = 8099"]).output()?;
        Ok(String::from_utf8(listed.stdout)?.lines().count())
    };
    let end = Instant::now() + PATIENCE;
    while open()? == 0 {
        ensure!(Instant::now() < end, "the hook is not told");
        thread::sleep(POLL);
    }
    // Far more than may wait to be told, while the first one still is.
    assert_eq!(intruder.tries("flood", json!([5000]))?, "93.184.216.34");
    assert_eq!(intruder.tries("tcp", json!(["93.184.216.34", 80]))?, "reached");
    lab.ask("PATCH", "/policy", Some(r#"[{"action":"deny","target":"www.ok.test"}]"#))?;
    assert_eq!(intruder.tries("dns", json!(["www.ok.test"]))?, "NXDOMAIN");
    ensure!(open()? <= 1, "{} connections to one hook", open()?);
    let peak = kilobytes(&sidecar, "VmHWM:")?;
    ensure!(peak < FLOODED_KILOBYTES, "{peak} kB for refusals that wait to be told");
    Ok(())
}

/// Takes one call and prints it. The first attempt fails, so that there is a second.
const HOOK: &str = r#"
import http.server, json, time
class Handler(http.server.BaseHTTPRequestHandler):
    calls = 0
    def do_POST(self):
        Handler.calls += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(500 if Handler.calls == 1 else 204)
        self.end_headers()
        if Handler.calls == 2:
            print(json.dumps({**body, "path": self.path}), flush=True)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 8099), Handler)
server.timeout = 5
end = time.monotonic() + 60
while Handler.calls < 2 and time.monotonic() < end:
    server.handle_request()
"#;

/// It may do no more than it has to, on none of its threads, and have all descriptors there are.
fn confined(pid: u32) -> Result<()> {
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        // DAC_OVERRIDE, NET_BIND_SERVICE, NET_ADMIN, IPC_LOCK.
        let needed = 1 << 1 | 1 << 10 | 1 << 12 | 1 << 14;
        for name in ["CapEff:", "CapPrm:"] {
            let capabilities = u64::from_str_radix(field(name).context("capabilities")?, 16)?;
            ensure!(capabilities & !needed == 0, "{name} {capabilities:x}");
        }
        assert_eq!(field("NoNewPrivs:"), Some("1"));
        threads += 1;
    }
    ensure!(threads > 2, "{threads} threads");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files")).context("a limit")?;
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words[3], words[4], "{line}");
    Ok(())
}

#[test]
fn a_flooded_sidecar_stays_small() -> Result<()> {
    let lab = Lab::new()?;
    let sidecar =
        lab.sidecar(&[("RULES", RULES), ("MITMPROXY_TRANSPARENT", "true"), ("CA_FILE", "ca.pem")])?;
    let mut intruder = lab.intruder()?;
    // More rules than there may be, and a body longer than any may be; both are told, and nothing changes.
    let rule = |number| format!(r#"{{"action":"allow","target":"n{number}.test"}}"#);
    let many: Vec<String> = (0..4097).map(rule).collect();
    let file = lab.dir().join("body");
    for (body, status) in [
        (format!(r#"{{"egress":[{}]}}"#, many.join(",")), 413),
        (format!(r#"{{"egress":[],"x":"{}"}}"#, "x".repeat(1 << 20)), 400),
    ] {
        fs::write(&file, body)?;
        let (seen, text) = lab.call("PUT", "/policy", Some(&format!("@{}", file.display())))?;
        ensure!(seen == status, "{seen} {text}, expected {status}");
    }
    assert_eq!(intruder.tries("flood", json!([20000]))?, "93.184.216.34");
    assert_eq!(intruder.tries("crowd", json!([400]))?, "200");
    confined(sidecar.pid())?;
    // Its ports are its own in here, and anybody's elsewhere.
    assert_eq!(intruder.tries("tcp", json!(["127.0.0.1", 18081]))?, "refused");
    assert_eq!(intruder.tries("tcp", json!(["93.184.216.34", 18081]))?, "reached");
    let from = json!({"own": "198.51.100.2", "source": 15353});
    assert_eq!(intruder.tries_with("udp", json!(["93.184.216.34", 9999]), from)?, "reached");
    ensure!(kilobytes(&sidecar, "VmLck:")? > 0, "its memory may be swapped out");
    let peak = kilobytes(&sidecar, "VmHWM:")?;
    ensure!(peak < FLOODED_KILOBYTES, "{peak} kB after a flood");
    let end = Instant::now() + PATIENCE;
    let mut now = kilobytes(&sidecar, "VmRSS:")?;
    while now > peak / 2 {
        ensure!(Instant::now() < end, "{now} kB of {peak} stay after a flood");
        thread::sleep(POLL);
        now = kilobytes(&sidecar, "VmRSS:")?;
    }
    Ok(())
}

fn kilobytes(sidecar: &Sidecar, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid()))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)).context("memory")?;
    Ok(value.trim().trim_end_matches(" kB").parse()?)
}

#[test]
fn uploads_that_nobody_takes_do_not_fill_a_sidecar() -> Result<()> {
    let lab = Lab::new()?;
    let rules = format!(r#"{{"defaultAction":"deny","egress":[{{"action":"allow","target":"{SILENT}"}}]}}"#);
    let port = PORT.to_string();
    let sidecar = lab.sidecar(&[
        ("RULES", &rules),
        ("MITMPROXY_TRANSPARENT", "true"),
        ("MITMPROXY_EXTRA_PORTS", &port),
        ("CA_FILE", "ca.pem"),
    ])?;
    // Connections are taken there, and nothing is ever read.
    let _silent = lab.outside.run(|| TcpListener::bind((SILENT, PORT)))??;
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    lab.inside.run(|| runtime()?.block_on(be_greedy()))??;
    let peak = kilobytes(&sidecar, "VmHWM:")?;
    ensure!(peak < FULL_KILOBYTES, "{peak} kB for uploads that nobody takes");
    // There is room again when they are gone.
    lab.inside.run(|| {
        runtime()?.block_on(async { timeout(PATIENCE, open(&mut JoinSet::new())).await.context("no room")? })
    })??;
    Ok(())
}

/// Uploads all at once, until the sidecar ends a connection.
async fn be_greedy() -> Result<()> {
    let mut connections = JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..GREEDY {
        senders.push(open(&mut connections).await?);
    }
    let mut uploads = JoinSet::new();
    for sender in senders.iter().flat_map(|sender| std::iter::repeat_n(sender, UPLOADS)) {
        let upload = Request::post(format!("http://{SILENT}:{PORT}/")).body(Full::from(UPLOAD))?;
        uploads.spawn(sender.clone().send_request(upload));
    }
    timeout(PATIENCE, connections.join_next()).await.context("the sidecar holds everything")?;
    Ok(())
}

/// A connection that the sidecar has taken: it refuses a request by itself.
async fn open(connections: &mut JoinSet<hyper::Result<()>>) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect((SILENT, PORT)).await?;
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    connections.spawn(connection);
    let denied = Request::get(format!("http://denied.test:{PORT}/")).body(Full::default())?;
    assert_eq!(sender.send_request(denied).await?.status(), StatusCode::FORBIDDEN);
    Ok(sender)
}
