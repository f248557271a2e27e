//! Many sandboxes at once and many after one another. `SANDKEEP_LOAD=full` makes it the numbers the platform promises,
//! which take minutes; otherwise a tenth of them.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::future::{join_all, try_join_all};
use hyper::Method;
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    leaks::Watch,
    paths,
    server::{Server, Setup, resident_kib},
};
use serde_json::{Value, json};

/// Requests under way at once.
const WORKERS: usize = 8;
/// Sandboxes made and deleted before memory is measured: the first ones fill caches.
const WARM_UP: usize = 40;
/// What the server may have grown by afterwards.
const GROWTH_KIB: u64 = 8 * 1024;
/// What a server without sandboxes and its launcher hold once they have had nothing to do for a while.
const SMALL_SERVER_KIB: u64 = 14 * 1024;
const SMALL_LAUNCHER_KIB: u64 = 5 * 1024;
/// Hundreds of file systems are taken apart within this time, on a slow disk too.
const SWEPT: Duration = Duration::from_secs(300);
/// Longest wait of a neighbour of a sandbox at its limits.
const NEIGHBOUR_PATIENCE: Duration = Duration::from_secs(15);

/// Load tests would measure each other.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn full() -> bool {
    std::env::var("SANDKEEP_LOAD").is_ok_and(|load| load == "full")
}

fn tell(text: &str) -> Result<()> {
    use std::io::Write;
    let path = paths::artifacts()?.join("load.md");
    writeln!(fs::File::options().create(true).append(true).open(path)?, "{text}")?;
    Ok(())
}

fn small() -> Value {
    create_body(json!({"resourceLimits": {"cpu": "500m", "memory": "64Mi"}}))
}

async fn make(api: &Api, body: &Value) -> Result<Sandbox> {
    let made = api.post("/v1/sandboxes", body).await?.expect(202)?.json()?;
    ensure!(made["status"]["state"] == "Running", "{made}");
    let id = made["id"].as_str().context("a sandbox has an id")?.to_owned();
    Ok(Sandbox { id, api: api.clone() })
}

/// Makes and deletes `count` sandboxes, [`WORKERS`] at a time.
async fn churn(server: &Server, count: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    let worker = async || {
        let (api, body) = (server.api(), small());
        while next.fetch_add(1, Ordering::Relaxed) < count {
            make(&api, &body).await?.delete().await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..WORKERS).map(|_| worker())).await.map(drop)
}

/// Waits until what was deleted is gone from the disk.
async fn swept(server: &Server) -> Result<()> {
    let trash = server.state().join("trash");
    eventually("what was deleted is gone from the disk", SWEPT, async || {
        Ok(fs::read_dir(&trash)?.next().is_none())
    })
    .await
}

fn descriptors(server: &Server) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", server.pid()?))?.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_and_deletes_without_an_error_leave_memory_flat() -> Result<()> {
    let _alone = ALONE.lock().await;
    let count = if full() { 2000 } else { 200 };
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    churn(&server, WARM_UP).await?;
    let baseline = watch.settled().await?;
    let (memory, files) = (server.private_kib()?, descriptors(&server)?);
    let since = Instant::now();
    churn(&server, count).await?;
    let took = since.elapsed();
    swept(&server).await?;
    watch.returns_to(&baseline).await?;
    let (memory_after, files_after) = (server.private_kib()?, descriptors(&server)?);
    tell(&format!(
        "- {count} creates and deletes, {WORKERS} at a time: {:.1} s ({:.0} a minute), server {memory} KiB before and \
         {memory_after} KiB after, {files} and {files_after} descriptors",
        took.as_secs_f64(),
        60.0 * f64::from(u32::try_from(count)?) / took.as_secs_f64(),
    ))?;
    ensure!(memory_after < memory + GROWTH_KIB, "the server grew from {memory} to {memory_after} KiB");
    ensure!(files_after <= files + WORKERS, "descriptors grew from {files} to {files_after}");
    Ok(())
}

#[tokio::test]
async fn a_server_without_work_gives_memory_back() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let pid = server.pid()?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let launcher: u32 = children.split_whitespace().next().context("the server has its launcher")?.parse()?;
    for _ in 0..2 {
        let sandbox = make(&server.api(), &small()).await?;
        sandbox.delete().await?;
        let what = "server and launcher are small";
        eventually(what, Duration::from_secs(60), async || {
            Ok(resident_kib(pid)? < SMALL_SERVER_KIB && resident_kib(launcher)? < SMALL_LAUNCHER_KIB)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sandboxes_live_at_once() -> Result<()> {
    let _alone = ALONE.lock().await;
    let count = if full() { 500 } else { 60 };
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let (next, since) = (AtomicUsize::new(0), Instant::now());
    let worker = async || {
        let (api, body) = (server.api(), small());
        let mut made = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < count {
            made.push(make(&api, &body).await?);
        }
        anyhow::Ok(made)
    };
    let made: Vec<Sandbox> =
        try_join_all((0..WORKERS).map(|_| worker())).await?.into_iter().flatten().collect();
    let took = since.elapsed();
    let mut ids: Vec<String> = made.iter().map(|sandbox| sandbox.id.clone()).collect();
    let mut listed = server.api().ids().await?;
    ids.sort_unstable();
    listed.sort_unstable();
    ensure!(ids == listed && ids.len() == count, "{} made, {} listed", ids.len(), listed.len());
    let memory = server.resident_kib()?;
    // While all of them live, each answers, under its own name.
    for some in made.chunks(WORKERS) {
        let said = some.iter().map(async |sandbox| {
            let told = sandbox.execd().await?.output("echo $OPENSANDBOX_ID").await?;
            ensure!(told == sandbox.id, "{} says it is {told}", sandbox.id);
            anyhow::Ok(())
        });
        try_join_all(said).await?;
    }
    let deleting = Instant::now();
    for some in made.chunks(WORKERS) {
        try_join_all(some.iter().map(|sandbox| sandbox.clone().delete())).await?;
    }
    let deleted = deleting.elapsed();
    swept(&server).await?;
    watch.returns_to(&baseline).await?;
    tell(&format!(
        "- {count} alive at once: made in {:.1} s, server {memory} KiB, deleted in {:.1} s",
        took.as_secs_f64(),
        deleted.as_secs_f64()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_at_all_its_limits_leaves_its_neighbour_answering() -> Result<()> {
    let _alone = ALONE.lock().await;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let limits = json!({"cpu": "1", "memory": "128Mi", "pids": "64", "disk": "64Mi"});
    let greedy = api.create(json!({ "resourceLimits": limits })).await?;
    let neighbour = api.create(json!({})).await?;
    let (bomb, quiet) = (greedy.execd().await?, neighbour.execd().await?);
    let done = AtomicBool::new(false);
    let neighbourly = async {
        let (mut slowest, mut answers) = (Duration::ZERO, 0);
        while !done.load(Ordering::Relaxed) {
            let since = Instant::now();
            ensure!(quiet.output("echo alive").await? == "alive", "the neighbour says something else");
            ensure!(api.get(&neighbour.path()).await?.json()?["status"]["state"] == "Running", "it is gone");
            slowest = slowest.max(since.elapsed());
            answers += 1;
        }
        anyhow::Ok((slowest, answers))
    };
    let attacks = async {
        // What becomes of each command is the greedy sandbox's own affair.
        let attempts = [
            "python3 -c 'x = bytearray(1 << 30)'",
            "dd if=/dev/zero of=/big bs=1M count=500",
            "f() { f | f & }; f; sleep 5",
            "i=0; while [ $i -lt 200000 ]; do : > /srv/file-$i || break; i=$((i+1)); done",
        ]
        .map(|attack| {
            let bomb = bomb.clone();
            async move {
                let body = json!({"command": attack, "timeout": 8000});
                if let Ok(stream) = bomb.stream("/command", &body).await {
                    drop(stream.finish().await);
                }
            }
        });
        tokio::time::timeout(Duration::from_secs(20), join_all(attempts)).await.ok();
        done.store(true, Ordering::Relaxed);
    };
    let (answered, ()) = tokio::join!(neighbourly, attacks);
    let (slowest, answers) = answered?;
    ensure!(slowest < NEIGHBOUR_PATIENCE, "the neighbour answered after {slowest:?}");
    tell(&format!("- beside a sandbox at its limits: {answers} answers, the slowest after {slowest:?}"))?;
    api.send(Method::DELETE, &greedy.path(), None).await?.expect(204)?;
    eventually("the greedy sandbox is gone", Duration::from_secs(20), async || {
        Ok(api.get(&greedy.path()).await?.status == 404)
    })
    .await?;
    neighbour.delete().await
}
