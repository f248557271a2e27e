//! Buckets as volumes, mounted by a program that stands in for the object store's own: it writes down how it was called
//! and what it read, and mounts a directory.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Api, Sandbox, create_body, eventually},
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const ID: &str = "LTAI-the-id";
const SECRET: &str = "the-very-secret";

/// Mounts `$STORE/<bucket>` where it is told to, as the owner it is told.
const STAND_IN: &str = r#"#!/bin/sh
set -e
store=@STORE@
echo "$(basename "$0") $*" >> "$store/calls"
case "$(basename "$0")" in
ossfs)
    bucket=$1 place=$2
    for word in "$@"; do case "$word" in passwd_file=*) file=${word#*=};; uid=*) owner=${word#*=};; esac; done ;;
ossfs2)
    place=$2 file=$4
    bucket=$(sed -n 's/^--oss_bucket=//p' "$file") owner=$(sed -n 's/^--uid=//p' "$file") ;;
esac
stat -c %a "$file" >> "$store/modes"
cat "$file" > "$store/read-$bucket"
if [ "$bucket" = broken ]; then echo "no $(cat "$file") here" >&2; exit 3; fi
mkdir -p "$store/$bucket"
chown -R "$owner:$owner" "$store/$bucket"
mount --bind "$store/$bucket" "$place"
"#;

fn body(ossfs: Value, more: Value) -> Value {
    let mut bucket = json!({"bucket": "data", "endpoint": "http://oss.test", "accessKeyId": ID, "accessKeySecret": SECRET});
    merge(&mut bucket, ossfs);
    let mut volume = json!({"name": "v", "mountPath": "/data", "ossfs": bucket});
    merge(&mut volume, more);
    create_body(json!({"volumes": [volume]}))
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

async fn make(api: &Api, body: &Value) -> Result<Sandbox> {
    let made = api.post("/v1/sandboxes", body).await?.expect(202)?.json()?;
    Ok(Sandbox { id: made["id"].as_str().context("an id")?.to_owned(), api: api.clone() })
}

async fn output(sandbox: &Sandbox, command: &str) -> Result<String> {
    sandbox.execd().await?.output(command).await
}

/// Whether the text is in any file below a directory, the store's database and logs included.
fn holds(directory: &Path, text: &str) -> Result<bool> {
    let found = std::process::Command::new("grep").args(["-rqaF", "--", text]).arg(directory).status()?;
    Ok(found.code() == Some(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_mounted_by_their_program_and_their_keys_stay_nowhere() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (programs, store) = (dir.path().join("bin"), dir.path().join("store"));
    fs::create_dir(&programs)?;
    fs::create_dir(&store)?;
    for name in ["ossfs", "ossfs2"] {
        fs::write(programs.join(name), STAND_IN.replace("@STORE@", &store.display().to_string()))?;
        fs::set_permissions(programs.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let server = Server::start(Setup::default().path(&programs))?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let buckets = server.state().join("buckets");

    let second = make(&api, &body(json!({"options": ["max_stat_cache_size=7"]}), json!({}))).await?;
    assert_eq!(
        output(&second, "echo mine > /data/file; stat -c %u:%g /data/file; cat /data/file").await?,
        "0:0\nmine"
    );
    assert_eq!(fs::read_to_string(store.join("data/file"))?, "mine\n");
    let read = fs::read_to_string(store.join("read-data"))?;
    for line in [
        "--oss_endpoint=http://oss.test",
        &format!("--oss_access_key_secret={SECRET}"),
        "--max_stat_cache_size=7",
    ] {
        ensure!(read.lines().any(|told| told == line), "{line} is not in {read}");
    }
    fs::create_dir_all(store.join("other/a/b"))?;
    let first = json!({"version": "1.0", "bucket": "other", "options": ["max_stat_cache_size=8"]});
    let first = make(&api, &body(first, json!({"subPath": "a/b"}))).await?;
    output(&first, "echo deep > /data/file").await?;
    assert_eq!(fs::read_to_string(store.join("other/a/b/file"))?, "deep\n");
    assert_eq!(fs::read_to_string(store.join("read-other"))?, format!("other:{ID}:{SECRET}\n"));
    let read_only = make(&api, &body(json!({}), json!({"readOnly": true}))).await?;
    let refused = read_only.execd().await?.run("cat /data/file && touch /data/x").await?;
    ensure!(refused.exit_code != 0 && !store.join("data/x").exists(), "read-only is not");

    // The keys went through files of root's alone, that are gone; nothing else has them.
    let calls = fs::read_to_string(store.join("calls"))?;
    ensure!(
        calls.contains("ossfs other ")
            && calls.contains("-o url=http://oss.test")
            && calls.contains("ossfs2 mount "),
        "{calls}"
    );
    ensure!(calls.contains("-o max_stat_cache_size=8"), "{calls}");
    let modes = fs::read_to_string(store.join("modes"))?;
    ensure!(modes.lines().all(|mode| mode == "600"), "{modes}");
    let broken = api.post("/v1/sandboxes", &body(json!({"bucket": "broken"}), json!({}))).await?;
    let told = broken.text();
    let (code, message) = broken.expect_error(400)?;
    assert_eq!(code, "VOLUME::OSSFS_MOUNT_FAILED");
    ensure!(message.contains("ossfs2") && message.contains("***"), "{message}");
    let listed = api.get("/v1/sandboxes").await?.text() + &second.get().await?.to_string();
    for secret in [ID, SECRET] {
        for text in [&calls, &told, &listed, &server.log()] {
            ensure!(!text.contains(secret), "{secret} is in {text}");
        }
        for part in ["sandkeep.db", "sandkeep.db-wal", "buckets/.none"] {
            let part = server.state().join(part);
            ensure!(!part.exists() || !holds(&part, secret)?, "{secret} is in {}", part.display());
        }
    }
    let hidden = fs::read_dir(&buckets)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0, "files with keys");

    // A stopped sandbox finds its bucket again, also with a server that never had the keys.
    api.send(Method::POST, &format!("{}/stop", second.path()), None).await?.expect(200)?;
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    api.send(Method::POST, &format!("{}/start", second.path()), None).await?.expect(200)?;
    assert_eq!(output(&second, "cat /data/file").await?, "mine");
    assert_eq!(output(&first, "cat /data/file").await?, "deep");

    // Whatever a killed deletion leaves of a mount goes with the next start.
    tokio::task::block_in_place(|| server.restart_to_die_at("delete.destroyed"))?;
    let _ = api.delete(&first.path()).await;
    tokio::task::block_in_place(|| server.wait_for_end(PATIENCE))?;
    tokio::task::block_in_place(|| server.restart())?;
    api.get(&first.path()).await?.expect_error(404)?;
    for sandbox in [second, read_only] {
        sandbox.delete().await?;
    }
    eventually("nothing is mounted", PATIENCE, async || Ok(fs::read_dir(&buckets)?.next().is_none())).await?;
    assert_eq!(fs::read_to_string(store.join("data/file"))?, "mine\n", "what is in a bucket stays");
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_program_a_bucket_is_refused_by_name() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    for (version, name) in [("1.0", "ossfs,"), ("2.0", "ossfs2,")] {
        let answer = api.post("/v1/sandboxes", &body(json!({"version": version}), json!({}))).await?;
        let (code, message) = answer.expect_error(400)?;
        assert_eq!(code, "VOLUME::UNSUPPORTED_BACKEND");
        ensure!(message.contains(name) && !message.contains(SECRET), "{message}");
    }
    for (wrong, code) in [
        (json!({"bucket": "A"}), "VOLUME::INVALID_OSSFS_BUCKET"),
        (json!({"endpoint": " "}), "VOLUME::INVALID_OSSFS_ENDPOINT"),
        (json!({"options": ["-o"]}), "VOLUME::INVALID_OSSFS_OPTION"),
        (json!({"accessKeyId": " "}), "VOLUME::INVALID_OSSFS_CREDENTIALS"),
    ] {
        assert_eq!(api.post("/v1/sandboxes", &body(wrong, json!({}))).await?.expect_error(400)?.0, code);
    }
    ensure!(api.ids().await?.is_empty(), "a refused volume leaves no sandbox");
    Ok(())
}
