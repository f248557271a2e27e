//! A sandbox with a hostile root in it: what it cannot see, reach or change, and what it can.

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Sandbox, create_body},
    execd::Execd,
    internet::{self, Internet},
    paths::workspace,
    server::{Server, Setup},
};
use serde_json::json;

/// Runs async work on a thread inside the server's network namespace.
fn inside<T: Send>(server: &Server, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
    server.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work())
    })?
}

async fn reaches(execd: &Execd, url: &str) -> Result<String> {
    let ran = execd.run(&format!("curl --silent --show-error --max-time 3 {url}")).await?;
    Ok(if ran.exit_code == 0 { ran.stdout } else { String::new() })
}

#[test]
fn sandboxes_reach_the_outside_and_nothing_else() -> Result<()> {
    let net = Internet::new()?;
    let setup = Setup::default().inside(&net.host).set("native", format!("dns = [\"{}\"]", internet::DNS));
    let server = Server::start(setup)?;
    inside(&server, async || {
        let api = server.api();
        let (one, two) = (api.create(json!({})).await?, api.create(json!({})).await?);
        let execd = one.execd().await?;

        let welcome = format!("welcome {}\n", internet::HOST);
        let outside = format!("http://{}/", internet::WEB);
        assert_eq!(reaches(&execd, &outside).await?, welcome, "the outside sees the host's address");
        assert_eq!(reaches(&execd, "http://example.test/").await?, welcome, "names are resolved");

        let (neighbour, _) = two.endpoint(Execd::PORT, false).await?;
        let gateway = execd.output("awk '$2 == \"00000000\" {print $3}' /proc/net/route").await?;
        let gateway = u32::from_str_radix(&gateway, 16).map_or([0; 4], u32::to_le_bytes);
        let [a, b, c, d] = gateway;
        let mut forbidden = vec![
            format!("http://{}/", internet::METADATA),
            "http://metadata.test/".to_owned(),
            format!("http://{neighbour}/ping"),
            format!("http://{}:{}/health", internet::HOST, server.port),
            format!("http://10.{}.0.1:{}/health", server.subnet, server.port),
            format!("http://10.{}.0.0:{}/health", server.subnet, server.port),
        ];
        if gateway != [0; 4] {
            forbidden.push(format!("http://{a}.{b}.{c}.{d}:{}/health", server.port));
        }
        for url in &forbidden {
            let got = reaches(&execd, url).await?;
            ensure!(got.is_empty(), "the sandbox reaches {url}: {got}");
        }
        // All of these are there for the host itself, so it is the sandbox that was kept out.
        for url in &forbidden[..4] {
            if !url.contains("metadata.test") {
                let (_, rest) = url.split_once("//").context("a URL")?;
                let (address, path) = rest.split_once('/').context("a path")?;
                let address =
                    if address.contains(':') { address.to_owned() } else { format!("{address}:80") };
                let answer =
                    sandkeep_tests::wire::request(address.parse()?, "GET", &format!("/{path}"), &[], b"");
                answer.with_context(|| format!("the host itself reaches {url}"))?;
            }
        }
        let six = execd.output("cat /proc/net/if_inet6").await?;
        ensure!(six.is_empty(), "the sandbox has an IPv6 address: {six}");
        Ok(())
    })
}

#[tokio::test]
async fn sandbox_root_is_nobody_on_the_host() -> Result<()> {
    let api = Server::shared()?.api();
    let (one, two) = (api.create(json!({})).await?, api.create(json!({})).await?);
    let range = async |sandbox: &Sandbox| -> Result<(u64, u64, u64)> {
        let map = sandbox.execd().await?.output("cat /proc/self/uid_map").await?;
        let numbers: Vec<u64> = map.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        ensure!(numbers.len() == 3, "one range of ids, not {map:?}");
        Ok((numbers[0], numbers[1], numbers[2]))
    };
    let (first, second) = (range(&one).await?, range(&two).await?);
    for (inside, outside, count) in [first, second] {
        assert_eq!((inside, count), (0, 65536));
        ensure!(outside >= 65536, "ids of the host are mapped: {outside}");
    }
    ensure!(first.1.abs_diff(second.1) >= 65536, "two sandboxes share ids: {first:?} {second:?}");

    let execd = one.execd().await?;
    let status = execd.output("cat /proc/self/status").await?;
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let bounding = u64::from_str_radix(&field("CapBnd:").context("CapBnd")?, 16)?;
    /// Numbers of capabilities that give power beyond the sandbox.
    const FORBIDDEN: [(u32, &str); 8] = [
        (12, "NET_ADMIN"),
        (16, "SYS_MODULE"),
        (17, "SYS_RAWIO"),
        (19, "SYS_PTRACE"),
        (21, "SYS_ADMIN"),
        (22, "SYS_BOOT"),
        (24, "SYS_RESOURCE"),
        (25, "SYS_TIME"),
    ];
    for (bit, name) in FORBIDDEN {
        ensure!(bounding & (1 << bit) == 0, "CAP_{name} is there: {bounding:x}");
    }
    assert_eq!(field("Seccomp:").as_deref(), Some("2"), "no seccomp filter");
    assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"), "the default forbids new privileges");
    one.delete().await?;
    two.delete().await
}

#[tokio::test]
async fn sandbox_root_has_no_power_over_the_host() -> Result<()> {
    let api = Server::shared()?.api();
    let sandbox = api.create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let denied = [
        "mount -t tmpfs none /mnt",
        "mount --bind /etc /mnt",
        "umount /proc",
        "mount -o remount,rw /sys",
        "unshare --net true",
        "unshare --user --net true",
        "unshare --mount true",
        "mknod /tmp/disk b 254 0",
        "mknod /tmp/mem c 1 1",
        "hostname other",
        "echo 1 > /proc/sys/kernel/sysrq",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo b > /proc/sysrq-trigger",
        "echo -500 > /proc/self/oom_score_adj",
        "ip link add x type dummy",
        "ip route del default",
        "nft list ruleset",
        "chroot /proc/1/root/proc/1/root ls /var/lib/sandkeep",
        "touch /opt/opensandbox/execd",
        "rm -f /opt/opensandbox/execd",
        "dmesg",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
        "python3 -c 'import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)'",
        "python3 -c 'import socket; socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)'",
        "python3 -c 'import os; os.nice(-5)'",
        "python3 -c 'import ctypes; import sys; sys.exit(ctypes.CDLL(None).setdomainname(b\"x\", 1) == 0 or 1)'",
        "python3 -c 'import os; os.setns(os.open(\"/proc/1/ns/net\", 0), 0)'",
    ];
    let mut allowed = Vec::new();
    for command in denied {
        let ran = execd.run(&format!("( {command} ) >/dev/null 2>&1")).await?;
        if ran.exit_code == 0 {
            allowed.push(command);
        }
    }
    ensure!(allowed.is_empty(), "the sandbox's root may: {allowed:#?}");
    sandbox.delete().await
}

#[tokio::test]
async fn a_sandbox_does_not_see_the_host() -> Result<()> {
    let server = Server::shared()?;
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let processes: u32 = execd.output("ls /proc | grep -c '^[0-9]'").await?.parse()?;
    ensure!(processes < 20, "{processes} processes are visible");
    assert_eq!(execd.output("cat /proc/1/comm").await?, "execd");
    // A bound file always shows where it comes from; execd is the only one.
    let mounts =
        execd.output("cat /proc/self/mountinfo /proc/mounts | grep -v /opt/opensandbox/execd").await?;
    let state = server.state().display().to_string();
    ensure!(!mounts.contains(&state), "the host's paths show in the mount table: {mounts}");
    let links = execd.output("ls /sys/class/net").await?;
    let mut links: Vec<&str> = links.split_whitespace().collect();
    links.sort_unstable();
    assert_eq!(links, ["eth0", "lo"], "interfaces of others are visible");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let name = execd.output("cat /proc/sys/kernel/hostname").await?;
    ensure!(name != host.trim(), "the sandbox has the host's name {name}");
    let host_paths = format!("ls -d {} /var/lib/sandkeep 2>/dev/null | wc -l", workspace().display());
    assert_eq!(execd.output(&host_paths).await?, "0");
    // What kills every process kills only the sandbox's own.
    execd.run("kill -9 -1").await.ok();
    server.api().get("/health").await?.expect(200)?;
    sandbox.api.delete(&sandbox.path()).await?.expect(204)?;
    Ok(())
}

/// A copy of `id` that belongs to root and has the set-user-id bit, run as uid 1000.
async fn effective_user(server: &Server) -> Result<String> {
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    execd.output("cp /usr/bin/id /usr/local/bin/root-id && chmod 4755 /usr/local/bin/root-id").await?;
    let body = json!({"command": "/usr/local/bin/root-id -u", "uid": 1000, "gid": 1000});
    let ran = execd.stream("/command", &body).await?.finish().await?;
    sandbox.delete().await?;
    Ok(ran.stdout.trim().to_owned())
}

#[tokio::test]
async fn set_user_id_programs_work_only_where_configured() -> Result<()> {
    assert_eq!(effective_user(Server::shared()?).await?, "1000", "the default forbids new privileges");
    let permissive = Server::start(Setup::default().set("native", "no_new_privileges = false"))?;
    assert_eq!(effective_user(&permissive).await?, "0");
    Ok(())
}

#[tokio::test]
async fn layers_are_shared_but_never_written() -> Result<()> {
    let api = Server::shared()?.api();
    let (one, two) = (api.create(json!({})).await?, api.create(json!({})).await?);
    let (first, second) = (one.execd().await?, two.execd().await?);
    first
        .output("rm -r /usr/share/doc /etc/passwd; echo changed > /etc/debian_version; echo x > /new")
        .await?;
    assert_eq!(second.output("test -e /etc/passwd && test ! -e /new && echo untouched").await?, "untouched");
    ensure!(second.output("cat /etc/debian_version").await? != "changed");
    one.delete().await?;
    two.delete().await?;
    let three = api.create(create_body(json!({}))).await?;
    let third = three.execd().await?;
    assert_eq!(third.output("test -e /etc/passwd && test ! -e /new && echo untouched").await?, "untouched");
    three.delete().await
}
