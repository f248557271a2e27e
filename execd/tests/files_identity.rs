//! Files under an identity: every operation is truly that user's.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Execd, command_in, need_root};

/// A user and group that no image has.
const UID: u32 = 47_111;
const GID: u32 = 47_112;

const BOUNDARY: &str = "a_boundary";

fn at(path: &str) -> String {
    format!("/v1/filesystem/{UID}/{GID}{path}")
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

fn owner(path: &Path) -> (u32, u32) {
    let found = std::fs::symlink_metadata(path).unwrap();
    (found.uid(), found.gid())
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory of the user's own, and beside it one with secrets of root.
struct Places {
    own: PathBuf,
    closed: PathBuf,
    secret: PathBuf,
}

impl Places {
    fn new(execd: &Execd) -> Self {
        let home = execd.home.path();
        set_mode(home, 0o755);
        let (own, closed) = (home.join("own"), home.join("closed"));
        std::fs::create_dir(&own).unwrap();
        chown(&own, Some(UID), Some(GID)).unwrap();
        std::fs::create_dir(&closed).unwrap();
        let secret = closed.join("secret");
        std::fs::write(&secret, b"secret").unwrap();
        set_mode(&closed, 0o700);
        std::fs::write(home.join("readable"), b"for all to read").unwrap();
        set_mode(&home.join("readable"), 0o644);
        Self { own, closed, secret }
    }
}

async fn post(execd: &Execd, path: &str, body: Value) -> (StatusCode, String) {
    execd.call(Method::POST, &at(path), body.to_string()).await
}

async fn upload(execd: &Execd, route: &str, path: &Path, more: Value) -> (StatusCode, String) {
    let mut metadata = json!({"path": path});
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"m\"\r\n\r\n{metadata}\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nuploaded\r\n--{BOUNDARY}--\r\n"
    );
    let mut request = execd.request(Method::POST, route, body);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    let response = execd.send(request).await;
    let status = response.status();
    (status, String::from_utf8(response.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

fn assert_denied((status, body): (StatusCode, String), path: &Path) {
    assert_eq!(status, StatusCode::FORBIDDEN, "{}: {body}", path.display());
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["code"], "RUNTIME_ERROR");
    assert!(body["message"].as_str().unwrap().contains(path.to_str().unwrap()), "{body}");
}

#[tokio::test]
async fn what_is_made_belongs_to_the_identity() {
    need_root();
    let execd = Execd::start().await;
    let places = Places::new(&execd);
    let own = |name: &str| places.own.join(name);
    let ok = |(status, body): (StatusCode, String)| assert_eq!(status, StatusCode::OK, "{body}");

    ok(upload(&execd, &at("/files/upload"), &own("new/deep/file"), json!({})).await);
    ok(post(&execd, "/directories", json!({text(own("dir/below")): {"mode": 750}})).await);
    for made in ["new", "new/deep", "new/deep/file", "dir", "dir/below"] {
        assert_eq!(owner(&own(made)), (UID, GID), "{made}");
    }
    assert_eq!(std::fs::read(own("new/deep/file")).unwrap(), b"uploaded");
    ok(post(&execd, "/files/replace", json!({text(own("new/deep/file")): {"old": "up", "new": "down"}}))
        .await);
    assert_eq!(std::fs::read(own("new/deep/file")).unwrap(), b"downloaded");
    assert_eq!(owner(&own("new/deep/file")), (UID, GID));
    ok(post(&execd, "/files/mv", json!([{"src": own("new/deep/file"), "dest": own("moved/file")}])).await);
    assert_eq!(owner(&own("moved")), (UID, GID));
    ok(post(&execd, "/files/permissions", json!({text(own("moved/file")): {"mode": 600}})).await);
    assert_eq!(std::fs::metadata(own("moved/file")).unwrap().mode() & 0o777, 0o600);
    let file = own("moved/file");
    let (status, body) = execd.get(&at(&format!("/files/download?path={}", file.display()))).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "downloaded"));
    let (status, body) =
        execd.get(&at(&format!("/files/search?path={}&pattern=fi*", places.own.display()))).await;
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &found[0]["path"]), (StatusCode::OK, &json!(file)));
    let (_, body) = execd.get(&at(&format!("/directories/list?path={}", places.own.display()))).await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap().as_array().unwrap().len(), 3, "{body}");
    let (_, body) = execd.get(&at(&format!("/files/info?path={}", file.display()))).await;
    let info: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(info[file.to_str().unwrap()]["owner"], UID.to_string());
    ok(execd.call(Method::DELETE, &at(&format!("/files?path={}", file.display())), "").await);
    ok(execd.call(Method::DELETE, &at(&format!("/directories?path={}", own("dir").display())), "").await);
    assert!(!file.exists() && !own("dir").exists());
}

#[tokio::test]
async fn what_the_identity_may_not_do_is_refused() {
    need_root();
    let execd = Execd::start().await;
    let places = Places::new(&execd);
    let (secret, home) = (&places.secret, execd.home.path());
    let new = home.join("not-here");
    for path in ["/files/info", "/files/download"] {
        assert_denied(execd.get(&at(&format!("{path}?path={}", secret.display()))).await, secret);
    }
    for path in ["/files/search", "/directories/list"] {
        let asked = at(&format!("{path}?path={}", places.closed.display()));
        assert_denied(execd.get(&asked).await, &places.closed);
    }
    let delete = |path: &str, what: &Path| at(&format!("{path}?path={}", what.display()));
    assert_denied(execd.call(Method::DELETE, &delete("/files", secret), "").await, secret);
    let readable = home.join("readable");
    assert_denied(execd.call(Method::DELETE, &delete("/files", &readable), "").await, &readable);
    assert_denied(
        execd.call(Method::DELETE, &delete("/directories", &places.closed), "").await,
        &places.closed,
    );
    assert_denied(upload(&execd, &at("/files/upload"), &new, json!({})).await, &new);
    assert_denied(upload(&execd, &at("/files/upload"), &readable, json!({})).await, &readable);
    assert_denied(post(&execd, "/directories", json!({text(&new): {}})).await, &new);
    assert_denied(
        post(&execd, "/files/permissions", json!({text(&readable): {"mode": 777}})).await,
        &readable,
    );
    assert_denied(
        post(&execd, "/files/mv", json!([{"src": readable, "dest": places.own.join("x")}])).await,
        &readable,
    );
    let replacement = json!({text(&readable): {"old": "for", "new": "not for"}});
    assert_denied(post(&execd, "/files/replace", replacement).await, &readable);
    // Giving files away is root's alone.
    let given = places.own.join("given");
    assert_denied(upload(&execd, &at("/files/upload"), &given, json!({"owner": "root"})).await, &given);
    assert!(!given.exists());
    assert_eq!(std::fs::read_dir(&places.own).unwrap().count(), 0, "nothing is left behind");
    assert_eq!(std::fs::read(secret).unwrap(), b"secret");
    assert_eq!(std::fs::read(&readable).unwrap(), b"for all to read");
    // The plain routes still are root's, on the same threads.
    let (status, body) = execd.get(&format!("/files/download?path={}", secret.display())).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "secret"));
}

#[tokio::test]
async fn a_writable_file_of_somebody_else_keeps_its_owner() {
    need_root();
    let execd = Execd::start().await;
    let places = Places::new(&execd);
    let (open, shut) = (places.own.join("open"), places.own.join("shut"));
    for (path, mode) in [(&open, 0o666), (&shut, 0o644)] {
        std::fs::write(path, b"of root").unwrap();
        set_mode(path, mode);
    }
    let (status, body) = upload(&execd, &at("/files/upload"), &open, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((std::fs::read(&open).unwrap(), owner(&open)), (b"uploaded".to_vec(), (0, 0)));
    // The directory's permission would do for a replacement, but not for writing.
    assert_denied(upload(&execd, &at("/files/upload"), &shut, json!({})).await, &shut);
    assert_eq!(std::fs::read(&shut).unwrap(), b"of root");
    assert_eq!(std::fs::read_dir(&places.own).unwrap().count(), 2);
}

#[tokio::test]
async fn identities_and_plain_requests_do_not_mix() {
    need_root();
    let execd = Execd::start().await;
    let places = Places::new(&execd);
    let (execd, places) = (&execd, &places);
    let one = |n: usize| async move {
        let asked = format!("/files/download?path={}", places.secret.display());
        if n.is_multiple_of(2) {
            assert_eq!(execd.get(&asked).await, (StatusCode::OK, "secret".to_owned()));
        } else {
            let uid = UID + u32::try_from(n).unwrap();
            let (status, body) = execd.get(&format!("/v1/filesystem/{uid}/{uid}{asked}")).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
        }
    };
    for round in 0..10 {
        futures_util::future::join_all((0..40).map(|n| one(n + 40 * round))).await;
    }
}

#[tokio::test]
async fn numbers_that_are_none_are_refused() {
    let execd = Execd::start().await;
    for (ids, wrong) in
        [("-1/0", "uid"), ("0/4294967295", "gid"), ("root/0", "uid"), ("1/99999999999", "gid")]
    {
        let (status, body) = execd.get(&format!("/v1/filesystem/{ids}/files/info?path=/")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{ids}");
        assert!(body.contains(wrong), "{body}");
    }
    let (status, _) = execd.get("/v1/filesystem/0/files/info?path=/").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_root_only_oneself_can_be_asked_for() {
    need_root();
    let home = tempfile::tempdir().unwrap();
    let command = command_in(home.path());
    let execd = Execd::start_as(command, home, |command, home| {
        set_mode(home, 0o777);
        chown(home, Some(UID), Some(GID)).unwrap();
        command.uid(UID).gid(GID);
    })
    .await;
    let home = execd.home.path();
    let (status, body) = upload(&execd, &at("/files/upload"), &home.join("mine"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(owner(&home.join("mine")), (UID, GID));
    for ids in ["0/0", "47111/0", "1000/1000"] {
        let (status, body) = execd.get(&format!("/v1/filesystem/{ids}/files/info?path=/")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{ids}: {body}");
        let (uid, gid) = ids.split_once('/').unwrap();
        assert!(body.contains(&format!("user {uid} and group {gid}")), "{body}");
    }
}
