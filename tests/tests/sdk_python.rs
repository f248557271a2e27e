//! The Python SDK as its users get it: the wheel, in an environment of its own, against a real server.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    paths,
    python::{installed, must},
    server::Server,
};

/// What makes the wheel and checks the sources.
const TOOLS: [&str; 4] =
    ["hatchling==1.33.0", "pyright[nodejs]==1.1.414", "httpx==0.28.1", "websockets==17.4"];
/// What the wheel needs, and what runs its tests.
const RUNTIME: [&str; 3] = ["httpx==0.28.1", "websockets==17.4", "pytest==9.2.0"];
/// A suite that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(1200);

fn sdk() -> PathBuf {
    paths::workspace().join("sdk/python")
}

/// The `bin` directory of an environment with the wheel in it, built from what is there now.
fn with_the_wheel() -> Result<PathBuf> {
    let tools = installed("venv-sdk-tools", &TOOLS)?;
    let dir = paths::artifacts()?.join("wheel");
    // Absent the first time.
    let _ = fs::remove_dir_all(&dir);
    let mut build = std::process::Command::new(tools.join("hatchling"));
    must(
        build.args(["build", "--target", "wheel", "--directory"]).arg(&dir).current_dir(sdk()),
        "hatchling",
    )?;
    let wheel = fs::read_dir(&dir)?.next().context("a build makes a wheel")??.path();
    let bin = installed("venv-sdk", &RUNTIME)?;
    let mut pip = std::process::Command::new(bin.join("pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
        "--force-reinstall",
    ]);
    must(pip.arg(wheel), "the wheel")?;
    Ok(bin)
}

async fn run(mut command: tokio::process::Command, what: &str) -> Result<String> {
    command.env_remove("PYTHONPATH").env_remove("http_proxy").env_remove("HTTP_PROXY");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .with_context(|| format!("{what} takes longer than {LIMIT:?}"))??;
    let (text, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{what}: {}\n{text}\n{complaint}", output.status);
    Ok(text.into_owned())
}

fn python(bin: &std::path::Path, server: &Server) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(bin.join("python"));
    command.env("SANDKEEP_URL", server.url()).env("OPEN_SANDBOX_API_KEY", &server.key);
    command
}

/// One test, since what is measured at its end is that the whole suite reached every operation.
#[tokio::test]
async fn the_wheel_passes_its_suite_and_the_examples_do_what_they_say() -> Result<()> {
    let bin = with_the_wheel()?;
    let server = Server::shared()?;
    let mut suite = python(&bin, server);
    suite.args(["-B", "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]);
    suite.arg("tests").current_dir(sdk());
    let text = run(suite, "the suite").await?;
    ensure!(text.contains(" passed"), "{text}");
    Ok(())
}

/// Nothing in the package is left untyped.
#[tokio::test]
async fn the_sources_are_fully_typed() -> Result<()> {
    let tools = installed("venv-sdk-tools", &TOOLS)?;
    let mut pyright = tokio::process::Command::new(tools.join("pyright"));
    pyright.arg("--pythonpath").arg(tools.join("python")).current_dir(sdk());
    let text = run(pyright, "pyright").await?;
    ensure!(text.contains("0 errors, 0 warnings"), "{text}");
    Ok(())
}
