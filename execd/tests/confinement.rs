//! Nothing leads out of a directory, whatever links somebody puts in the way meanwhile.
//!
//! Threads exchange a directory for a link to a place outside, thousands of times a second, while execd works there.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use support::{Execd, eventually, need_root};

/// In every file outside; nothing that is sent may hold it.
const SECRET: &str = "what-nobody-may-read";

/// How long each race goes on.
const RACE: Duration = Duration::from_millis(1500);

/// Someone without rights.
const UID: u32 = 47_111;
const GID: u32 = 47_112;

/// A daemon, a directory it works in, and one beside it that it must not touch.
struct Place {
    execd: Execd,
    inside: PathBuf,
    outside: PathBuf,
    before: Vec<(PathBuf, u64, u32, u32, Vec<u8>)>,
}

impl Place {
    async fn start() -> Self {
        let execd = Execd::start_with(|command, home| {
            command.env("EXECD_ISOLATION_UPPER_ROOT", home.join("iso"));
        })
        .await;
        let home = execd.home.path().canonicalize().unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        let (inside, outside) = (home.join("inside"), home.join("outside"));
        fs::create_dir(&inside).unwrap();
        fs::create_dir_all(outside.join("kept")).unwrap();
        for name in ["secret", "file", "kept/deep"] {
            fs::write(outside.join(name), SECRET).unwrap();
            fs::set_permissions(outside.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let before = contents(&outside);
        Self { execd, inside, outside, before }
    }

    /// `name` inside: a directory that becomes a link to the outside and back, with what `fill` puts into it.
    fn swap(&self, name: &str, fill: impl Fn(&Path)) -> Swapper {
        let (one, other) = (self.inside.join(name), self.inside.join(format!("{name}-other")));
        fs::create_dir(&one).unwrap();
        fill(&one);
        symlink(&self.outside, &other).unwrap();
        Swapper::start(one, other)
    }

    fn assert_untouched(&self) {
        assert_eq!(contents(&self.outside), self.before, "something outside has changed");
    }

    async fn body(&self, method: Method, path: &str) -> (StatusCode, Bytes) {
        let response = self.execd.send(self.execd.request(method, path, "")).await;
        let status = response.status();
        // An archive may break off when a file goes away under it.
        let mut body = response.into_body();
        let mut read = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            read.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        (status, read.into())
    }

    async fn upload(&self, route: &str, path: &Path) -> StatusCode {
        let form = format!(
            "--b\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"m\"\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nuploaded\r\n--b--\r\n",
            json!({ "path": path }),
        );
        let mut request = self.execd.request(Method::POST, route, form);
        request.headers_mut().insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
        self.execd.send(request).await.status()
    }
}

/// Everything below a directory: path, inode, mode, owner, content.
fn contents(dir: &Path) -> Vec<(PathBuf, u64, u32, u32, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let known = fs::symlink_metadata(&path).unwrap();
        let content = if known.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path.clone(), known.ino(), known.mode(), known.uid(), content));
        if known.is_dir() {
            found.extend(contents(&path));
        }
    }
    found.sort();
    found
}

/// Exchanges two names until it is dropped.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Swapper {
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&swaps));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Fails while one of them has just been deleted.
                if renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::yield_now();
            }
        });
        Self { stop, swaps, thread: Some(thread) }
    }

    fn assert_raced(&self) {
        let swaps = self.swaps.load(Ordering::Relaxed);
        assert!(swaps > 100, "only {swaps} exchanges: this was no race");
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Does something over and over for as long as the race lasts; returns how often it succeeded.
async fn race(mut step: impl AsyncFnMut() -> bool) -> usize {
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < RACE {
        done += usize::from(step().await);
    }
    assert!(done > 0, "nothing ever succeeded: nothing was tried");
    done
}

fn leaks(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, SECRET.as_bytes()).is_some()
}

/// A tar stream of a file and a directory below `swap`, and of a link that is to lead the way for more.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in ["swap/file", "swap/kept/new", "swap/deep/er/file"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &b"new"[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn archives_go_in_and_out_of_their_directory_only() {
    let place = Place::start().await;
    let swapper = place.swap("swap", |dir| fs::write(dir.join("file"), "own").unwrap());
    let route = format!("/directories/archive?path={}", place.inside.display());
    let archive = Bytes::from(archive());
    race(async || place.execd.call(Method::PUT, &route, archive.clone()).await.0 == StatusCode::OK).await;
    race(async || {
        let (status, archive) = place.body(Method::GET, &route).await;
        assert!(!leaks(&archive), "a file outside is in the archive");
        status == StatusCode::OK
    })
    .await;
    swapper.assert_raced();
    place.assert_untouched();
}

#[tokio::test]
async fn walks_do_not_leave_their_directory() {
    let place = Place::start().await;
    let tree = place.inside.join("swap");
    let fill = |dir: &Path| {
        fs::create_dir_all(dir.join("kept")).unwrap();
        fs::write(dir.join("own"), "own").unwrap();
    };
    let swapper = place.swap("swap", fill);
    let (shown, below) = (place.inside.display(), format!("{}/", place.inside.display()));
    for route in [format!("/files/search?path={shown}"), format!("/directories/list?path={shown}&depth=5")] {
        race(async || {
            let (status, body) = place.body(Method::GET, &route).await;
            let found: Value = serde_json::from_slice(&body).unwrap();
            for entry in found.as_array().into_iter().flatten() {
                let path = entry["path"].as_str().unwrap();
                assert!(path.starts_with(&below), "{path}");
                assert!(!path.ends_with("/secret") && !path.ends_with("/deep"), "{path} lies outside");
            }
            status == StatusCode::OK
        })
        .await;
    }
    race(async || {
        let deleted = place.body(Method::DELETE, &format!("/directories?path={}", tree.display())).await.0;
        // Something to delete the next time, and to exchange: made elsewhere, as the way may lead out by now.
        let fresh = place.execd.home.path().join("fresh");
        let _ = fs::create_dir(&fresh);
        fill(&fresh);
        let _ = renameat_with(CWD, &fresh, CWD, &tree, RenameFlags::NOREPLACE);
        let _ = symlink(&place.outside, place.inside.join("swap-other"));
        deleted == StatusCode::OK
    })
    .await;
    swapper.assert_raced();
    place.assert_untouched();
}

#[tokio::test]
async fn an_identity_gains_nothing_by_racing() {
    need_root();
    let place = Place::start().await;
    fs::set_permissions(&place.outside, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&place.inside, Some(UID), Some(GID)).unwrap();
    let swapper = place.swap("swap", |dir| {
        fs::write(dir.join("file"), "own").unwrap();
        chown(dir.join("file"), Some(UID), Some(GID)).unwrap();
        chown(dir, Some(UID), Some(GID)).unwrap();
    });
    let (prefix, swap) = (format!("/v1/filesystem/{UID}/{GID}"), place.inside.join("swap"));
    let shown = swap.display();
    race(async || {
        let (status, body) =
            place.body(Method::GET, &format!("{prefix}/files/download?path={shown}/file")).await;
        assert!(!leaks(&body), "a file outside was read");
        status == StatusCode::OK
    })
    .await;
    race(async || {
        place.upload(&format!("{prefix}/files/upload"), &swap.join("file")).await == StatusCode::OK
    })
    .await;
    race(async || {
        let post = async |path: &str, body: Value| {
            place.execd.call(Method::POST, &format!("{prefix}{path}"), body.to_string()).await.0
        };
        let file = swap.join("file");
        let mode = post("/files/permissions", json!({ (file.to_str().unwrap()): { "mode": 666 } })).await;
        post("/files/replace", json!({ (file.to_str().unwrap()): { "old": SECRET, "new": "x" } })).await;
        post("/files/mv", json!([{ "src": swap.join("kept"), "dest": place.inside.join("stolen") }])).await;
        place.body(Method::DELETE, &format!("{prefix}/directories?path={shown}/kept")).await;
        place.body(Method::DELETE, &format!("{prefix}/files?path={shown}/secret")).await;
        mode == StatusCode::OK
    })
    .await;
    swapper.assert_raced();
    place.assert_untouched();
}

#[tokio::test]
async fn isolated_sessions_stay_in_their_workspace() {
    need_root();
    let place = Place::start().await;
    fs::write(place.inside.join("old"), "old").unwrap();
    let body = json!({ "workspace": { "path": place.inside } }).to_string();
    let (status, answer) = place.execd.call(Method::POST, "/v1/isolated/session", body).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let id: Value = serde_json::from_str(&answer).unwrap();
    let session = format!("/v1/isolated/session/{}", id["session_id"].as_str().unwrap());
    // The session's own code races: a directory of the workspace, a link to the outside, and back.
    let code = format!(
        "while true; do mkdir swap && echo own > swap/file; mv swap was; ln -s {0} swap; mv -T swap gone; \
         rm -rf was gone; echo >> ticks; done",
        place.outside.display()
    );
    let run = json!({ "code": code, "background": true }).to_string();
    assert_eq!(place.execd.call(Method::POST, &format!("{session}/run"), run).await.0, StatusCode::ACCEPTED);
    let swap = place.inside.join("swap");
    let ticks = async || {
        let path = place.inside.join("ticks");
        let (_, text) =
            place.body(Method::GET, &format!("{session}/files/download?path={}", path.display())).await;
        text.len()
    };
    let before = ticks().await;
    // Inside the session the way may lead out, but there the file system can only be read.
    race(async || {
        place.upload(&format!("{session}/files/upload"), &swap.join("new")).await == StatusCode::OK
    })
    .await;
    race(async || {
        let target = format!("{session}/directories?path={}", swap.join("kept").display());
        place.body(Method::DELETE, &target).await.0 == StatusCode::OK
    })
    .await;
    // From outside, on what the session's code moves about.
    race(async || {
        let (status, packed) = place.body(Method::GET, &format!("{session}/diff")).await;
        let mut plain = Vec::new();
        // A stream that broke off is read as far as it goes.
        let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain);
        assert!(!leaks(&plain), "a file outside is among the changes");
        status == StatusCode::OK
    })
    .await;
    let start = Instant::now();
    while start.elapsed() < RACE {
        // What moves away while it is written is an error, nothing worse.
        place.execd.call(Method::POST, &format!("{session}/commit"), "").await;
    }
    assert!(ticks().await > before, "the session's code did not race");
    place.assert_untouched();
    let (status, body) = place.execd.call(Method::DELETE, &session, "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    eventually("the session's files go", || {
        let own = fs::read_dir(place.execd.home.path().join("iso")).unwrap().next().unwrap().unwrap().path();
        fs::read_dir(own).unwrap().flatten().filter(|entry| entry.path().is_dir()).count() == 0
    })
    .await;
}
