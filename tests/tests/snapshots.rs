//! Snapshots: what was written survives, the source goes on, and no crash leaves anything half done.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    leaks::Watch,
    paths::BASE_IMAGE,
    registry::Registry,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// Longest time a snapshot of a small sandbox may take on a loaded machine.
const READY: Duration = Duration::from_secs(60);

/// Writes one of everything a layer can hold.
const FURNISH: &str = r#"
set -e
mkdir -p /srv/a/old /srv/keep && echo text > /srv/a/old/file && mv /srv/a/old /srv/a/new
echo mine > /srv/owned && chown 1000:2000 /srv/owned && chmod 4750 /srv/owned
ln /srv/owned /srv/second && ln -s owned /srv/link && mkfifo /srv/fifo
truncate -s 64M /srv/sparse && printf middle | dd of=/srv/sparse bs=1 seek=33554432 conv=notrunc status=none
python3 -c 'import os; os.setxattr("/srv/owned", "user.note", b"a\0b")'
printf '%s' "$(seq -s x 60)" > /srv/name && mkdir -p "/srv/$(printf 'long%.0s' {1..40})"
rm /etc/debian_version && rm -r /usr/share/doc && mkdir /usr/share/doc && echo mine > /usr/share/doc/only
mv /usr/share/common-licenses /usr/share/licences-moved
echo changed >> /etc/profile
"#;

/// What [`FURNISH`] left, in words.
const INSPECT: &str = r#"
cat /srv/a/new/file; ls /srv/a; stat -c '%u:%g %a %h %s' /srv/owned
[ "$(stat -c %i /srv/owned)" = "$(stat -c %i /srv/second)" ] && echo linked
readlink /srv/link; stat -c %F /srv/fifo
stat -c %s /srv/sparse; [ "$(stat -c %b /srv/sparse)" -lt 2048 ] && echo sparse
dd if=/srv/sparse bs=1 skip=33554432 count=6 status=none; echo
python3 -c 'import os; print(os.getxattr("/srv/owned", "user.note"))'
ls -d /srv/longlong*; [ -e /etc/debian_version ] || echo gone; ls /usr/share/doc
ls -d /usr/share/common-licenses 2>/dev/null || echo moved; ls /usr/share/licences-moved | wc -l
tail -n 1 /etc/profile
"#;

async fn begin(api: &Api, sandbox: &str, body: Option<&Value>) -> Result<String> {
    let path = format!("/v1/sandboxes/{sandbox}/snapshots");
    let answer = api.send(hyper::Method::POST, &path, body).await?.expect(202)?;
    let location = answer.header("location").to_owned();
    let snapshot = answer.json()?;
    assert_eq!(snapshot["status"]["state"], "Creating");
    let id = snapshot["id"].as_str().context("a snapshot has an id")?.to_owned();
    assert_eq!(location, format!("/v1/snapshots/{id}"));
    Ok(id)
}

/// Waits until a snapshot is no longer being made.
async fn settled(api: &Api, id: &str) -> Result<Value> {
    let mut last = Value::Null;
    eventually("the snapshot is made", READY, async || {
        last = api.get(&format!("/v1/snapshots/{id}")).await?.expect(200)?.json()?;
        Ok(last["status"]["state"] != "Creating")
    })
    .await?;
    Ok(last)
}

async fn snapshot(api: &Api, sandbox: &str) -> Result<String> {
    let id = begin(api, sandbox, None).await?;
    let made = settled(api, &id).await?;
    ensure!(made["status"]["state"] == "Ready", "the snapshot failed: {made}");
    Ok(id)
}

/// A sandbox from a snapshot.
async fn restore(api: &Api, snapshot: &str) -> Result<Sandbox> {
    let mut body = create_body(json!({"snapshotId": snapshot}));
    let members = body.as_object_mut().context("an object")?;
    members.remove("image");
    members.remove("entrypoint");
    let created = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
    let id = created["id"].as_str().context("an id")?.to_owned();
    let sandbox = Sandbox { id, api: api.clone() };
    sandbox.wait_state("Running").await?;
    Ok(sandbox)
}

async fn output(sandbox: &Sandbox, command: &str) -> Result<String> {
    sandbox.execd().await?.output(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_written_survives_and_the_source_goes_on() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let source = api.create(json!({})).await?;
    output(&source, FURNISH).await?;
    let written = output(&source, INSPECT).await?;
    for wanted in ["1000:2000 4750 2", "linked", "sparse", "middle", "b'a\\x00b'", "gone", "moved", "changed"]
    {
        ensure!(written.contains(wanted), "the test itself did not write {wanted:?}: {written}");
    }
    let execd = source.execd().await?;
    let counting = "i=0; while [ -e /tmp ]; do i=$((i+1)); echo $i > /tmp/count; sleep 0.02; done";
    let mut counter = execd.stream("/command", &json!({"command": counting, "background": true})).await?;
    counter.id().await?;

    let body = json!({"name": "furnished"});
    let id = begin(&api, &source.id, Some(&body)).await?;
    let made = settled(&api, &id).await?;
    assert_eq!(made["status"]["state"], "Ready", "{made}");
    assert_eq!((&made["name"], &made["sandboxId"]), (&json!("furnished"), &json!(source.id)));
    let count =
        async || -> Result<u64> { Ok(output(&source, "cat /tmp/count").await?.trim().parse().unwrap_or(0)) };
    let before = count().await?;
    eventually("the source counts on", READY, async || Ok(count().await? > before + 3)).await?;

    let restored = restore(&api, &id).await?;
    let shown = restored.get().await?;
    assert_eq!((&shown["snapshotId"], &shown["image"]), (&json!(id), &Value::Null));
    assert_eq!(shown["entrypoint"], json!(["tail", "-f", "/dev/null"]));
    assert_eq!(output(&restored, INSPECT).await?, written);
    assert_ne!(output(&restored, "cat /etc/hosts").await?, output(&source, "cat /etc/hosts").await?);

    // A snapshot of a snapshot, its source and its parent gone.
    output(&restored, "rm /srv/second && echo more > /srv/more").await?;
    let second = snapshot(&api, &restored.id).await?;
    let (code, message) = api.delete(&format!("/v1/snapshots/{id}")).await?.expect_error(409)?;
    assert_eq!(code, "SNAPSHOT::DELETE_CONFLICT");
    ensure!(message.contains(&restored.id), "who uses it is not said: {message}");
    assert_eq!(settled(&api, &id).await?["status"]["state"], "Ready", "a refused deletion changes nothing");
    source.delete().await?;
    restored.delete().await?;
    api.delete(&format!("/v1/snapshots/{id}")).await?.expect(204)?;
    api.delete(&format!("/v1/snapshots/{id}")).await?.expect_error(404)?;
    let again = restore(&api, &second).await?;
    assert_eq!(
        output(&again, "cat /srv/more; ls /srv/second 2>&1 | wc -l; stat -c %a /srv/owned").await?,
        "more\n1\n4750"
    );

    server.kill()?;
    server.restart()?;
    assert_eq!(settled(&api, &second).await?["status"]["state"], "Ready");
    let image = format!("/v1/images/opensandbox-snapshots:{second}");
    api.delete(&image).await?.expect_error(409)?;
    again.delete().await?;
    restore(&api, &second).await?.delete().await?;
    let layers = || -> Result<usize> { Ok(fs::read_dir(server.state().join("images/layers"))?.count()) };
    let kept = layers()?;
    api.delete(&format!("/v1/snapshots/{second}")).await?.expect(204)?;
    assert_eq!(layers()?, kept - 2, "the layers of both snapshots go with the last image that has them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filters_and_refusals() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let (one, two) = (api.create(json!({})).await?, api.create(json!({})).await?);
    let named = json!({"name": "same"});
    let first = begin(&api, &one.id, Some(&named)).await?;
    let second = begin(&api, &two.id, Some(&named)).await?;
    api.post(&format!("{}/pause", one.path()), &json!({})).await?.expect(202)?;
    let third = snapshot(&api, &one.id).await?;
    assert_eq!(one.get().await?["status"]["state"], "Paused", "a paused source stays so");
    api.post(&format!("{}/resume", one.path()), &json!({})).await?.expect(202)?;
    for id in [&first, &second] {
        assert_eq!(settled(&api, id).await?["status"]["state"], "Ready");
    }
    let ids = async |query: &str| -> Result<(Vec<String>, u64)> {
        let list = api.get(&format!("/v1/snapshots?{query}")).await?.expect(200)?.json()?;
        let items = list["items"].as_array().context("items")?;
        let ids = items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect();
        Ok((ids, list["pagination"]["totalItems"].as_u64().context("a total")?))
    };
    let of_one = format!("sandboxId={}", one.id);
    assert_eq!(ids(&of_one).await?, (vec![third.clone(), first.clone()], 2));
    assert_eq!(ids(&format!("{of_one}&name=same")).await?, (vec![first.clone()], 1));
    assert_eq!(ids(&format!("{of_one}&pageSize=1&page=2")).await?, (vec![first.clone()], 2));
    assert_eq!(ids(&format!("{of_one}&state=Failed&state=Creating")).await?, (vec![], 0));
    assert_eq!(ids(&format!("{of_one}&state=ready")).await?.1, 0, "states compare exactly");
    api.get("/v1/snapshots?pageSize=201").await?.expect_error(400)?;

    let missing = "00000000-0000-4000-8000-000000000000";
    let post = async |sandbox: &str, body: Value| {
        api.post(&format!("/v1/sandboxes/{sandbox}/snapshots"), &body).await
    };
    assert_eq!(post(missing, json!({})).await?.expect_error(404)?.0, "SANDBOX::NOT_FOUND");
    post(&one.id, json!({"name": ""})).await?.expect_error(400)?;
    assert_eq!(
        api.get(&format!("/v1/snapshots/{missing}")).await?.expect_error(404)?.0,
        "SNAPSHOT::NOT_FOUND"
    );
    let body = json!({"snapshotId": missing, "resourceLimits": {}});
    assert_eq!(api.post("/v1/sandboxes", &body).await?.expect_error(404)?.0, "SNAPSHOT::NOT_FOUND");
    let body = json!({"snapshotId": first});
    api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
    let ended = api.create(json!({"entrypoint": ["sh", "-c", "sleep 1"]})).await?;
    ended.wait_state("Terminated").await?;
    assert_eq!(post(&ended.id, json!({})).await?.expect_error(409)?.0, "SNAPSHOT::INVALID_SOURCE_STATE");
    for id in [&first, &second, &third] {
        api.delete(&format!("/v1/snapshots/{id}")).await?.expect(204)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_is_neither_used_nor_deleted() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let source = api.create(json!({})).await?;
    let images = server.state().join("images");
    let refused = async |answer: Answer, code: &str, word: &str| -> Result<()> {
        let (told, message) = answer.expect_error(409)?;
        ensure!(told == code && message.contains(word), "{told}: {message}");
        Ok(())
    };
    let restored = async |id: &str| {
        api.post("/v1/sandboxes", &json!({"snapshotId": id, "resourceLimits": {}, "timeout": 600})).await
    };
    // Its files are copied, and nobody else may change the store: its image has to wait.
    let lock = fs::File::options().write(true).open(images.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let id = begin(&api, &source.id, None).await?;
    let path = format!("/v1/snapshots/{id}");
    refused(restored(&id).await?, "SNAPSHOT::NOT_READY", "Creating").await?;
    refused(api.delete(&path).await?, "SNAPSHOT::INVALID_STATE", "Creating").await?;
    assert_eq!(output(&source, "echo on").await?, "on", "the source stands still for more than its files");
    assert_eq!(api.get(&path).await?.expect(200)?.json()?["status"]["state"], "Creating");
    drop(lock);
    assert_eq!(settled(&api, &id).await?["status"]["state"], "Ready");

    // Somebody takes the image away, whatever the store is told of its use.
    for lease in fs::read_dir(images.join("leases"))? {
        let lease = lease?;
        if lease.file_name().to_string_lossy().contains(&id) {
            fs::remove_file(lease.path())?;
        }
    }
    server.cli_ok(&["image", "rm", &format!("opensandbox-snapshots:{id}")])?;
    refused(restored(&id).await?, "SNAPSHOT::INVALID_RESTORE_CONFIG", &id).await?;
    let shown = settled(&api, &id).await?["status"].clone();
    assert_eq!(
        (&shown["state"], &shown["reason"]),
        (&json!("Failed"), &json!("snapshot_runtime_missing_image"))
    );
    refused(restored(&id).await?, "SNAPSHOT::INVALID_RESTORE_CONFIG", &id).await?;
    api.delete(&path).await?.expect(204)?;
    assert_eq!(api.ids().await?, [source.id.as_str()], "a refused create leaves nothing");
    source.delete().await
}

/// A program with a file that is open and deleted, so that its memory names something that is nobody's file any more.
const HOLDER: &str = r#"
import os, time
ghost = open("/srv/ghost", "w+")
ghost.write("not for others")
ghost.flush()
os.unlink("/srv/ghost")
open("/srv/holding", "w").close()
time.sleep(100000)
"#;

/// Marks the sandbox, brings it where `steps` lead, and takes a snapshot there.
async fn marked(sandbox: &Sandbox, mark: &str, steps: &[(&str, Value)]) -> Result<String> {
    output(sandbox, &format!("echo {mark} > /srv/mark && rm -f /etc/debian_version && sync")).await?;
    let mut wanted = "Running".to_owned();
    for (step, body) in steps {
        let path = format!("{}/{step}", sandbox.path());
        let answer = sandbox.api.post(&path, body).await?;
        ensure!(matches!(answer.status, 200 | 202), "{step}: {answer:?}");
        if *step == "stop" {
            assert_eq!(answer.json()?, *body, "what {step} kept");
        }
        wanted = sandbox.get().await?["status"]["state"].as_str().context("a state")?.to_owned();
    }
    let id = snapshot(&sandbox.api, &sandbox.id).await?;
    assert_eq!(sandbox.get().await?["status"]["state"], wanted, "a snapshot changes no state");
    Ok(id)
}

/// The source's files are in the snapshot, and nothing that belongs to its state.
async fn holds(api: &Api, snapshot: &str, mark: &str) -> Result<Sandbox> {
    let restored = restore(api, snapshot).await?;
    let said =
        output(&restored, "cat /srv/mark; ls /etc/debian_version 2>/dev/null; ls -A /srv /; id -u").await?;
    let said = said.strip_prefix(mark).with_context(|| format!("it holds {said}"))?;
    ensure!(!said.contains("debian_version") && said.contains("\nmark"), "it holds {said}");
    ensure!(!said.contains("criu") && !said.contains("ghost") && !said.contains("memory"), "it holds {said}");
    Ok(restored)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_files_can_be_a_source() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let (stop, memory) = (json!({"memory": false}), json!({"memory": true}));
    let sources = [
        ("paused", vec![("pause", json!({}))], "resume"),
        ("stopped", vec![("stop", stop.clone())], "start"),
        ("paused and stopped", vec![("pause", json!({})), ("stop", stop.clone())], "start"),
        ("stopped with memory", vec![("stop", memory.clone())], "start"),
        ("started again", vec![("stop", stop.clone()), ("start", stop.clone())], ""),
    ];
    let mut snapshots = Vec::new();
    for (mark, steps, back) in &sources {
        let source = api.create(json!({})).await?;
        if *mark == "stopped with memory" {
            let execd = source.execd().await?;
            execd.output(&format!("cat >/tmp/holder.py <<'END'\n{HOLDER}\nEND")).await?;
            let run = json!({"command": "exec python3 /tmp/holder.py", "background": true});
            execd.stream("/command", &run).await?.id().await?;
            eventually("the file is open and deleted", READY, async || {
                Ok(execd.output("ls /srv").await?.contains("holding"))
            })
            .await?;
        }
        let id = marked(&source, mark, steps).await.with_context(|| (*mark).to_owned())?;
        // The source goes on from where it stood, with its memory if it had one.
        if !back.is_empty() {
            let body = if *mark == "stopped with memory" { memory.clone() } else { json!({}) };
            let answer = api.post(&format!("{}/{back}", source.path()), &body).await?;
            ensure!(matches!(answer.status, 200 | 202), "{mark}: {back}: {answer:?}");
        }
        let runs = output(&source, "cat /srv/mark; pgrep -c python3 || true").await?;
        let programs = u8::from(*mark == "stopped with memory");
        assert_eq!(runs, format!("{mark}\n{programs}"), "the source after its snapshot");
        holds(&api, &id, mark).await.with_context(|| (*mark).to_owned())?.delete().await?;
        // What the snapshot holds outlives the source.
        source.delete().await?;
        snapshots.push((id, *mark));
    }
    let (pool, born) = born_in_a_pool(&api).await?;
    let id = marked(&born, "born in a pool", &[]).await?;
    let restored = holds(&api, &id, "born in a pool").await?;
    let shown = restored.get().await?;
    assert_eq!(shown["allocation"], Value::Null, "a snapshot of a member is none of its pool");
    assert_eq!(output(&restored, "echo -$OWNED-").await?, "--", "the source's environment is no file");
    restored.delete().await?;
    let stopped = marked(&born, "member at rest", &[("stop", stop)]).await?;
    holds(&api, &stopped, "member at rest").await?.delete().await?;
    born.delete().await?;
    api.delete(&format!("/v1/pools/{pool}")).await?.expect(204)?;
    snapshots.extend([(id, "born in a pool"), (stopped, "member at rest")]);

    for (id, mark) in &snapshots {
        api.delete(&format!("/v1/snapshots/{id}")).await?.expect(204).with_context(|| (*mark).to_owned())?;
    }
    watch.returns_to(&baseline).await
}

/// A pool's name, and a sandbox taken from it.
async fn born_in_a_pool(api: &Api) -> Result<(&'static str, Sandbox)> {
    let name = "nursery";
    let pool = json!({
        "name": name,
        "template": {"spec": {"containers": [{"name": "sandbox", "image": BASE_IMAGE}]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 0, "poolMax": 1},
    });
    api.post("/v1/pools", &pool).await?.expect(201)?;
    eventually("a member waits", READY, async || {
        Ok(api.get(&format!("/v1/pools/{name}")).await?.expect(200)?.json()?["status"]["available"] == 1)
    })
    .await?;
    let body = json!({
        "extensions": {"poolRef": name}, "timeout": 600, "entrypoint": ["sleep", "infinity"], "env": {"OWNED": "yes"},
    });
    let made = api.post("/v1/sandboxes", &body).await?.expect(202)?.json()?;
    let id = made["id"].as_str().context("an id")?.to_owned();
    Ok((name, Sandbox { id, api: api.clone() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_nothing_is_left_half_done() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let source = api.create(json!({})).await?;
    output(&source, "echo kept > /srv/kept").await?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let images = server.state().join("images");
    let count = |part: &str| -> Result<usize> { Ok(fs::read_dir(images.join(part))?.count()) };
    let layers = count("layers")?;
    for (point, state, reason) in [
        ("snapshot.accepted", "Failed", "snapshot_recovery_missing_image"),
        ("snapshot.frozen", "Failed", "snapshot_recovery_missing_image"),
        ("snapshot.captured", "Failed", "snapshot_recovery_missing_image"),
        ("snapshot.image_made", "Ready", "snapshot_recovery_ready"),
        ("snapshot.leased", "Ready", "snapshot_recovery_ready"),
    ] {
        server.restart_to_die_at(point)?;
        let path = format!("/v1/sandboxes/{}/snapshots", source.id);
        // At the first point the server is gone before it has answered.
        let _ = api.send(hyper::Method::POST, &path, None).await;
        server.wait_for_end(READY).with_context(|| format!("at {point}"))?;
        server.restart()?;
        assert_eq!(output(&source, "cat /srv/kept").await?, "kept", "the source runs on after {point}");
        let list = api.get("/v1/snapshots").await?.expect(200)?.json()?;
        assert_eq!(list["pagination"]["totalItems"], 1, "{point}: {list}");
        let status = &list["items"][0]["status"];
        assert_eq!(
            (&status["state"], &status["reason"]),
            (&json!(state), &json!(reason)),
            "{point}: {status}"
        );
        let id = list["items"][0]["id"].as_str().context("an id")?;
        if state == "Ready" {
            let restored = restore(&api, id).await?;
            assert_eq!(output(&restored, "cat /srv/kept").await?, "kept", "{point}");
            restored.delete().await?;
        }
        assert_eq!(count("layers")?, layers + usize::from(state == "Ready"), "layers after {point}");
        assert_eq!(count("work")?, 0, "half-made layers after {point}");
        api.delete(&format!("/v1/snapshots/{id}")).await?.expect(204)?;
        assert_eq!((count("layers")?, count("leases")?), (layers, 1), "left after {point}");
    }
    for point in ["snapshot.deleting", "snapshot.image_removed"] {
        let id = snapshot(&api, &source.id).await?;
        server.restart_to_die_at(point)?;
        let _ = api.delete(&format!("/v1/snapshots/{id}")).await;
        server.wait_for_end(READY).with_context(|| format!("at {point}"))?;
        server.restart()?;
        api.get(&format!("/v1/snapshots/{id}")).await?.expect_error(404)?;
        assert_eq!((count("layers")?, count("leases")?), (layers, 1), "left after {point}");
    }
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn callers_that_go_away_keep_no_snapshot() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let source = api.create(json!({})).await?;
    let id = snapshot(&api, &source.id).await?;
    let body = json!({"snapshotId": id, "timeout": 600, "resourceLimits": {"memory": "64Mi"}});
    let making = format!("/v1/sandboxes/{}/snapshots", source.id);
    for wait in 0..15 {
        let wait = Duration::from_millis(wait);
        // Whether they are answered in time does not matter.
        let _ = tokio::time::timeout(wait, api.post("/v1/sandboxes", &body)).await;
        let _ = tokio::time::timeout(wait, api.post(&making, &json!({}))).await;
    }
    eventually("everything can be deleted", READY, async || {
        for sandbox in api.ids().await? {
            // One that is just being made may end by itself.
            api.delete(&format!("/v1/sandboxes/{sandbox}")).await?;
        }
        let left = api.get("/v1/snapshots?pageSize=200").await?.expect(200)?.json()?;
        let left = left["items"].as_array().context("a list")?;
        for snapshot in left {
            api.delete(&format!("/v1/snapshots/{}", snapshot["id"].as_str().context("an id")?)).await?;
        }
        Ok(left.is_empty())
    })
    .await
}

/// A snapshot leaves as an archive and through a registry, and starts on a server that knows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_travels_by_archive_and_by_registry() -> Result<()> {
    let registry = Registry::start().await?;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let source = api.create(json!({})).await?;
    output(&source, FURNISH).await?;
    let written = output(&source, INSPECT).await?;
    let id = snapshot(&api, &source.id).await?;
    let (name, target) = (format!("opensandbox-snapshots:{id}"), registry.name("team/furnished:1"));

    let push = json!({"reference": name, "target": target});
    let pushed = api.post("/v1/images/push", &push).await?.expect(200)?.json()?;
    ensure!(pushed["reference"].as_str().is_some_and(|name| name.contains("@sha256:")), "{pushed}");
    let unknown = json!({"reference": "no/such:1", "target": target});
    api.post("/v1/images/push", &unknown).await?.expect_error(404)?;
    let nowhere = json!({"reference": name, "target": "127.0.0.1:1/x:1"});
    api.post("/v1/images/push", &nowhere).await?.expect_error(503)?;

    let archive = server.state().join("export.tar");
    let streamed = api.get(&format!("/v1/images/export?reference={name}")).await?.expect(200)?;
    fs::write(&archive, &streamed.body)?;
    api.get("/v1/images/export?reference=no/such:1").await?.expect_error(404)?;
    api.get("/v1/images/export").await?.expect_error(400)?;
    let file = archive.to_str().context("a path")?;

    let fresh = Server::start(Setup::default().without_image())?;
    let other = fresh.api();
    let pulled = other.create(json!({"image": {"uri": target}})).await?;
    assert_eq!(output(&pulled, INSPECT).await?, written);
    fresh.cli_ok(&["image", "import", file, "--name", "by/archive:1"])?;
    let imported = other.create(json!({"image": {"uri": "by/archive:1"}})).await?;
    assert_eq!(output(&imported, INSPECT).await?, written);
    let images = other.get("/v1/images").await?.expect(200)?.json()?;
    assert_eq!(images["items"].as_array().map(Vec::len), Some(1), "one image by both ways: {images}");

    // What another server makes of it shares all layers but its own with it, in the registry too.
    output(&pulled, "echo once more >> /srv/a/new/file").await?;
    let second = snapshot(&other, &pulled.id).await?;
    let push = json!({
        "reference": format!("opensandbox-snapshots:{second}"), "target": registry.name("team/furnished:2"),
    });
    other.post("/v1/images/push", &push).await?.expect(200)?;
    let below = layers(&registry, "1").await?;
    let all = layers(&registry, "2").await?;
    let (top, shared) = all.split_last().context("an image has layers")?;
    assert_eq!(shared, below, "layers were packed anew");
    ensure!(!below.contains(top), "the snapshot has no layer of its own: {top}");
    Ok(())
}

/// The layers of a pushed image, lowest first, where everything is as OCI names it.
async fn layers(registry: &Registry, tag: &str) -> Result<Vec<Value>> {
    let (kind, manifest) = registry.manifest("team/furnished", tag).await?;
    assert_eq!(kind, "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["mediaType"], kind);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
    let layers = manifest["layers"].as_array().context("a manifest has layers")?.clone();
    for layer in &layers {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd", "{manifest}");
        // The registry has taken it under this digest, and this is what it says it is.
        let blob = fs::read(registry.blob_file(layer["digest"].as_str().context("a digest")?))?;
        ensure!(blob.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "not zstd: {layer}");
        assert_eq!(layer["size"], blob.len());
    }
    Ok(layers)
}
