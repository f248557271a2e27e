//! A sandbox that takes more than its share hurts itself only.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{create_body, eventually},
    server::{Server, Setup},
};
use serde_json::json;

#[tokio::test]
async fn memory_beyond_the_limit_kills_the_command_not_the_sandbox() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"resourceLimits": {"memory": "96Mi"}})).await?;
    let execd = sandbox.execd().await?;
    let ran = execd.run("python3 -c 'x = bytearray(400 << 20); print(len(x))'").await?;
    ensure!(ran.exit_code != 0 && ran.stdout.is_empty(), "400 MiB fit into 96: {ran:?}");
    assert_eq!(execd.output("echo alive").await?, "alive");
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    sandbox.delete().await
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_limit() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"resourceLimits": {"memory": "256Mi", "pids": "48"}})).await?;
    let execd = sandbox.execd().await?;
    let bomb = "for i in $(seq 200); do sleep 30 & done 2>/dev/null; ls /proc | grep -c '^[0-9]'";
    let ran = execd.run(bomb).await;
    let others = api.create(json!({})).await?;
    assert_eq!(others.execd().await?.output("echo alive").await?, "alive");
    if let Ok(ran) = ran {
        let count: u32 = ran.stdout.trim().parse().unwrap_or(0);
        ensure!(count <= 48, "{count} processes with a limit of 48");
    }
    eventually("the sandbox recovers", Duration::from_secs(45), async || {
        Ok(execd.run("true").await.is_ok_and(|ran| ran.exit_code == 0))
    })
    .await?;
    others.delete().await?;
    sandbox.delete().await
}

#[tokio::test]
async fn a_full_disk_is_the_sandboxs_own() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"resourceLimits": {"memory": "512Mi", "disk": "64Mi"}})).await?;
    let execd = sandbox.execd().await?;
    let ran = execd.run("dd if=/dev/zero of=/big bs=1M count=200 2>&1").await?;
    ensure!(ran.exit_code != 0, "200 MiB fit into 64: {ran:?}");
    let size: u64 = execd.output("stat -c %s /big").await?.parse()?;
    ensure!(size <= 64 << 20, "{size} bytes with a limit of 64 MiB");
    ensure!(size > 16 << 20, "only {size} bytes of 64 MiB can be used");
    execd.output("rm /big && echo small > /after && cat /after").await?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    sandbox.delete().await
}

#[tokio::test]
async fn a_cpu_share_is_kept() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({"resourceLimits": {"cpu": "250m", "memory": "256Mi"}})).await?;
    let execd = sandbox.execd().await?;
    let measure = "import os,time\n\
         end = time.monotonic() + 2\n\
         while time.monotonic() < end: pass\n\
         print(round(sum(os.times()[:2]) * 1000))";
    let spent: u32 = execd.output(&format!("python3 -c '{measure}'")).await?.parse()?;
    ensure!(spent < 1100, "a quarter of a CPU gave {spent} ms in 2 s");
    sandbox.delete().await
}

/// Controllers' files of the one sandbox with such a memory request, from either version of cgroups: its own values.
fn shares(memory: u64) -> Result<Vec<String>> {
    let (mut mounts, mut found) = (vec![PathBuf::from("/sys/fs/cgroup")], Vec::new());
    mounts.extend(fs::read_dir("/sys/fs/cgroup")?.flatten().map(|entry| entry.path()));
    let read = |path: PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let groups = |mount: &PathBuf| {
        let servers = fs::read_dir(mount).into_iter().flatten().flatten();
        let ours = servers.filter(|entry| entry.file_name().to_string_lossy().starts_with("sandkeep-"));
        ours.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect::<Vec<_>>()
    };
    let is_it = |group: &PathBuf| {
        let said = ["memory.soft_limit_in_bytes", "memory.low"].map(|name| read(group.join(name)));
        said.contains(&Some(memory.to_string()))
    };
    for group in mounts.iter().flat_map(groups).filter(is_it) {
        let place = group.components().rev().take(2).collect::<Vec<_>>();
        for mount in &mounts {
            let own = mount.join(place[1]).join(place[0]);
            found.extend(["cpu.shares", "cpu.weight"].into_iter().filter_map(|name| read(own.join(name))));
        }
    }
    found.dedup();
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_shares_also_after_a_stop_and_a_restart() -> Result<()> {
    // Whole pages, and nobody else's wish.
    const MEMORY: u64 = 17_093 * 4096;
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let sandbox = api
        .create(json!({
            "resourceLimits": {"cpu": "1", "memory": "256Mi"},
            "resourceRequests": {"cpu": "250m", "memory": MEMORY.to_string()},
        }))
        .await?;
    let has_its_shares = || {
        let found = shares(MEMORY)?;
        ensure!(found == ["256"] || found == ["25"], "the weights are {found:?}");
        Ok(())
    };
    has_its_shares()?;
    api.post(&format!("{}/stop", sandbox.path()), &json!({})).await?.expect(200)?;
    assert_eq!(shares(MEMORY)?, Vec::<String>::new());
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    api.post(&format!("{}/start", sandbox.path()), &json!({})).await?.expect(200)?;
    has_its_shares()?;

    for (requests, status) in
        [(json!({"memory": "64Ti"}), 429), (json!({"disk": "1Gi"}), 400), (json!({"memory": "-1"}), 400)]
    {
        let body = create_body(json!({"resourceLimits": {}, "resourceRequests": requests}));
        let refused = api.post("/v1/sandboxes", &body).await?;
        assert_eq!(refused.header("retry-after"), if status == 429 { "1" } else { "" }, "{requests}");
        let (_, message) = refused.expect_error(status)?;
        ensure!(message.contains("memory") || message.contains("disk"), "{message}");
    }
    sandbox.delete().await
}

#[tokio::test]
async fn a_limit_beyond_every_machine_is_refused() -> Result<()> {
    let api = Server::shared()?.api();
    for (name, value) in
        [("cpu", "9999999999"), ("memory", "99999999Ti"), ("disk", "99999999Ti"), ("pids", "0")]
    {
        let body = create_body(json!({"resourceLimits": {name: value}}));
        let (_, message) = api.post("/v1/sandboxes", &body).await?.expect_error(400)?;
        ensure!(message.contains(name), "{name}={value}: {message}");
    }
    // More disk than this host has is the caller's wish to judge, not a failure of the server.
    let body = create_body(json!({"resourceLimits": {"disk": "4096Ti"}}));
    let answer = api.post("/v1/sandboxes", &body).await?;
    ensure!(answer.status < 500, "{answer:?}");
    if answer.status == 202 {
        let id = answer.json()?["id"].as_str().context("an id")?.to_owned();
        api.delete(&format!("/v1/sandboxes/{id}")).await?.expect(204)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_nearly_full_host_refuses_new_sandboxes() -> Result<()> {
    // No disk has this much room, so the watermark is always passed.
    let server = Server::start(Setup::default().set("native", "min_free_disk = \"4096Ti\""))?;
    let answer = server.api().post("/v1/sandboxes", &create_body(json!({}))).await?;
    let status = answer.status;
    ensure!(matches!(status, 429 | 500 | 503 | 507), "{answer:?}");
    let (_, message) = answer.expect_error(status)?;
    ensure!(message.contains("disk"), "the reason is not told: {message}");
    let ids = server.api().ids().await.context("the server lives")?;
    assert_eq!(ids, Vec::<String>::new());
    Ok(())
}
