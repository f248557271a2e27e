//! Foreground commands, over HTTP against the real binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::EventKind;
use serde_json::json;
use support::{Execd, PATIENCE, eventually, is_alive, need_root};

#[tokio::test]
async fn output_order_and_exit_codes() {
    let execd = Execd::start().await;
    let run = execd.run(json!({"command": "printf 'a\\nb\\r\\nc\\rd'; echo oops >&2; exit 3"})).await;
    assert_eq!(
        (run.stdout().as_str(), run.stderr().as_str(), run.exit_code()),
        ("a\nb\r\nc\rd", "oops\n", 3)
    );
    let texts: Vec<_> =
        run.events.iter().filter(|e| e.kind == EventKind::Stdout).map(|e| e.text.clone().unwrap()).collect();
    assert_eq!(texts, ["a\n", "b\r\n", "c\r", "d"]);
    assert_eq!(run.events.last().unwrap().error.as_ref().unwrap().traceback, ["exit status 3"]);
    assert!(run.id().len() == 32 && run.id().chars().all(|c| c.is_ascii_hexdigit() && !c.is_uppercase()));

    let run = execd.run(json!({"command": "true"})).await;
    assert_eq!(run.exit_code(), 0);
    assert!(run.events.last().unwrap().execution_time.is_some());

    let run = execd.run(json!({"command": "kill -SEGV $$"})).await;
    assert_eq!(run.exit_code(), 139);
    let status = execd.status(&run.id()).await;
    assert_eq!((&status["exit_code"], &status["error"]), (&json!(139), &json!("signal: segmentation fault")));
    assert_eq!((&status["content"], &status["running"]), (&json!("kill -SEGV $$"), &json!(false)));
    assert!(status["finished_at"].is_string());
}

#[tokio::test]
async fn arguments_are_not_expanded() {
    let execd = Execd::start().await;
    let run = execd.run(json!({"argv": ["echo", "$HOME", "*", "a  b", "é\"\\"]})).await;
    assert_eq!((run.stdout().as_str(), run.exit_code()), ("$HOME * a  b é\"\\\n", 0));
    let script = execd.home.path().join("tool");
    std::fs::write(&script, "#!/bin/sh\necho here $PWD $0").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let home = execd.home.path().to_str().unwrap();
    let run = execd.run(json!({"argv": ["./tool"], "cwd": "~"})).await;
    assert_eq!(run.stdout(), format!("here {home} ./tool\n"));
    let run = execd
        .run(json!({"argv": ["tool"], "envs": {"PATH": format!("relative:{home}:/usr/bin:/bin")}}))
        .await;
    assert_eq!(run.exit_code(), 0, "a bare name is found in the command's own PATH");
}

#[tokio::test]
async fn what_cannot_start_says_so_in_the_stream() {
    let execd = Execd::start().await;
    let plain = execd.home.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    for (argv, reason) in [
        (json!(["no-such-program"]), "cannot run no-such-program: No such file or directory"),
        (json!(["/"]), "Permission denied"),
        (json!([plain]), "Permission denied"),
    ] {
        let run = execd.run(json!({"argv": argv})).await;
        let last = run.events.last().unwrap().clone();
        let error = last.error.unwrap();
        assert_eq!((last.kind, error.ename.as_str()), (EventKind::Error, "CommandExecError"));
        assert!(error.evalue.contains(reason), "{} in {}", reason, error.evalue);
        assert_eq!(execd.status(&run.id()).await["exit_code"], 255);
    }
    let run = execd.run(json!({"command": "x".repeat(200_000)})).await;
    assert!(run.events.last().unwrap().error.as_ref().unwrap().evalue.contains("Argument list too long"));
}

#[tokio::test]
async fn surroundings_of_a_command() {
    let execd = Execd::start().await;
    std::fs::write(
        execd.home.path().join("envs"),
        "FROM_FILE='quoted $X'\nBOTH=file\nOWN=file\nJOINED=$HOME/x\n",
    )
    .unwrap();
    let show = r#"printf '%s|' "$FROM_FILE" "$BOTH" "$JOINED" "$PWD" "$EXECD_ACCESS_TOKEN"; cat; ulimit -n; trap -p; cat /proc/self/stat | cut -d' ' -f5,6"#;
    let run =
        execd.run(json!({"command": show, "envs": {"BOTH": "request", "W": "/usr"}, "cwd": "$W/bin"})).await;
    let home = execd.home.path().display();
    let stdout = run.stdout();
    let mut lines = stdout.lines();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap();
    assert_eq!(
        lines.next().unwrap(),
        format!("quoted $X|request|{home}/x|/usr/bin|{}|{limit}", support::TOKEN)
    );
    let ids: Vec<_> = lines.next().unwrap().split(' ').collect();
    assert_eq!(ids[0], ids[1], "a process group and session of its own");

    let run = execd.run(json!({"argv": ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]})).await;
    let masks: Vec<_> = run
        .stdout()
        .lines()
        .map(|line| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap())
        .collect();
    // Signals above 31 are as whoever runs the tests left them.
    assert_eq!(
        masks.iter().map(|mask| mask & 0x7fff_ffff).collect::<Vec<_>>(),
        [0, 0],
        "nothing blocked, nothing ignored"
    );
}

#[tokio::test]
async fn statuses_are_known_although_the_starter_ignored_children() {
    let execd = Execd::start_with(|command, _| {
        let mut wrapped = Command::new("/usr/bin/env");
        wrapped.arg("--ignore-signal=CHLD").arg(command.get_program()).args(command.get_args());
        wrapped.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        *command = wrapped;
    })
    .await;
    assert_eq!(execd.run(json!({"command": "exit 6"})).await.exit_code(), 6);
}

#[tokio::test]
async fn no_descriptor_leaks_into_commands() {
    let execd = Execd::start().await;
    let waiting = execd.begin(json!({"argv": ["sleep", "30"]})).await;
    let run = execd.run(json!({"argv": ["ls", "/proc/self/fd"]})).await;
    assert_eq!(run.stdout(), "0\n1\n2\n3\n", "3 is the directory itself");
    drop(waiting);
}

#[tokio::test]
async fn other_users() {
    need_root();
    let execd = Execd::start().await;
    let ids = "id -u; id -g; id -G";
    assert_eq!(execd.run(json!({"command": ids, "uid": 1})).await.stdout(), "1\n1\n1\n");
    assert_eq!(execd.run(json!({"command": ids, "uid": 54321})).await.stdout(), "54321\n0\n0\n");
    assert_eq!(execd.run(json!({"command": ids, "uid": 54321, "gid": 77})).await.stdout(), "54321\n77\n77\n");
    let run = execd.run(json!({"command": "grep CapEff /proc/self/status", "uid": 54321})).await;
    assert_eq!(run.stdout(), "CapEff:\t0000000000000000\n");
}

#[tokio::test]
async fn a_time_limit_ends_the_whole_group() {
    let execd = Execd::start().await;
    let start = Instant::now();
    let run = execd.run(json!({"command": "sleep 1000 & echo $!; wait", "timeout": 300})).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(run.exit_code(), -1);
    let last = run.events.last().unwrap();
    assert_eq!(
        (last.timed_out, last.error.as_ref().unwrap().traceback[0].as_str()),
        (Some(true), "signal: killed")
    );
    let grandchild = run.stdout().trim().parse().unwrap();
    eventually("the grandchild is gone", || !is_alive(grandchild)).await;
    assert_eq!(execd.status(&run.id()).await["timed_out"], true);
    assert_eq!(execd.run(json!({"command": "true", "timeout": 0})).await.exit_code(), 0);
}

#[tokio::test]
async fn lines_and_progress_arrive_while_the_command_runs() {
    let execd = Execd::start().await;
    let mut run = execd
        .begin(
            json!({"command": "echo one; sleep 0.3; printf '50%%\\r'; sleep 0.3; printf 'no end'; sleep 30"}),
        )
        .await;
    assert_eq!(run.next_of(EventKind::Stdout).await.text.unwrap(), "one\n");
    assert_eq!(run.next_of(EventKind::Stdout).await.text.unwrap(), "50%\r");
    assert_eq!(
        run.next_of(EventKind::Stdout).await.text.unwrap(),
        "no end",
        "even an unfinished line does not wait for ever"
    );
    assert_eq!(execd.status(&run.id()).await["running"], true);
    assert_eq!(run.next_of(EventKind::Ping).await.text.unwrap(), "pong");
}

#[tokio::test]
async fn a_stream_ends_although_grandchildren_hold_its_pipes() {
    let execd = Execd::start().await;
    let job = "(until [ -e ~/go ]; do sleep 0.02; done; echo late; touch ~/survived; sleep 30) & echo $!";
    let run = execd.run(json!({ "command": job })).await;
    std::fs::write(execd.home.path().join("go"), "").unwrap();
    assert_eq!(run.exit_code(), 0);
    let survived = execd.home.path().join("survived");
    eventually("the grandchild could go on writing", || survived.exists()).await;
    let group: i32 = run.stdout().trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(group).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn a_command_outlives_its_client() {
    let execd = Execd::start().await;
    let mut run = execd.begin(json!({"command": "for i in $(seq 200); do seq 1000; done; sleep 0.2; seq 100000; echo done > ~/finished"})).await;
    run.next_of(EventKind::Stdout).await;
    let id = run.id();
    drop(run);
    let finished = execd.home.path().join("finished");
    eventually("the command ran to its end", || finished.exists()).await;
    assert_eq!(execd.ended(&id).await["exit_code"], 0);
}

#[tokio::test]
async fn interrupting() {
    let execd = Execd::start().await;
    let mut run = execd
        .begin(json!({"command": "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"}))
        .await;
    run.next_of(EventKind::Stdout).await;
    let path = format!("/command?id={}", run.id());
    assert_eq!(execd.call(Method::DELETE, &path, "").await, (StatusCode::OK, String::new()));
    while run.next().await.is_some() {}
    assert_eq!((run.stdout().as_str(), run.exit_code()), ("up\nbye\n", 7));
    let (status, body) = execd.call(Method::DELETE, &path, "").await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");

    let mut run =
        execd.begin(json!({"command": "trap '' TERM; sleep 1000 & echo $!; wait; wait; sleep 1000"})).await;
    let stubborn = run.next_of(EventKind::Stdout).await.text.unwrap().trim().parse().unwrap();
    let start = Instant::now();
    assert_eq!(execd.call(Method::DELETE, &format!("/command?id={}", run.id()), "").await.0, StatusCode::OK);
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    while run.next().await.is_some() {}
    assert_eq!(run.exit_code(), 137);
    eventually("the rest of the group is gone", || !is_alive(stubborn)).await;
}

#[tokio::test]
async fn many_short_commands_keep_their_bytes() {
    const COMMANDS: usize = 10_000;
    const CLIENTS: usize = 12;
    let execd = Execd::start().await;
    let start = Instant::now();
    let clients = (0..CLIENTS).map(async |client| {
        let mut connection = execd.connect().await;
        for number in (client..COMMANDS).step_by(CLIENTS) {
            let body = json!({"argv": ["printf", "%s\\n%s", number.to_string(), "tail"]});
            let run = execd.run_on(&mut connection, body).await;
            assert_eq!((run.stdout(), run.exit_code()), (format!("{number}\ntail"), 0));
        }
    });
    futures_util::future::join_all(clients).await;
    assert!(start.elapsed() < 10 * PATIENCE, "{:?}", start.elapsed());
    eventually("no process is left", || {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", execd.pid())).unwrap();
        children.is_empty()
    })
    .await;
}

#[tokio::test]
async fn big_output_is_complete() {
    let execd = Execd::start().await;
    let run = execd.run(json!({"command": "seq 300000; seq 1000 >&2"})).await;
    let expected: String = (1..=300_000).map(|number| format!("{number}\n")).collect();
    assert!(run.stdout() == expected);
    assert_eq!(run.stderr().lines().count(), 1000);
    let run = execd.run(json!({"command": "head -c 3000000 /dev/zero | tr '\\0' 'x'"})).await;
    assert_eq!(run.stdout().len(), 3_000_000);
    let run = execd.run(json!({"command": r"printf 'a\377b\303\251\303'"})).await;
    assert_eq!(run.stdout(), "a\u{FFFD}bé\u{FFFD}");
}
