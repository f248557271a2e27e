//! A server on this machine.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use sandkeep::Client;

use super::stored;
use crate::{
    args::{Global, Up},
    context::{self, Contexts, Server},
};

const PROGRAM: &str = "lifecycle-server";
/// What the context of such a server is called.
const CONTEXT: &str = "local";
const KEY_VARIABLE: &str = "OPENSANDBOX_SERVER_API_KEY";
const KEY_BYTES: usize = 24;
/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub(crate) async fn up(global: &Global, args: &Up) -> Result<()> {
    if let Ok(client) = context::client(global)
        && client.health().await.is_ok()
    {
        println!("a server answers at {} already", client.url());
        return import(&client, args).await;
    }
    let program = program()?;
    ensure!(rustix::process::geteuid().is_root(), "a server needs root: run `sudo sb up`");
    let directory = directory(args.port)?;
    let key = key(&directory)?;
    let url = format!("http://127.0.0.1:{}", args.port);
    let client = Client::new(&url, &key)?;
    if client.health().await.is_err() {
        launch(&program, &directory, args.port, &key)?;
        wait_until_healthy(&client, &directory).await?;
    }
    let mut contexts = Contexts::load()?;
    contexts.set(CONTEXT, Server { url: url.clone(), api_key: Some(key) });
    contexts.current = Some(CONTEXT.to_owned());
    contexts.save()?;
    println!(
        "a server answers at {url}; its documentation is at {url}/docs, its log in {}",
        log(&directory).display()
    );
    import(&client, args).await
}

async fn import(client: &Client, args: &Up) -> Result<()> {
    for file in &args.import {
        for image in stored::import(client, file, &[]).await? {
            println!("imported {}", image.names.join(", "));
        }
    }
    Ok(())
}

/// The server beside this tool, else on the search path.
fn program() -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|directory| directory.join(PROGRAM));
    let found = beside.into_iter().chain(found).find(|path| path.is_file());
    found.with_context(|| format!("there is no {PROGRAM} beside sb or in PATH"))
}

fn directory(port: u16) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("there is no home directory; set HOME")?;
    let directory = PathBuf::from(home).join(format!(".sandkeep/up-{port}"));
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// The server's key, made on first use.
fn key(directory: &Path) -> Result<String> {
    let path = directory.join("api-key");
    if let Ok(key) = fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let mut random = [0; KEY_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    writeln!(file, "{key}")?;
    Ok(key)
}

fn launch(program: &Path, directory: &Path, port: u16, key: &str) -> Result<()> {
    let config = directory.join("config.toml");
    let state = directory.join("state");
    let text = format!(
        "[server]\nhost = \"127.0.0.1\"\nport = {port}\n\n[runtime]\ntype = \"native\"\n\n[native]\nstate_dir = {:?}\n",
        state.display().to_string()
    );
    // What its owner changed stays.
    if !config.exists() {
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    }
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(log(directory))?;
    let mut command = Command::new(program);
    command
        .arg("--config")
        .arg(&config)
        .env(KEY_VARIABLE, key)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C meant for this tool is not meant for the server.
        .process_group(0);
    command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    Ok(())
}

async fn wait_until_healthy(client: &Client, directory: &Path) -> Result<()> {
    let since = Instant::now();
    while client.health().await.is_err() {
        if since.elapsed() > START_LIMIT {
            let log = log(directory);
            let said = fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().last().unwrap_or_default();
            bail!("the server does not answer; its log {} ends with: {last}", log.display());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn log(directory: &Path) -> PathBuf {
    directory.join("server.log")
}
