//! Servers by name, and what makes the tool at home in a shell.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde::Serialize;

use crate::{
    args::{Cli, Config, Format},
    context::{Contexts, Server},
    output::{self, Table, show},
    terminal,
};

const NAME: &str = "sb";

/// A server without its key.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    url: &'a str,
    current: bool,
}

pub(crate) fn config(action: Config, format: Format) -> Result<()> {
    let mut contexts = Contexts::load()?;
    match action {
        Config::Ls => return list(&contexts, format),
        Config::Set { name, server, key_file } => {
            let key = match key_file {
                Some(path) => {
                    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?
                }
                None if io::stdin().is_terminal() => terminal::ask_silently("key (nothing for none)")?,
                None => {
                    let mut line = String::new();
                    io::stdin().read_line(&mut line).context("cannot read the key")?;
                    line
                }
            };
            let key = key.trim();
            contexts.set(&name, Server { url: server, api_key: (!key.is_empty()).then(|| key.to_owned()) });
        }
        Config::Use { name } => {
            if !contexts.contexts.contains_key(&name) {
                bail!("there is no context {name}; `sb config ls` lists those there are");
            }
            contexts.current = Some(name);
        }
        Config::Rm { name } => {
            if contexts.contexts.remove(&name).is_none() {
                bail!("there is no context {name}");
            }
            contexts.current = contexts.current.filter(|current| *current != name);
        }
    }
    contexts.save()
}

fn list(contexts: &Contexts, format: Format) -> Result<()> {
    let shown: Vec<Shown<'_>> = contexts
        .contexts
        .iter()
        .map(|(name, server)| Shown {
            name,
            url: &server.url,
            current: contexts.current.as_deref() == Some(name.as_str()),
        })
        .collect();
    show(format, &shown, || {
        let mut table = Table::new(["", "NAME", "SERVER"]);
        for server in &shown {
            let mark = if server.current { "*" } else { "" };
            table.row([mark.to_owned(), server.name.to_owned(), server.url.to_owned()]);
        }
        table
    })
}

pub(crate) fn completion(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    output::write(&script)
}

pub(crate) fn man(directory: &Path) -> Result<()> {
    let what = || format!("cannot write to {}", directory.display());
    fs::create_dir_all(directory).with_context(what)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(what)
}
