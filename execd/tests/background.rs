//! Background commands, over HTTP against the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::EventKind;
use serde_json::json;
use support::{Execd, eventually};

/// Text and next cursor of a command's output.
async fn logs(execd: &Execd, id: &str, cursor: &str) -> (String, String) {
    let request = execd.request(Method::GET, &format!("/command/{id}/logs{cursor}"), "");
    let response = execd.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let next = response.headers()["execd-commands-tail-cursor"].to_str().unwrap().to_owned();
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    (String::from_utf8(body.to_vec()).unwrap(), next)
}

#[tokio::test]
async fn the_stream_is_complete_at_once_and_the_output_is_kept() {
    let execd = Execd::start().await;
    let command = "echo one; echo two >&2; until [ -e ~/go ]; do sleep 0.02; done; echo three; exit 4";
    let run = execd.run(json!({"command": command, "background": true})).await;
    let kinds: Vec<_> = run.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Init, EventKind::Ping, EventKind::ExecutionComplete]);
    let id = run.id();
    let status = execd.status(&id).await;
    assert_eq!(
        (&status["running"], &status["exit_code"], &status["finished_at"]),
        (&json!(true), &json!(null), &json!(null))
    );
    let (mut text, mut cursor) = (String::new(), String::new());
    while !text.ends_with("two\n") {
        (text, cursor) = logs(&execd, &id, "").await;
    }
    assert_eq!((text.as_str(), cursor.as_str()), ("one\ntwo\n", "8"));
    std::fs::write(execd.home.path().join("go"), "").unwrap();
    assert_eq!(execd.ended(&id).await["exit_code"], 4);
    assert_eq!(logs(&execd, &id, "?cursor=8").await, ("three\n".to_owned(), "14".to_owned()));
    assert_eq!(logs(&execd, &id, "?cursor=14").await, (String::new(), "14".to_owned()));
    assert_eq!(logs(&execd, &id, "?cursor=99").await, (String::new(), "99".to_owned()));
    assert_eq!(logs(&execd, &id, "?cursor=x").await.0, "one\ntwo\nthree\n");
    assert_eq!(execd.get(&format!("/command/{id}/logs?cursor=-1")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_cannot_start_is_on_record() {
    let execd = Execd::start().await;
    let run = execd.run(json!({"argv": ["no-such-program"], "background": true})).await;
    assert_eq!(run.exit_code(), 0, "the stream only says that the command was accepted");
    let status = execd.ended(&run.id()).await;
    assert_eq!(status["exit_code"], 255);
    assert!(status["error"].as_str().unwrap().contains("no-such-program"));
    assert_eq!(logs(&execd, &run.id(), "").await.0, "");
}

#[tokio::test]
async fn limits_and_interrupts_apply() {
    let execd = Execd::start().await;
    let run = execd.run(json!({"command": "echo x; sleep 1000", "background": true, "timeout": 200})).await;
    let status = execd.ended(&run.id()).await;
    assert_eq!((&status["timed_out"], &status["exit_code"]), (&json!(true), &json!(137)));
    let run = execd.run(json!({"argv": ["sleep", "1000"], "background": true})).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/command?id={}", run.id()), "").await.0, StatusCode::OK);
    assert_eq!(execd.status(&run.id()).await["exit_code"], 143);
}

#[tokio::test]
async fn outputs_are_private_and_removed_at_the_end() {
    let mut execd = Execd::start().await;
    let run = execd.run(json!({"argv": ["echo", "secret"], "background": true})).await;
    execd.ended(&run.id()).await;
    let directories = || -> Vec<_> {
        let entries = std::fs::read_dir(execd.home.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("execd-")).collect()
    };
    let found = directories();
    assert_eq!(found.len(), 1);
    let mode = std::os::unix::fs::PermissionsExt::mode(&found[0].metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    let pid = rustix::process::Pid::from_raw(execd.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(execd.process.wait().unwrap().code(), Some(0));
    assert!(!found[0].exists());
}

#[tokio::test]
async fn a_shutdown_ends_running_commands() {
    let mut execd = Execd::start().await;
    let run = execd.run(json!({"command": "trap 'touch ~/asked; exit' TERM; echo $$; while :; do sleep 0.02; done", "background": true})).await;
    let mut pid = String::new();
    while pid.is_empty() {
        pid = logs(&execd, &run.id(), "").await.0;
    }
    let own = rustix::process::Pid::from_raw(execd.pid().cast_signed()).unwrap();
    rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
    assert_eq!(execd.process.wait().unwrap().code(), Some(0));
    assert!(execd.home.path().join("asked").exists());
    let pid = pid.trim().parse().unwrap();
    eventually("the command has ended", || !support::is_alive(pid)).await;
}
