//! execd as a sandbox's first process.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::{
    io::Read,
    os::fd::AsRawFd,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use support::{Execd, TOKEN, eventually, is_alive};

/// Runs execd with an entrypoint to its end.
fn run_init(prefix: &[&str], arguments: &[&str], entrypoint: &[&str]) -> (ExitStatus, String, String) {
    let port = support::free_port().to_string();
    let execd = env!("CARGO_BIN_EXE_execd");
    let words: Vec<_> =
        prefix.iter().copied().chain([execd, "--init", "--log-level", "3", "--port", &port]).collect();
    let result = Command::new(words[0])
        .args(&words[1..])
        .args(arguments)
        .arg("--")
        .args(entrypoint)
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .env("EXECD_ACCESS_TOKEN", TOKEN)
        // Every user may be here.
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (result.status, String::from_utf8(result.stdout).unwrap(), String::from_utf8(result.stderr).unwrap())
}

/// In a PID namespace of its own.
const FIRST: [&str; 4] = ["unshare", "--pid", "--fork", "--mount-proc"];

#[test]
fn it_ends_with_its_entrypoint() {
    for prefix in [&FIRST[..], &[]] {
        let status = |entrypoint: &[&str]| run_init(prefix, &[], entrypoint).0.code();
        assert_eq!(status(&["true"]), Some(0));
        assert_eq!(status(&["sh", "-c", "exit 42"]), Some(42));
        assert_eq!(status(&["sh", "-c", "kill -9 $$"]), Some(137));
        assert_eq!(status(&["sh", "-c", "kill -TERM $$"]), Some(143));
        let (status, _, stderr) = run_init(prefix, &[], &["no-such-entrypoint"]);
        assert_eq!(status.code(), Some(127));
        assert!(stderr.contains("no-such-entrypoint"), "{stderr}");
        assert_eq!(run_init(prefix, &[], &["/etc/passwd"]).0.code(), Some(126));
    }
}

#[test]
fn user_directory_environment_and_output() {
    let show =
        "id -u; id -g; pwd; echo $HOME; echo ${EXECD_INIT-unset}; echo to-err >&2; echo $EXECD_ACCESS_TOKEN";
    let (status, stdout, stderr) =
        run_init(&FIRST, &["--user", "nobody", "--cwd", "/usr"], &["sh", "-c", show]);
    assert_eq!(status.code(), Some(0), "{stderr}");
    let nobody = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<_> =
        nobody.lines().find(|line| line.starts_with("nobody:")).unwrap().split(':').collect();
    let expected = format!("{}\n{}\n/usr\n{}\nunset\n{TOKEN}\n", fields[2], fields[3], fields[5]);
    assert_eq!((stdout, stderr), (expected, "to-err\n".to_owned()));
    let (_, stdout, _) = run_init(&[], &["--user", "12345:678"], &["sh", "-c", "id -u; id -g; id -G"]);
    assert_eq!(stdout, "12345\n678\n678\n");
}

#[test]
fn a_big_output_comes_whole() {
    let (_, stdout, _) = run_init(&FIRST, &[], &["seq", "200000"]);
    assert_eq!(stdout.lines().count(), 200_000);
}

#[test]
fn what_the_entrypoint_leaves_behind_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let asked = directory.path().join("asked");
    let script = format!(
        "(trap 'touch {}; exit' TERM; while :; do sleep 0.02; done) & (trap '' TERM; sleep 1000) & sleep 0.3; exit 5",
        asked.display()
    );
    let start = Instant::now();
    let (status, ..) = run_init(&FIRST, &["--graceful-shutdown-timeout", "500ms"], &["sh", "-c", &script]);
    assert_eq!(status.code(), Some(5));
    assert!(asked.exists(), "the rest was asked to end first");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

async fn init(entrypoint: &'static [&'static str]) -> Execd {
    Execd::start_with(|command, _| {
        command.arg("--init").arg("--").args(entrypoint);
    })
    .await
}

#[tokio::test]
async fn signals_reach_the_entrypoint() {
    let mut execd = init(&[
        "sh",
        "-c",
        "trap 'echo > ~/hup' HUP; trap 'exit 9' TERM; echo > ~/up; while :; do sleep 0.02; done",
    ])
    .await;
    let (up, hup) = (execd.home.path().join("up"), execd.home.path().join("hup"));
    eventually("the entrypoint is up", || up.exists()).await;
    let pid = rustix::process::Pid::from_raw(execd.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    eventually("HUP arrived", || hup.exists()).await;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(execd.process.wait().unwrap().code(), Some(9));
}

#[tokio::test]
async fn orphans_are_reaped_and_no_status_is_stolen() {
    let execd = init(&["sleep", "1000"]).await;
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", execd.pid());
        std::fs::read_to_string(path).unwrap().split_whitespace().count()
    };
    for round in 0..20 {
        let runs = (0..10).map(|number| {
            let (execd, code) = (&execd, (round * 10 + number) % 256);
            async move {
                let run = execd
                    .run(json!({"command": format!("(sleep 0.0{number} &); (true &); exit {code}")}))
                    .await;
                assert_eq!(run.exit_code(), code);
            }
        });
        futures_util::future::join_all(runs).await;
    }
    eventually("only the entrypoint is left", || children() == 1).await;
}

#[tokio::test]
async fn readiness_is_one_byte_and_an_end() {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let number = write.as_raw_fd();
    let execd = Execd::start_with(|command, _| {
        // The child inherits the descriptor under its number.
        rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::empty()).unwrap();
        command.args(["--init", "--ready-fd", &number.to_string(), "--", "sleep", "1000"]);
    })
    .await;
    drop(write);
    let mut bytes = Vec::new();
    std::fs::File::from(read).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 1, "neither execd nor its entrypoint keeps the descriptor open");
    assert!(is_alive(execd.pid().cast_signed()));
}

#[tokio::test]
async fn a_closed_or_full_output_stops_neither_execd_nor_the_entrypoint() {
    let execd = Execd::start_with(|command, _| {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.args([
            "--init",
            "--",
            "sh",
            "-c",
            "seq 200000; seq 100000 >&2; echo > ~/through; sleep 1000",
        ]);
    })
    .await;
    let mut execd = execd;
    let through = execd.home.path().join("through");
    eventually("a reader that does not read is given up", || through.exists()).await;
    drop((execd.process.stdout.take(), execd.process.stderr.take()));
    for _ in 0..20 {
        assert_eq!(execd.run(json!({"command": "echo still here"})).await.stdout(), "still here\n");
    }
}

#[tokio::test]
async fn without_an_entrypoint_it_runs_until_told_otherwise() {
    let mut execd = Execd::start_with(|command, _| {
        command.env("EXECD_INIT", "1");
    })
    .await;
    assert_eq!(execd.run(json!({"command": "exit 3"})).await.exit_code(), 3);
    let pid = rustix::process::Pid::from_raw(execd.pid().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(execd.process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_script_of_the_image_changes_what_everything_sees() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("pre.sh");
    std::fs::write(&script, "export FROM_SCRIPT='a b'\nexport PATH=$PATH:/extra\n").unwrap();
    let envs = home.path().join("envs");
    let run = |variables: &[(&str, &str)], entrypoint: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_execd"))
            .args(["--init", "--log-level", "3", "--port", &support::free_port().to_string(), "--"])
            .args(entrypoint)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("EXECD_ACCESS_TOKEN", TOKEN)
            .env("EXECD_ENVS", &envs)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let script = script.to_str().unwrap();
    let show = "echo $FROM_SCRIPT $PATH ${EXECD_BOOTSTRAP_PRE_SCRIPT-unset} ${EXECD_PRELUDE-unset}; exit 7";
    let expected = (Some(7), "a b /usr/bin:/bin:/extra unset unset\n".to_owned());
    let named = ("EXECD_BOOTSTRAP_PRE_SCRIPT", script);
    assert_eq!(run(&[named], &["sh", "-c", show]), expected);
    assert_eq!(run(&[named, ("BOOTSTRAP_CMD", show)], &["false"]), expected);
    assert_eq!(run(&[named, ("EXECD_CLONE3_COMPAT", "reexec")], &["sh", "-c", show]), expected);
    assert_eq!(run(&[("EXECD_BOOTSTRAP_PRE_SCRIPT", "/no/such/file")], &["true"]).0, Some(0));
    let shell = [("BOOTSTRAP_CMD", "echo $0"), ("BOOTSTRAP_SHELL", "/bin/sh")];
    assert_eq!(run(&shell, &["false"]), (Some(0), "/bin/sh\n".to_owned()));
    assert!(envs.exists(), "there is a file to write variables to");
}

#[tokio::test]
async fn clone3_can_be_hidden() {
    // It complains about arguments that cannot be right, unless it is not there at all.
    let probe = "import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall(435, None, 0); print(ctypes.get_errno())";
    for (mode, errno) in [("off", libc::EINVAL), ("1", libc::ENOSYS), ("reexec", libc::ENOSYS)] {
        let execd = Execd::start_with(|command, _| {
            command.env("EXECD_CLONE3_COMPAT", mode);
        })
        .await;
        let run = execd.run(json!({"argv": ["python3", "-c", probe]})).await;
        assert_eq!(run.stdout().trim(), errno.to_string(), "{mode}: {}", run.stderr());
        let code = execd.run(json!({"command": "for i in 1 2 3; do (echo $i) & done; wait"})).await;
        assert_eq!((code.stdout().len(), code.exit_code()), (6, 0), "processes start as before");
    }
    let refused = support::command().env("EXECD_CLONE3_COMPAT", "perhaps").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("EXECD_CLONE3_COMPAT"));
}

#[test]
fn the_egress_sidecar_s_authority_is_made_known() {
    // What it changes is this machine's files, but in a layer of the test's own.
    const SURROUNDINGS: &str = r#"
        set -e
        mount -t tmpfs none /mnt; mkdir /mnt/upper /mnt/work /mnt/root
        mount -t overlay none -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
        mount -t proc none /mnt/root/proc; mount --bind /dev /mnt/root/dev; mount -t tmpfs none /mnt/root/tmp
        mkdir -p /mnt/root/opt/opensandbox /mnt/root/opt/bin /mnt/root/opt/home
        cp "$EXECD_BINARY" /mnt/root/opt/opensandbox/execd
        for tool in update-ca-certificates certutil keytool; do
            printf '#!/bin/sh\necho "${0##*/} $*" >> /opt/called\n' > /mnt/root/opt/bin/$tool
            chmod 755 /mnt/root/opt/bin/$tool
        done
        (sleep 0.7; cp "$AUTHORITY" /mnt/root/opt/opensandbox/new
            mv /mnt/root/opt/opensandbox/new /mnt/root/opt/opensandbox/mitmproxy-ca-cert.pem) &
        exec chroot /mnt/root /opt/opensandbox/execd "$@""#;
    const SHOW: &str = r#"
        exec 2>&1; cd /opt/opensandbox
        echo $NODE_EXTRA_CA_CERTS; echo $REQUESTS_CA_BUNDLE $SSL_CERT_FILE $CURL_CA_BUNDLE $GIT_SSL_CAINFO
        unset SSL_CERT_FILE; ours=mitmproxy-ca-cert.pem; system=/etc/ssl/certs/ca-certificates.crt
        check() {
            openssl verify -no-CAstore -no-CAfile -CApath /etc/ssl/certs $ours
            openssl verify -no-CAstore -no-CApath -CAfile $system $ours
        }
        check; openssl verify -no-CAstore -no-CApath -CAfile $REQUESTS_CA_BUNDLE $ours; grep -c END $system
        /usr/bin/keytool -list -cacerts -storepass changeit -alias opensandbox-egress | grep -o trustedCertEntry
        cat /opt/called; rm /opt/called
        /usr/sbin/update-ca-certificates --hooksdir /none >/dev/null 2>&1; check"#;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (authority, key) = (at("authority.pem"), at("key.pem"));
    let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let made = Command::new("openssl")
        .args(["req", "-x509"])
        .args(kind)
        .args(["-subj", "/CN=Sandkeep egress sidecar", "-keyout", &key, "-out", &authority])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let run = |value: &str| {
        let output = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", SURROUNDINGS, "sh"])
            .args(["--init", "--log-level", "3", "--port", &support::free_port().to_string()])
            .args(["--", "sh", "-c", SHOW])
            .env_clear()
            .envs([("PATH", "/opt/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("HOME", "/opt/home")])
            .envs([("EXECD_ACCESS_TOKEN", TOKEN), ("OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT", value)])
            .envs([("EXECD_BINARY", env!("CARGO_BIN_EXE_execd")), ("AUTHORITY", &authority)])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    };
    let bundle = "/opt/opensandbox/merged-ca-certificates.pem";
    let ours = "mitmproxy-ca-cert.pem: OK";
    let shown = run("true");
    let lines: Vec<_> = shown.lines().collect();
    let others =
        std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap().matches("END").count();
    let (bundles, count) = ([bundle; 4].join(" "), (others + 1).to_string());
    let first =
        ["/opt/opensandbox/mitmproxy-ca-cert.pem", &bundles, ours, ours, ours, &count, "trustedCertEntry"];
    assert_eq!(lines[..7], first, "{shown}");
    // Nothing but the browsers' tool was asked, and the system's own keeps what was done.
    let called = |line: &&str| line.starts_with("certutil -d sql:/opt/home/.pki/nssdb -");
    assert!(lines[7..9].iter().all(called), "{shown}");
    assert_eq!(lines[9..], [ours, ours], "{shown}");
    assert_eq!(run("false").lines().next(), Some(""));
}
