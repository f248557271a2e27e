//! What a sidecar counts, at a collector outside: of the sidecar alone, and beside a sandbox.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use sandkeep_tests::{
    api::eventually,
    collector::{Absent, Collector},
    guarded::{self, Guarded},
    internet::Netns,
    outside::Lab,
    server::Setup,
    web::TestAuthority,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "no-log-may-tell-this";
const PASSWORD: &str = "nor-this-one";
/// Of `Authorization`, for `user` and the password.
const AUTHORIZATION: &str = "Basic dXNlcjpub3ItdGhpcy1vbmU=";
/// An address no rule allows; `other.test` stands for it.
const COLLECTOR: [u8; 4] = [93, 184, 216, 35];
const PORT: u16 = 4318;
const RULES: &str = r#"{"defaultAction":"deny","egress":[
    {"action":"deny","target":"denied.test"},
    {"action":"allow","target":"ok.test"},
    {"action":"allow","target":"*.ok.test"}]}"#;
const AWAY: &str = "the collector does not get the metrics";
const BACK: &str = "the collector gets the metrics again";

/// A metric, attributes of one of its values, and that value.
type Expected<'a> = (&'a str, &'a [(&'a str, &'a str)], f64);

fn absent(netns: &Netns, port: u16) -> Result<Absent> {
    netns.run(|| Absent::at(SocketAddr::from((COLLECTOR, port))))?
}

/// Waits until the newest export has these values of one metric each.
async fn arrive(collector: &Collector, values: &[Expected<'_>], log: impl Fn() -> String) -> Result<()> {
    let waited = eventually("the values arrive", PATIENCE, async || {
        Ok(values.iter().all(|(name, attributes, value)| collector.value(name, attributes) == Some(*value)))
    });
    if let Err(error) = waited.await {
        let found: Vec<_> =
            values.iter().map(|(name, attributes, _)| (name, collector.value(name, attributes))).collect();
        let mistakes = collector.look(|received| received.mistakes.join(" "));
        return Err(error.context(format!("{found:?} {mistakes} {}", log())));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_counted_arrives_however_late_the_collector_is() -> Result<()> {
    let lab = Lab::new()?;
    let at = absent(&lab.outside, PORT)?;
    let endpoint = format!("http://user:{PASSWORD}@other.test:{PORT}");
    let headers = format!("X-Key={SECRET}");
    let sidecar = lab.sidecar_with(
        &[
            ("RULES", RULES),
            ("SANDBOX_ID", "one"),
            ("METRICS_EXTRA_ATTRS", "team=a,sandbox_id=another,nonsense"),
            ("LOG_LEVEL", "trace"),
        ],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "zone=here"),
        ],
    )?;
    let mut intruder = lab.intruder()?;
    for (name, answer) in [
        ("ok.test", "93.184.216.34"),
        ("ok.test", "93.184.216.34"),
        ("ok.test", "93.184.216.34"),
        ("nothing.ok.test", "NXDOMAIN"),
        ("other.test", "NXDOMAIN"),
        ("denied.test", "NXDOMAIN"),
        ("denied.test", "NXDOMAIN"),
        // Refused for what they lead to.
        ("alias.ok.test", "NXDOMAIN"),
        ("rebind.ok.test", "NXDOMAIN"),
    ] {
        assert_eq!(intruder.tries("dns", json!([name]))?, answer, "{name}");
    }
    lab.ask("PATCH", "/policy", Some(r#"[{"action":"allow","target":"new.test"}]"#))?;
    // It is spoken to whatever the policy says, by nobody else.
    let address = COLLECTOR.map(|part| part.to_string()).join(".");
    assert_eq!(intruder.tries("tcp", json!([address, PORT]))?, "refused");
    let lines = |text: &str| lab.log().matches(text).count();
    eventually("an export has failed", PATIENCE, async || Ok(lines(AWAY) > 0)).await?;

    let collector = Collector::listen(at)?;
    let own = [("sandbox_id", "one"), ("team", "a")];
    let with = |more| [&own[..], &[more]].concat();
    let [unreached, code] = ["upstream_error", "rcode"].map(|reason| with(("reason", reason)));
    let [apply, add] = ["static_apply", "dynamic_add"].map(|operation| with(("operation", operation)));
    let expected: [Expected<'_>; 10] = [
        ("egress.dns.cache.hits_total", &own, 2.0),
        ("egress.dns.cache.misses_total", &own, 4.0),
        ("egress.dns.query.duration", &own, 4.0),
        ("egress.dns.query.failed_total", &unreached, 0.0),
        ("egress.dns.query.failed_total", &code, 0.0),
        ("egress.policy.denied_total", &own, 5.0),
        ("egress.nftables.rules.count", &own, 4.0),
        // The first policy, the address of a name, and the next policy.
        ("egress.nftables.updates.count", &own, 3.0),
        ("egress.nftables.updates.failed_total", &apply, 0.0),
        ("egress.nftables.updates.failed_total", &add, 0.0),
    ];
    arrive(&collector, &expected, || lab.log()).await?;
    let memory = collector.value("egress.process.memory.usage_bytes", &own).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.pid()))?;
    let held = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let held = held.context("its memory")?.parse::<f64>()? * 1024.0;
    ensure!(memory > held / 4.0 && memory < held * 4.0, "{memory} bytes instead of {held}");
    ensure!(collector.value("egress.process.cpu.time", &own) > Some(0.0), "no processor time");
    let Some(Data::Histogram(times)) = collector.metric("egress.dns.query.duration").and_then(|one| one.data)
    else {
        anyhow::bail!("no histogram");
    };
    let times = &times.data_points[0];
    ensure!(times.explicit_bounds.len() == 19 && times.bucket_counts.iter().sum::<u64>() == 4, "{times:?}");
    ensure!(times.sum > Some(0.0), "{times:?}");
    ensure!(collector.sender("service.name").starts_with("opensandbox-egress-"), "another name");
    assert_eq!(
        (collector.sender("zone").as_str(), collector.sender("service.instance.id").len()),
        ("here", 36)
    );
    collector.look(|received| {
        ensure!(received.mistakes.is_empty(), "{:?}", received.mistakes);
        ensure!(
            received.headers[0]["x-key"] == SECRET && received.headers[0]["authorization"] == AUTHORIZATION
        );
        Ok(())
    })?;
    eventually("the log says that it is back", PATIENCE, async || Ok(lines(BACK) == 1)).await?;
    assert_eq!(lines(AWAY), 1, "{}", lab.log());

    // One that hangs keeps nobody waiting, and not the sidecar's end.
    collector.hang(true);
    eventually("an export hangs", PATIENCE, async || Ok(collector.hung() > 0)).await?;
    assert_eq!(intruder.tries("dns", json!(["www.ok.test"]))?, "93.184.216.34");
    lab.ask("PATCH", "/policy", Some(r#"[{"action":"deny","target":"www.ok.test"}]"#))?;
    assert_eq!(intruder.tries("dns", json!(["www.ok.test"]))?, "NXDOMAIN");
    assert_eq!(lab.call("GET", "/healthz", None)?.0, 200);
    ensure!(sidecar.end()?.success(), "{}", lab.log());
    let log = lab.log();
    ensure!(log.contains("did not take the last metrics in time"), "{log}");
    ensure!(log.contains("METRICS_EXTRA_ATTRS: 2 of its parts are left out"), "{log}");
    for secret in [SECRET, PASSWORD, AUTHORIZATION] {
        ensure!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_in_vain_is_told_by_reason_and_at_the_end_at_the_latest() -> Result<()> {
    let lab = Lab::new()?;
    let collector = Collector::listen(absent(&lab.outside, PORT)?)?;
    let server = lab.outside.run(|| UdpSocket::bind("198.51.100.1:5454"))??;
    let address = COLLECTOR.map(|part| part.to_string()).join(".");
    let sidecar = lab.sidecar_with(
        &[
            ("RULES", RULES),
            ("DNS_UPSTREAM", "198.51.100.1:5454"),
            ("DNS_UPSTREAM_TIMEOUT", "1"),
            // Nothing is put into the kernel.
            ("MODE", "dns"),
        ],
        &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &format!("http://{address}:{PORT}/"))],
    )?;
    let mut intruder = lab.intruder()?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| refuse(&server, &is_over));
        let asked: Result<Vec<String>> = ["broken.ok.test", "silent.ok.test", "silent2.ok.test"]
            .into_iter()
            .map(|name| intruder.tries("dns", json!([name])))
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(asked?, ["SERVFAIL"; 3]);
        anyhow::Ok(())
    })?;
    // By default, much later.
    assert_eq!(collector.look(|received| received.metrics.len()), 0);
    ensure!(sidecar.end()?.success(), "{}", lab.log());
    let expected: [Expected<'_>; 6] = [
        ("egress.dns.query.failed_total", &[("reason", "rcode")], 1.0),
        ("egress.dns.query.failed_total", &[("reason", "upstream_error")], 2.0),
        ("egress.dns.query.duration", &[("sandbox_id", "")], 3.0),
        ("egress.dns.cache.misses_total", &[], 3.0),
        ("egress.nftables.rules.count", &[], 0.0),
        ("egress.nftables.updates.count", &[], 0.0),
    ];
    arrive(&collector, &expected, || lab.log()).await?;
    assert_eq!(collector.look(|received| received.metrics.len()), 1);
    Ok(())
}

/// A name server that answers questions for names that begin with `broken` with an error code, and no others.
fn refuse(server: &UdpSocket, is_over: &AtomicBool) -> Result<()> {
    server.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut message = [0; 512];
    while !is_over.load(Ordering::Relaxed) {
        let Ok((length, from)) = server.recv_from(&mut message) else { continue };
        if message[13..].starts_with(b"broken") {
            message[2..4].copy_from_slice(&[0x81, 0x82]);
            server.send_to(&message[..length], from)?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_who_can_prove_who_he_is_is_told() -> Result<()> {
    let lab = Lab::new()?;
    let (authority, stranger) = (TestAuthority::new("Test")?, TestAuthority::new("Stranger")?);
    fs::write(lab.dir().join("outside.pem"), &authority.pem)?;
    let listen = |port, by: &TestAuthority| {
        Collector::listen_with(absent(&lab.outside, port)?, Some(by.server(&["other.test"])?))
    };
    let (believed, unknown) = (listen(4443, &authority)?, listen(4444, &stranger)?);
    let start = |port: u16| {
        let endpoint = format!("https://other.test:{port}");
        lab.sidecar_with(
            &[("RULES", RULES), ("MITMPROXY_UPSTREAM_EXTRA_CA", "outside.pem")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_METRIC_EXPORT_INTERVAL", "1000")],
        )
    };
    let sidecar = start(4444)?;
    eventually("a stranger is refused", PATIENCE, async || Ok(lab.log().contains("UnknownIssuer"))).await?;
    sidecar.kill()?;
    assert_eq!(unknown.look(|received| received.headers.len()), 0);
    let _sidecar = start(4443)?;
    arrive(&believed, &[("egress.nftables.rules.count", &[], 3.0)], || lab.log()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_of_sandboxes_report_under_their_ids_and_sandboxes_cannot() -> Result<()> {
    let endpoint = format!("http://user:{PASSWORD}@api.test:{PORT}");
    let setup = Setup::default()
        .set("egress", format!("otlp_endpoint = \"{endpoint}\""))
        .set("otel", "export_interval_millis = 1000");
    let world = Guarded::start(setup, None)?;
    let address = SocketAddr::from((guarded::WEB, PORT));
    let collector = Collector::listen(world.net.outside.run(|| Absent::at(address))??)?;
    let id = world.run(async |api| {
        let own = "http://198.51.100.1:9/own";
        let sandbox = api
            .create(json!({
                "networkPolicy": {"defaultAction": "deny", "egress": []},
                "env": {
                    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": own,
                    "OPENSANDBOX_EGRESS_METRICS_EXTRA_ATTRS": "team=a",
                },
            }))
            .await?;
        let execd = sandbox.execd().await?;
        let known = execd.output("env; cat /proc/*/environ | tr '\\0' '\\n'").await?;
        ensure!(known.contains(own) && !known.contains(&PORT.to_string()), "{known}");
        let seen = api.get(&format!("{}/diagnostics/inspect", sandbox.path())).await?.expect(200)?.text();
        ensure!(!seen.contains(PASSWORD) && !known.contains(PASSWORD), "{seen}");
        for target in [address.to_string(), format!("api.test:{PORT}")] {
            let tried = execd.run(&format!("curl -sS --max-time 3 -d x http://{target}/v1/metrics")).await?;
            ensure!(tried.exit_code != 0, "the sandbox reaches the collector: {tried:?}");
        }
        Ok(sandbox.id.clone())
    })?;
    let own = [("sandbox_id", id.as_str()), ("team", "a")];
    let since = Instant::now();
    eventually("what was refused is told", PATIENCE, async || {
        Ok(collector.value("egress.policy.denied_total", &own) > Some(0.0))
    })
    .await
    .map_err(|error| error.context(format!("{:?} {}", since.elapsed(), world.server.log())))?;
    collector.look(|received| {
        ensure!(received.mistakes.is_empty(), "{:?}", received.mistakes);
        ensure!(received.headers.iter().all(|headers| headers["authorization"] == AUTHORIZATION));
        Ok(())
    })?;
    ensure!(!world.server.log().contains(PASSWORD), "the password is in the log");
    Ok(())
}
