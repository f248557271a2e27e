//! Commands tied to the sandbox's life.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::{
    fs,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Execd, PATIENCE, TOKEN, eventually, free_port, is_alive};

const VARIABLE: &str = "OPENSANDBOX_LIFECYCLE";

/// Runs execd as init with these hooks to its end, in a directory of its own.
fn run(hooks: &Value, entrypoint: &str) -> (Output, tempfile::TempDir) {
    let home = tempfile::tempdir().unwrap();
    let output = support::command()
        .args(["--init", "--port", &free_port().to_string(), "--", "sh", "-c", entrypoint])
        .env("EXECD_ACCESS_TOKEN", TOKEN)
        .env("MARK", "of the sandbox")
        .env(VARIABLE, hooks.to_string())
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output, home)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_hook_before_the_start_comes_first_and_sees_what_the_entrypoint_sees() {
    let script = "sleep 0.3; echo \"$MARK in $PWD by $1\" > made; echo written to the log";
    let hooks = json!({"preStart": {"command": ["sh", "-c", script, "sh", "two words"]}});
    let (output, home) = run(&hooks, "cat made; exit 7");
    assert_eq!(output.status.code(), Some(7), "{}", stderr(&output));
    let home = fs::canonicalize(home.path()).unwrap();
    let expected = format!("of the sandbox in {} by two words\n", home.display());
    assert_eq!(String::from_utf8(output.stdout.clone()).unwrap(), expected);
    assert!(stderr(&output).contains("written to the log"), "{}", stderr(&output));
}

#[test]
fn a_hook_that_fails_keeps_the_sandbox_from_starting() {
    for (command, code, told) in [
        (json!(["sh", "-c", "echo why it failed >&2; exit 3"]), 3, "ended with status 3: why it failed"),
        (json!(["sh", "-c", "kill -9 $$"]), 137, "ended with status 137"),
        (json!(["no-such-program"]), 127, "no-such-program"),
        (json!(["/etc/passwd"]), 126, "/etc/passwd"),
    ] {
        let (output, home) = run(&json!({"preStart": {"command": command}}), "echo > started");
        assert_eq!(output.status.code(), Some(code), "{command}: {}", stderr(&output));
        assert!(!home.path().join("started").exists(), "{command}");
        let log = stderr(&output);
        assert!(log.contains("preStart hook: ") && log.contains(told), "{command}: {log}");
    }
}

#[test]
fn a_hook_that_takes_too_long_is_ended_with_all_it_started() {
    let script = "echo begun; sleep 1000 & echo $! > child; wait";
    let hooks = json!({"preStart": {"command": ["sh", "-c", script], "timeoutSeconds": 1}});
    let begun = Instant::now();
    let (output, home) = run(&hooks, "echo > started");
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < PATIENCE);
    assert_eq!(output.status.code(), Some(124), "{}", stderr(&output));
    assert!(stderr(&output).contains("did not end within 1 s: begun"), "{}", stderr(&output));
    assert!(!home.path().join("started").exists());
    let child = fs::read_to_string(home.path().join("child")).unwrap();
    assert!(!is_alive(child.trim().parse().unwrap()));
}

#[test]
fn what_a_hook_leaves_in_the_background_goes_on() {
    let script = "(sleep 0.5; echo from the background; echo > done) &";
    let hooks = json!({"preStart": {"command": ["sh", "-c", script]}});
    let (output, _home) = run(&hooks, "for i in $(seq 400); do test -e done && exit 5; sleep 0.05; done");
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn a_variable_that_makes_no_sense_is_refused() {
    for (hooks, told) in [
        (json!({"postStop": {}}), VARIABLE),
        (json!({"preStart": {"command": []}}), "preStart.command"),
        (json!({"periodic": [{"name": "n", "command": ["x"], "schedule": "often"}]}), "periodic[0].schedule"),
    ] {
        let (output, _home) = run(&hooks, "exit 0");
        assert_eq!(output.status.code(), Some(2), "{hooks}");
        assert!(stderr(&output).contains(told), "{hooks}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn execd_answers_while_the_first_hook_runs_and_ends_when_asked() {
    let hooks = json!({"preStart": {"command": ["sh", "-c", "echo $$ > begun; sleep 1000"]}});
    let mut execd = Execd::start_with(|command, home| {
        command.env(VARIABLE, hooks.to_string()).current_dir(home).args(["--init", "--", "sleep", "1000"]);
    })
    .await;
    let begun = execd.home.path().join("begun");
    let pid = || fs::read_to_string(&begun).ok().and_then(|text| text.trim().parse::<i32>().ok());
    eventually("the hook runs", || pid().is_some()).await;
    assert_eq!(execd.run(json!({"command": "exit 3"})).await.exit_code(), 3);
    let hook = pid().unwrap();
    let process = rustix::process::Pid::from_raw(execd.pid().cast_signed()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert_eq!(execd.process.wait().unwrap().code(), Some(128 + 15));
    eventually("the hook is gone too", || !is_alive(hook)).await;
}

#[tokio::test]
async fn periodic_hooks_run_again_and_again_and_never_overlap() {
    let slow = "test -e busy && echo > overlap; echo > busy; sleep 1.5; rm busy; echo run >> runs";
    let stuck = "echo $$ >> stuck; sleep 1000";
    let log = tempfile::NamedTempFile::new().unwrap();
    let hooks = json!({"periodic": [
        {"name": "slow", "schedule": "@every 1s", "command": ["sh", "-c", slow]},
        {"name": "stuck", "schedule": "@every 1", "command": ["sh", "-c", stuck], "timeoutSeconds": 1},
        {"name": "yearly", "schedule": "@yearly", "command": ["sh", "-c", "echo > yearly"]},
    ]});
    let execd = Execd::start_with(|command, home| {
        command.env(VARIABLE, hooks.to_string()).current_dir(home).args(["--init"]);
        command.arg("--log-file").arg(log.path()).args(["--", "sleep", "1000"]);
    })
    .await;
    let home = execd.home.path();
    let lines = |name: &str| fs::read_to_string(home.join(name)).map_or(0, |text| text.lines().count());
    eventually("two runs each", || lines("runs") >= 2 && lines("stuck") >= 2).await;
    assert!(!home.join("overlap").exists() && !home.join("yearly").exists());
    let told = fs::read_to_string(log.path()).unwrap();
    assert!(told.contains("stuck") && told.contains("did not end within 1 s"), "{told}");
    let first = fs::read_to_string(home.join("stuck")).unwrap();
    assert!(!is_alive(first.lines().next().unwrap().parse().unwrap()), "a run is ended before the next");
}

#[tokio::test]
async fn a_daemon_that_is_not_init_leaves_hooks_alone() {
    let hooks = json!({"preStart": {"command": ["sh", "-c", "echo > ran"]},
        "periodic": [{"name": "n", "schedule": "@every 1s", "command": ["sh", "-c", "echo > ran"]}]});
    let execd = Execd::start_with(|command, home| {
        command.env(VARIABLE, hooks.to_string()).current_dir(home);
    })
    .await;
    assert_eq!(execd.run(json!({"command": "sleep 2"})).await.exit_code(), 0);
    assert!(!execd.home.path().join("ran").exists());
}
