//! The unit as it is shipped, run by a real systemd: sandboxes outlive every way the server ends.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    paths,
    systemd::{Systemd, install},
};
use serde_json::{Value, json};

const UNIT: &str = "sandkeep.service";
const KEY: &str = "key-of-the-environment-file";
const PATIENCE: Duration = Duration::from_secs(30);

fn unit() -> std::path::PathBuf {
    paths::workspace().join("packaging/systemd").join(UNIT)
}

/// A machine set up as the operations guide says.
struct Machine {
    systemd: Systemd,
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("systemd-").tempdir_in(paths::artifacts()?)?;
        let at = |path: &str| dir.path().join(path);
        for part in ["units/sandkeep.service.d", "etc/sandkeep", "bin", "state"] {
            fs::create_dir_all(at(part))?;
        }
        fs::copy(unit(), at("units").join(UNIT))?;
        // The targets that a whole system would bring along are not there.
        fs::write(at("units/sandkeep.service.d/test.conf"), "[Unit]\nDefaultDependencies=no\n")?;
        fs::write(at("units/test.target"), format!("[Unit]\nDefaultDependencies=no\nWants={UNIT}\n"))?;
        for program in ["lifecycle-server", "execd"] {
            install(&paths::dist(program)?, &at("bin").join(program))?;
        }
        let config = format!(
            "[server]\nhost = \"127.0.0.1\"\n[runtime]\ntype = \"native\"\n[native]\nstate_dir = \"{}\"\n",
            at("state").display()
        );
        fs::write(at("etc/sandkeep/config.toml"), config)?;
        fs::write(at("etc/sandkeep/environment"), format!("OPENSANDBOX_SERVER_API_KEY={KEY}\n"))?;
        let systemd = Systemd::start(dir.path())?;
        Ok(Self { systemd, dir })
    }

    /// A request to the server, repeated while nobody listens.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://127.0.0.1:8080{path}");
        let header = format!("OPEN-SANDBOX-API-KEY: {KEY}");
        let body = body.to_string();
        let mut arguments = vec!["--silent", "--show-error", "--fail-with-body", "--max-time", "30"];
        arguments.extend(["--retry", "20", "--retry-connrefused", "--retry-delay", "1", "--request", method]);
        arguments.extend(["--header", &header, "--header", "content-type: application/json"]);
        if method == "POST" {
            arguments.extend(["--data", &body]);
        }
        arguments.push(&url);
        let text = self.systemd.run_ok("curl", &arguments)?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    fn state_of(&self, id: &str) -> Result<Value> {
        Ok(self.call("GET", &format!("/v1/sandboxes/{id}"), &Value::Null)?["status"]["state"].clone())
    }

    /// Process of the sandbox's execd and when it started.
    fn execd(&self) -> Result<String> {
        let list = self.systemd.run_ok("ps", &["-C", "execd", "-o", "pid=,lstart="])?;
        ensure!(list.lines().count() == 1, "not one execd:\n{list}");
        Ok(list)
    }

    fn main_pid(&self) -> Result<String> {
        self.systemd.property(UNIT, "MainPID")
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // What it starts need not be installed where the test runs.
    let text = fs::read_to_string(unit())?.replace("/usr/local/bin/lifecycle-server", "/bin/true");
    let copy = dir.path().join(UNIT);
    fs::write(&copy, text)?;
    let analyze = paths::program("systemd-analyze", "systemd")?;
    let output = Command::new(analyze).args(["verify", "--man=no"]).arg(&copy).output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let about_it: Vec<&str> = told.lines().filter(|line| line.contains(UNIT)).collect();
    ensure!(output.status.success() && about_it.is_empty(), "{told}");
    Ok(())
}

#[test]
fn sandboxes_outlive_restarts_crashes_stops_and_upgrades() -> Result<()> {
    let machine = Machine::new()?;
    let systemd = &machine.systemd;
    let config = ["--config", "/etc/sandkeep/config.toml"];
    let archive = paths::base_image()?;
    let import = ["image", "import", archive.to_str().context("a path in UTF-8")?];
    systemd.run_ok("/usr/local/bin/lifecycle-server", &[&config[..], &import[..]].concat())?;
    let create = json!({
        "image": {"uri": paths::BASE_IMAGE}, "entrypoint": ["sleep", "infinity"], "timeout": 3600,
        "resourceLimits": {"cpu": "500m", "memory": "96Mi", "pids": "64"},
    });
    let made = machine.call("POST", "/v1/sandboxes", &create)?;
    let id = made["id"].as_str().context("an id")?;
    let execd = machine.execd()?;
    let memory = |machine: &Machine| -> Result<String> {
        let find = "find /sys/fs/cgroup -path '*sandkeep-*' -name memory.max -o \
                    -path '*sandkeep-*' -name memory.limit_in_bytes | xargs grep -l ^100663296$";
        machine.systemd.run_ok("sh", &["-c", find])
    };
    let limited = memory(&machine)?;
    ensure!(!limited.is_empty(), "no group has the limit");

    let mut main = machine.main_pid()?;
    // An upgrade as the guide tells it: other files under the same names, then a restart.
    for program in ["lifecycle-server", "execd"] {
        install(&paths::dist(program)?, &machine.dir.path().join("bin").join(program))?;
    }
    for command in [
        &["restart", UNIT][..],
        &["kill", "--signal=KILL", "--kill-whom=main", UNIT],
        &["daemon-reload"],
        &["stop", UNIT],
        &["start", UNIT],
    ] {
        systemd.run_ok("systemctl", command).with_context(|| format!("{command:?}"))?;
        let since = Instant::now();
        let wanted = if command[0] == "stop" { "inactive" } else { "active" };
        loop {
            let active = systemd.property(UNIT, "ActiveState")?;
            let now = machine.main_pid()?;
            let renewed = command[0] == "daemon-reload" || now != main;
            if active == wanted && renewed {
                main = now;
                break;
            }
            ensure!(since.elapsed() < PATIENCE, "after {command:?} it is {active}:\n{}", systemd.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(machine.execd()?, execd, "after {command:?}");
        if wanted == "active" {
            assert_eq!(machine.state_of(id)?, "Running", "after {command:?}");
        }
        assert_eq!(memory(&machine)?, limited, "after {command:?}");
    }
    assert_eq!(
        systemd.run_ok("readlink", &[&format!("/proc/{main}/exe")])?,
        "/usr/local/bin/lifecycle-server"
    );

    // The server that found it can still use it, and end it.
    let path = format!("/v1/sandboxes/{id}/proxy/44772/command");
    ensure!(!systemd.log().contains(KEY), "the key is in the log");
    let answer = systemd.run_ok(
        "curl",
        &[
            "--silent",
            "--max-time",
            "30",
            "--header",
            &format!("OPEN-SANDBOX-API-KEY: {KEY}"),
            "--header",
            "content-type: application/json",
            "--data",
            r#"{"command": "echo alive"}"#,
            &format!("http://127.0.0.1:8080{path}"),
        ],
    )?;
    ensure!(answer.contains("alive"), "{answer}");
    machine.call("DELETE", &format!("/v1/sandboxes/{id}"), &Value::Null)?;
    let since = Instant::now();
    while !systemd.run("pgrep", &["-x", "execd"])?.stdout.is_empty() {
        ensure!(since.elapsed() < PATIENCE, "the sandbox goes on");
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
