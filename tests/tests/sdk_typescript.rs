//! The TypeScript SDK, packed and installed as its users install it: in Node, and in a browser.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use sandkeep_tests::{browser::Browser, node::Project, server::Server};
use serde_json::json;
use tokio::sync::OnceCell;

/// A page that works longer than this hangs.
const WORK_TIMEOUT: Duration = Duration::from_secs(180);

static PROJECT: OnceCell<Project> = OnceCell::const_new();

async fn project() -> Result<&'static Project> {
    PROJECT.get_or_try_init(Project::make).await
}

#[tokio::test]
async fn the_package_passes_its_suite_in_an_empty_project() -> Result<()> {
    let report = project().await?.run(Server::shared()?, &["--test", "build/test/all.js"]).await?;
    ensure!(report.contains("# fail 0") || report.contains("ℹ fail 0"), "{report}");
    ensure!(!report.contains("# skipped 1") && !report.contains("ℹ skipped 1"), "{report}");
    Ok(())
}

#[tokio::test]
async fn the_examples_do_what_they_say() -> Result<()> {
    let (project, server) = (project().await?, Server::shared()?);
    let edit = project.run(server, &["build/examples/edit-test-loop.js"]).await?;
    assert!(edit.contains("attempt 1: 1 failed") && edit.contains("attempt 2: all tests pass"), "{edit}");
    let fork = project.run(server, &["build/examples/snapshot-and-fork.js"]).await?;
    assert!(fork.contains("left: 2 + 3 = 5\nright: 2 * 3 = 6\n"), "{fork}");
    let job = project.run(server, &["build/examples/long-job.js"]).await?;
    assert!(job.contains("came back at step 3") && job.contains("ended with exit code 0"), "{job}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_uses_sandboxes_through_the_server() -> Result<()> {
    let (project, server) = (project().await?, Server::shared()?);
    let page = serve_page(project.bundle("src/test/browser/page.ts").await?)?;
    let url = format!("http://{page}/?url={}&key={}", server.url(), server.key);
    let report = tokio::task::block_in_place(|| {
        let browser = Browser::start()?;
        browser.open(&url)?;
        browser.wait_within(WORK_TIMEOUT, "the end of its work", "return globalThis.report?.done")?;
        browser.script("return report")
    })?;
    ensure!(report["error"].is_null(), "{report:#}");
    let expected = json!({
        "command": ["1\n2\n3\n", "1\n2\n3\n", 4],
        "input": "SHOUT",
        "code": "42",
        "file": true,
        "tree": "tree",
        "logs": {"text": "behind\n", "cursor": 7},
        "aborted": "AbortError",
        "terminal": [true, 5],
        "missing": "NotFoundError",
    });
    assert_eq!(report["seen"], expected);
    Ok(())
}

/// Serves one page with one script, until the process ends.
fn serve_page(script: String) -> Result<SocketAddr> {
    const PAGE: &str = "<!doctype html><link rel=icon href=data:,><script type=module src=/page.js></script>";
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let script = Arc::new(script);
    thread::spawn(move || {
        for visitor in listener.incoming().flatten() {
            let script = script.clone();
            // Browsers open connections that they do not use: none may keep the others waiting. One that goes away in
            // between has asked for nothing.
            thread::spawn(move || answer(visitor, PAGE, &script));
        }
    });
    Ok(address)
}

fn answer(mut visitor: TcpStream, page: &str, script: &str) -> Result<()> {
    let mut lines = BufReader::new(visitor.try_clone()?).lines();
    let wanted = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (kind, body) = match wanted.starts_with("GET /page.js ") {
        true => ("text/javascript", script),
        false => ("text/html", page),
    };
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}", body.len());
    write!(visitor, "{head}\r\nConnection: close\r\n\r\n{body}")?;
    Ok(())
}
