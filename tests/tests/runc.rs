//! Sandboxes hosted by an OCI runtime binary instead of the direct launch.

use anyhow::{Result, ensure};
use sandkeep_tests::{
    leaks::Watch,
    paths,
    server::{Server, Setup},
};
use serde_json::json;

#[tokio::test]
async fn runc_hosts_a_sandbox() -> Result<()> {
    paths::program("runc", "runc")?;
    let server = Server::start(Setup::default().set("native", "oci_runtime = \"runc\""))?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let limits = json!({"cpu": "1", "memory": "128Mi", "pids": "64"});
    let sandbox = server.api().create(json!({"resourceLimits": limits, "env": {"HOW": "runc"}})).await?;
    let execd = sandbox.execd().await?;
    assert_eq!(execd.output("echo $HOW; cat /proc/1/comm").await?, "runc\nexecd");
    let python = execd.run("python3 -c 'print(6 * 7)'").await?;
    assert_eq!((python.stdout.trim(), python.exit_code), ("42", 0));
    let map = execd.output("cat /proc/self/uid_map").await?;
    ensure!(!map.split_whitespace().eq(["0", "0", "4294967295"]), "the sandbox's root is the host's");
    let greedy = execd.run("python3 -c 'x = bytearray(400 << 20)'").await?;
    ensure!(greedy.exit_code != 0, "the memory limit does not hold");
    assert_eq!(sandbox.execd_through_server().await?.output("echo proxied").await?, "proxied");

    server.kill()?;
    server.restart()?;
    assert_eq!(sandbox.get().await?["status"]["state"], "Running");
    assert_eq!(execd.output("echo still here").await?, "still here");
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test]
async fn a_missing_runtime_is_named() -> Result<()> {
    let setup = Setup::default().without_image().set("native", "oci_runtime = \"no-such-runtime\"");
    let told = match Server::start(setup) {
        Ok(_) => anyhow::bail!("it started"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(told.contains("no-such-runtime"), "the missing program is not named: {told}");
    Ok(())
}
