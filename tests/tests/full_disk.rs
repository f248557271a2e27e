//! What else meets a full state disk, besides creates and deletes (`faults.rs`): each is refused with the reason, leaves
//! nothing half done and what runs alone, and works once there is room.
//!
//! Needs CRIU where the set-up puts it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    leaks::{Watch, first_processes},
    paths::BASE_IMAGE,
    registry::{Layer, Registry, files, noise},
    server::Server,
    small_disk::{self, SmallDisk},
};
use serde_json::{Value, json};

const CRIU: &str = "/usr/local/lib/sandkeep/criu/criu";
const PATIENCE: Duration = Duration::from_secs(60);
/// Enough for records, and for nothing that a test makes.
const A_LITTLE: u64 = 3 << 20;
const POOL: &str = "refilled";
/// More than there is a little room for: each takes a quarter of a megabyte.
const MEMBERS: u64 = 8;

/// Holds memory that no compression makes small, and counts in it.
const HOLDER: &str = r#"
import os, time
kept, count = os.urandom(24 << 20), 0
while True:
    count += 1
    open("/tmp/now", "w").write(f"{count} {os.getpid()}")
    os.rename("/tmp/now", "/tmp/count")
    time.sleep(0.05)
"#;

async fn act(sandbox: &Sandbox, what: &str, memory: bool) -> Result<Answer> {
    sandbox.api.post(&format!("{}/{what}", sandbox.path()), &json!({"memory": memory})).await
}

/// How far the holder has counted, and its process.
async fn count(sandbox: &Sandbox) -> Result<(u64, String)> {
    let said = sandbox.execd().await?.output("cat /tmp/count").await?;
    let (count, process) = said.split_once(' ').context("it has not counted")?;
    Ok((count.parse()?, process.to_owned()))
}

async fn goes_on(sandbox: &Sandbox) -> Result<()> {
    let (before, process) = count(sandbox).await?;
    eventually("it counts on", PATIENCE, async || {
        let (now, same) = count(sandbox).await?;
        ensure!(same == process, "it began anew");
        Ok(now > before)
    })
    .await
}

/// What an answer to a full disk must be.
fn refused(answer: Answer, what: &str) -> Result<()> {
    ensure!(!answer.header("retry-after").is_empty(), "{what}: {answer:?}");
    let (code, message) = answer.expect_error(429).with_context(|| what.to_owned())?;
    ensure!(code == "SANDBOX::CAPACITY_EXHAUSTED", "{what}: {code}: {message}");
    ensure!(names_the_disk(&message), "{what} does not say why: {message}");
    Ok(())
}

/// A stop that finds no room for the memory.
fn not_kept(answer: Answer) -> Result<()> {
    let (code, message) = answer.expect_error(409)?;
    ensure!(code == "SANDBOX::MEMORY_NOT_KEPT" && names_the_disk(&message), "{code}: {message}");
    Ok(())
}

fn names_the_disk(message: &str) -> bool {
    ["disk", "space"].iter().any(|word| message.contains(word))
}

async fn status(api: &Api, path: &str) -> Result<Value> {
    Ok(api.get(path).await?.expect(200)?.json()?["status"].clone())
}

async fn available(api: &Api, count: u64) -> Result<()> {
    eventually(&format!("{count} members wait"), PATIENCE, async || {
        Ok(status(api, &format!("/v1/pools/{POOL}")).await?["available"] == count)
    })
    .await
}

/// All snapshots by path, with their status.
async fn snapshots(api: &Api) -> Result<Vec<(String, Value)>> {
    let listed = api.get("/v1/snapshots").await?.expect(200)?.json()?;
    let items = listed["items"].as_array().context("items")?;
    let one = |item: &Value| {
        Ok((format!("/v1/snapshots/{}", item["id"].as_str().context("an id")?), item["status"].clone()))
    };
    items.iter().map(one).collect()
}

/// Takes a snapshot, and waits until none is being made.
async fn snapshot(sandbox: &Sandbox) -> Result<()> {
    sandbox.api.post(&format!("{}/snapshots", sandbox.path()), &json!({})).await?.expect(202)?;
    eventually("every snapshot has an end", PATIENCE, async || {
        Ok(snapshots(&sandbox.api).await?.iter().all(|(_, status)| status["state"] != "Creating"))
    })
    .await
}

/// Names in the image store that say what it has or is at.
fn stored(server: &Server) -> Result<Vec<String>> {
    let images = server.state().join("images");
    let mut names = Vec::new();
    for part in ["blobs", "layers", "partial", "work", "pins"] {
        for entry in fs::read_dir(images.join(part))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // An empty file, taken by the next collection.
            names.extend((!name.ends_with(".lock")).then(|| format!("{part}/{name}")));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn free(ballast: &Path, bytes: u64) -> Result<()> {
    let file = fs::File::options().write(true).open(ballast)?;
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub(bytes))?;
    Ok(file.sync_all()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_everything_works_once_there_is_room() -> Result<()> {
    ensure!(Path::new(CRIU).exists(), "there is no {CRIU}: run `cargo xtask setup --tests`");
    let registry = Registry::start().await?;
    let layer = Layer::plain(&files(&[("data", &noise(12_000_000, 7))])?);
    registry.push("team/large", "v1", "amd64", &[layer]).await?;
    let image = json!({"uri": registry.name("team/large:v1")});

    let server = Server::start(small_disk::setup())?;
    let disk = SmallDisk::under(&server)?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let holder = api.create(json!({"entrypoint": ["python3", "-c", HOLDER]})).await?;
    eventually("it counts", PATIENCE, async || Ok(count(&holder).await.is_ok())).await?;
    holder.execd().await?.output("head -c 8000000 /dev/urandom >/srv/much; sync").await?;
    let stopped = api.create(json!({})).await?;
    stopped.execd().await?.output("echo kept >/srv/mark; sync").await?;
    act(&stopped, "stop", false).await?.expect(200)?;
    let only = json!({"name": "c", "image": BASE_IMAGE, "resources": {"limits": {"memory": "64Mi"}}});
    let pool = json!({
        "name": POOL, "template": {"spec": {"containers": [only]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 0, "poolMax": 9},
    });
    api.post("/v1/pools", &pool).await?.expect(201)?;
    available(&api, 1).await?;
    let wish = json!({"extensions": {"poolRef": POOL}, "timeout": 600, "entrypoint": ["sleep", "infinity"]});
    let before = stored(&server)?;

    // Nothing to be had: refused at once, or as soon as what was begun finds no room.
    let ballast = disk.fill()?;
    for (what, answer) in [
        ("a pull", api.post("/v1/images/pull", &image).await?),
        ("a create that pulls", api.post("/v1/sandboxes", &create_body(json!({"image": image}))).await?),
    ] {
        refused(answer, what)?;
    }
    // A start writes so little that there may be room for it.
    let answer = act(&stopped, "start", false).await?;
    let started = answer.status == 200;
    if !started {
        refused(answer, "a start")?;
    }
    let answer = act(&holder, "stop", true).await?;
    if answer.status == 409 {
        not_kept(answer)?
    } else {
        refused(answer, "a stop with memory")?
    }
    let answer = api.post(&format!("{}/snapshots", holder.path()), &json!({})).await?;
    if answer.status != 202 {
        refused(answer, "a snapshot")?;
    }
    // The log of the database may have room for the record of a hand-over.
    let answer = api.post("/v1/sandboxes", &wish).await?;
    if answer.status != 202 {
        refused(answer, "a hand-over")?;
    }
    for (sandbox, state) in [(&holder, "Running"), (&stopped, if started { "Running" } else { "Stopped" })] {
        assert_eq!(sandbox.get().await?["status"]["state"], state);
    }
    goes_on(&holder).await?;

    // Room for the records: each begins, finds no room for what it makes, and takes that back.
    free(&ballast, A_LITTLE)?;
    not_kept(act(&holder, "stop", true).await?)?;
    assert_eq!(holder.get().await?["status"]["state"], "Running");
    let memory = server.state().join("sandboxes").join(&holder.id).join("memory");
    ensure!(!memory.exists(), "half a memory is left");
    goes_on(&holder).await?;
    snapshot(&holder).await?;
    for (path, ended) in snapshots(&api).await? {
        assert_eq!(ended["state"], "Failed", "{ended}");
        ensure!(ended["message"].as_str().is_some_and(names_the_disk), "{ended}");
        let id = path.rsplit('/').next().context("an id")?;
        let body = json!({"snapshotId": id, "resourceLimits": {}, "timeout": 600});
        assert_eq!(api.post("/v1/sandboxes", &body).await?.expect_error(409)?.0, "SNAPSHOT::NOT_READY");
        api.delete(&path).await?.expect(204)?;
    }
    goes_on(&holder).await?;
    refused(api.post("/v1/images/pull", &image).await?, "a pull with a little room")?;
    assert_eq!(stored(&server)?, before);

    // A pool that is to have more members gets as many as there is room for, says why, and gets the rest later.
    disk.fill()?;
    free(&ballast, A_LITTLE / 3)?;
    let wider =
        json!({"capacitySpec": {"bufferMin": MEMBERS, "bufferMax": MEMBERS, "poolMin": 0, "poolMax": 99}});
    api.send(Method::PUT, &format!("/v1/pools/{POOL}"), Some(&wider)).await?.expect(200)?;
    eventually("the pool says why it has no more", PATIENCE, async || {
        let shown = status(&api, &format!("/v1/pools/{POOL}")).await?;
        ensure!(shown["available"].as_u64() < Some(MEMBERS), "there was room for all: {shown}");
        Ok(shown["message"].as_str().is_some_and(names_the_disk))
    })
    .await?;
    fs::remove_file(&ballast)?;
    available(&api, MEMBERS).await?;
    if !started {
        act(&stopped, "start", false).await?.expect(200)?;
    }
    assert_eq!(stopped.execd().await?.output("cat /srv/mark").await?, "kept");
    let (_, process) = count(&holder).await?;
    assert_eq!(act(&holder, "stop", true).await?.expect(200)?.json()?, json!({"memory": true}));
    ensure!(first_processes(&holder.id)? == 0, "it still runs");
    assert_eq!(act(&holder, "start", true).await?.expect(200)?.json()?, json!({"memory": true}));
    goes_on(&holder).await?;
    assert_eq!(count(&holder).await?.1, process, "its memory is another's");
    snapshot(&holder).await?;
    let made = snapshots(&api).await?;
    ensure!(made.len() == 1 && made[0].1["state"] == "Ready", "{made:?}");
    api.post("/v1/images/pull", &image).await?.expect(200)?;

    api.delete(&made[0].0).await?.expect(204)?;
    api.delete(&format!("/v1/images/{}", image["uri"].as_str().context("a name")?)).await?.expect(204)?;
    api.delete(&format!("/v1/pools/{POOL}")).await?.expect(204)?;
    for id in api.ids().await? {
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    watch.returns_to(&baseline).await?;
    assert_eq!(stored(&server)?, before);
    let leases = fs::read_dir(server.state().join("images/leases"))?.count();
    ensure!(leases == 0, "{leases} sandboxes that are gone use an image");
    Ok(())
}
