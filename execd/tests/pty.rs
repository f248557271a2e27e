//! Terminals over WebSocket, against the real binary.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "this is a test")]

mod interactive;
mod screen;
mod support;

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use interactive::{alive, eventually};
use screen::{Client, Frame, create};
use serde_json::{Value, json};
use support::Execd;

#[tokio::test]
async fn a_shell_on_a_terminal() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({})).await;
    assert_eq!(status(&execd, &id).await, json!({ "session_id": id, "running": false, "output_offset": 0 }));
    let mut client = Client::attach(&execd, &id, "").await;
    let connected = client.text().await;
    assert_eq!(connected, json!({ "type": "connected", "session_id": id, "mode": "pty" }));
    client.input("tty; stty size; echo $TERM; [ -t 0 ] && [ -t 2 ] && echo yes-tty; echo $((20+22))\n").await;
    client.until("42\r\n").await;
    let output = client.output();
    assert!(output.contains("24 80\r\n") && output.contains("xterm-256color\r\n"), "{output}");
    assert!(output.contains("yes-tty\r\n") && !output.contains("no job control"), "{output}");
    let told = status(&execd, &id).await;
    assert_eq!(told["running"], true);
    assert!(told["output_offset"].as_u64().unwrap() >= output.len() as u64);
    client.send(json!({ "type": "stdin", "data": "exit 7\n" })).await;
    assert_eq!(client.exit().await, 7);
    assert_eq!(client.closed().await, Some((1000, "process exited".to_owned())));
    assert_eq!(status(&execd, &id).await["running"], false);
}

#[tokio::test]
async fn vim_edits_and_saves_a_file_and_redraws_when_resized() {
    let execd = Execd::start().await;
    let file = execd.home.path().join("text.txt");
    std::fs::write(&file, "first line\nsecond line\n").unwrap();
    let command =
        format!("LANG=C.UTF-8 exec $(command -v vim.tiny vim | head -n 1) -u NONE -N -n {}", file.display());
    let id = create(&execd, json!({ "command": command })).await;
    let mut client = Client::attach(&execd, &id, "?pty=1").await;
    client.until_screen("the file", |screen| screen.contains("second line") && screen.contains("\n~")).await;
    client.input("Goadded \u{e9}\u{1f600} by a test\u{1b}").await;
    client.until_screen("the new line", |screen| screen.contains("added \u{e9}\u{1f600} by a test")).await;
    client.resize(100, 40).await;
    client
        .until_screen("40 rows", |screen| screen.lines().count() >= 39 && screen.lines().nth(38) == Some("~"))
        .await;
    client.resize(30, 6).await;
    client.until_screen("6 rows", |screen| screen.lines().filter(|line| *line == "~").count() == 2).await;
    client.input("1Gdwiedited \u{1b}:set columns?\r").await;
    client.until_screen("its width", |screen| screen.contains("columns=30")).await;
    client.input(":wq\r").await;
    assert_eq!(client.exit().await, 0);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert_eq!(saved, "edited line\nsecond line\nadded \u{e9}\u{1f600} by a test\n");
}

#[tokio::test]
async fn pipes_keep_the_streams_apart_and_lose_nothing() {
    let execd = Execd::start().await;
    for _ in 0..20 {
        let id = create(&execd, json!({ "command": "printf 'out\\n'; printf err >&2; exit 3" })).await;
        let mut client = Client::attach(&execd, &id, "?pty=0").await;
        assert_eq!(client.text().await["mode"], "pipe");
        assert_eq!(client.exit().await, 3);
        assert_eq!((client.output(), client.errors()), ("out\n".to_owned(), "err".to_owned()));
    }
    let id = create(&execd, json!({ "command": "seq 1 300000; cat; echo end >&2" })).await;
    let mut client = Client::attach(&execd, &id, "?pty=0").await;
    client.binary(b"\0some\0bytes\xff").await;
    client.until("bytes").await;
    client.send(json!({ "type": "signal", "signal": "SIGTERM" })).await;
    assert_eq!(client.exit().await, 143);
    let numbers: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(client.raw(), [numbers.as_bytes(), b"some\0bytes\xff"].concat());
}

#[tokio::test]
async fn output_is_replayed_from_where_the_client_was() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({ "command": "echo one; read x; echo two$x; read x" })).await;
    let mut client = Client::attach(&execd, &id, "?pty=0").await;
    client.until("one\n").await;
    client.input("a\n").await;
    client.until("twoa\n").await;
    drop(client);
    let mut again = attach_when_free(&execd, &id, "").await;
    assert_eq!(again.next().await.unwrap(), Frame::Replay(0, b"one\ntwoa\n".to_vec()));
    assert_eq!(again.text().await["mode"], "pipe");
    drop(again);
    let mut later = attach_when_free(&execd, &id, "?since=4").await;
    assert_eq!(later.next().await.unwrap(), Frame::Replay(4, b"twoa\n".to_vec()));
    drop(later);
    let mut nothing = attach_when_free(&execd, &id, "?since=9").await;
    assert_eq!(nothing.text().await["type"], "connected");
    nothing.input("\n").await;
    assert_eq!(nothing.exit().await, 0);
    assert_eq!(status(&execd, &id).await, json!({ "session_id": id, "running": false, "output_offset": 9 }));
    // Another attach starts another program.
    let mut fresh = Client::attach(&execd, &id, "?since=9").await;
    assert_eq!(fresh.text().await["mode"], "pty");
    fresh.until("one\r\n").await;
}

#[tokio::test]
async fn only_the_last_mebibyte_is_kept_and_a_lone_program_runs_on() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({ "command": "echo go; read x; head -c 5000000 /dev/zero | tr '\\0' z; echo; echo finished; read x" })).await;
    let mut client = Client::attach(&execd, &id, "?pty=0").await;
    client.until("go").await;
    client.input("\n").await;
    drop(client);
    let written = "go\n".len() + 5_000_000 + "\nfinished\n".len();
    let begun = Instant::now();
    while status(&execd, &id).await["output_offset"] != written {
        assert!(begun.elapsed() < support::PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut again = attach_when_free(&execd, &id, "?since=0").await;
    let Frame::Replay(start, bytes) = again.next().await.unwrap() else { panic!("no replay") };
    assert_eq!((bytes.len(), start), (1024 * 1024, (written - 1024 * 1024) as u64));
    assert!(bytes.ends_with(b"zz\nfinished\n"));
}

#[tokio::test]
async fn one_client_at_a_time() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({})).await;
    let mut first = Client::attach(&execd, &id, "").await;
    first.until("bash-").await;
    let (status, body) = Client::refused(&execd, &id, "").await;
    assert!(status == StatusCode::CONFLICT && body.contains("ALREADY_CONNECTED"), "{body}");
    let mut second = Client::attach(&execd, &id, "?takeover=1").await;
    assert_eq!(first.closed().await, Some((4001, "TAKEN_OVER".to_owned())));
    second.input("echo mi''ne\n").await;
    second.until("mine").await;
    // Even one that neither reads nor answers is replaced.
    let mut third = Client::attach(&execd, &id, "?takeover=1").await;
    third.input("yes\n").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut fourth = Client::attach(&execd, &id, "?takeover=1").await;
    fourth.send(json!({ "type": "signal", "signal": "SIGINT" })).await;
    fourth.input("echo do''ne\n").await;
    fourth.until("done").await;
    drop((second, third));
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_program() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({ "command": "yes 0123456789012345678901234567890123456789012345" })).await;
    let client = Client::attach(&execd, &id, "?pty=0").await;
    let mut after = 0;
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = status(&execd, &id).await["output_offset"].as_u64().unwrap();
        if now > 0 && now == after {
            break;
        }
        assert!(begun.elapsed() < 3 * support::PATIENCE, "the program is not held back");
        after = now;
    }
    assert!(execd.memory() < 40 * 1024, "{} KiB", execd.memory());
    drop(client);
    // Nobody is held back for nobody.
    let begun = Instant::now();
    while status(&execd, &id).await["output_offset"] == after {
        assert!(begun.elapsed() < support::PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(delete(&execd, &id).await, StatusCode::OK);
}

#[tokio::test]
async fn signals_and_keys_reach_the_foreground() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({})).await;
    let mut client = Client::attach(&execd, &id, "").await;
    client.input("PS1='> '; echo re''ady\n").await;
    client.until("ready").await;
    let interrupts =
        [json!({ "type": "signal", "signal": "SIGINT" }), json!({ "type": "stdin", "data": "\u{3}" })];
    for (program, interrupt) in ["sleep 10071", "sleep 10072"].into_iter().zip(interrupts) {
        client.input(&format!("{program}; echo st=$?\n")).await;
        eventually("the program has the terminal", || has_the_terminal(program)).await;
        client.send(interrupt).await;
        client.input(&format!("echo {program}''=$?\n")).await;
        client.until(&format!("{program}=130")).await;
    }
    client.send(json!({ "type": "signal", "signal": "SIGHUP" })).await;
    // A shell that is just about to wait for a key looks at its signals after that key.
    client.input("\n").await;
    assert_eq!(client.exit().await, 129);
}

/// Whether a process of this command line is what a terminal's keys reach.
fn has_the_terminal(command: &str) -> bool {
    let wanted = format!("{}\0", command.replace(' ', "\0"));
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let mut found =
        processes.filter(|dir| std::fs::read(dir.join("cmdline")).is_ok_and(|own| own == wanted.as_bytes()));
    found.any(|dir| {
        // After the name: state, parent, process group, session, terminal, the terminal's process group.
        let stat = std::fs::read_to_string(dir.join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields.len() > 5 && fields[2] == fields[5]
    })
}

#[tokio::test]
async fn frames_that_make_no_sense() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({ "command": "sleep 1000" })).await;
    let mut client = Client::attach(&execd, &id, "").await;
    client.text().await;
    client.raw_text("{broken").await;
    client.binary(b"\x09ignored").await;
    client.binary(b"").await;
    client.send(json!({ "type": "dance" })).await;
    let error = client.text().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("INVALID_FRAME")));
    assert!(error["error"].as_str().unwrap().contains("dance"));
    client.send(json!({ "type": "resize", "cols": 0, "rows": 5 })).await;
    assert_eq!(client.text().await["code"], "INVALID_FRAME");
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.text().await, json!({ "type": "pong" }));
    client.ping().await;
    // Input nobody reads does not stop signals.
    client.binary(&[&[0][..], &[b'x'; 200_000]].concat()).await;
    client.send(json!({ "type": "signal", "signal": "SIGKILL" })).await;
    assert_eq!(client.exit().await, 137);
}

#[tokio::test]
async fn deleting_kills_everything_on_it() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({})).await;
    let mut client = Client::attach(&execd, &id, "").await;
    client
        .input("setsid sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & echo pids''=$$,$!, ; sleep 1000\n")
        .await;
    client.until("pids=").await;
    let pids = client.after("pids=").await;
    let pids: Vec<_> =
        pids.split(',').filter(|pid| pid.chars().all(|c| c.is_ascii_digit()) && !pid.is_empty()).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| alive(pid)), "{pids:?}");
    assert_eq!(delete(&execd, &id).await, StatusCode::OK);
    assert_eq!(client.exit().await, -1);
    assert_eq!(client.closed().await.unwrap().0, 1000);
    assert!(pids.iter().all(|pid| !alive(pid)));
    assert_eq!(delete(&execd, &id).await, StatusCode::NOT_FOUND);
    assert_eq!(execd.get(&format!("/pty/{id}")).await.0, StatusCode::NOT_FOUND);
    let (status, body) = Client::refused(&execd, &id, "").await;
    assert!(status == StatusCode::NOT_FOUND && body.contains("CONTEXT_NOT_FOUND"), "{body}");
}

#[tokio::test]
async fn bad_requests() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({})).await;
    let (status, body) = execd.get(&format!("/pty/{id}/ws")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let (status, body) = Client::refused(&execd, &id, "?since=soon").await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("since"), "{body}");
    assert_eq!(Client::without_token(&execd, &id).await, StatusCode::UNAUTHORIZED);
    for body in ["{", r#"{"cwd":7}"#, r#"{"cwd":"/etc/passwd"}"#, r#"{"command":"a\u0000"}"#] {
        let (status, answer) = execd.call(Method::POST, "/pty", body.to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    let (status, _) = execd.call(Method::POST, "/pty", "").await;
    assert_eq!(status, StatusCode::CREATED);
    let refusal = loop {
        let (status, body) = execd.call(Method::POST, "/pty", "").await;
        if status != StatusCode::CREATED {
            break (status, body);
        }
    };
    assert!(refusal.0 == StatusCode::TOO_MANY_REQUESTS && refusal.1.contains("64 terminals"), "{refusal:?}");
}

#[tokio::test]
async fn a_program_that_cannot_start_is_told() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({ "cwd": "~/gone" })).await;
    std::fs::remove_dir(execd.home.path().join("gone")).unwrap();
    let mut client = Client::attach(&execd, &id, "").await;
    let error = client.text().await;
    assert_eq!(error["code"], "START_FAILED");
    assert!(error["error"].as_str().unwrap().contains("gone"), "{error}");
    std::fs::create_dir(execd.home.path().join("gone")).unwrap();
    let mut client = attach_when_free(&execd, &id, "").await;
    client.input("pwd\n").await;
    client.until("/gone\r\n").await;
}

#[tokio::test]
async fn terminals_of_another_user_belong_to_that_user() {
    let execd = Execd::start_with(|command, home| {
        std::os::unix::fs::chown(home, Some(65534), Some(65534)).unwrap();
        command.env("EXECD_INIT", "").args(["--user", "65534:65534"]);
    })
    .await;
    let id = create(&execd, json!({ "cwd": "~/sub/dir" })).await;
    let mut client = Client::attach(&execd, &id, "").await;
    client
        .input("id -u; stat -c %u . $(tty); touch file && : </dev/tty && exec 5<>$(tty) && echo op''en\n")
        .await;
    client.until("open\r\n").await;
    assert_eq!(client.output().matches("65534\r\n").count(), 3, "{}", client.output());
}

async fn status(execd: &Execd, id: &str) -> Value {
    let (status, body) = execd.get(&format!("/pty/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn delete(execd: &Execd, id: &str) -> StatusCode {
    execd.call(Method::DELETE, &format!("/pty/{id}"), "").await.0
}

/// Attaches once the client before has been noticed to be gone.
async fn attach_when_free(execd: &Execd, id: &str, query: &str) -> Client {
    let begun = Instant::now();
    loop {
        if let Ok(client) = Client::try_attach(execd, id, query).await {
            return client;
        }
        assert!(begun.elapsed() < support::PATIENCE, "the seat stays taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
