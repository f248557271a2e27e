//! Watching directories, through the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, StatusCode};
use sandkeep_specs::execd::files::{WatchEvent, WatchEventKind as Kind};
use support::{Execd, PATIENCE};

struct Watch {
    body: Incoming,
    unread: Vec<u8>,
    root: PathBuf,
}

impl Watch {
    async fn start(execd: &Execd, root: &Path, recursive: bool) -> Self {
        let path = format!("/directories/watch?path={}&recursive={recursive}", root.display());
        let response = execd.send(execd.request(Method::GET, &path, "")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), unread: Vec::new(), root: root.to_owned() }
    }

    /// The next event that is not a ping, which keeps a stream alive on which nothing else comes; none when the
    /// stream has ended.
    async fn next(&mut self) -> Option<WatchEvent> {
        let start = std::time::Instant::now();
        loop {
            if let Some(end) = memchr::memmem::find(&self.unread, b"\n\n") {
                let event: Vec<u8> = self.unread.drain(..end + 2).collect();
                let event: WatchEvent =
                    serde_json::from_slice(event.strip_prefix(b"data: ").unwrap()).unwrap();
                if event.kind != Kind::Ping {
                    return Some(event);
                }
                assert!(start.elapsed() < 2 * PATIENCE, "nothing but pings");
                continue;
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event in time")?;
            self.unread.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    /// The next change that is no mere modification: its kind, path and earlier path below the root.
    async fn change(&mut self) -> (Kind, String, Option<String>) {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind != Kind::Modified {
                let from = event.from.as_deref().map(|from| self.below(from));
                return (event.kind, self.below(&event.path), from);
            }
        }
    }

    fn below(&self, path: &str) -> String {
        Path::new(path).strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned()
    }

    /// Reads until this path is reported with this kind.
    async fn until(&mut self, kind: Kind, path: &str) -> WatchEvent {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.kind == kind && self.below(&event.path) == path {
                return event;
            }
        }
    }
}

/// A stop reaches a process's threads one by one.
fn every_thread_is_stopped(pid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(|task| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    })
}

fn is(kind: Kind, path: &str) -> (Kind, String, Option<String>) {
    (kind, path.to_owned(), None)
}

#[tokio::test]
async fn changes_are_told_in_order() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("w");
    std::fs::create_dir_all(root.join("old/deep")).unwrap();
    let mut watch = Watch::start(&execd, &root, true).await;
    std::fs::write(root.join("a"), b"1").unwrap();
    assert_eq!(watch.change().await, is(Kind::Created, "a"));
    watch.until(Kind::Modified, "a").await;
    std::fs::rename(root.join("a"), root.join("old/b")).unwrap();
    let moved = (Kind::Moved, "old/b".to_owned(), Some("a".to_owned()));
    assert_eq!(watch.change().await, moved);
    std::fs::write(root.join("old/deep/c"), b"1").unwrap();
    assert_eq!(watch.change().await, is(Kind::Created, "old/deep/c"));
    // A directory that moves is watched under its new name.
    std::fs::rename(root.join("old"), root.join("new")).unwrap();
    assert_eq!(watch.change().await, (Kind::Moved, "new".to_owned(), Some("old".to_owned())));
    std::fs::remove_file(root.join("new/deep/c")).unwrap();
    assert_eq!(watch.change().await, is(Kind::Deleted, "new/deep/c"));
    // What leaves the tree is gone, and not watched any more.
    let outside = execd.home.path().join("outside");
    std::fs::rename(root.join("new"), &outside).unwrap();
    assert_eq!(watch.change().await, is(Kind::Deleted, "new"));
    std::fs::write(outside.join("deep/unseen"), b"").unwrap();
    std::fs::write(root.join("seen"), b"").unwrap();
    assert_eq!(watch.change().await, is(Kind::Created, "seen"));
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(watch.change().await, is(Kind::Deleted, "seen"));
    assert_eq!(watch.change().await, is(Kind::Deleted, ""));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn new_directories_are_seen_with_all_that_is_in_them() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("w");
    std::fs::create_dir(&root).unwrap();
    let mut watch = Watch::start(&execd, &root, true).await;
    let mut expected = std::collections::BTreeSet::new();
    for outer in 0..40 {
        let deep = root.join(format!("{outer}/x/y"));
        std::fs::create_dir_all(&deep).unwrap();
        expected.extend([format!("{outer}"), format!("{outer}/x"), format!("{outer}/x/y")]);
        for file in 0..5 {
            std::fs::write(deep.join(file.to_string()), b"").unwrap();
            expected.insert(format!("{outer}/x/y/{file}"));
        }
    }
    // A tree made elsewhere that arrives in one piece.
    let elsewhere = execd.home.path().join("e");
    std::fs::create_dir_all(elsewhere.join("f/g")).unwrap();
    std::fs::write(elsewhere.join("f/g/h"), b"").unwrap();
    std::fs::rename(&elsewhere, root.join("e")).unwrap();
    expected.extend(["e", "e/f", "e/f/g", "e/f/g/h"].map(str::to_owned));
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < expected.len() {
        let (kind, path, _) = watch.change().await;
        assert_eq!(kind, Kind::Created);
        assert!(seen.insert(path.clone()), "{path} is told twice");
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn one_directory_is_watched_alone() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("w");
    std::fs::create_dir_all(root.join("d")).unwrap();
    let mut watch = Watch::start(&execd, &root, false).await;
    std::fs::write(root.join("d/unseen"), b"").unwrap();
    std::fs::write(root.join("seen"), b"").unwrap();
    assert_eq!(watch.change().await, is(Kind::Created, "seen"));
}

#[tokio::test]
async fn lost_changes_are_admitted() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("w");
    std::fs::create_dir(&root).unwrap();
    let mut watch = Watch::start(&execd, &root, true).await;
    // Twice what the kernel queues for a watcher that is not read from.
    let limit: usize =
        std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let kill = |signal: rustix::process::Signal| {
        let pid = rustix::process::Pid::from_raw(execd.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    kill(rustix::process::Signal::STOP);
    let start = std::time::Instant::now();
    while !every_thread_is_stopped(execd.pid()) {
        assert!(start.elapsed() < PATIENCE, "the stopped daemon goes on");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for number in 0..limit {
        let path = root.join(format!("f{number}"));
        std::fs::write(&path, b"").unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    std::fs::create_dir(root.join("late")).unwrap();
    kill(rustix::process::Signal::CONT);
    watch.until(Kind::Overflow, "").await;
    // From here on nothing is lost, also in a directory whose creation was.
    std::fs::write(root.join("late/file"), b"").unwrap();
    watch.until(Kind::Created, "late/file").await;
}

#[tokio::test]
async fn watches_are_limited_and_say_so() {
    let execd = Execd::start().await;
    let root = execd.home.path();
    let path = format!("/directories/watch?path={}", root.display());
    let mut open = Vec::new();
    let refused = loop {
        let response = execd.send(execd.request(Method::GET, &path, "")).await;
        if response.status() != StatusCode::OK {
            break response;
        }
        open.push(response);
        assert!(open.len() <= 100);
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("limit"), "{body:?}");
    drop(open);
    let start = std::time::Instant::now();
    while execd.send(execd.request(Method::GET, &path, "")).await.status() != StatusCode::OK {
        assert!(start.elapsed() < PATIENCE, "watches come free when clients go");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for (path, expected) in [("/nope", 404), ("/etc/passwd", 400)] {
        let (status, body) = execd.get(&format!("/directories/watch?path={path}")).await;
        assert_eq!(status.as_u16(), expected, "{body}");
    }
}
