//! Volumes: what one sandbox writes another can use, and no link leads out.

use std::fs;

use anyhow::{Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::create_body,
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn volumes_are_shared_kept_inside_and_end_with_their_sandbox() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (host, outside) = (dir.path().join("host"), dir.path().join("outside"));
    fs::create_dir(&host)?;
    fs::create_dir(&outside)?;
    fs::write(host.join("file"), "from the host\n")?;
    std::os::unix::fs::symlink(&outside, host.join("out"))?;
    let server = Server::start(Setup::default().set("storage", format!("allowed_host_paths = [{host:?}]")))?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let api = server.api();
    let volume = |source: Value| {
        let mut volume = json!({"name": "v", "mountPath": "/data"});
        for (key, value) in source.as_object().into_iter().flatten() {
            volume[key] = value.clone();
        }
        json!({"volumes": [volume]})
    };

    let first = api.create(volume(json!({"host": {"path": host}}))).await?;
    let said =
        first.execd().await?.output("cat /data/file; echo mine > /data/new; stat -c %u /data/new").await?;
    assert_eq!(said, "from the host\n0");
    assert_eq!(fs::read_to_string(host.join("new"))?, "mine\n");
    let read_only = api.create(volume(json!({"host": {"path": host}, "readOnly": true}))).await?;
    let refused = read_only.execd().await?.run("cat /data/new && touch /data/x").await?;
    ensure!(refused.exit_code != 0 && !host.join("x").exists(), "read-only is not");

    // A file of the host is mounted as one, and a directory that is missing there is made.
    let both = json!({"volumes": [
        {"name": "file", "mountPath": "/etc/from-host", "host": {"path": host.join("file")}},
        {"name": "made", "mountPath": "/made", "host": {"path": host.join("made/deep")}},
    ]});
    let both = api.create(both).await?;
    let execd = both.execd().await?;
    assert_eq!(execd.output("cat /etc/from-host; echo made > /made/it").await?, "from the host");
    assert_eq!(fs::read_to_string(host.join("made/deep/it"))?, "made\n");
    both.delete().await?;

    let scratch = json!({"pvc": {"claimName": "scratch", "deleteOnSandboxTermination": true}});
    let owner = api.create(volume(scratch)).await?;
    owner
        .execd()
        .await?
        .output("mkdir /data/sub && echo shared > /data/sub/file && ln -s /etc /data/link")
        .await?;
    let reader = json!({"pvc": {"claimName": "scratch", "createIfNotExists": false}, "subPath": "sub"});
    let reader = api.create(volume(reader)).await?;
    assert_eq!(reader.execd().await?.output("cat /data/file; echo more >> /data/file").await?, "shared");
    assert_eq!(owner.execd().await?.output("tail -n 1 /data/sub/file").await?, "more");
    let kept = api.create(volume(json!({"pvc": {"claimName": "kept"}}))).await?;

    for (source, code) in [
        (json!({"host": {"path": host.join("out")}}), "VOLUME::HOST_PATH_NOT_ALLOWED"),
        (json!({"host": {"path": "/etc"}}), "VOLUME::HOST_PATH_NOT_ALLOWED"),
        (json!({"pvc": {"claimName": "no", "createIfNotExists": false}}), "VOLUME::PVC_NOT_FOUND"),
        (json!({"pvc": {"claimName": "scratch"}, "subPath": "link/x"}), "VOLUME::INVALID_SUB_PATH"),
        (json!({"pvc": {"claimName": "scratch"}, "mountPath": "/proc"}), "VOLUME::INVALID_MOUNT_PATH"),
    ] {
        let answer = api.post("/v1/sandboxes", &create_body(volume(source.clone()))).await?;
        assert_eq!(answer.expect_error(400)?.0, code, "{source}");
    }

    let shelf = server.state().join("volumes");
    owner.delete().await?;
    ensure!(shelf.join("scratch").exists(), "it is in use");
    server.kill()?;
    server.restart()?;
    assert_eq!(reader.execd().await?.output("cat /data/file").await?, "shared\nmore");
    // A stopped sandbox uses its volumes too, and has them again after its start.
    for stopped in [&reader, &read_only] {
        api.send(Method::POST, &format!("{}/stop", stopped.path()), None).await?.expect(200)?;
    }
    server.kill()?;
    server.restart()?;
    ensure!(shelf.join("scratch").exists(), "it is used by a stopped sandbox");
    for stopped in [&reader, &read_only] {
        api.send(Method::POST, &format!("{}/start", stopped.path()), None).await?.expect(200)?;
    }
    assert_eq!(
        reader.execd().await?.output("cat /data/file; echo last >> /data/file").await?,
        "shared\nmore"
    );
    assert_eq!(fs::read_to_string(shelf.join("scratch/data/sub/file"))?, "shared\nmore\nlast\n");
    let refused = read_only.execd().await?.run("cat /data/new && touch /data/x").await?;
    ensure!(refused.exit_code != 0 && !host.join("x").exists(), "read-only is not, after a start");
    reader.delete().await?;
    kept.delete().await?;
    ensure!(!shelf.join("scratch").exists() && shelf.join("kept").exists(), "the wrong volumes went");
    first.delete().await?;
    read_only.delete().await?;
    assert_eq!(fs::read_to_string(host.join("new"))?, "mine\n", "the host's files stay");
    watch.returns_to(&baseline).await
}
