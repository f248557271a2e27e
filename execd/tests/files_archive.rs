//! Directories as tar streams, through the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Execd, PATIENCE};

fn route(path: &Path) -> String {
    format!("/directories/archive?path={}", path.display())
}

async fn download(execd: &Execd, path: &Path) -> Bytes {
    let response = execd.send(execd.request(Method::GET, &route(path), "")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/x-tar");
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn upload(execd: &Execd, path: &Path, archive: impl Into<Bytes>) -> (StatusCode, Value) {
    let (status, body) = execd.call(Method::PUT, &route(path), archive).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// Runs the system's own `tar`, which both ways must agree with.
fn tar(args: &[&str], directory: &Path) {
    let done = Command::new("tar").args(args).current_dir(directory).status().unwrap();
    assert!(done.success(), "tar {args:?}");
}

#[tokio::test]
async fn the_systems_tar_reads_what_is_sent() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let tree = home.join("tree");
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/big"), vec![5; 3_000_001]).unwrap();
    std::fs::write(tree.join("a").join("n".repeat(180)), b"long name").unwrap();
    std::fs::hard_link(tree.join("a/big"), tree.join("a/same")).unwrap();
    symlink("a/big", tree.join("link")).unwrap();
    std::fs::set_permissions(tree.join("a/big"), std::fs::Permissions::from_mode(0o4751)).unwrap();
    std::fs::write(home.join("archive.tar"), download(&execd, &tree).await).unwrap();
    let out = home.join("out");
    std::fs::create_dir(&out).unwrap();
    tar(&["xpf", "../archive.tar"], &out);
    assert!(std::fs::read(out.join("link")).unwrap() == vec![5; 3_000_001]);
    let (big, same) = (out.join("a/big").metadata().unwrap(), out.join("a/same").metadata().unwrap());
    assert_eq!((big.ino(), big.mode() & 0o7777), (same.ino(), 0o4751));
    assert_eq!(std::fs::read(out.join("a").join("n".repeat(180))).unwrap(), b"long name");
    assert!(out.join("a/b").is_dir());
}

#[tokio::test]
async fn what_the_systems_tar_writes_is_unpacked() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let tree = home.join("tree");
    std::fs::create_dir_all(tree.join("d")).unwrap();
    std::fs::write(tree.join("d/big"), vec![9; 20_000_000]).unwrap();
    std::fs::write(tree.join("d").join("n".repeat(180)), b"long").unwrap();
    symlink("big", tree.join("d/link")).unwrap();
    for (number, format) in ["gnu", "posix", "ustar"].into_iter().enumerate() {
        if format == "ustar" {
            std::fs::remove_file(tree.join("d").join("n".repeat(180))).unwrap();
        }
        let name = format!("{format}.tar");
        tar(&["cf", &name, &format!("--format={format}"), "-C", "tree", "."], home);
        let to = home.join(format!("to/{number}"));
        let (status, summary) = upload(&execd, &to, std::fs::read(home.join(name)).unwrap()).await;
        let entries = if format == "ustar" { 4 } else { 5 };
        assert_eq!((status, &summary["entries"]), (StatusCode::OK, &json!(entries)), "{format}: {summary}");
        assert!(std::fs::read(to.join("d/link")).unwrap() == vec![9; 20_000_000], "{format}");
        let (was, is) = (tree.join("d/big").metadata().unwrap(), to.join("d/big").metadata().unwrap());
        assert_eq!((was.mtime(), was.mode(), was.uid()), (is.mtime(), is.mode(), is.uid()), "{format}");
    }
}

#[tokio::test]
async fn mistakes_are_the_clients() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    std::fs::write(home.join("file"), b"x").unwrap();
    for (path, expected) in [("nope", 404), ("file", 400)] {
        let (status, body) = execd.get(&route(&home.join(path))).await;
        assert_eq!(status.as_u16(), expected, "{body}");
    }
    let (status, body) = execd.get(&route(Path::new("/proc/self"))).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("file system of the kernel"), "{body}");
    assert_eq!(execd.get("/directories/archive").await.0, StatusCode::BAD_REQUEST);
    for archive in [&b""[..], b"no archive", &[b'x'; 2000]] {
        let (status, body) = upload(&execd, &home.join("to"), archive.to_vec()).await;
        assert_eq!(
            (status, &body["code"]),
            (StatusCode::BAD_REQUEST, &json!("INVALID_REQUEST_BODY")),
            "{body}"
        );
    }
    let (status, body) = upload(&execd, &home.join("file"), vec![0; 1024]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
}

/// Somebody inside swaps a directory for a link out of the tree, over and over, while archives are unpacked into it.
#[tokio::test]
async fn a_race_with_links_leads_nowhere() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let (source, to, outside) = (home.join("source"), home.join("to"), home.join("outside"));
    std::fs::create_dir_all(source.join("d/e")).unwrap();
    for number in 0..20 {
        std::fs::write(source.join(format!("d/e/{number}")), b"x").unwrap();
    }
    let archive = download(&execd, &source).await;
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(to.join("d")).unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapper = {
        let (stop, to, outside) = (stop.clone(), to.clone(), outside.clone());
        std::thread::spawn(move || {
            let (d, away, link) = (to.join("d"), to.join("away"), to.join("link"));
            symlink(&outside, &link).unwrap();
            let mut swaps = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Any step may fail when the unpacking is in between; the next turn puts it right.
                let _ = std::fs::rename(&d, &away);
                let _ = std::fs::rename(&link, &d);
                let _ = std::fs::rename(&d, &link);
                let _ = std::fs::remove_dir_all(&d);
                let _ = std::fs::rename(&away, &d);
                swaps += 1;
            }
            swaps
        })
    };
    let begun = Instant::now();
    let mut refused = 0;
    for _ in 0..200 {
        let (status, body) = upload(&execd, &to, archive.clone()).await;
        assert!(!status.is_server_error() || body["message"].is_string(), "{body}");
        refused += u32::from(status != StatusCode::OK);
        if begun.elapsed() > PATIENCE / 5 {
            break;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(swapper.join().unwrap() > 0);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{refused} archives were refused");
}

/// Descriptors and memory after many archives, watches, uploads cut off and requests as users are what they were.
#[tokio::test]
async fn nothing_is_left_open() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let tree = home.join("tree");
    std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
    for name in ["a/x", "a/b/y", "a/b/c/z"] {
        std::fs::write(tree.join(name), vec![1; 300_000]).unwrap();
    }
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", execd.pid())).unwrap().count();
    let round = async |number: usize| {
        let archive = download(&execd, &tree).await;
        assert_eq!(upload(&execd, &home.join("to"), archive.clone()).await.0, StatusCode::OK);
        assert_eq!(upload(&execd, &home.join("to"), archive.slice(..archive.len() / 2)).await.0, 400);
        let asked = format!("/directories/watch?path={}&recursive=true", tree.display());
        let watch = execd.send(execd.request(Method::GET, &asked, "")).await;
        assert_eq!(watch.status(), StatusCode::OK, "{number}");
        drop(watch);
        // Hung up on in the middle.
        drop(execd.send(execd.request(Method::GET, &route(&tree), "")).await);
        let asked = format!("/v1/filesystem/4242/4242/files/info?path={}", tree.display());
        execd.get(&asked).await;
    };
    for number in 0..20 {
        round(number).await;
    }
    support::eventually("watches end with their clients", || descriptors() < 60).await;
    let (before, memory) = (descriptors(), execd.memory());
    for number in 0..50 {
        round(number).await;
        // Watches end when execd notices that the client has gone, and no more than so many may be open.
        support::eventually("watches end with their clients", || descriptors() < before + 16).await;
    }
    support::eventually("descriptors come back", || descriptors() <= before).await;
    let grown = execd.memory().saturating_sub(memory);
    assert!(grown < 4096, "{grown} KiB more than before");
    let left: Vec<_> =
        std::fs::read_dir(home.join("to/a")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}
