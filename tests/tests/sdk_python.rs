//! The Python SDK as its users get it: the wheel, in an environment of its own, against a real server.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    guarded::Example,
    paths,
    python::{installed, must},
    server::Server,
};

/// What makes the wheel and checks the sources.
const TOOLS: [&str; 5] =
    ["hatchling==1.33.0", "pyright[nodejs]==1.1.414", "ruff==0.17.6", "httpx==0.28.1", "websockets==17.4"];
/// What the wheel needs, and what runs its tests.
const RUNTIME: [&str; 4] = ["httpx==0.28.1", "websockets==17.4", "pytest==9.2.0", "langchain-core==1.7.2"];
/// A suite that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(900);

fn sdk() -> PathBuf {
    paths::workspace().join("sdk/python")
}

static WHEEL: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The `bin` directory of an environment with the wheel in it, built once from what is there now.
fn with_the_wheel() -> Result<PathBuf> {
    let mut made = WHEEL.lock().unwrap_or_else(PoisonError::into_inner);
    if made.is_none() {
        *made = Some(install_the_wheel()?);
    }
    made.clone().context("it has just been made")
}

fn install_the_wheel() -> Result<PathBuf> {
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

async fn run(command: &mut tokio::process::Command, what: &str) -> Result<String> {
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
    let text = run(&mut suite, "the suite").await?;
    ensure!(text.contains(" passed"), "{text}");
    Ok(())
}

/// The example that needs an API to call, which is in a small Internet of the test's own.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_with_a_vault_keeps_its_token_to_itself() -> Result<()> {
    const TOKEN: &str = "t0ken-of-the-example";
    let bin = with_the_wheel()?;
    let world = Example::start()?;
    let (server, web) = (&world.server, &world.web);

    let mut example = tokio::process::Command::from(world.net.host.command(bin.join("python")));
    example.arg("-B").arg(paths::workspace().join("examples/python/vault.py"));
    example.arg("https://example.test/echo").env("API_TOKEN", TOKEN);
    example.env("SANDKEEP_URL", server.url()).env("OPEN_SANDBOX_API_KEY", &server.key);
    let text = run(&mut example, "the example").await?;
    for promised in [
        "the API: you sent ",
        "the token is in the sandbox: False",
        "elsewhere: refused",
        "without the vault: you sent none.",
    ] {
        ensure!(text.contains(promised), "{promised:?} is missing: {text}");
    }
    ensure!(!text.contains(TOKEN), "{text}");
    let seen: Vec<_> =
        web.take().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(seen, [Some(format!("Bearer {TOKEN}")), None]);
    Ok(())
}

/// Nothing in the package is left untyped.
#[tokio::test]
async fn the_sources_are_fully_typed() -> Result<()> {
    let tools = installed("venv-sdk-tools", &TOOLS)?;
    let mut pyright = tokio::process::Command::new(tools.join("pyright"));
    // It would ask for a newer version of itself.
    pyright.env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    pyright.arg("--pythonpath").arg(tools.join("python")).current_dir(sdk());
    let text = run(&mut pyright, "pyright").await?;
    ensure!(text.contains("0 errors, 0 warnings"), "{text}");
    Ok(())
}

/// The package, its tests and the examples are written alike.
#[tokio::test]
async fn the_sources_are_tidy() -> Result<()> {
    let tools = installed("venv-sdk-tools", &TOOLS)?;
    for what in [&["check"][..], &["format", "--check"]] {
        let mut ruff = tokio::process::Command::new(tools.join("ruff"));
        ruff.args(what).args(["--no-cache", "--config", "pyproject.toml", ".", "../../examples/python"]);
        run(ruff.current_dir(sdk()), &format!("ruff {}", what[0])).await?;
    }
    Ok(())
}
