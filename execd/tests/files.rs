//! Files and directories, through the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use support::{Execd, need_root};

const BOUNDARY: &str = "opensandbox_0123";

/// A path as a query value.
fn encode(path: &Path) -> String {
    path.as_os_str().as_bytes().iter().map(|b| format!("%{b:02X}")).collect()
}

/// Body of an upload as the published clients write it.
fn form(files: &[(Value, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (metadata, content) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"metadata\"; filename=\"metadata\"\r\nContent-Type: application/json\r\n\r\n{metadata}\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn upload_raw(execd: &Execd, body: impl Into<Bytes>) -> (StatusCode, String) {
    let mut request = execd.request(Method::POST, "/files/upload", body);
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    let response = execd.send(request).await;
    let status = response.status();
    (status, String::from_utf8(response.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

async fn upload(execd: &Execd, files: &[(Value, &[u8])]) -> (StatusCode, String) {
    upload_raw(execd, form(files)).await
}

async fn download(
    execd: &Execd,
    query: &str,
    headers: &[(&'static str, &str)],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = execd.request(Method::GET, &format!("/files/download?{query}"), "");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let response = execd.send(request).await;
    let (head, body) = response.into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

async fn get_json(execd: &Execd, path: &str) -> Value {
    let (status, body) = execd.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

async fn post(execd: &Execd, path: &str, body: Value) -> (StatusCode, String) {
    execd.call(Method::POST, path, body.to_string()).await
}

fn paths(found: &Value, root: &Path) -> Vec<String> {
    let relative = |info: &Value| {
        info["path"].as_str().unwrap().strip_prefix(&format!("{}/", root.display())).unwrap().to_owned()
    };
    found.as_array().unwrap().iter().map(relative).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn uploads_arrive_whole() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let big: Vec<u8> = (0..3_000_000u32).flat_map(|n| n.to_le_bytes()).collect();
    let near = format!("\r\n--{}\r\n--{BOUNDARY}", &BOUNDARY[..8]);
    let near = &near.as_bytes()[..near.len() - 1];
    let (status, body) = upload(
        &execd,
        &[
            (json!({"path": home.join("a/b/big"), "owner": null, "group": null, "mode": 640}), &big),
            (json!({"path": "~/empty"}), b""),
            (json!({"path": "$HOME/near", "mode": 0}), near),
        ],
    )
    .await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert!(std::fs::read(home.join("a/b/big")).unwrap() == big);
    assert_eq!(mode(&home.join("a/b/big")), 0o640);
    assert_eq!(std::fs::read(home.join("empty")).unwrap(), b"");
    assert_eq!(std::fs::read(home.join("near")).unwrap(), near);
    let (status, _) = upload(&execd, &[(json!({"path": home.join("a/b/big")}), b"small")]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (std::fs::read(home.join("a/b/big")).unwrap(), mode(&home.join("a/b/big"))),
        (b"small".to_vec(), 0o640)
    );
    assert_eq!(std::fs::read_dir(home.join("a/b")).unwrap().count(), 1, "no temporary file is left");
}

#[tokio::test]
async fn refused_uploads_change_nothing() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    std::fs::write(home.join("old"), b"old").unwrap();
    let target = home.join("old");
    let good = (json!({"path": target}), &b"new"[..]);
    let whole = form(std::slice::from_ref(&good));
    let text = String::from_utf8(whole.clone()).unwrap();
    let only_file =
        &text[text.rfind("--opensandbox_0123\r\nContent-Disposition: form-data; name=\"file\"").unwrap()..];
    let only_metadata = format!(
        "{}--{BOUNDARY}--\r\n",
        text.split("--opensandbox_0123\r\nContent-Disposition: form-data; name=\"file\"").next().unwrap()
    );
    let twice = only_metadata.replace("--opensandbox_0123--\r\n", "") + &text;
    for (body, code, message) in [
        (
            form(&[(json!({"path": target, "owner": "nobody-here"}), b"new")]),
            "INVALID_FILE_METADATA",
            "nobody-here",
        ),
        (form(&[(json!({"path": target, "mode": 689}), b"new")]), "INVALID_FILE_METADATA", "689"),
        (form(&[(json!({"mode": 644}), b"new")]), "INVALID_FILE_METADATA", "path"),
        (form(&[good.clone(), (json!({"path": "/a\0b"}), b"")]), "INVALID_FILE_METADATA", "NUL"),
        (form(&[good.clone(), (json!({"path": home}), b"")]), "INVALID_REQUEST_BODY", "is a directory"),
        (
            form(&[good.clone(), (json!({"path": "/dev/null"}), b"")]),
            "INVALID_REQUEST_BODY",
            "not a regular file",
        ),
        (
            form(&[good.clone(), (json!({"path": home.join("n".repeat(300))}), b"")]),
            "INVALID_REQUEST_BODY",
            "too long",
        ),
        (whole[..whole.len() - 10].to_vec(), "INVALID_FILE", "closing boundary"),
        (only_file.as_bytes().to_vec(), "INVALID_FILE_METADATA", "metadata part before it"),
        (only_metadata.into_bytes(), "INVALID_FILE_CONTENT", "no file part"),
        (twice.into_bytes(), "INVALID_FILE", "2 metadata parts but 1 file"),
        (format!("--{BOUNDARY}--\r\n").into_bytes(), "INVALID_FILE_METADATA", "no metadata part"),
        (b"nonsense".to_vec(), "INVALID_FILE", "closing boundary"),
    ] {
        let (status, answer) = upload_raw(&execd, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(
            answer.contains(&format!("\"code\":\"{code}\"")) && answer.contains(message),
            "{message}: {answer}"
        );
        assert_eq!(std::fs::read(&target).unwrap(), b"old", "{message}");
        let mut left: Vec<_> = std::fs::read_dir(home).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.retain(|name| name.as_bytes().starts_with(b".sandkeep"));
        assert!(left.is_empty(), "{left:?}");
    }
    let (status, answer) = execd.call(Method::POST, "/files/upload", "x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(answer.contains("multipart/form-data"), "{answer}");
}

#[tokio::test]
async fn memory_stays_flat_while_a_large_upload_passes() {
    let execd = Execd::start().await;
    let target = execd.home.path().join("large");
    let content = vec![b'\r'; 192 * 1024 * 1024];
    let body = form(&[(json!({"path": target}), &content)]);
    let peak = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", execd.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // A first upload brings in the code, whose pages count as well.
    let small = form(&[(json!({"path": target}), b"small")]);
    assert_eq!(upload_raw(&execd, small).await.0, StatusCode::OK);
    let before = peak();
    assert_eq!(upload_raw(&execd, body).await.0, StatusCode::OK);
    let peak = peak();
    assert!(peak < before + 16 * 1024, "{before} KiB before, {peak} KiB at most");
    assert_eq!(std::fs::metadata(&target).unwrap().len(), content.len() as u64);
    let (status, _, got) = download(&execd, &format!("path={}", encode(&target)), &[]).await;
    assert!(status == StatusCode::OK && got == content);
}

#[tokio::test]
async fn downloads_whole_parts_and_lines() {
    let execd = Execd::start().await;
    let path = execd.home.path().join("na\u{ef}ve.txt");
    std::fs::write(&path, b"one\r\ntwo\nthree\n").unwrap();
    let query = format!("path={}", encode(&path));
    let (status, headers, body) = download(&execd, &query, &[]).await;
    assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"one\r\ntwo\nthree\n"[..]));
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(headers["content-length"], "15");
    assert_eq!(headers["accept-ranges"], "bytes");
    assert!(headers["content-disposition"].to_str().unwrap().ends_with("filename*=UTF-8''na%C3%AFve.txt"));
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let date = headers["last-modified"].to_str().unwrap().to_owned();

    let (status, headers, body) = download(&execd, &query, &[("range", "bytes=5-7")]).await;
    assert_eq!((status, body.as_slice()), (StatusCode::PARTIAL_CONTENT, &b"two"[..]));
    assert_eq!(
        (&headers["content-range"], &headers["content-length"]),
        (&"bytes 5-7/15".parse().unwrap(), &"3".parse().unwrap())
    );
    assert_eq!(download(&execd, &query, &[("range", "bytes=-6")]).await.2, b"three\n");
    let (status, headers, _) = download(&execd, &query, &[("range", "bytes=15-")]).await;
    assert_eq!(
        (status, &headers["content-range"]),
        (StatusCode::RANGE_NOT_SATISFIABLE, &"bytes */15".parse().unwrap())
    );
    assert_eq!(download(&execd, &query, &[("range", "lines=1")]).await.0, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(download(&execd, &query, &[("if-none-match", &tag)]).await.0, StatusCode::NOT_MODIFIED);
    assert_eq!(download(&execd, &query, &[("if-modified-since", &date)]).await.0, StatusCode::NOT_MODIFIED);
    assert_eq!(download(&execd, &query, &[("if-match", "\"x\"")]).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(
        download(&execd, &query, &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await.0,
        StatusCode::OK
    );

    let (status, headers, body) = download(&execd, &format!("{query}&offset=1&limit=2"), &[]).await;
    assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"one\ntwo"[..]));
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(download(&execd, &format!("{query}&offset=3"), &[]).await.2, b"three");
    assert_eq!(download(&execd, &format!("{query}&offset=9"), &[]).await.2, b"");
    for bad in ["offset=0", "offset=x", "limit=-1", "limit=1.5"] {
        assert_eq!(
            download(&execd, &format!("{query}&{bad}"), &[]).await.0,
            StatusCode::BAD_REQUEST,
            "{bad}"
        );
    }
    assert_eq!(
        download(&execd, &format!("{query}&limit=1"), &[("range", "bytes=0-1")]).await.0,
        StatusCode::BAD_REQUEST
    );
    assert!(!download(&execd, "path=/proc/cpuinfo", &[]).await.2.is_empty());
    std::fs::write(&path, b"").unwrap();
    let (status, _, body) = download(&execd, &query, &[]).await;
    assert_eq!((status, body.as_slice()), (StatusCode::OK, &b""[..]));
}

#[tokio::test]
async fn information_search_and_listing() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("tree");
    std::fs::create_dir_all(root.join("b/c")).unwrap();
    for name in ["a.py", "b.py", "b/c/d.py", "b/x.txt", ".hidden.py"] {
        std::fs::write(root.join(name), name).unwrap();
    }
    symlink("b", root.join("link.py")).unwrap();
    let odd = root.join(std::ffi::OsStr::from_bytes(b"odd\xff.bin"));
    std::fs::write(&odd, b"odd").unwrap();
    std::fs::set_permissions(root.join("a.py"), std::fs::Permissions::from_mode(0o4751)).unwrap();

    let query =
        format!("/files/info?path={}&path=~/tree/link.py&path={}", encode(&root.join("a.py")), encode(&odd));
    let info = get_json(&execd, &query).await;
    let a = &info[root.join("a.py").to_str().unwrap()];
    assert_eq!(
        (a["size"].as_u64(), a["mode"].as_u64(), a["type"].as_str()),
        (Some(4), Some(4751), Some("file"))
    );
    assert_eq!(
        a["owner"],
        if std::fs::metadata(&root).unwrap().uid() == 0 { json!("root") } else { a["owner"].clone() }
    );
    assert_eq!(info["~/tree/link.py"]["type"], "symlink");
    assert_eq!(info.as_object().unwrap().len(), 3, "a name that is not UTF-8 can be asked for");
    assert_eq!(get_json(&execd, "/files/info").await, json!({}));

    let find = |pattern: &'static str| {
        let (execd, root) = (&execd, &root);
        async move {
            paths(
                &get_json(execd, &format!("/files/search?path={}&pattern={pattern}", encode(root))).await,
                root,
            )
        }
    };
    assert_eq!(find("*.py").await, [".hidden.py", "a.py", "b/c/d.py", "b.py", "link.py"]);
    assert_eq!(find("%7Ba,x%7D.*").await, ["a.py", "b/x.txt"]);
    assert_eq!(find("[!a-b].py").await, ["b/c/d.py"]);
    assert_eq!(find("odd*").await, ["odd\u{fffd}.bin"]);
    assert_eq!(find("").await.len(), 7);
    let list = |depth: &'static str| {
        let (execd, root) = (&execd, &root);
        async move {
            paths(&get_json(execd, &format!("/directories/list?path={}{depth}", encode(root))).await, root)
        }
    };
    assert_eq!(list("").await, [".hidden.py", "a.py", "b", "b.py", "link.py", "odd\u{fffd}.bin"]);
    assert_eq!(list("&depth=0").await, Vec::<String>::new());
    assert_eq!(list("&depth=2").await.len(), 8);
    assert_eq!(
        list("&depth=99").await,
        [".hidden.py", "a.py", "b", "b/c", "b/c/d.py", "b/x.txt", "b.py", "link.py", "odd\u{fffd}.bin"]
    );
}

#[tokio::test]
async fn a_large_listing_costs_little_memory() {
    let execd = Execd::start().await;
    let root = execd.home.path().join("many");
    for directory in 0..50 {
        let directory = root.join(directory.to_string());
        std::fs::create_dir_all(&directory).unwrap();
        (0..400).for_each(|n| std::fs::write(directory.join(format!("file-{n:04}.txt")), b"").unwrap());
    }
    let query = format!("/files/search?path={}&pattern=*.txt", encode(&root));
    get_json(&execd, &query).await;
    let before = execd.memory();
    for _ in 0..3 {
        assert_eq!(get_json(&execd, &query).await.as_array().unwrap().len(), 20_000);
    }
    let grown = execd.memory().saturating_sub(before);
    assert!(grown < 4 * 1024, "{grown} KiB more");
    let one = format!("/files/search?path={}&pattern=file-0399.txt", encode(&root.join("7")));
    assert_eq!(get_json(&execd, &one).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn changes() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    let at = |name: &str| home.join(name).to_str().unwrap().to_owned();
    std::fs::write(at("f"), "red green red").unwrap();

    let (status, body) =
        post(&execd, "/files/replace?verbose=true", json!({at("f"): {"old": "red", "new": "blue"}})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({at("f"): {"replacedCount": 2}}));
    assert_eq!(std::fs::read_to_string(at("f")).unwrap(), "blue green blue");
    assert_eq!(
        post(&execd, "/files/replace", json!({at("f"): {"old": "x", "new": "y"}})).await,
        (StatusCode::OK, String::new())
    );

    assert_eq!(
        post(&execd, "/files/mv", json!([{"src": at("f"), "dest": at("new/g")}])).await.0,
        StatusCode::OK
    );
    assert_eq!(
        post(&execd, "/files/permissions", json!({at("new/g"): {"mode": 600}})).await.0,
        StatusCode::OK
    );
    assert_eq!(mode(Path::new(&at("new/g"))), 0o600);
    assert_eq!(
        post(&execd, "/directories", json!({at("d/e"): {"mode": 700}, at("new"): {"mode": 700}})).await.0,
        StatusCode::OK
    );
    assert_eq!(
        (mode(Path::new(&at("d/e"))), mode(Path::new(&at("new")))),
        (0o700, 0o755),
        "existing ones stay"
    );

    let delete = |path: String| execd.call(Method::DELETE, Box::leak(path.into_boxed_str()), "");
    assert_eq!(delete(format!("/files?path={}&path={}", at("new/g"), at("nope"))).await.0, StatusCode::OK);
    assert!(!Path::new(&at("new/g")).exists());
    assert_eq!(delete(format!("/files?path={}", at("d"))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(delete(format!("/directories?path={}&path={}", at("d"), at("nope"))).await.0, StatusCode::OK);
    assert!(!Path::new(&at("d")).exists());
    assert_eq!(delete("/files".to_owned()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn owners_by_name_and_number() {
    need_root();
    let execd = Execd::start().await;
    let path = execd.home.path().join("f");
    let of = |path: &Path| std::fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
    let (status, body) =
        upload(&execd, &[(json!({"path": path, "owner": "daemon", "group": "4242", "mode": 4755}), b"x")])
            .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!((of(&path), mode(&path)), ((1, 4242), 0o4755));
    upload(&execd, &[(json!({"path": path}), b"y")]).await;
    assert_eq!(of(&path), (1, 4242), "a replaced file keeps its owner");
    post(&execd, "/files/replace", json!({path.to_str().unwrap(): {"old": "y", "new": "z"}})).await;
    assert_eq!((of(&path), mode(&path)), ((1, 4242), 0o4755));
    assert_eq!(
        post(&execd, "/files/permissions", json!({path.to_str().unwrap(): {"owner": "77"}})).await.0,
        StatusCode::OK
    );
    assert_eq!(of(&path), (77, 4242));
    let info = get_json(&execd, &format!("/files/info?path={}", encode(&path))).await;
    assert_eq!(info[path.to_str().unwrap()]["owner"], "77");
}

#[tokio::test]
async fn bad_input_is_refused() {
    let execd = Execd::start().await;
    let home = execd.home.path();
    std::fs::write(home.join("f"), "").unwrap();
    std::fs::write(home.join("g"), "").unwrap();
    let f = home.join("f").to_str().unwrap().to_owned();
    let long = format!("/tmp/{}", "n".repeat(300));
    for (path, status) in [
        ("/files/info?path=/nope".to_owned(), 404),
        ("/files/info?path=".to_owned(), 400),
        ("/files/info?path=/a%00b".to_owned(), 400),
        (format!("/files/info?path={long}"), 400),
        (format!("/files/info?path=/{}", "a/".repeat(3000)), 400),
        ("/files/info?path=/$NOWHERE/x".to_owned(), 400),
        ("/files/search".to_owned(), 400),
        ("/files/search?path=/nope".to_owned(), 404),
        ("/files/search?path=/tmp&pattern=[".to_owned(), 400),
        ("/files/search?path=/tmp&pattern=%FF".to_owned(), 400),
        ("/files/download".to_owned(), 400),
        ("/files/download?path=/nope".to_owned(), 404),
        ("/files/download?path=/tmp".to_owned(), 400),
        ("/files/download?path=/dev/zero".to_owned(), 400),
        ("/directories/list".to_owned(), 400),
        ("/directories/list?path=/tmp&depth=-1".to_owned(), 400),
        ("/directories/list?path=/tmp&depth=x".to_owned(), 400),
        ("/directories/list?path=/nope".to_owned(), 404),
        (format!("/directories/list?path={f}"), 400),
    ] {
        let (found, body) = execd.get(&path).await;
        assert_eq!(found.as_u16(), status, "{path}: {body}");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert!(error["code"].is_string() && !error["message"].as_str().unwrap().is_empty(), "{body}");
    }
    for (path, body, status) in [
        ("/files/permissions", "{".to_owned(), 400),
        ("/files/permissions", "[]".to_owned(), 400),
        ("/files/permissions", json!({&f: {"mode": 888}}).to_string(), 400),
        ("/files/permissions", json!({&f: {"owner": "nobody-here"}}).to_string(), 400),
        ("/files/permissions", json!({"/nope": {"mode": 644}}).to_string(), 404),
        ("/files/mv", json!([{"src": "/nope", "dest": "/tmp/x"}]).to_string(), 404),
        ("/files/mv", json!([{"src": &f, "dest": home.join("g")}]).to_string(), 400),
        ("/files/mv", json!([{"src": &f}]).to_string(), 400),
        ("/files/replace", json!({&f: {"old": "", "new": "x"}}).to_string(), 400),
        ("/files/replace", json!({"/nope": {"old": "a", "new": "x"}}).to_string(), 404),
        ("/directories", json!({&f: {}}).to_string(), 400),
        ("/directories", json!({format!("{f}/x"): {}}).to_string(), 400),
        ("/directories", json!({"/tmp/never": {"owner": "nobody-here"}}).to_string(), 400),
    ] {
        let (found, answer) = execd.call(Method::POST, path, body.clone()).await;
        assert_eq!(found.as_u16(), status, "{path} {body}: {answer}");
    }
    assert!(!Path::new("/tmp/never").exists());
    assert_eq!(execd.call(Method::DELETE, "/directories?path=/", "").await.0, StatusCode::BAD_REQUEST);
}
