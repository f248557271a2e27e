//! `docs/egress-attempts.md`: what was tried against an egress sidecar and what came of it, written by the tests that try.

use std::{fmt::Write as _, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::{paths, web::Received};

const DOCUMENT: &str = "docs/egress-attempts.md";

/// What arrived outside, with a secret or without.
pub fn arrived(received: &[Received], secret: &str) -> String {
    let has_secret = |request: &Received| format!("{request:?}").contains(secret);
    let each = received.iter().map(|request| if has_secret(request) { "with it" } else { "without it" });
    match received {
        [] => "nothing arrived".to_owned(),
        _ => each.collect::<Vec<_>>().join(", then "),
    }
}

/// Attempts with what must come of them: one section of the document.
pub struct Section {
    title: &'static str,
    rows: String,
    surprises: Vec<String>,
}

impl Section {
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: String::new(), surprises: Vec::new() }
    }

    /// Notes what came of an attempt.
    pub fn row(&mut self, what: &str, expected: &str, seen: &str) -> Result<()> {
        writeln!(self.rows, "| {what} | {expected} | {seen} |")?;
        if seen != expected {
            self.surprises.push(format!("{what}: {expected:?} was expected, {seen:?} was seen"));
        }
        Ok(())
    }

    /// Fails if anything unexpected was seen, or if the document says something else.
    pub fn finish(self) -> Result<()> {
        ensure!(self.surprises.is_empty(), "{:#?}", self.surprises);
        let document = fs::read_to_string(paths::workspace().join(DOCUMENT))?;
        let head = "| attempt | expected | seen |\n|---|---|---|\n";
        let section = document.split("\n## ").find(|section| section.lines().next() == Some(self.title));
        let table = section.and_then(|section| section.split_once(head)).map(|(_, table)| table);
        if table.map(str::trim_end) == Some(self.rows.trim_end()) {
            return Ok(());
        }
        let name = format!("egress-attempts-{}.md", self.title.to_lowercase().replace(' ', "-"));
        let at = paths::artifacts()?.join(name);
        fs::write(&at, format!("{head}{}", self.rows)).context("writing what was seen")?;
        bail!("{DOCUMENT} is not what was seen: replace the table of {:?} by {}", self.title, at.display())
    }
}
