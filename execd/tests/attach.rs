//! Coming back to commands, writing to them and listing them, over HTTP against the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::time::Duration;

use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::EventKind;
use serde_json::{Value, json};
use support::{Execd, Run, eventually};

/// A stream's output, both kinds in the order they came; offsets are checked on the way.
fn output(run: &Run, from: u64) -> String {
    let mut offset = from;
    let texts = run.events.iter().filter(|event| matches!(event.kind, EventKind::Stdout | EventKind::Stderr));
    texts
        .map(|event| {
            let text = event.text.clone().unwrap();
            offset += text.len() as u64;
            assert_eq!(event.offset, Some(offset));
            text
        })
        .collect()
}

async fn attach(execd: &Execd, id: &str, offset: u64) -> Run {
    execd.open(Method::GET, &format!("/command/{id}/stream?offset={offset}"), Value::Null).await
}

async fn attach_to_end(execd: &Execd, id: &str, offset: u64) -> Run {
    let mut run = attach(execd, id, offset).await;
    while run.next().await.is_some() {}
    run
}

async fn write(execd: &Execd, id: &str, query: &str, bytes: impl Into<bytes::Bytes>) -> (StatusCode, Value) {
    let (status, body) = execd.call(Method::POST, &format!("/command/{id}/stdin{query}"), bytes).await;
    (status, serde_json::from_str(&body).unwrap())
}

/// Numbers with a newline each.
fn counted(range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

#[tokio::test]
async fn a_client_comes_back_to_a_foreground_command() {
    let execd = Execd::start().await;
    let mut first = execd
        .begin(json!({"command": "echo one; echo two >&2; read line; echo $line; exit 3", "stdin": true}))
        .await;
    first.next_of(EventKind::Stderr).await;
    let id = first.id();
    drop(first);
    let mut again = attach(&execd, &id, 4).await;
    let event = again.next_of(EventKind::Stderr).await;
    assert_eq!((event.text.as_deref(), event.offset), (Some("two\n"), Some(8)));
    assert_eq!(write(&execd, &id, "", "three\n").await.0, StatusCode::OK);
    while again.next().await.is_some() {}
    assert_eq!((output(&again, 4).as_str(), again.exit_code()), ("two\nthree\n", 3));
    let ended = attach_to_end(&execd, &id, 0).await;
    assert_eq!((output(&ended, 0).as_str(), ended.exit_code()), ("one\ntwo\nthree\n", 3));
    assert_eq!((ended.stdout().as_str(), ended.stderr().as_str()), ("one\nthree\n", "two\n"));
    assert_eq!(attach_to_end(&execd, &id, 14).await.exit_code(), 3);
    for offset in ["15", "x", "-1"] {
        let (status, body) = execd.get(&format!("/command/{id}/stream?offset={offset}")).await;
        let expected =
            if offset == "15" { StatusCode::RANGE_NOT_SATISFIABLE } else { StatusCode::BAD_REQUEST };
        assert_eq!(status, expected, "{body}");
    }
    assert_eq!(execd.get("/command/nobody/stream").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nothing_is_lost_or_doubled_at_the_seam() {
    let execd = Execd::start().await;
    const LAST: u32 = 40_000;
    for background in [false, true] {
        let script = format!("for i in $(seq 0 {}); do echo $i; done", LAST - 1);
        let first = execd.begin(json!({"command": script, "background": background})).await;
        let id = {
            let mut first = first;
            first.next_of(EventKind::Init).await;
            first.id()
        };
        // Again and again somebody comes, reads a little and leaves.
        let (mut text, mut offset) = (String::new(), 0);
        loop {
            let mut run = attach(&execd, &id, offset).await;
            let mut ended = false;
            for _ in 0..3000 {
                if run.next().await.is_none() {
                    ended = true;
                    break;
                }
            }
            let part = output(&run, offset);
            offset += part.len() as u64;
            text.push_str(&part);
            if ended {
                assert_eq!(run.exit_code(), 0);
                break;
            }
        }
        assert!(text == counted(0..LAST), "background {background}: {} bytes", text.len());
    }
}

#[tokio::test]
async fn several_clients_read_one_command() {
    let execd = Execd::start().await;
    let mut first = execd.begin(json!({"command": "read go; seq 1 20000", "stdin": true})).await;
    first.next_of(EventKind::Ping).await;
    let id = first.id();
    let (one, other) = (attach(&execd, &id, 0).await, attach(&execd, &id, 0).await);
    assert_eq!(write(&execd, &id, "?close=true", "\n").await.1, json!({"written": 1, "closed": true}));
    let to_end = |mut run: Run| async move {
        while run.next().await.is_some() {}
        run
    };
    let (first, one, other) = tokio::join!(to_end(first), to_end(one), to_end(other));
    for run in [&first, &one, &other] {
        assert_eq!(run.exit_code(), 0);
        assert!(run.stdout() == counted(1..20_001));
    }
}

#[tokio::test]
async fn only_the_last_output_is_kept_and_memory_stays_small() {
    const BYTES: u64 = 60_000_000;
    let execd = Execd::start().await;
    let before = execd.memory();
    let mut first = execd.begin(json!({"command": format!("yes 0123456 | head -c {BYTES}")})).await;
    first.next_of(EventKind::Ping).await;
    let id = first.id();
    drop(first);
    assert_eq!(execd.ended(&id).await["exit_code"], 0);
    let mut refusal = String::new();
    // What is still in the pipe comes after the command's end.
    let start = std::time::Instant::now();
    while !refusal.contains(&format!("to {BYTES}")) {
        let (status, body) = execd.get(&format!("/command/{id}/stream")).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE, "{body}");
        refusal = body;
        assert!(start.elapsed() < support::PATIENCE, "{refusal}");
    }
    let from = BYTES - 8 * 1_000_000;
    let run = attach_to_end(&execd, &id, from).await;
    assert_eq!(run.exit_code(), 0);
    assert!(output(&run, from) == "0123456\n".repeat(1_000_000));
    assert!(execd.memory() < before + 6 * 1024, "{} KiB after {before}", execd.memory());
}

#[tokio::test]
async fn a_slow_client_that_came_back_stops_the_command() {
    let execd = Execd::start().await;
    let mut first = execd.begin(json!({"command": "echo $$; read go; exec yes", "stdin": true})).await;
    let pid: i32 = first.next_of(EventKind::Stdout).await.text.unwrap().trim().parse().unwrap();
    let id = first.id();
    drop(first);
    let slow = attach(&execd, &id, 0).await;
    write(&execd, &id, "", "\n").await;
    let written = || {
        let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse::<u64>().ok()).unwrap()
    };
    let mut last = 0;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if written() == last && last > 1000 {
            break;
        }
        last = written();
    }
    assert_eq!(written(), last, "the command still writes");
    assert!(execd.memory() < 32 * 1024);
    // Without a client it goes on.
    drop(slow);
    eventually("the command goes on", || written() > last + 50_000_000).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/command?id={id}"), "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn standard_input_is_written_in_turns_and_closed() {
    let execd = Execd::start().await;
    for background in [false, true] {
        let mut run =
            execd.begin(json!({"argv": ["wc", "-c"], "stdin": true, "background": background})).await;
        run.next_of(EventKind::Ping).await;
        let id = run.id();
        let part = vec![b'x'; 300_000];
        let (one, other) = tokio::join!(write(&execd, &id, "", part.clone()), write(&execd, &id, "", part));
        assert_eq!((one.0, other.0), (StatusCode::OK, StatusCode::OK));
        assert_eq!(write(&execd, &id, "?close=true", "").await.1, json!({"written": 0, "closed": true}));
        let run = attach_to_end(&execd, &id, 0).await;
        assert_eq!((run.stdout().trim(), run.exit_code()), ("600000", 0));
        let (status, body) = write(&execd, &id, "", "x").await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(body["message"].as_str().unwrap().contains("not running"));
    }
    let mut plain = execd.begin(json!({"command": "cat; sleep 1000"})).await;
    plain.next_of(EventKind::Ping).await;
    let (status, body) = write(&execd, &plain.id(), "", "x").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body["message"].as_str().unwrap().contains("no standard input"));
    let mut closed = execd.begin(json!({"command": "exec sleep 1000", "stdin": true})).await;
    closed.next_of(EventKind::Ping).await;
    assert_eq!(write(&execd, &closed.id(), "?close=true", "x").await.0, StatusCode::OK);
    let (status, body) = write(&execd, &closed.id(), "", "x").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(body["message"].as_str().unwrap().contains("closed"));
    assert_eq!(write(&execd, "nobody", "", "x").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn commands_are_listed() {
    let execd = Execd::start().await;
    let ended = execd.run(json!({"argv": ["sh", "-c", "exit 5"]})).await;
    let running = execd.run(json!({"argv": ["sleep", "1000"], "background": true, "stdin": true})).await;
    let list = |query: &'static str| {
        let execd = &execd;
        async move {
            let (status, body) = execd.get(&format!("/command{query}")).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            serde_json::from_str::<Vec<Value>>(&body).unwrap()
        }
    };
    let all = list("").await;
    assert_eq!(all.len(), 2);
    assert_eq!((&all[0]["id"], &all[1]["id"]), (&json!(running.id()), &json!(ended.id())));
    assert_eq!(
        (&all[0]["running"], &all[0]["background"], &all[0]["stdin_open"], &all[0]["exit_code"]),
        (&json!(true), &json!(true), &json!(true), &Value::Null)
    );
    assert_eq!((&all[1]["exit_code"], &all[1]["content"]), (&json!(5), &json!("sh -c exit 5")));
    assert!(all[1]["started_at"].is_string() && all[1]["finished_at"].is_string());
    assert_eq!(list("?running=false").await.len(), 1);
    assert_eq!(list("?running=true").await[0]["id"], all[0]["id"]);
    assert_eq!(list("?limit=1").await.len(), 1);
    for bad in ["?limit=0", "?limit=1001", "?limit=x", "?running=perhaps"] {
        assert_eq!(execd.get(&format!("/command{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
}
