//! Sandboxes stopped so that their processes go on where they were.
//!
//! Needs CRIU where the set-up puts it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep_tests::{
    api::{Answer, Sandbox, eventually},
    leaks::Watch,
    server::{Server, Setup},
};
use serde_json::{Value, json};

const CRIU: &str = "/usr/local/lib/sandkeep/criu/criu";
const PATIENCE: Duration = Duration::from_secs(60);

/// Counts requests in memory, in a file that stays open, and in one that is deleted and open.
const COUNTER: &str = r#"
import http.server, os, tempfile
count, listed, ghost = 0, open("/srv/count", "a"), tempfile.TemporaryFile("w+")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count
        count += 1
        listed.write(f"{count}\n")
        listed.flush()
        ghost.write("x")
        ghost.flush()
        body = f"{count} {os.getpid()} {os.fstat(ghost.fileno()).st_size}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"#;

/// What a restored process must be held by as before.
const WALLS: &str = "for pid in 1 $$; do grep -E '^(Uid|Gid|Cap|NoNewPrivs|Seccomp)' /proc/$pid/status; done; \
    cat /proc/1/oom_score_adj; wc -c < /proc/keys; wc -c < /proc/kallsyms; \
    unshare -n true; mount -t tmpfs none /mnt; umount /proc; ip link add d0 type dummy; \
    hostname; ls /proc/1/root/ >/dev/null; ls -d /proc/[0-9]* | wc -l | xargs test 20 -gt && echo few; \
    cut -d' ' -f5,6 /proc/self/mountinfo | sort";

fn require_criu() -> Result<()> {
    ensure!(Path::new(CRIU).exists(), "there is no {CRIU}: run `cargo xtask setup --tests`");
    Ok(())
}

async fn act(sandbox: &Sandbox, what: &str, memory: bool) -> Result<Answer> {
    let body = json!({"memory": memory});
    sandbox.api.send(Method::POST, &format!("{}/{what}", sandbox.path()), Some(&body)).await
}

async fn counter(server: &Server) -> Result<Sandbox> {
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    execd.output(&format!("cat >/srv/counter.py <<'END'\n{COUNTER}\nEND")).await?;
    let run = json!({"command": "exec python3 /srv/counter.py", "background": true});
    execd.stream("/command", &run).await?.id().await?;
    eventually("the counter answers", PATIENCE, async || Ok(ask(&sandbox).await?.status == 200)).await?;
    Ok(sandbox)
}

async fn ask(sandbox: &Sandbox) -> Result<Answer> {
    sandbox.api.get(&format!("{}/proxy/8000/", sandbox.path())).await
}

/// Count, process and size as the counter tells them.
async fn count(sandbox: &Sandbox) -> Result<Vec<u32>> {
    let text = ask(sandbox).await?.expect(200)?.text();
    text.split(' ').map(|number| number.parse().with_context(|| text.clone())).collect()
}

async fn status(sandbox: &Sandbox) -> Result<Value> {
    Ok(sandbox.get().await?["status"].clone())
}

/// Whoever has to reap what a sandbox leaves may be slow to.
async fn none_left(watch: &Watch<'_>) -> Result<()> {
    eventually("no process is left", PATIENCE, async || Ok(watch.processes()?.is_empty())).await
}

fn memory_of(server: &Server, sandbox: &Sandbox) -> PathBuf {
    server.state().join("sandboxes").join(&sandbox.id).join("memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_goes_on_counting() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default())?;
    let told = server.api().get("/v1/capabilities").await?.expect(200)?.json()?;
    assert_eq!(told["capabilities"]["stop.memory"]["available"], true, "{told}");
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = counter(&server).await?;
    let walls = sandbox.execd().await?.output(&format!("({WALLS}) 2>&1")).await?;
    let first = count(&sandbox).await?;
    for round in 1..=3 {
        if round == 2 {
            sandbox.api.send(Method::POST, &format!("{}/pause", sandbox.path()), None).await?.expect(202)?;
        }
        assert_eq!(act(&sandbox, "stop", true).await?.expect(200)?.json()?, json!({"memory": true}));
        let shown = status(&sandbox).await?;
        assert_eq!((&shown["state"], &shown["reason"]), (&json!("Stopped"), &json!("STOPPED_WITH_MEMORY")));
        none_left(&watch).await?;
        if round == 3 {
            server.kill()?;
            tokio::task::block_in_place(|| server.restart())?;
        }
        assert_eq!(act(&sandbox, "start", true).await?.expect(200)?.json()?, json!({"memory": true}));
        assert_eq!(status(&sandbox).await?["state"], "Running");
        ensure!(!memory_of(&server, &sandbox).exists(), "a memory may be used twice");
        let now = count(&sandbox).await?;
        assert_eq!(now, [first[0] + round, first[1], first[2] + round], "count, process, deleted file");
        let execd = sandbox.execd().await?;
        assert_eq!(execd.output("tail -1 /srv/count").await?, now[0].to_string());
        assert_eq!(execd.output(&format!("({WALLS}) 2>&1")).await?, walls);
        let greedy = execd.run("python3 -c 'x = bytearray(600 << 20)'").await?;
        ensure!(greedy.exit_code != 0, "the memory limit does not hold after a start");
    }
    // What was restored is adopted like anything else.
    server.kill()?;
    tokio::task::block_in_place(|| server.restart())?;
    assert_eq!(status(&sandbox).await?["state"], "Running");
    assert_eq!(count(&sandbox).await?[0], first[0] + 4);
    // The end of a restored sandbox is noticed.
    let _ = sandbox.execd().await?.run("kill -TERM 1").await;
    eventually("its end is noticed", PATIENCE, async || {
        Ok(["Terminated", "Failed"].contains(&status(&sandbox).await?["state"].as_str().unwrap_or_default()))
    })
    .await?;
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_goes_on_and_says_why() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = counter(&server).await?;
    let execd = sandbox.execd().await?;
    let first = count(&sandbox).await?;
    let refused = async |reason: &str| -> Result<()> {
        let (code, message) = act(&sandbox, "stop", true).await?.expect_error(409)?;
        ensure!(code == "SANDBOX::MEMORY_NOT_KEPT" && message.contains(reason), "{code}: {message}");
        assert_eq!(status(&sandbox).await?["state"], "Running");
        Ok(())
    };
    execd.output("echo x > /dev/shm/shared").await?;
    refused("/dev/shm/shared").await?;
    execd.output("rm /dev/shm/shared").await?;
    // CRIU cannot take over what another process traces.
    let traced = "python3 - <<'END'\nimport ctypes, os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(1000)\n\
        libc = ctypes.CDLL(None)\nassert libc.ptrace(16, pid, 0, 0) == 0\nopen('/srv/traced', 'w').write(str(pid))\n\
        os.waitpid(pid, 0)\ntime.sleep(1000)\nEND";
    execd.stream("/command", &json!({"command": traced, "background": true})).await?.id().await?;
    eventually("a process is traced", PATIENCE, async || {
        Ok(execd.run("test -s /srv/traced").await?.exit_code == 0)
    })
    .await?;
    refused("").await?;
    assert_eq!(count(&sandbox).await?[..2], [first[0] + 1, first[1]], "it did not go on");
    assert_eq!(act(&sandbox, "stop", false).await?.expect(200)?.json()?, json!({"memory": false}));
    assert_eq!(act(&sandbox, "start", true).await?.expect(200)?.json()?, json!({"memory": false}));
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

/// Nobody but the host's root and the sandbox itself may read what was in memory.
fn private(memory: &Path) -> Result<()> {
    let shared = |path: &Path| Ok::<_, anyhow::Error>(fs::metadata(path)?.permissions().mode() & 0o077 != 0);
    ensure!(!shared(memory)?, "others may enter {}", memory.display());
    for above in memory.ancestors() {
        if above != memory && !shared(above)? {
            return Ok(());
        }
    }
    anyhow::bail!("nothing above {} is closed to others", memory.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_costs_no_memory() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = counter(&server).await?;
    let first = count(&sandbox).await?;
    act(&sandbox, "stop", true).await?.expect(200)?;
    let memory = memory_of(&server, &sandbox);
    let (image, aside) = (memory.join("files.img"), memory.join("aside"));
    fs::rename(&image, &aside)?;
    let (_, message) = act(&sandbox, "start", true).await?.expect_error(400)?;
    ensure!(message.contains("could not be brought back"), "{message}");
    let shown = status(&sandbox).await?;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("Stopped"), &json!("START_FAILED")));
    none_left(&watch).await?;
    fs::rename(&aside, &image)?;
    assert_eq!(act(&sandbox, "start", true).await?.expect(200)?.json()?, json!({"memory": true}));
    assert_eq!(count(&sandbox).await?[..2], [first[0] + 1, first[1]]);
    act(&sandbox, "stop", true).await?.expect(200)?;
    private(&memory)?;
    // A memory does not outlast a restart of its host.
    let note = memory.join("sandkeep.json");
    let known = fs::read_to_string(&note)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    fs::write(&note, known.replace(boot.trim(), "another"))?;
    let (_, message) = act(&sandbox, "start", true).await?.expect_error(400)?;
    ensure!(message.contains("restarted") && message.contains("{\"memory\": false}"), "{message}");
    assert_eq!(status(&sandbox).await?["state"], "Stopped");
    // Who does not want it any more begins anew.
    assert_eq!(act(&sandbox, "start", false).await?.expect(200)?.json()?, json!({"memory": false}));
    ensure!(!memory.exists(), "the memory is still there");
    ensure!(ask(&sandbox).await?.status != 200, "the counter is still there");
    // A stopped one is deleted with its memory.
    act(&sandbox, "stop", true).await?.expect(200)?;
    ensure!(memory.exists());
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_each_step_loses_no_memory() -> Result<()> {
    require_criu()?;
    let server = Server::start(Setup::default())?;
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let sandbox = counter(&server).await?;
    let first = count(&sandbox).await?;
    let steps = [
        ("stop.saved", "stop", "Stopped"),
        ("start.staged", "start", "Running"),
        ("stop.kept", "stop", "Stopped"),
        ("start.launched", "start", "Running"),
        ("stop.stopped", "stop", "Stopped"),
        ("start.restored", "start", "Running"),
    ];
    for (asked, (point, what, after)) in (1..).zip(steps) {
        server.restart_to_die_at(point)?;
        let _ = act(&sandbox, what, true).await;
        server.wait_for_end(PATIENCE).with_context(|| point)?;
        tokio::task::block_in_place(|| server.restart()).with_context(|| point)?;
        let mut seen = Value::Null;
        let came = eventually("it arrives", PATIENCE, async || {
            seen = status(&sandbox).await?;
            Ok(seen["state"] == after)
        });
        came.await.with_context(|| format!("{point}: {seen}"))?;
        if after == "Stopped" {
            assert_eq!(seen["reason"], "STOPPED_WITH_MEMORY", "{point}");
            none_left(&watch).await?;
        } else {
            let now = count(&sandbox).await.with_context(|| point)?;
            assert_eq!(now[..2], [first[0] + asked / 2, first[1]], "{point}");
        }
    }
    sandbox.delete().await?;
    watch.returns_to(&baseline).await
}
