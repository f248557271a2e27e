//! Getting the demonstration's image into the server's store.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::server::Server;
use crate::progress::step;
use crate::{paths, shell};

/// Imports the archive unless this very file was imported before, and returns the image's name.
pub(crate) fn import(server: &Server, archive: &Path, name: &str) -> Result<String> {
    let digest = shell::capture(Command::new("sha256sum").arg(archive))?;
    let stamp = server.config().with_file_name("image.stamp");
    let known = std::fs::read_to_string(&stamp).is_ok_and(|imported| imported == digest);
    if !known || !is_listed(server, name)? {
        step(&format!("Importing the image {name}"), || {
            shell::run(tool(server).args(["import"]).arg(archive).args(["--name", name]))
        })?;
        std::fs::write(stamp, digest)?;
    }
    Ok(name.to_owned())
}

/// Pulls the image unless the store has it, and returns its name.
pub(crate) fn pull(server: &Server, reference: &str) -> Result<String> {
    if !is_listed(server, reference)? {
        step(&format!("Pulling {reference}"), || shell::run(tool(server).args(["pull", reference])))?;
    }
    Ok(reference.to_owned())
}

fn is_listed(server: &Server, name: &str) -> Result<bool> {
    let listing = shell::capture(tool(server).arg("list"))?;
    Ok(listing.split(|c: char| c.is_whitespace() || c == ',').any(|word| is_same_image(word, name)))
}

/// Whether two references mean the same image; the short form leaves the public registry's parts out.
fn is_same_image(listed: &str, name: &str) -> bool {
    let short = listed.strip_prefix("docker.io/").unwrap_or(listed);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let tagged = |name: &str| {
        let last = name.rsplit('/').next().unwrap_or(name);
        if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
    };
    tagged(short) == tagged(name) || listed == name
}

fn tool(server: &Server) -> Command {
    let mut command = shell::root_command("env");
    command.arg(paths::dist().join("lifecycle-server")).arg("--config").arg(server.config()).arg("image");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_names_meet() {
        assert!(is_same_image("docker.io/library/python:3.12-slim", "python:3.12-slim"));
        assert!(is_same_image("docker.io/sandkeep/base:latest", "sandkeep/base"));
        assert!(is_same_image("registry:5000/a/b:1", "registry:5000/a/b:1"));
        assert!(!is_same_image("docker.io/library/python:3.12", "python:3.12-slim"));
        assert!(!is_same_image("sandkeep/base:old", "sandkeep/base"));
    }
}
