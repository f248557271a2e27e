//! The server killed at every named step of what it does to sandboxes: afterwards record and reality agree, nothing is
//! left and nothing is there twice. Also what a full or damaged state disk does to it.
//!
//! The steps of snapshots are in `snapshots.rs`, what else meets a full disk in `full_disk.rs`, stalling registries in `image_faults.rs` and `pull.rs`, and kills at
//! random moments in `crash.rs`.

use std::{fs, os::unix::fs::FileExt, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Answer, Sandbox, create_body, eventually},
    leaks::{Watch, first_processes},
    server::{Server, Setup},
    small_disk::{self, SmallDisk},
};
use serde_json::{Value, json};

/// The server has to come to the step it is to die at within this time.
const DEATH: Duration = Duration::from_secs(60);
/// What a restarted server goes on with in the background is done within this time.
const SETTLED: Duration = Duration::from_secs(60);
/// In every sandbox before the fault, and afterwards.
const MARK: &str = "written before";

/// One way for the server to die.
struct Fault {
    point: &'static str,
    /// States the sandbox goes through before the step that is cut short, by the operation that leads there.
    before: &'static [&'static str],
    /// The operation cut short: `create`, `delete`, or a word after the sandbox's path.
    act: &'static str,
    /// State afterwards; `None` for a sandbox that does not exist.
    after: Option<&'static str>,
}

const fn fault(
    point: &'static str,
    before: &'static [&'static str],
    act: &'static str,
    after: Option<&'static str>,
) -> Fault {
    Fault { point, before, act, after }
}

const CREATE: &[Fault] = &[
    fault("create.registered", &[], "create", None),
    fault("create.image_leased", &[], "create", None),
    fault("launch.staged", &[], "create", None),
    fault("launch.cloned", &[], "create", None),
    fault("launch.on_record", &[], "create", None),
    fault("launch.ready", &[], "create", None),
    fault("create.launched", &[], "create", None),
    // On record as running: a caller may have seen it in a list.
    fault("create.recorded", &[], "create", Some("Running")),
];
const PAUSE: &[Fault] = &[
    fault("pause.frozen", &[], "pause", Some("Running")),
    fault("pause.recorded", &[], "pause", Some("Paused")),
    fault("resume.thawed", &["pause"], "resume", Some("Paused")),
    fault("resume.recorded", &["pause"], "resume", Some("Running")),
];
const STOP: &[Fault] = &[
    fault("stop.begun", &[], "stop", Some("Stopped")),
    fault("stop.stopped", &[], "stop", Some("Stopped")),
    fault("stop.recorded", &[], "stop", Some("Stopped")),
    fault("stop.begun", &["pause"], "stop", Some("Stopped")),
];
const START: &[Fault] = &[
    fault("start.begun", &["stop"], "start", Some("Running")),
    fault("launch.staged", &["stop"], "start", Some("Running")),
    fault("launch.cloned", &["stop"], "start", Some("Running")),
    fault("launch.on_record", &["stop"], "start", Some("Running")),
    fault("launch.ready", &["stop"], "start", Some("Running")),
    fault("start.launched", &["stop"], "start", Some("Running")),
    fault("start.recorded", &["stop"], "start", Some("Running")),
];
const DELETE: &[Fault] = &[
    fault("delete.begun", &[], "delete", None),
    fault("delete.killed", &[], "delete", None),
    fault("delete.destroyed", &[], "delete", None),
    fault("delete.image_released", &[], "delete", None),
    fault("delete.erased", &[], "delete", None),
    fault("delete.killed", &["pause"], "delete", None),
    fault("delete.destroyed", &["stop"], "delete", None),
];

async fn act(sandbox: &Sandbox, what: &str) -> Result<Answer> {
    match what {
        "create" => sandbox.api.post("/v1/sandboxes", &create_body(json!({}))).await,
        "delete" => sandbox.api.delete(&sandbox.path()).await,
        other => sandbox.api.send(Method::POST, &format!("{}/{other}", sandbox.path()), None).await,
    }
}

/// What record and host say of a sandbox, once they say what they should.
async fn agrees(sandbox: &Sandbox, state: &str, marked: bool) -> Result<()> {
    let mut seen = Value::Null;
    let came = eventually("the sandbox is in the state it should be in", SETTLED, async || {
        seen = sandbox.get().await?["status"].clone();
        Ok(seen["state"] == state)
    });
    came.await.with_context(|| format!("not {state} but {seen}"))?;
    let processes = first_processes(&sandbox.id)?;
    ensure!(processes == usize::from(state != "Stopped"), "{state} with {processes} first processes");
    match state {
        "Paused" => drop(act(sandbox, "resume").await?.expect(202)?),
        "Stopped" => drop(act(sandbox, "start").await?.expect(200)?),
        _ => {}
    }
    let said = sandbox.execd().await?.output("cat /srv/mark 2>/dev/null; echo alive").await?;
    let expected = if marked { format!("{MARK}\nalive") } else { "alive".to_owned() };
    ensure!(said == expected, "it says {said:?}");
    Ok(())
}

/// Dies at each of the points in turn.
async fn die_at_each(faults: &[Fault]) -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let bystander = api.create(json!({})).await?;
    let guarded = bystander.execd().await?;
    guarded.output("echo untouched > /srv/mark").await?;
    let baseline = watch.settled().await?;
    for Fault { point, before, act: what, after } in faults {
        let creates = *what == "create";
        let told = || format!("killed at {point} of {what} after {before:?}");
        let sandbox = if creates { bystander.clone() } else { api.create(json!({})).await? };
        if !creates {
            sandbox.execd().await?.output(&format!("echo {MARK} > /srv/mark")).await?;
        }
        for step in *before {
            let answer = act(&sandbox, step).await?;
            ensure!(answer.status < 300, "{step}: {answer:?}");
        }
        server.restart_to_die_at(point)?;
        // Whether this is still answered depends on the point.
        let _ = act(&sandbox, what).await;
        server.wait_for_end(DEATH).with_context(told)?;
        ensure!(guarded.output("cat /srv/mark").await? == "untouched", "{}: the bystander", told());
        server.restart().with_context(told)?;

        let others: Vec<String> = api.ids().await?.into_iter().filter(|id| *id != bystander.id).collect();
        match (after, others.as_slice()) {
            (None, []) => {}
            (Some(state), [id]) => {
                let survivor = Sandbox { id: id.clone(), api: api.clone() };
                ensure!(creates || *id == sandbox.id, "{}: {id} is another one", told());
                agrees(&survivor, state, !creates).await.with_context(told)?;
                survivor.delete().await?;
            }
            _ => bail!("{}: expected {after:?}, found {others:?}", told()),
        }
        if !creates {
            ensure!(api.get(&sandbox.path()).await?.status == 404, "{}: it is still there", told());
            ensure!(first_processes(&sandbox.id)? == 0, "{}: it still runs", told());
        }
        watch.returns_to(&baseline).await.with_context(told)?;
    }
    ensure!(guarded.output("cat /srv/mark").await? == "untouched", "the bystander lost its file");
    bystander.delete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_create() -> Result<()> {
    die_at_each(CREATE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_pause_and_resume() -> Result<()> {
    die_at_each(PAUSE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_stop() -> Result<()> {
    die_at_each(STOP).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_start() -> Result<()> {
    die_at_each(START).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_delete() -> Result<()> {
    die_at_each(DELETE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_state_disk_stops_creates_and_nothing_else() -> Result<()> {
    let server = Server::start(small_disk::setup())?;
    let disk = SmallDisk::under(&server)?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let kept = api.create(json!({})).await?;
    let baseline = watch.settled().await?;
    let other = api.create(json!({})).await?;
    let doomed = api.create(json!({})).await?;
    doomed.execd().await?.output("head -c 20000000 /dev/urandom >/srv/much; sync").await?;

    disk.fill()?;
    for _ in 0..3 {
        let answer = api.post("/v1/sandboxes", &create_body(json!({}))).await?;
        ensure!(!answer.header("retry-after").is_empty(), "a create on a full disk: {answer:?}");
        let (code, message) = answer.expect_error(429)?;
        assert_eq!(code, "SANDBOX::CAPACITY_EXHAUSTED", "{message}");
    }
    assert_eq!(kept.execd().await?.output("echo alive").await?, "alive");
    assert_eq!(kept.get().await?["status"]["state"], "Running");
    let paused = act(&kept, "pause").await?;
    ensure!(matches!(paused.status, 202 | 429), "pause on a full disk: {paused:?}");
    // What fills the disk can be deleted, whatever the store has room for.
    let first = first_processes(&doomed.id)?;
    ensure!(first == 1, "the sandbox to be deleted has {first} first processes");
    doomed.clone().delete().await.context("on a full disk")?;
    ensure!(api.get(&doomed.path()).await?.status == 404, "it is still there");
    ensure!(first_processes(&doomed.id)? == 0, "it still runs");
    // A server killed now starts on the full disk, too: it has kept room for that. Deleting goes on.
    let ballast = disk.fill()?;
    server.kill()?;
    server.restart().context("on a full disk")?;
    disk.fill()?;
    other.delete().await.context("after a start on a full disk")?;
    fs::remove_file(&ballast)?;
    assert_eq!(api.ids().await?, [kept.id.as_str()]);
    if kept.get().await?["status"]["state"] == "Paused" {
        act(&kept, "resume").await?.expect(202)?;
    }
    assert_eq!(kept.execd().await?.output("echo alive").await?, "alive");
    watch.returns_to(&baseline).await?;

    let new = api.create(json!({})).await.context("with room again")?;
    for sandbox in [new, kept] {
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_shown_and_what_runs_is_left_alone() -> Result<()> {
    const PAGE: usize = 4096;
    /// Pages damaged in turn, the first among them.
    const TRIED: usize = 6;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let sandboxes = [api.create(json!({})).await?, api.create(json!({})).await?];
    let mut execds = Vec::new();
    for sandbox in &sandboxes {
        execds.push(sandbox.execd().await?);
    }
    server.stop()?;
    let database = server.state().join("sandkeep.db");
    let sound = fs::read(&database)?;
    let pages = sound.len() / PAGE;
    ensure!(pages > 2, "a database of {pages} pages");
    let (mut noticed, mut tried, mut shown) = (0, 0, 0);
    for page in (0..pages).step_by(pages.div_ceil(TRIED)) {
        tried += 1;
        let mut damaged = sound.clone();
        damaged[page * PAGE..(page + 1) * PAGE].fill(0xa5);
        fs::write(&database, &damaged)?;
        server.restart().with_context(|| format!("page {page}"))?;
        // A page that holds nothing is no damage.
        let is_damage = server.log().matches("serving READ-ONLY").count() > noticed;
        if is_damage {
            noticed += 1;
            ensure!(fs::read(&database)? == damaged, "page {page}: the file was changed");
            shown += shows_and_refuses(&server, &sandboxes).await.with_context(|| format!("page {page}"))?;
        } else {
            ensure!(api.ids().await?.len() == sandboxes.len(), "page {page}: sandboxes are missing");
        }
        for (sandbox, execd) in sandboxes.iter().zip(&execds) {
            ensure!(execd.output("echo alive").await? == "alive", "page {page}");
            ensure!(first_processes(&sandbox.id)? == 1, "page {page}: it does not run");
        }
        server.stop()?;
        for beside in ["sandkeep.db-wal", "sandkeep.db-shm"] {
            // Absent as a rule.
            let _ = fs::remove_file(server.state().join(beside));
        }
    }
    ensure!(noticed * 2 > tried, "only {noticed} of {tried} damaged pages were noticed");
    ensure!(shown > 0, "nothing could be read of any of {noticed} damaged files");
    fs::write(&database, &sound)?;
    server.restart()?;
    for sandbox in sandboxes {
        assert_eq!(sandbox.execd_through_server().await?.output("echo back").await?, "back");
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_damaged_under_a_server_refuses_and_what_runs_is_left_alone() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let sandbox = api.create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let files = ["sandkeep.db", "sandkeep.db-wal"].map(|name| server.state().join(name));
    let sound = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
    for (file, sound) in files.iter().zip(&sound) {
        let damaged = fs::OpenOptions::new().write(true).open(file)?;
        damaged.write_all_at(&vec![0xa5; sound.len()], 0)?;
    }
    // The head of what goes with them, or the server would live on what it remembers of the file.
    let shared = server.state().join("sandkeep.db-shm");
    fs::OpenOptions::new().write(true).open(&shared)?.write_all_at(&[0xa5; 96], 0)?;
    let look = |answer: Answer| {
        let (code, message) = answer.expect_error(503)?;
        ensure!(code == "GENERAL::READ_ONLY" && message.contains("damaged"), "{code}: {message}");
        anyhow::Ok(())
    };
    look(api.get("/v1/snapshots").await?)?;
    look(api.post("/v1/sandboxes", &create_body(json!({}))).await?)?;
    for what in ["pause", "stop", "delete"] {
        look(act(&sandbox, what).await?).with_context(|| what.to_owned())?;
    }
    ensure!(execd.output("echo alive").await? == "alive", "it does not run");

    server.kill()?;
    for (file, sound) in files.iter().zip(&sound) {
        fs::write(file, sound)?;
    }
    fs::remove_file(shared)?;
    server.restart()?;
    assert_eq!(sandbox.execd_through_server().await?.output("echo back").await?, "back");
    sandbox.delete().await
}

/// How many sandboxes a server with damaged records shows; it must change none, and deny none.
async fn shows_and_refuses(server: &Server, sandboxes: &[Sandbox]) -> Result<usize> {
    let api = server.api();
    let refused = |answer: Answer| {
        let (code, message) = answer.expect_error(503)?;
        ensure!(code == "GENERAL::READ_ONLY" && message.contains("damaged"), "{code}: {message}");
        anyhow::Ok(())
    };
    let listed = api.ids().await?;
    for sandbox in sandboxes {
        let told = api.get(&sandbox.path()).await?;
        if listed.contains(&sandbox.id) {
            assert_eq!(told.expect(200)?.json()?["status"]["state"], "Running");
            assert_eq!(sandbox.execd_through_server().await?.output("echo here").await?, "here");
        } else {
            refused(told)?;
        }
        for what in ["pause", "stop", "delete"] {
            refused(act(sandbox, what).await?).with_context(|| what.to_owned())?;
        }
        refused(api.post(&format!("{}/snapshots", sandbox.path()), &json!({})).await?)?;
    }
    refused(api.post("/v1/sandboxes", &create_body(json!({}))).await?)?;
    for listing in ["/v1/snapshots", "/v1/pools", "/v1/templates"] {
        refused(api.get(listing).await?).with_context(|| listing.to_owned())?;
    }
    Ok(listed.len())
}
