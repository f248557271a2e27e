//! Bash sessions, over HTTP against the real binary.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "this is a test")]

mod interactive;
mod support;

use std::time::Duration;

use hyper::{Method, StatusCode};
use interactive::{Session, alive, eventually};
use sandkeep_specs::execd::event::EventKind;
use serde_json::{Value, json};
use support::Execd;

#[tokio::test]
async fn everything_a_shell_knows_lasts() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let first = session
        .sh("cd /usr; plain=1; export SHOWN=2; f() { echo \"f $1 $plain\"; }; shopt -s extglob; alias ll='echo LL'; a=(x 'y z')")
        .await;
    assert_eq!(first.code(), 0);
    assert_eq!(first.0[0].text.as_deref(), Some(session.id.as_str()));
    let second = session.sh("pwd; f arg; env | grep ^SHOWN; shopt extglob; alias ll; echo \"${a[1]}\"").await;
    assert_eq!(second.stdout(), "/usr\nf arg 1\nSHOWN=2\nextglob        \ton\nalias ll='echo LL'\ny z\n");
    assert_eq!(second.stderr(), "");
    assert_eq!(session.sh("echo \"$#-$0\"").await.stdout(), "0-bash\n");
    assert_eq!(session.delete().await, StatusCode::OK);
}

#[tokio::test]
async fn exit_ends_the_run_and_keeps_the_session() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    session.sh("x='it'\\''s'; f() { echo f; }; g() { h \"$1\"; }; h() { exit \"$1\"; }; cd /usr; trap 'echo usr1' USR1").await;
    for (text, code) in [
        ("exit 7", 7),
        ("{ g 300; } >/dev/null 2>&1", 44),
        ("(exit 5)", 5),
        ("set -e; false; echo not reached", 1),
        ("set +e; set -u; echo $missing", 127),
        ("set +u; : ${missing:?}", 127),
        ("while read l; do exit 9; done </etc/passwd >/dev/null", 9),
    ] {
        let ended = session.sh(text).await;
        assert_eq!(
            (ended.code(), ended.stdout().as_str(), ended.notice().as_str()),
            (code, "", ""),
            "{text}: {ended:?}"
        );
    }
    let ended = session.sh("x=2; trap 'echo bye' EXIT; exit 3").await;
    assert_eq!((ended.code(), ended.stdout().as_str(), ended.notice().as_str()), (3, "bye\n", ""));
    assert_eq!(session.sh("echo $x; x=\"it's\"; exit").await.stdout(), "2\n");
    let after = session.sh("echo $x; f; pwd; kill -USR1 $$; echo $?").await;
    assert_eq!(after.stdout(), "it's\nf\n/usr\nusr1\n0\n", "{after:?}");
}

#[tokio::test]
async fn nothing_a_text_says_confuses_the_session() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    assert_eq!(session.sh("break; continue; echo after").await.code(), 0);
    let ended = session.sh("if then\necho").await;
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr().contains("line 1: syntax error"), "{ended:?}");
    let ended = session.sh("true\nnosuchprogram\n").await;
    assert!(ended.code() == 127 && ended.stderr().contains("line 2: nosuchprogram"), "{ended:?}");
    assert_eq!(session.sh("echo 0 >&3; echo ok").await.stdout(), "ok\n");
    assert_eq!(session.sh("cat; read x; echo \"[$x]\"").await.stdout(), "[]\n");
    assert_eq!(session.sh("printf '0 0\\n1 0\\n' >&10; sleep 0.1; false").await.0.len(), 3);
    assert_eq!(
        session.sh("echo 'quo'\"te\"'s' \\\\ $'a\\tb' \"é\n$((1+1))\"").await.stdout(),
        "quotes \\ a\tb é\n2\n"
    );
    assert_eq!(session.sh("set -x").await.code(), 0);
    assert_eq!(session.sh("echo t").await.stderr(), "+ eval 'echo t'\n++ echo t\n");
    assert_eq!(session.sh("set +x; set -m; sleep 0 & wait; false").await.code(), 1);
    assert_eq!(session.sh("sh -c 'kill -9 $$'").await.code(), 137);
}

#[tokio::test]
async fn output_is_told_apart_and_kept_as_it_is() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let ended = session.sh("printf 'a\\r\\nb\\rc'; printf 'e1\\n\\ne2' >&2").await;
    assert_eq!((ended.stdout(), ended.stderr()), ("a\r\nb\rc".to_owned(), "e1\n\ne2".to_owned()));
    assert_eq!(session.sh("printf 'x\\377\\000y\\303'").await.stdout(), "x\u{FFFD}\0y\u{FFFD}");
    let big = session.sh("seq 1 200000; echo end >&2").await;
    assert_eq!(big.stdout(), (1..=200_000).map(|n| format!("{n}\n")).collect::<String>());
    assert_eq!(big.stderr(), "end\n");
    for number in 0..300 {
        assert_eq!(session.sh(&format!("echo {number}")).await.stdout(), format!("{number}\n"));
    }
}

#[tokio::test]
async fn output_comes_while_the_run_goes_on() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let command = "echo first; sleep 1; until [ -e ~/go ]; do sleep 0.02; done; echo second";
    let mut stream = session.begin(json!({ "command": command })).await;
    stream.until("first").await;
    std::fs::write(execd.home.path().join("go"), "").unwrap();
    let rest = stream.rest().await;
    assert!(rest.iter().any(|event| event.text.as_deref() == Some("second\n")));
    let took = rest.last().unwrap().execution_time.unwrap();
    assert!(took >= 1000, "{took}");
}

#[tokio::test]
async fn a_replaced_shell_is_told() {
    let execd = Execd::start().await;
    let session = Session::with(&execd, &json!({ "cwd": "~/made/here" }).to_string()).await;
    let home = execd.home.path().join("made/here");
    assert_eq!(session.sh("pwd; x=1").await.stdout().trim(), home.to_str().unwrap());
    let ended = session.sh("exec sh -c 'echo other; sleep 0.2; exit 4'").await;
    assert_eq!((ended.code(), ended.stdout().as_str()), (4, "other\n"));
    assert!(ended.notice().contains("lost"), "{ended:?}");
    let ended = session.sh("echo \"[$x]\"; pwd; kill -9 $$").await;
    assert_eq!((ended.code(), ended.stdout()), (137, format!("[]\n{}\n", home.display())));
    assert!(ended.notice().contains("lost"));
    assert_eq!(session.sh("echo fresh").await.stdout(), "fresh\n");
}

#[tokio::test]
async fn directory_and_environment_of_one_run() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    assert_eq!(session.run(json!({ "command": "pwd", "cwd": "/usr" })).await.stdout(), "/usr\n");
    assert_eq!(session.run(json!({ "command": "pwd; cd /tmp", "cwd": "lib" })).await.stdout(), "/usr/lib\n");
    assert_eq!(session.sh("pwd").await.stdout(), "/tmp\n");
    assert_eq!(session.sh("cd /usr; exit 3").await.code(), 3);
    assert_eq!(session.run(json!({ "command": "pwd", "cwd": "lib" })).await.stdout(), "/usr/lib\n");
    let envs = json!({ "command": "echo $A; env | grep ^A=; exit 3", "envs": { "A": "it's\nx" } });
    let ended = session.run(envs).await;
    assert_eq!((ended.code(), ended.stdout().as_str()), (3, "it's x\nA=it's\n"));
    std::fs::write(execd.home.path().join("envs"), "FROM_FILE='f'\n").unwrap();
    assert_eq!(Session::new(&execd).await.sh("echo $FROM_FILE").await.stdout(), "f\n");
    let (status, body) = session.refused(json!({ "command": "pwd", "cwd": "/no/such" })).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("/no/such"), "{body}");
}

#[tokio::test]
async fn a_time_limit_kills_the_run_and_keeps_the_session() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    session.sh("x=1; f() { echo f; }; cd /usr; sleep 1000 & echo $! >$HOME/old").await;
    for command in [
        "y=2; echo out; setsid sleep 1001 & sleep 1002",
        "while :; do :; done",
        "while :; do sleep 0.01; done",
        "f() { echo f; }; g() { sleep 1003 | cat; }; g; echo not reached",
        "sleep 1004 & wait",
        "trap '' TERM INT; sh -c 'trap \"\" TERM INT; sleep 1005'",
        "yes",
    ] {
        let ended = session.run(json!({ "command": command, "timeout": 300 })).await;
        assert!(ended.code() == -1 && ended.timed_out(), "{command}: {:?}", ended.0.last());
        assert_eq!(ended.notice(), "", "{command}");
        assert!(!ended.stdout().contains("not reached"));
    }
    let ended = session.sh("echo $x; f; pwd").await;
    assert_eq!(ended.stdout(), "1\nf\n/usr\n");
    assert!(
        alive(&std::fs::read_to_string(execd.home.path().join("old")).unwrap()),
        "an older job was killed"
    );
    let left = session.sh("ps -e -o args | grep -c '^sleep 100[1-5]'").await;
    assert_eq!(left.stdout(), "0\n");
    session.delete().await;
}

#[tokio::test]
async fn runs_wait_for_each_other() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    session.sh("n=0").await;
    let runs = (0..8).map(|_| session.sh("n=$((n+1)); echo $n; sleep 0.02"));
    let mut outputs: Vec<_> =
        futures_util::future::join_all(runs).await.iter().map(|ended| ended.stdout()).collect();
    outputs.sort();
    assert_eq!(outputs.concat(), "1\n2\n3\n4\n5\n6\n7\n8\n");
    let mut blocker = session.begin(json!({ "command": "echo go; sleep 1000" })).await;
    blocker.until("go").await;
    let mut waiting = Vec::new();
    let refusal = loop {
        assert!(waiting.len() < 100, "the queue has no end");
        let path = format!("/session/{}/run", session.id);
        let body = json!({ "command": "true" }).to_string();
        let response = execd.send(execd.request(Method::POST, &path, body)).await;
        if response.status() != StatusCode::OK {
            break response.status();
        }
        waiting.push(response);
    };
    assert_eq!(refusal, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(session.delete().await, StatusCode::OK);
    let events = blocker.rest().await;
    assert_eq!(events.last().unwrap().kind, EventKind::Error);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_run_along() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let mut stream = session.begin(json!({ "command": "x=5; sleep 1000 & echo $! $$; sleep 1000" })).await;
    let mut text = String::new();
    while text.is_empty() {
        let event = stream.next().await.unwrap();
        if event.kind == EventKind::Stdout {
            text = event.text.unwrap();
        }
    }
    let pid = text.split(' ').next().unwrap().to_owned();
    assert!(alive(&pid));
    drop(stream);
    eventually("the end of the run", || !alive(&pid)).await;
    assert_eq!(session.sh("echo $x").await.stdout(), "5\n");
}

#[tokio::test]
async fn deleting_kills_everything() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let started = session
        .sh("sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3; (env -i sh -c 'echo $$; exec sleep 1000' &); sleep 0.3; exit 0")
        .await;
    let pids: Vec<String> = started.stdout().lines().map(str::to_owned).collect();
    assert_eq!(pids.len(), 3);
    assert!(pids.iter().all(|pid| alive(pid)), "{pids:?}");
    let after = session.sh("echo $$; sleep 1000 & echo $!").await.stdout();
    assert_eq!(session.delete().await, StatusCode::OK);
    for pid in pids.iter().map(String::as_str).chain(after.lines()) {
        assert!(!alive(pid), "{pid}");
    }
    assert_eq!(session.delete().await, StatusCode::NOT_FOUND);
    let (status, body) = session.refused(json!({ "command": "true" })).await;
    assert!(status == StatusCode::NOT_FOUND && body.contains("CONTEXT_NOT_FOUND"), "{body}");
    let left = std::fs::read_dir(execd.home.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("execd-session"));
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn interrupting_a_session_closes_it() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let mut stream = session.begin(json!({ "command": "echo go; sleep 1000" })).await;
    stream.until("go").await;
    let (status, _) = execd.call(Method::DELETE, &format!("/command?id={}", session.id), "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(stream.rest().await.last().unwrap().kind, EventKind::Error);
    assert_eq!(session.delete().await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn jobs_in_the_background_go_on() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let ended = session.sh("(until [ -e ~/go ]; do sleep 0.02; done; echo late) & echo now").await;
    assert_eq!(ended.stdout(), "now\n");
    assert!(session.sh("jobs").await.stdout().contains("Running"));
    std::fs::write(execd.home.path().join("go"), "").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(session.sh("wait; echo done").await.stdout(), "late\ndone\n");
    // What nobody asked for does not stop a job, and is not kept without bounds.
    session.sh("(yes | head -c 20000000; echo finished >$HOME/finished) & exit 0").await;
    eventually("the end of the job", || execd.home.path().join("finished").exists()).await;
    assert!(execd.memory() < 32 * 1024, "{} KiB", execd.memory());
    assert_eq!(session.delete().await, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_no_memory() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    let mut stream =
        session.begin(json!({ "command": "yes 0123456789012345678901234567890123456789" })).await;
    stream.until("0123").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(execd.memory() < 48 * 1024, "{} KiB", execd.memory());
    assert_eq!(session.delete().await, StatusCode::OK);
}

#[tokio::test]
async fn bad_input_is_named() {
    let execd = Execd::start().await;
    let session = Session::new(&execd).await;
    for (body, word) in [
        (json!({}), "command"),
        (json!({ "command": "  " }), "blank"),
        (json!({ "command": "a\0b" }), "NUL"),
        (json!({ "command": 7 }), "invalid type"),
        (json!({ "command": "a", "timeout": -1 }), "invalid value"),
        (json!({ "command": "a", "cwd": "/etc/passwd" }), "not a directory"),
        (json!({ "command": "a", "envs": { "A-B": "" } }), "A-B"),
        (json!({ "command": "x".repeat(1024 * 1024 + 1) }), "longer"),
    ] {
        let (status, answer) = session.refused(body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{word}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["code"], "INVALID_REQUEST_BODY");
        assert!(answer["message"].as_str().unwrap().contains(word), "{word}: {answer}");
    }
    for body in ["{", "7", r#"{"cwd": 1}"#, r#"{"cwd": "/etc/passwd/x"}"#, r#"{"cwd": "/a\u0000"}"#] {
        let (status, answer) = execd.call(Method::POST, "/session", body.to_owned()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    let (status, _) = execd.call(Method::POST, "/session", " \n").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn there_are_only_so_many_sessions() {
    let execd = Execd::start().await;
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", execd.pid())).unwrap().count();
    let idle = descriptors();
    let mut ids = Vec::new();
    let refusal = loop {
        let (status, body) = execd.call(Method::POST, "/session", "").await;
        if status != StatusCode::OK {
            break (status, body);
        }
        ids.push(serde_json::from_str::<Value>(&body).unwrap()["session_id"].as_str().unwrap().to_owned());
        assert!(ids.len() < 2000);
    };
    assert_eq!(refusal.0, StatusCode::TOO_MANY_REQUESTS);
    assert!(refusal.1.contains(&ids.len().to_string()), "{}", refusal.1);
    let deletes = ids
        .iter()
        .map(|id| execd.call(Method::DELETE, Box::leak(format!("/session/{id}").into_boxed_str()), ""));
    let deleted = futures_util::future::join_all(deletes).await;
    assert!(deleted.iter().all(|(status, _)| *status == StatusCode::OK));
    // Two more are the standard input of shells, kept open for the next, and the second port of execd, taken when it
    // becomes free.
    eventually("the end of all descriptors", || descriptors() <= idle + 2).await;
    let children = format!("/proc/{0}/task/{0}/children", execd.pid());
    assert_eq!(std::fs::read_to_string(children).unwrap(), "");
    assert_eq!(execd.call(Method::POST, "/session", "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn bash_in_posix_mode_works_too() {
    let execd = Execd::start_with(|command, _| {
        command.env("POSIXLY_CORRECT", "1");
    })
    .await;
    let session = Session::new(&execd).await;
    assert_eq!(session.sh("x=1; f() { echo f; }; exit 3").await.code(), 3);
    assert_eq!(session.sh("echo $x; f; set -o | grep posix").await.stdout(), "1\nf\nposix          \ton\n");
    assert_eq!(session.sh("exit 4").await.code(), 4);
    assert_eq!(session.sh("echo $x").await.stdout(), "1\n");
}

#[tokio::test]
async fn without_bash_there_is_sh() {
    let bin = tempfile::tempdir().unwrap();
    for program in ["sh", "sleep", "env", "cat"] {
        std::os::unix::fs::symlink(format!("/bin/{program}"), bin.path().join(program)).unwrap();
    }
    let execd = Execd::start_with(|command, _| {
        command.env("PATH", bin.path());
    })
    .await;
    let session = Session::new(&execd).await;
    session.sh("x='a b'; export E=2; f() { echo f; }; cd /usr").await;
    assert_eq!(session.sh("f; echo \"$x\"").await.stdout(), "f\na b\n");
    assert_eq!(session.sh("exit 6").await.code(), 6);
    assert_eq!(
        session
            .sh("echo \"$x\"; pwd; env | while read l; do case $l in E=*) echo $l;; esac; done")
            .await
            .stdout(),
        "a b\n/usr\nE=2\n"
    );
    let ended = session.run(json!({ "command": "sleep 1000", "timeout": 200 })).await;
    assert!(ended.timed_out() && ended.notice().is_empty(), "{ended:?}");
    assert_eq!(session.sh("echo \"$x\"").await.stdout(), "a b\n");
}
