//! Everything opened and closed many times against one daemon, which afterwards holds no more than before.
//!
//! Short by default; `SANDKEEP_SOAK=full` (`cargo xtask test --soak`) runs the whole of it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod languages;
#[allow(dead_code, unreachable_pub, reason = "only a part of it is used here")]
mod screen;
mod support;

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use languages::Context;
use serde_json::{Value, json};
use support::{Execd, PATIENCE};

/// Marks every process that descends from the daemon, however far.
const MARK: &str = "SANDKEEP_SOAK_MARK";

/// What is only being tidied up is gone within this time: idle threads alone stay for seconds.
const SETTLE: Duration = Duration::from_secs(40);

/// Memory that may stay: ended commands are remembered in up to 6 MiB and their last output in 2 MiB; the rest is the
/// allocator's slack.
const MEMORY_KIB: u64 = 12 * 1024;

/// Disk space that may stay: directories do not shrink when their entries go.
const DISK_KIB: u64 = 256;

/// How many of each.
struct Scale {
    commands: usize,
    background: usize,
    sessions: usize,
    contexts: usize,
    terminals: usize,
    isolated: usize,
    watches: usize,
    uploads: usize,
}

const SHORT: Scale = Scale {
    commands: 1000,
    background: 30,
    sessions: 25,
    contexts: 12,
    terminals: 15,
    isolated: 10,
    watches: 30,
    uploads: 60,
};

const FULL: Scale = Scale {
    commands: 10_000,
    background: 300,
    sessions: 200,
    contexts: 100,
    terminals: 100,
    isolated: 100,
    watches: 300,
    uploads: 500,
};

/// One of each, so that what is made once and kept is there before anything is counted.
const WARM_UP: Scale = Scale {
    commands: 50,
    background: 2,
    sessions: 4,
    contexts: 4,
    terminals: 4,
    isolated: 2,
    watches: 4,
    uploads: 4,
};

/// What the daemon holds.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    threads: usize,
    processes: usize,
    /// Files and directories below its home, those of background commands' output not counted: they are kept a day.
    entries: usize,
    disk_kib: u64,
    memory_kib: u64,
}

impl Held {
    fn by(execd: &Execd) -> Self {
        let count = |name: &str| fs::read_dir(format!("/proc/{}/{name}", execd.pid())).unwrap().count();
        let (mut entries, mut bytes) = (0, 0);
        measure(execd.home.path(), &mut entries, &mut bytes);
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            processes: descendants(execd.pid()).len(),
            entries,
            disk_kib: bytes / 1024,
            memory_kib: execd.memory(),
        }
    }

    fn is_no_more_than(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors
            && self.threads <= before.threads
            && self.processes <= before.processes
            && self.entries <= before.entries
            && self.disk_kib <= before.disk_kib + DISK_KIB
            && self.memory_kib <= before.memory_kib + MEMORY_KIB
    }
}

/// Counts what lies below a directory, except for output that is kept.
fn measure(dir: &Path, entries: &mut usize, bytes: &mut u64) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        if entry.file_name().to_string_lossy().ends_with(".output") {
            continue;
        }
        *entries += 1;
        *bytes += found.len();
        if found.is_dir() {
            measure(&entry.path(), entries, bytes);
        }
    }
}

/// All processes below the daemon, and those that left the family but still carry its mark.
fn descendants(daemon: u32) -> HashSet<u32> {
    let mark = format!("{MARK}={}", mark());
    let mut parents: HashMap<u32, u32> = HashMap::new();
    let mut found = HashSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if fs::read(entry.path().join("environ"))
            .is_ok_and(|text| memchr::memmem::find(&text, mark.as_bytes()).is_some())
        {
            found.insert(pid);
        }
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parents.insert(pid, parent.unwrap_or_default());
    }
    for pid in parents.keys() {
        let mut at = *pid;
        while let Some(parent) = parents.get(&at).filter(|parent| **parent != 0) {
            if *parent == daemon {
                found.insert(*pid);
                break;
            }
            at = *parent;
        }
    }
    found.remove(&daemon);
    found
}

fn mark() -> String {
    format!("soak-{}", std::process::id())
}

/// Does something this many times, some of them at once.
async fn repeat<F: Future<Output = ()>>(times: usize, at_once: usize, work: impl Fn(usize) -> F) {
    stream::iter(0..times).map(work).buffer_unordered(at_once).collect::<Vec<()>>().await;
}

async fn commands(execd: &Execd, times: usize) {
    const WORKERS: usize = 8;
    repeat(WORKERS, WORKERS, async |worker| {
        let mut sender = execd.connect().await;
        for number in (worker..times).step_by(WORKERS) {
            let body = json!({ "command": format!("echo {number}; echo e >&2; exit {}", number % 3) });
            let request = execd.request(Method::POST, "/command", body.to_string());
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            let text = response.collect().await.unwrap().to_bytes();
            let said = format!("\"text\":\"{number}\\n\"");
            assert!(memchr::memmem::find(&text, said.as_bytes()).is_some(), "{number} is lost");
            sender.ready().await.unwrap();
        }
    })
    .await;
}

async fn background(execd: &Execd, times: usize) {
    repeat(times, 8, async |_| {
        let run = execd.run(json!({ "command": "echo kept; sleep 0.05", "background": true })).await;
        assert_eq!(execd.ended(&run.id()).await["exit_code"], 0);
    })
    .await;
}

async fn sessions(execd: &Execd, times: usize) {
    repeat(times, 4, async |number| {
        let (status, body) = execd.call(Method::POST, "/session", "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let id: Value = serde_json::from_str(&body).unwrap();
        let path = format!("/session/{}", id["session_id"].as_str().unwrap());
        // Every other session is deleted while something runs in its background.
        let command = if number % 2 == 0 { "x=1; echo $x" } else { "sleep 1000 & echo 1" };
        let mut run = execd.begin_at(&format!("{path}/run"), json!({ "command": command })).await;
        while run.next().await.is_some() {}
        assert_eq!(run.stdout(), "1\n");
        assert_eq!(execd.call(Method::DELETE, &path, "").await.0, StatusCode::OK);
    })
    .await;
}

async fn contexts(execd: &Execd, times: usize) {
    repeat(times, 2, async |number| {
        let context = Context::new(execd, if number % 4 == 3 { "bash" } else { "python" }).await;
        assert_eq!(context.output(if number % 4 == 3 { "echo 7" } else { "print(7)" }).await, "7\n");
        let path = format!("/code/contexts/{}", context.id);
        assert_eq!(execd.call(Method::DELETE, &path, "").await.0, StatusCode::OK);
    })
    .await;
}

async fn terminals(execd: &Execd, times: usize) {
    repeat(times, 4, async |number| {
        let id = screen::create(execd, json!({})).await;
        let query = if number % 2 == 0 { "" } else { "?pty=0" };
        let mut client = screen::Client::attach(execd, &id, query).await;
        client.input("echo $((40 + 2))\n").await;
        client.until("42").await;
        // A third leaves its program running, to be killed with the terminal.
        if number % 3 > 0 {
            client.input("exit 3\n").await;
            assert_eq!(client.exit().await, 3);
        }
        assert_eq!(execd.call(Method::DELETE, &format!("/pty/{id}"), "").await.0, StatusCode::OK);
    })
    .await;
}

async fn isolated(execd: &Execd, work: &Path, times: usize) {
    repeat(times, 2, async |_| {
        let body = json!({ "workspace": { "path": work } }).to_string();
        let (status, answer) = execd.call(Method::POST, "/v1/isolated/session", body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let id: Value = serde_json::from_str(&answer).unwrap();
        let path = format!("/v1/isolated/session/{}", id["session_id"].as_str().unwrap());
        let code = json!({ "code": "echo new > new; sleep 1000 & cat new" });
        let mut run = execd.begin_at(&format!("{path}/run"), code).await;
        while run.next().await.is_some() {}
        assert_eq!(run.stdout(), "new\n");
        assert_eq!(execd.get(&format!("{path}/diff")).await.0, StatusCode::OK);
        assert_eq!(execd.call(Method::DELETE, &path, "").await.0, StatusCode::OK);
    })
    .await;
}

async fn watches(execd: &Execd, work: &Path, times: usize) {
    repeat(times, 8, async |number| {
        let path = format!("/directories/watch?path={}", work.display());
        let response = execd.send(execd.request(Method::GET, &path, "")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        let file = work.join(format!("watched-{number}"));
        fs::write(&file, "x").unwrap();
        let mut seen = Vec::new();
        while memchr::memmem::find(&seen, format!("watched-{number}\"").as_bytes()).is_none() {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("a change is told");
            seen.extend_from_slice(&frame.expect("a watch goes on").unwrap().into_data().unwrap());
        }
        fs::remove_file(file).unwrap();
    })
    .await;
}

async fn uploads(execd: &Execd, work: &Path, times: usize) {
    const CONTENT: usize = 100_000;
    repeat(times, 4, async |number| {
        let path = work.join(format!("uploaded-{number}"));
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"m\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n{}",
            json!({ "path": path }),
            "x".repeat(CONTENT),
        );
        // A third breaks off before its end.
        let whole = number % 3 > 0;
        let form = if whole { form + "\r\n--b--\r\n" } else { form };
        let mut request = execd.request(Method::POST, "/files/upload", form);
        request.headers_mut().insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
        let status = execd.send(request).await.status();
        assert_eq!(status, if whole { StatusCode::OK } else { StatusCode::BAD_REQUEST });
        let path = path.display();
        let (status, body) = execd.get(&format!("/files/download?path={path}")).await;
        assert_eq!((status == StatusCode::OK, body.len() == CONTENT), (whole, whole), "{path}");
        assert_eq!(execd.call(Method::DELETE, &format!("/files?path={path}"), "").await.0, StatusCode::OK);
    })
    .await;
}

async fn everything(execd: &Execd, work: &Path, scale: &Scale) {
    commands(execd, scale.commands).await;
    background(execd, scale.background).await;
    sessions(execd, scale.sessions).await;
    contexts(execd, scale.contexts).await;
    terminals(execd, scale.terminals).await;
    isolated(execd, work, scale.isolated).await;
    watches(execd, work, scale.watches).await;
    uploads(execd, work, scale.uploads).await;
}

/// Waits until the daemon holds no more than `before`, or as long as that may take.
async fn settled(execd: &Execd, before: Option<&Held>) -> Held {
    let start = Instant::now();
    let mut last = Held::by(execd);
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = Held::by(execd);
        let steady = (now.descriptors, now.threads, now.processes, now.entries)
            == (last.descriptors, last.threads, last.processes, last.entries);
        let enough = match before {
            Some(before) => now.is_no_more_than(before),
            // Threads that have nothing to do are the last to go.
            None => steady && start.elapsed() > Duration::from_secs(6),
        };
        if enough || start.elapsed() > SETTLE {
            return now;
        }
        last = now;
    }
}

#[tokio::test]
async fn nothing_is_left_of_what_was_closed() {
    let full = std::env::var("SANDKEEP_SOAK").is_ok_and(|scale| scale == "full");
    let execd = Execd::start_with(|command, home| {
        command.env("EXECD_ISOLATION_UPPER_ROOT", home.join("iso")).env(MARK, mark());
    })
    .await;
    let home = execd.home.path().canonicalize().unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let work: PathBuf = home.join("work");
    fs::create_dir(&work).unwrap();
    everything(&execd, &work, &WARM_UP).await;
    let before = settled(&execd, None).await;
    let start = Instant::now();
    everything(&execd, &work, if full { &FULL } else { &SHORT }).await;
    let took = start.elapsed();
    let after = settled(&execd, Some(&before)).await;
    println!("{took:.1?}\nbefore {before:?}\nafter  {after:?}");
    assert!(after.is_no_more_than(&before), "before {before:?}, after {after:?}");
}
