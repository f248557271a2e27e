//! Interpreters that are started before they are asked for.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Execd, eventually, is_alive};

/// The daemon's children that run Python.
fn interpreters(execd: &Execd) -> Vec<i32> {
    let pid = execd.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let is_python = |child: &i32| {
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        memchr::memmem::find(&line, b"sandkeep").is_some()
    };
    children.split_whitespace().map(|child| child.parse().unwrap()).filter(is_python).collect()
}

/// The process of a new context, and the context.
async fn new_context(execd: &Execd, body: Value) -> (i32, String) {
    let (status, made) = execd.call(Method::POST, "/code/context", body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let id = serde_json::from_str::<Value>(&made).unwrap()["id"].as_str().unwrap().to_owned();
    let code = "import os\nos.getpid()";
    let mut run = execd.begin_at("/code", json!({"context": {"id": id}, "code": code})).await;
    while run.next().await.is_some() {}
    let found = run.events.iter().find_map(|event| event.results.as_ref()).unwrap();
    (found["text"].as_str().unwrap().parse().unwrap(), id)
}

async fn spare(execd: &Execd, own: &[i32]) -> i32 {
    let mut found = 0;
    eventually("no interpreter waits", || {
        let all = interpreters(execd);
        found = all.iter().copied().find(|pid| !own.contains(pid)).unwrap_or_default();
        found != 0
    })
    .await;
    found
}

#[tokio::test]
async fn a_language_that_was_used_has_one_waiting() {
    let execd = Execd::start().await;
    assert!(interpreters(&execd).is_empty(), "nobody has asked for Python");
    let python = json!({"language": "python"});
    let (first, _) = new_context(&execd, python.clone()).await;
    let waiting = spare(&execd, &[first]).await;
    // Another directory needs another interpreter.
    let elsewhere = json!({"language": "python", "cwd": execd.home.path().join("elsewhere")});
    let (second, _) = new_context(&execd, elsewhere).await;
    assert_ne!(second, waiting);
    let (third, _) = new_context(&execd, python.clone()).await;
    assert_eq!(third, waiting);
    // So does what Python reads when it starts, and one that has ended is not used.
    let waiting = spare(&execd, &[first, second, third]).await;
    std::fs::write(execd.home.path().join("envs"), "PYTHONHASHSEED=1\n").unwrap();
    let (fourth, _) = new_context(&execd, python.clone()).await;
    assert_ne!(fourth, waiting);
    let waiting = spare(&execd, &[first, second, third, fourth, waiting]).await;
    // SAFETY: ends a process that this test's daemon started.
    unsafe { libc::kill(waiting, libc::SIGKILL) };
    eventually("the spare lives on", || !is_alive(waiting)).await;
    let (fifth, _) = new_context(&execd, python).await;
    assert_ne!(fifth, waiting);
}

#[tokio::test]
async fn one_that_waits_gets_the_environment_of_the_day() {
    let envs = "CHANGED=before\nGONE=1\n";
    let execd = Execd::start_with(|command, home| {
        std::fs::write(home.join("envs"), envs).unwrap();
        command.args(["--prestart", "python"]);
    })
    .await;
    let waiting = spare(&execd, &[]).await;
    std::fs::write(execd.home.path().join("envs"), "CHANGED=after = all\nNEW='two\nlines'\n").unwrap();
    let (used, id) = new_context(&execd, json!({"language": "python"})).await;
    assert_eq!(used, waiting);
    let code = "import os, subprocess\nnames = ('CHANGED', 'NEW', 'GONE', 'MPLBACKEND')\n\
                shown = subprocess.run(['env', '-0'], capture_output=True, text=True).stdout.split('\\0')\n\
                [[os.environ.get(n) for n in names], sorted(s for s in shown if s.split('=')[0] in names)]";
    let mut run = execd.begin_at("/code", json!({"context": {"id": id}, "code": code})).await;
    while run.next().await.is_some() {}
    let found = run.events.iter().find_map(|event| event.results.as_ref()).unwrap();
    let expected = "[['after = all', 'two\\nlines', None, 'Agg'], ['CHANGED=after = all', 'MPLBACKEND=Agg', 'NEW=two\\nlines']]";
    assert_eq!(found["text"].as_str().unwrap(), expected);
}

#[tokio::test]
async fn it_can_be_turned_off_and_begin_with_the_daemon() {
    let off = Execd::start_with(|command, _| {
        command.env("EXECD_PRESTART", "off");
    })
    .await;
    let first = Execd::start_with(|command, _| {
        command.args(["--prestart", "python,java"]);
    })
    .await;
    let python = json!({"language": "python"});
    let (used, id) = new_context(&off, python.clone()).await;
    let waiting = spare(&first, &[]).await;
    assert_eq!(new_context(&first, python).await.0, waiting);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(interpreters(&off), [used]);
    assert_eq!(off.call(Method::DELETE, &format!("/code/contexts/{id}"), "").await.0, StatusCode::OK);
    let refused = support::command().args(["--port", "1", "--prestart", "cobol"]).output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cobol"));
}
