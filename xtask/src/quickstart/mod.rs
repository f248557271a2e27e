//! From a fresh clone to code running in a sandbox, in one command.

mod http;
mod image;
mod preflight;
mod server;

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::progress::{seconds, step};
use crate::{dist, images, packages, paths, shell};
use server::{Server, Start};

/// Where the server listens, unless told otherwise.
const DEFAULT_PORT: u16 = 8080;

#[derive(Args)]
pub(crate) struct Options {
    /// Use this image from a registry (python:3.12-slim) instead of making one
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// Stop the server and remove what was made once the demonstration has run
    #[arg(long)]
    once: bool,
    /// Use the binaries in target/dist as they are
    #[arg(long)]
    no_build: bool,
    /// Port of the server on 127.0.0.1
    #[arg(long, default_value_t = DEFAULT_PORT)]
    port: u16,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    preflight::before_packages()?;
    packages::install()?;
    crate::criu::install();
    preflight::after_packages()?;
    if !options.no_build {
        dist::build()?;
    }
    play(options)?;
    println!("\nAll of it took {}.", seconds(start.elapsed()));
    if !options.once {
        farewell(options.port)?;
    }
    Ok(())
}

/// The whole quick start on a free port, as a test of it; needs the binaries and leaves nothing behind.
pub(crate) fn smoke() -> Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    play(&Options { image: None, once: true, no_build: true, port })
}

/// Image, server, demonstration; with `once`, removes what it made even if the demonstration fails.
fn play(options: &Options) -> Result<()> {
    let archive = if options.image.is_none() { Some(images::base()?) } else { None };
    let server = Server::for_port(options.port, options.once)?;
    let started = step("Starting lifecycle-server", || server.start());
    let fresh = !matches!(started, Ok(Start::Adopted));
    let result = started.and_then(|_| demonstrate(&server, options, archive.as_deref()));
    if options.once && fresh {
        let cleaned = step("Cleaning up", || server.remove());
        return result.and(cleaned);
    }
    result
}

fn demonstrate(server: &Server, options: &Options, archive: Option<&std::path::Path>) -> Result<()> {
    let name = match (archive, &options.image) {
        (Some(archive), _) => image::import(server, archive, images::base_name())?,
        (None, Some(reference)) => image::pull(server, reference)?,
        (None, None) => images::base_name().to_owned(),
    };
    println!();
    let mut demo = Command::new(paths::dist().join("sandkeep-quickstart"));
    demo.arg("--image").arg(name);
    demo.env("SANDKEEP_URL", server.url()).env("OPEN_SANDBOX_API_KEY", server.api_key()?);
    shell::run(&mut demo).context("the demonstration failed; the server's log may say more")
}

fn farewell(port: u16) -> Result<()> {
    let server = Server::for_port(port, false)?;
    let url = server.url();
    println!("\nThe server goes on running. Its API can be read and tried in a browser:");
    println!("  {url}/docs\n  {url}/redoc");
    println!("Stop it with: {}", server.stop_command()?);
    println!("Its log: {}", server.log().display());
    println!("\nFor clients:");
    println!("SANDKEEP_URL={url}");
    println!("OPEN_SANDBOX_API_KEY={}", fs::read_to_string(server.key_file())?.trim());
    Ok(())
}
