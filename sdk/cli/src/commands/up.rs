//! A server on this machine, started and ended.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use sandkeep::Client;

use super::{local::Local, stored};
use crate::{
    args::{Down, Global, Up},
    context::{self, Contexts, Server},
};

/// What the context of such a server is called.
const CONTEXT: &str = "local";
const DEFAULT_PORT: u16 = 8080;
/// Where a first image may come from.
const FIRST_IMAGE: &str = "python:3.12-slim";

pub(crate) async fn up(global: &Global, args: &Up) -> Result<()> {
    if args.port.is_none() {
        let client = context::client(global)?;
        if client.health().await.is_ok() {
            println!("a server answers at {} already", client.url());
            return import(&client, &args.import).await;
        }
    }
    let mut contexts = Contexts::load()?;
    let local = Local::new(port(args.port, &contexts))?;
    let (url, key) = (local.url(), local.key()?);
    let client = Client::new(&url, &key)?;
    if client.health().await.is_ok() {
        ensure!(
            local.pid().is_some(),
            "a server that `sb up` did not start answers at {url}: `sb config set NAME --server {url}` keeps its key"
        );
    } else {
        local.start(&client, &key).await?;
    }
    contexts.set(CONTEXT, Server { url: url.clone(), api_key: Some(key.clone()) });
    contexts.current = Some(CONTEXT.to_owned());
    contexts.save()?;
    println!(
        "a server answers at {url}; its documentation is at {url}/docs, its log in {}",
        local.log().display()
    );
    import(&client, &args.import).await?;
    if client.images().list().await?.is_empty() {
        println!(
            "it has no image yet: `sb run {FIRST_IMAGE} -- python3 -V` fetches one, `sb image import FILE` takes one"
        );
    }
    println!("`sb down` ends it; its sandboxes go on");
    tell_who_else_is_meant(global, &local, &key);
    Ok(())
}

/// What was said elsewhere goes before the context that was made.
fn tell_who_else_is_meant(global: &Global, local: &Local, key: &str) {
    let other = global.url().is_some_and(|given| given.trim_end_matches('/') != local.url());
    if other || global.api_key().is_some_and(|given| given != key) {
        eprintln!("hint: SANDKEEP_URL and OPEN_SANDBOX_API_KEY go before it: unset them to use this server");
    }
    // The context is root's.
    if let Ok(user) = std::env::var("SUDO_USER") {
        let (file, url) = (local.key_file(), local.url());
        eprintln!("hint: for {user}: sudo cat {} | sb config set {CONTEXT} --server {url}", file.display());
    }
}

pub(crate) async fn down(args: &Down) -> Result<()> {
    let local = Local::new(port(args.port, &Contexts::load()?))?;
    match local.pid() {
        Some(pid) => {
            local.stop(pid).await?;
            println!(
                "the server at {} has ended; its sandboxes go on, and `sb up` brings it back",
                local.url()
            );
        }
        None => println!("no server that `sb up` started runs at {}", local.url()),
    }
    Ok(())
}

/// The port that is meant: the one given, else that of the last server started here.
fn port(given: Option<u16>, contexts: &Contexts) -> u16 {
    let last = || contexts.contexts.get(CONTEXT)?.url.rsplit_once(':')?.1.parse().ok();
    given.or_else(last).unwrap_or(DEFAULT_PORT)
}

async fn import(client: &Client, files: &[PathBuf]) -> Result<()> {
    for file in files {
        for image in stored::import(client, file, &[]).await? {
            println!("imported {}", image.names.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_servers_port_is_meant_unless_one_is_given() {
        let mut contexts = Contexts::default();
        assert_eq!(port(None, &contexts), DEFAULT_PORT);
        contexts.set(CONTEXT, Server { url: "http://127.0.0.1:9000".to_owned(), api_key: None });
        assert_eq!((port(None, &contexts), port(Some(9001), &contexts)), (9000, 9001));
    }
}
