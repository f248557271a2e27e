//! The TypeScript SDK as its users get it: packed, installed into an empty project, compiled there. And the published
//! OpenSandbox client, unchanged.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FlockOperation, flock};
use tokio::{process::Command, time::timeout};

use crate::{paths, server::Server};

/// The oldest Node the package is for.
const OLDEST_NODE: u32 = 20;
/// Installing fetches from the registry of packages.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);
/// A suite that takes longer hangs.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);

/// A project that has nothing but the packed SDK in it, and its tests and examples, compiled.
pub struct Project {
    dir: PathBuf,
}

impl Project {
    /// Builds and packs the SDK and makes the project anew. One process at a time does so.
    pub async fn make() -> Result<Self> {
        let root = paths::artifacts()?.join("typescript");
        fs::create_dir_all(&root)?;
        let lock = File::create(root.join("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        check_version().await?;
        install_tools().await?;
        let packed = root.join("packed");
        let _ = fs::remove_dir_all(&packed);
        fs::create_dir_all(&packed)?;
        let mut pack = npm(&sdk());
        must(pack.arg("pack").arg("--pack-destination").arg(&packed), RUN_TIMEOUT).await?;
        let tarball = fs::read_dir(&packed)?.next().context("npm packs something")??.path();

        let project = Self { dir: root.join("project") };
        // Absent the first time.
        let _ = fs::remove_dir_all(&project.dir);
        fs::create_dir_all(&project.dir)?;
        fs::write(project.dir.join("package.json"), r#"{"private": true, "type": "module"}"#)?;
        let mut install = npm(&project.dir);
        install.args(["install", "--ignore-scripts", "--prefer-offline"]).arg(tarball);
        must(&mut install, INSTALL_TIMEOUT).await?;
        project.compile().await?;
        Ok(project)
    }

    /// Compiles tests and examples against the installed package, as strictly as can be.
    async fn compile(&self) -> Result<()> {
        let sources = self.dir.join("src");
        fs::create_dir_all(&sources)?;
        copy_sources(&sdk().join("test"), &sources.join("test"))?;
        copy_sources(&paths::workspace().join("examples/typescript"), &sources.join("examples"))?;
        let types = sdk().join("node_modules/@types");
        let config = serde_json::json!({
            "extends": sdk().join("tsconfig.json"),
            "compilerOptions": {
                "rootDir": "src", "outDir": "build", "declaration": false, "typeRoots": [types],
            },
            "include": ["src"],
        });
        fs::write(self.dir.join("tsconfig.json"), config.to_string())?;
        let mut compiler = tool("tsc", &self.dir);
        must(compiler.args(["-p", "."]), RUN_TIMEOUT).await?;
        Ok(())
    }

    /// Runs a compiled program that is told where `server` is; returns what it printed.
    pub async fn run(&self, server: &Server, arguments: &[&str]) -> Result<String> {
        let mut node = Command::new("node");
        node.current_dir(&self.dir).args(arguments);
        node.env("SANDKEEP_URL", server.url()).env("OPEN_SANDBOX_API_KEY", &server.key);
        node.env_remove("NODE_OPTIONS");
        must(&mut node, RUN_TIMEOUT).await
    }

    /// One file for browsers of a source and the installed package.
    pub async fn bundle(&self, source: &str) -> Result<String> {
        let mut bundler = tool("esbuild", &self.dir);
        must(bundler.arg(source).args(["--bundle", "--format=esm", "--platform=browser"]), RUN_TIMEOUT).await
    }
}

/// The published client, and what it needs, exactly.
const PUBLISHED: [&str; 3] = ["@alibaba-group/opensandbox@0.1.11", "openapi-fetch@0.14.1", "undici@7.30.2"];

/// Runs a script of `tests/node` where the published client is installed, told where `server` is.
pub async fn run_published(server: &Server, script: &str, arguments: &[&str]) -> Result<String> {
    let dir = published().await?;
    fs::copy(paths::workspace().join("tests/node").join(script), dir.join(script))?;
    let mut node = Command::new("node");
    node.current_dir(&dir).arg(script).args(arguments);
    node.env("OPEN_SANDBOX_DOMAIN", server.address().to_string());
    node.env("OPEN_SANDBOX_API_KEY", &server.key).env_remove("NODE_OPTIONS");
    must(&mut node, RUN_TIMEOUT).await
}

/// A project that has the published client; made once and kept.
async fn published() -> Result<PathBuf> {
    let dir = paths::artifacts()?.join("published");
    fs::create_dir_all(&dir)?;
    let lock = File::create(dir.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let complete = dir.join("complete");
    if fs::read_to_string(&complete).unwrap_or_default() != PUBLISHED.join("\n") {
        check_version().await?;
        fs::write(dir.join("package.json"), r#"{"private": true, "type": "module"}"#)?;
        let mut install = npm(&dir);
        must(install.args(["install", "--ignore-scripts"]).args(PUBLISHED), INSTALL_TIMEOUT).await?;
        fs::write(complete, PUBLISHED.join("\n"))?;
    }
    Ok(dir)
}

fn sdk() -> PathBuf {
    paths::workspace().join("sdk/typescript")
}

async fn check_version() -> Result<()> {
    let version = must(Command::new("node").arg("--version"), RUN_TIMEOUT).await?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok());
    ensure!(
        major.is_some_and(|major: u32| major >= OLDEST_NODE),
        "the TypeScript SDK needs Node {OLDEST_NODE} or newer, here is {version}"
    );
    Ok(())
}

/// What the SDK's lock file names; installed once for each lock file, and also by `cargo xtask sdk`.
async fn install_tools() -> Result<()> {
    let wanted = fs::read_to_string(sdk().join("package-lock.json"))?;
    let installed = sdk().join("node_modules/.installed");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    must(npm(&sdk()).args(["ci", "--ignore-scripts"]), INSTALL_TIMEOUT).await?;
    Ok(fs::write(installed, wanted)?)
}

fn npm(dir: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(dir).args(["--no-audit", "--no-fund", "--loglevel=error"]);
    npm
}

fn tool(name: &str, dir: &Path) -> Command {
    let mut tool = Command::new(sdk().join("node_modules/.bin").join(name));
    tool.current_dir(dir);
    tool
}

fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_sources(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "ts") {
            fs::copy(&path, target)?;
        }
    }
    Ok(())
}

/// Runs to the end, which must be a success, and returns what was printed.
async fn must(command: &mut Command, limit: Duration) -> Result<String> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(limit, command.output())
        .await
        .with_context(|| format!("{command:?} takes longer than {limit:?}"))?
        .with_context(|| format!("{command:?}"))?;
    let (text, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{text}\n{complaint}", output.status);
    Ok(text.into_owned())
}
