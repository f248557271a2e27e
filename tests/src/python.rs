//! Programs installed from PyPI, unchanged: the published OpenSandbox clients, and schemathesis.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};

use crate::{paths, server::Server};

/// The clients as their users install them, and the official client of MCP servers.
const CLIENTS: [&str; 5] = [
    "mcp==2.3.0",
    "opensandbox==1.1.1",
    "opensandbox-cli==1.1.1",
    "opensandbox-code-interpreter==1.1.1",
    "opensandbox-mcp==1.1.1",
];
/// A scenario that takes longer hangs.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(300);

/// What tries an API by its document.
const SCHEMATHESIS: [&str; 1] = ["schemathesis==4.32.5"];

/// What a gRPC server in Python needs.
const GRPC: [&str; 2] = ["grpcio==1.85.1", "typing_extensions==4.16.0"];

/// What a sandbox installs from an index of the test's own: HTTP and gRPC clients, with all they need.
const WHEELS: [&str; 15] = [
    "anyio==4.16.0",
    "certifi==2026.10.18",
    "charset-normalizer==3.5.2",
    "grpcio==1.85.1",
    "h11==0.16.0",
    "h2==4.4.1",
    "hpack==4.2.0",
    "httpcore==1.0.9",
    "httpx==0.28.1",
    "hyperframe==6.1.0",
    "idna==3.20",
    "requests==2.34.2",
    "typing_extensions==4.16.0",
    "urllib3==2.8.0",
    "websockets==17.4",
];
/// Python's version in the images.
const IMAGE_PYTHON: &str = "3.11";

/// The `bin` directory of an environment that has gRPC; made once and kept.
pub fn grpc() -> Result<PathBuf> {
    installed("venv-grpc", &GRPC)
}

/// A directory of packages for the images' Python; fetched once and kept.
pub fn wheels() -> Result<PathBuf> {
    let dir = paths::artifacts()?;
    let lock = File::create(dir.join("wheels.lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let (wheels, complete) = (dir.join("wheels"), dir.join("wheels.complete"));
    if fs::read_to_string(&complete).unwrap_or_default() != WHEELS.join("\n") {
        // Absent the first time.
        let _ = fs::remove_dir_all(&wheels);
        let mut pip = Command::new(grpc()?.join("pip"));
        pip.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]);
        pip.arg(format!("--python-version={IMAGE_PYTHON}"));
        for libc in ["manylinux2014", "manylinux_2_17"] {
            pip.arg(format!("--platform={libc}_{}", std::env::consts::ARCH));
        }
        pip.arg("--dest").arg(&wheels).args(WHEELS);
        must(&mut pip, "the packages come from PyPI: the machine needs a way to it")?;
        fs::write(&complete, WHEELS.join("\n"))?;
    }
    Ok(wheels)
}

/// The `bin` directory of an environment that has the clients; made once and kept.
pub fn environment() -> Result<PathBuf> {
    installed("venv", &CLIENTS)
}

/// The `bin` directory of an environment that has schemathesis; made once and kept.
pub fn schemathesis() -> Result<PathBuf> {
    installed("venv-schemathesis", &SCHEMATHESIS)
}

/// The `bin` directory of an environment that has these packages and nothing else; made once and kept.
pub fn installed(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = paths::artifacts()?;
    let lock = File::create(dir.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let (venv, complete) = (dir.join(name), dir.join(format!("{name}.complete")));
    if fs::read_to_string(&complete).unwrap_or_default() != packages.join("\n") {
        let python = paths::program("python3", "python3")?;
        must(
            Command::new(python).args(["-m", "venv", "--clear"]).arg(&venv),
            "apt-get install python3-venv",
        )?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages);
        must(&mut pip, "the packages come from PyPI: the machine needs a way to it")?;
        fs::write(&complete, packages.join("\n"))?;
    }
    Ok(venv.join("bin"))
}

/// Runs a command that must succeed; the hint says what may be missing.
pub fn must(command: &mut Command, hint: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed ({hint}): {complaint}");
    Ok(())
}

/// Runs a script of `tests/python` with the clients installed, told where `server` is.
pub async fn run(server: &Server, script: &str, arguments: &[&str]) -> Result<String> {
    let python = environment()?.join("python");
    let mut command = tokio::process::Command::new(python);
    command.arg(paths::script(script)).args(arguments);
    command
        .env("OPEN_SANDBOX_DOMAIN", server.address().to_string())
        .env("OPEN_SANDBOX_API_KEY", &server.key)
        .env("SANDKEEP_URL", server.url())
        .env("SB", paths::dist("sb")?)
        .env("OSB", environment()?.join("osb"));
    command.env_remove("PYTHONPATH").env_remove("http_proxy").env_remove("HTTP_PROXY");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(SCENARIO_TIMEOUT, command.output())
        .await
        .with_context(|| format!("{script} {arguments:?} takes longer than {SCENARIO_TIMEOUT:?}"))??;
    let (text, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{script} {arguments:?}: {}\n{text}\n{complaint}", output.status);
    Ok(text.into_owned())
}
