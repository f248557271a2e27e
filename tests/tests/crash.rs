//! The server killed at any moment: sandboxes go on, half-made ones vanish, records and reality agree.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    execd::Execd,
    leaks::{HostSettings, Watch},
    server::{Server, Setup},
};
use serde_json::json;

/// Random numbers with a seed that a failure can show.
struct Dice(u64);

impl Dice {
    fn new() -> Result<Self> {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        Ok(Self(u64::try_from(nanos % u128::from(u64::MAX))? | 1))
    }

    /// A number below `bound`, by xorshift.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Servers beside each other, one configuration like the other's, one network each: also while one is dead whose
/// sandboxes live.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_a_host_never_share_a_network() -> Result<()> {
    let (one, other) = (
        Server::start(Setup::default().without_subnet())?,
        Server::start(Setup::default().without_subnet())?,
    );
    ensure!(one.subnet != other.subnet, "both have 10.{}.0.0/16", one.subnet);
    let sandbox = one.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let taken = format!("subnet = \"10.{}.0.0/16\"", one.subnet);
    let refused = || {
        let error = Server::start(Setup::default().without_subnet().set("native", taken.clone()))
            .err()
            .context("a third server starts in the network of the first")?;
        let text = format!("{error:#}");
        ensure!(text.contains("another lifecycle-server on this host uses the network"), "{text}");
        anyhow::Ok(())
    };
    refused()?;
    let neighbour = other.api().create(json!({})).await?;
    assert_eq!(neighbour.execd().await?.output("echo other").await?, "other");

    one.kill()?;
    refused()?;
    other.stop()?;
    assert_eq!(execd.output("echo alone").await?, "alone");
    one.restart()?;
    other.restart()?;
    for (sandbox, word) in [(&sandbox, "one"), (&neighbour, "other")] {
        assert_eq!(sandbox.execd().await?.output(&format!("echo {word}")).await?, word);
    }
    // Whoever takes the gateway's address away, and the routes with it, the next creates put it back.
    let gateway = format!("10.{}.0.1/32", one.subnet);
    let removed =
        std::process::Command::new("ip").args(["address", "del", &gateway, "dev", "lo"]).status()?;
    ensure!(removed.success(), "{gateway} is not on lo: {removed}");
    // More than are prepared.
    let api = one.api();
    let fresh = futures_util::future::try_join_all((0..10).map(|_| api.create(json!({})))).await?;
    for sandbox in fresh.iter().chain([&sandbox]) {
        assert_eq!(sandbox.execd().await?.output("echo again").await?, "again");
    }
    for sandbox in fresh {
        sandbox.delete().await?;
    }
    sandbox.delete().await?;
    neighbour.delete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_while_the_server_is_dead() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let sandbox = server.api().create(json!({"metadata": {"kept": "yes"}})).await?;
    let execd = sandbox.execd().await?;
    let mut background =
        execd.stream("/command", &json!({"command": "sleep 6; echo finished", "background": true})).await?;
    let background_id = background.id().await?;
    let mut stream = execd
        .stream("/command", &json!({"command": "for i in $(seq 40); do echo $i; sleep 0.1; done"}))
        .await?;
    stream.next_of(&["stdout"]).await?;
    let before: BTreeSet<u32> = watch.processes()?.into_iter().collect();
    let shown = sandbox.get().await?;

    server.kill()?;
    for _ in 0..10 {
        stream.next_of(&["stdout"]).await.context("the open stream goes on without the server")?;
    }
    assert_eq!(execd.output("echo direct").await?, "direct");
    server.restart()?;

    let after: BTreeSet<u32> = watch.processes()?.into_iter().collect();
    let execds = before.iter().filter(|pid| is_execd(**pid)).collect::<Vec<_>>();
    ensure!(
        !execds.is_empty() && execds.iter().all(|pid| after.contains(pid)),
        "{before:?} became {after:?}"
    );
    let now = sandbox.get().await?;
    for member in ["id", "status", "metadata", "createdAt", "expiresAt", "image", "entrypoint"] {
        assert_eq!(now[member], shown[member], "{member} changed");
    }
    assert_eq!(stream.finish().await?.exit_code, 0, "the stream ends as it should");
    eventually("the background command ends", Duration::from_secs(15), async || {
        let path = format!("/command/status/{background_id}");
        let status = execd.send(hyper::Method::GET, &path, None).await?.expect(200)?.json()?;
        Ok(status["running"] == false && status["exit_code"] == 0)
    })
    .await?;
    assert_eq!(sandbox.execd_through_server().await?.output("echo proxied").await?, "proxied");
    sandbox.delete().await
}

fn is_execd(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "execd")
}

#[tokio::test]
async fn a_graceful_stop_leaves_sandboxes_running() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let status = server.stop()?;
    ensure!(status.success(), "the server ended with {status}");
    assert_eq!(execd.output("echo alone").await?, "alone");
    server.restart()?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    assert_eq!(sandbox.execd_through_server().await?.output("echo together").await?, "together");
    sandbox.delete().await
}

#[tokio::test]
async fn what_ended_while_the_server_was_dead_is_noticed() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let ends = api.create(json!({"entrypoint": ["sh", "-c", "sleep 2; exit 5"]})).await?;
    let expires = api.create(json!({})).await?;
    let killed = api.create(json!({})).await?;
    let soon = (Utc::now() + TimeDelta::seconds(2)).to_rfc3339();
    let path = format!("{}/renew-expiration", expires.path());
    api.post(&path, &json!({"expiresAt": soon})).await?.expect(200)?;
    let execd = expires.execd().await?;
    let victim = pid_of(&killed.id)?;

    server.kill()?;
    rustix::process::kill_process(victim, rustix::process::Signal::KILL)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.restart()?;

    eventually("the expired sandbox is gone", Duration::from_secs(30), async || {
        Ok(api.get(&expires.path()).await?.status == 404)
    })
    .await?;
    ensure!(execd.run("true").await.is_err(), "it still answers");
    eventually("the ended sandbox is shown as failed", Duration::from_secs(30), async || {
        Ok(ends.get().await?["status"]["state"] == "Failed")
    })
    .await?;
    eventually("the killed sandbox is shown as failed", Duration::from_secs(30), async || {
        Ok(killed.get().await?["status"]["state"] == "Failed")
    })
    .await?;
    ends.delete().await?;
    killed.delete().await
}

/// First process of a sandbox, as the host sees it.
fn pid_of(id: &str) -> Result<rustix::process::Pid> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let ours = String::from_utf8_lossy(&environment).contains(&format!("OPENSANDBOX_ID={id}"));
        if ours && is_execd(pid.unsigned_abs()) {
            return rustix::process::Pid::from_raw(pid).context("a process id");
        }
    }
    anyhow::bail!("sandbox {id} has no process")
}

fn created_id(answer: &Answer) -> Option<String> {
    answer.json().ok()?["id"].as_str().map(str::to_owned)
}

/// Every sandbox that a caller was promised comes to run and answers; returns how many there are.
async fn agree(api: &Api) -> Result<usize> {
    let ids = api.ids().await?;
    for id in &ids {
        let sandbox = Sandbox { id: id.clone(), api: api.clone() };
        sandbox.wait_state("Running").await?;
        let answer = sandbox.execd().await?.send(hyper::Method::GET, "/ping", None).await;
        answer
            .and_then(|answer| answer.expect(200))
            .with_context(|| format!("sandbox {id} does not answer"))?;
    }
    Ok(ids.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_and_deletes_under_random_kills_leak_nothing() -> Result<()> {
    const OPERATIONS: usize = 200;
    const WORKERS: usize = 4;
    const KILLS: usize = 5;
    const LIMIT: Duration = Duration::from_secs(60);
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let mut dice = Dice::new()?;
    let seed = dice.0;
    let answered = AtomicUsize::new(0);
    let kills = AtomicUsize::new(0);
    let since = Instant::now();
    let enough = || answered.load(Ordering::Relaxed) >= OPERATIONS && kills.load(Ordering::Relaxed) >= KILLS;
    let busy = || !enough() && since.elapsed() < LIMIT;

    let worker = async |number: usize| {
        let api = server.api();
        let body = create_body(json!({"resourceLimits": {"memory": "64Mi"}}));
        let mut mine: Vec<String> = Vec::new();
        while busy() {
            // Requests cut off by a kill are the point of the exercise; what became of them is judged at the end.
            let answer = if mine.len() < 2 + number % 2 {
                let answer = api.post("/v1/sandboxes", &body).await;
                mine.extend(answer.as_ref().ok().and_then(created_id));
                answer
            } else {
                api.delete(&format!("/v1/sandboxes/{}", mine.remove(0))).await
            };
            match answer {
                Ok(_) => drop(answered.fetch_add(1, Ordering::Relaxed)),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let killer = async {
        while busy() {
            tokio::time::sleep(Duration::from_millis(60 + dice.below(500))).await;
            server.kill()?;
            kills.fetch_add(1, Ordering::Relaxed);
            tokio::task::block_in_place(|| server.restart())?;
        }
        anyhow::Ok(())
    };
    let workers = futures_util::future::join_all((0..WORKERS).map(worker));
    let (_, killed) = tokio::join!(workers, killer);
    killed.with_context(|| format!("seed {seed}"))?;
    ensure!(enough(), "{kills:?} kills, {answered:?} operations in {LIMIT:?}");
    let kills = kills.into_inner();

    let api = server.api();
    let left = agree(&api).await.with_context(|| format!("seed {seed}, {kills} kills"))?;
    for id in api.ids().await? {
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    watch.returns_to(&baseline).await.with_context(|| format!("seed {seed}, {kills} kills, {left} left"))?;
    Ok(())
}

#[tokio::test]
async fn deleting_many_at_once_leaves_nothing() -> Result<()> {
    const MANY: usize = 24;
    const SEEN: [&str; 7] =
        ["cgroups", "interfaces", "network namespaces", "processes", "routes", "rows", "sandbox directories"];
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let overrides = json!({"resourceLimits": {"memory": "64Mi"}});
    let made = futures_util::future::try_join_all((0..MANY).map(|_| api.create(overrides.clone()))).await?;
    let pings = made.iter().map(async |sandbox| {
        let execd: Execd = sandbox.execd().await?;
        execd.send(hyper::Method::GET, "/ping", None).await?.expect(200)
    });
    futures_util::future::try_join_all(pings).await?;
    // Were the watch blind for one of these, its finding nothing at the end would mean nothing.
    let held = watch.now()?;
    let grown = held.beyond(&baseline);
    for kind in SEEN {
        ensure!(grown.contains(&kind), "{MANY} sandboxes hold no {kind}: {held:?}");
    }
    futures_util::future::try_join_all(made.into_iter().map(|sandbox| sandbox.delete())).await?;
    watch.returns_to(&baseline).await?;

    let settings = HostSettings::of(&server)?;
    server.stop()?;
    let left = settings.left(&server)?;
    ensure!(left.is_empty(), "a server without sandboxes leaves on its host: {left:?}");
    Ok(())
}
