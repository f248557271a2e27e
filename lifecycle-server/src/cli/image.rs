//! `image`: the local store from the command line, beside a running server or without one.

use std::{
    collections::HashMap,
    io::{IsTerminal, Read as _, Write as _},
    path::PathBuf,
    sync::Mutex,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Subcommand;

use super::print;
use crate::{
    app,
    config::Config,
    image::{Credentials, Image, ImageStore, Phase, Platform, Progress, ProgressSink},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Import a docker archive or an OCI layout (tar, plain or compressed)
    Import {
        /// The archive
        file: PathBuf,
        /// Name instead of those in the archive; may repeat
        #[arg(long = "name", value_name = "NAME:TAG")]
        names: Vec<String>,
    },
    /// Fetch an image from its registry
    Pull {
        /// What to fetch, such as python:3.12-slim
        reference: String,
        /// User at the registry; the password is read from standard input
        #[arg(long)]
        username: Option<String>,
        /// Which variant of a multi-platform image [default: this machine's]
        #[arg(long, value_name = "OS/ARCH")]
        platform: Option<String>,
    },
    /// Write an image to a file: an OCI layout that is a docker archive as well
    Export {
        /// Name, digest or id
        reference: String,
        /// The archive
        file: PathBuf,
    },
    /// Send an image to a registry
    Push {
        /// Name, digest or id
        reference: String,
        /// Name it gets there [default: its own]
        #[arg(long, value_name = "NAME:TAG")]
        to: Option<String>,
        /// User at the registry; the password is read from standard input
        #[arg(long)]
        username: Option<String>,
    },
    /// List all images
    #[command(visible_alias = "ls")]
    List,
    /// Remove a name, and the image with its last name
    Rm {
        /// Name, digest or id
        reference: String,
    },
}

pub(super) async fn run(command: Command, config: &Config) -> Result<()> {
    let store = app::open_images(config).await?;
    match command {
        Command::Import { file, names } => {
            for image in store.import(file, &names).await? {
                print(&format!("{}\n", image.names.join(" ")))?;
            }
            Ok(())
        }
        Command::Pull { reference, username, platform } => pull(&store, &reference, username, platform).await,
        Command::Export { reference, file } => Ok(store.export(&reference, file).await?),
        Command::Push { reference, to, username } => {
            let credentials = username.map(read_password).transpose()?;
            let pushed = store.push(&reference, to.as_deref(), credentials, progress()).await?;
            print(&format!("{pushed}\n"))
        }
        Command::List => list(&store).await,
        Command::Rm { reference } => {
            let removed = store.remove(&reference).await?;
            let deleted = removed.deleted.map(|id| format!("deleted {id}"));
            let lines = removed.untagged.into_iter().map(|name| format!("untagged {name}")).chain(deleted);
            print(&lines.map(|line| line + "\n").collect::<String>())
        }
    }
}

async fn pull(
    store: &ImageStore,
    reference: &str,
    username: Option<String>,
    platform: Option<String>,
) -> Result<()> {
    let credentials = username.map(read_password).transpose()?;
    let platform = platform.as_deref().map(parse_platform).transpose()?;
    let image = store.pull(reference, credentials, platform, None, progress()).await?;
    print(&format!("{}\n", image.names.join(" ")))
}

fn read_password(username: String) -> Result<Credentials> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password).context("cannot read the password")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    ensure!(!password.is_empty(), "--username needs the password on standard input");
    Ok(Credentials::Basic { username, password })
}

fn parse_platform(text: &str) -> Result<Platform> {
    let mut parts = text.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: variant.map(str::to_owned),
            })
        }
        _ => bail!("{text:?} is not a platform such as linux/amd64"),
    }
}

/// On a terminal: one line that shows how far all layers together are. Elsewhere: a line per layer that is done.
fn progress() -> ProgressSink {
    let is_terminal = std::io::stderr().is_terminal();
    let layers = Mutex::new(HashMap::<String, Progress>::new());
    ProgressSink::new(move |progress| {
        let mut stderr = std::io::stderr().lock();
        let finished = matches!(progress.phase, Phase::Done | Phase::Present);
        let short = progress.layer.get(7..19).unwrap_or(&progress.layer).to_owned();
        let phase = progress.phase;
        let Ok(mut layers) = layers.lock() else { return };
        layers.insert(progress.layer.clone(), progress);
        // Progress that cannot be shown is no reason to stop.
        let _ = if is_terminal {
            write!(stderr, "\r{}\x1b[K{}", summary(&layers), if all_done(&layers) { "\n" } else { "" })
        } else if finished {
            writeln!(
                stderr,
                "layer {short}: {}",
                if phase == Phase::Present { "already here" } else { "done" }
            )
        } else {
            Ok(())
        };
    })
}

fn all_done(layers: &HashMap<String, Progress>) -> bool {
    layers.values().all(|layer| matches!(layer.phase, Phase::Done | Phase::Present))
}

fn summary(layers: &HashMap<String, Progress>) -> String {
    const MIB: u64 = 1 << 20;
    let count = |wanted: &[Phase]| layers.values().filter(|layer| wanted.contains(&layer.phase)).count();
    let fetching = layers.values().filter(|layer| layer.phase == Phase::Downloading);
    let (got, total) =
        fetching.fold((0, 0), |(got, total), layer| (got + layer.bytes, total + layer.total.unwrap_or(0)));
    let done = count(&[Phase::Done, Phase::Present]);
    let mut line = format!("layers: {done} of {} done", layers.len());
    if total > 0 {
        line += &format!(", fetching {} of {} MiB", got / MIB, total.div_ceil(MIB));
    }
    for (phase, doing) in
        [(Phase::Unpacking, "unpacking"), (Phase::Packing, "packing"), (Phase::Uploading, "sending")]
    {
        let number = count(&[phase]);
        if number > 0 {
            line += &format!(", {doing} {number}");
        }
    }
    line
}

async fn list(store: &ImageStore) -> Result<()> {
    let images = store.list().await?;
    let mut text = format!("{:<56} {:<14} {:<12} {:>10}\n", "NAME", "ID", "PLATFORM", "SIZE");
    for image in &images {
        for name in names(image) {
            let id = image.id.strip_prefix("sha256:").unwrap_or(&image.id);
            let id = id.get(..12).unwrap_or(id);
            let size = format!("{:.1} MiB", image.size_bytes as f64 / f64::from(1 << 20));
            text += &format!("{name:<56} {id:<14} {:<12} {size:>10}\n", image.platform.to_string());
        }
    }
    print(&text)
}

fn names(image: &Image) -> Vec<&str> {
    if image.names.is_empty() { vec!["<none>"] } else { image.names.iter().map(String::as_str).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read() {
        assert_eq!(parse_platform("linux/arm64").unwrap().to_string(), "linux/arm64");
        assert_eq!(parse_platform("linux/arm/v7").unwrap().to_string(), "linux/arm/v7");
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert!(parse_platform(text).is_err(), "{text}");
        }
    }

    #[test]
    fn progress_counts_all_layers_together() {
        let layer = |phase, bytes, total| Progress { layer: String::new(), phase, bytes, total };
        let layers = HashMap::from([
            ("a".to_owned(), layer(Phase::Done, 9, None)),
            ("b".to_owned(), layer(Phase::Downloading, 5 << 20, Some(20 << 20))),
            ("c".to_owned(), layer(Phase::Unpacking, 1, None)),
        ]);
        assert_eq!(summary(&layers), "layers: 1 of 3 done, fetching 5 of 20 MiB, unpacking 1");
        assert!(!all_done(&layers));
    }
}
