//! The book in `docs/`, and the links of every document.

mod links;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::{paths, shell};

/// The version of mdBook that the book is written for.
const MDBOOK: &str = "0.5.4";

#[derive(Args)]
pub(crate) struct Options {
    /// Look at links and chapters only, without building the book
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    check()?;
    if options.check {
        return Ok(());
    }
    shell::run(Command::new(mdbook()?).arg("build").current_dir(paths::root()))?;
    println!("target/book/index.html");
    Ok(())
}

/// Fails if a document points to what is not there, or a chapter is in no table of contents.
pub(crate) fn check() -> Result<()> {
    links::check(paths::root())
}

/// mdBook, installed below `target/` if it is not there yet; without what it needs to serve and to search.
fn mdbook() -> Result<PathBuf> {
    let root = paths::output("tools");
    let program = root.join("bin/mdbook");
    let version = shell::capture(Command::new(&program).arg("--version"));
    if !version.is_ok_and(|text| text.contains(MDBOOK)) {
        let mut install = shell::cargo();
        install.args(["install", "--quiet", "--locked", "--force", "mdbook", "--version", MDBOOK]);
        install.args(["--no-default-features", "--root"]).arg(&root);
        install.env("CARGO_TARGET_DIR", root.join("build"));
        shell::run_logged("mdbook-install", &mut install)?;
    }
    Ok(program)
}
