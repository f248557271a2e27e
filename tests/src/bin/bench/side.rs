//! One revision under test: a process of its own with its server, asked row by row.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::rows::{ROWS, Row};
use crate::sandbox::Bench;

/// A process that measures one revision's binaries.
pub(crate) struct Side {
    pub(crate) revision: String,
    child: Child,
    ask: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Side {
    /// Starts the side that `REVISION=DIRECTORY` describes.
    pub(crate) fn start(text: &str) -> Result<Self> {
        let (revision, dist) = text.split_once('=').context("a side is REVISION=DIRECTORY")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--serve")
            .env("SANDKEEP_DIST", dist)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a side")?;
        let ask = child.stdin.take().context("a side has an input")?;
        let hear = BufReader::new(child.stdout.take().context("a side has an output")?);
        let mut side = Self { revision: revision.to_owned(), child, ask, hear };
        side.hear().with_context(|| format!("{revision} does not start"))?;
        Ok(side)
    }

    /// One turn of a row.
    pub(crate) fn measure(&mut self, row: &Row) -> Result<Vec<f64>> {
        writeln!(self.ask, "{}", row.name)?;
        let answer = self.hear()?;
        answer.split_whitespace().map(|word| word.parse().context("a sample is a number")).collect()
    }

    /// Ends the side with its server and sandboxes.
    pub(crate) fn stop(self) -> Result<()> {
        let Self { mut child, ask, hear, .. } = self;
        drop(ask);
        drop(hear);
        let status = child.wait()?;
        if !status.success() {
            bail!("a side ended with {status}");
        }
        Ok(())
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.hear.read_line(&mut line)?;
        match line.trim_end().split_once(' ') {
            Some(("ok", values)) => Ok(values.to_owned()),
            Some(("failed", why)) => bail!("{why}"),
            _ => bail!("the side's process ended"),
        }
    }
}

/// The other end: answers each row named on standard input with a line of samples.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = match Bench::start() {
        Ok(bench) => bench,
        Err(error) => {
            say("failed", &format!("{error:#}"));
            return Err(error);
        }
    };
    say("ok", "ready");
    for name in std::io::stdin().lines() {
        let name = name?;
        let row = ROWS.iter().find(|row| row.name == name).context("the row is known")?;
        match runtime.block_on((row.measure)(&bench, row.samples)) {
            Ok(samples) => say("ok", &samples.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")),
            Err(error) => say("failed", &format!("{error:#}")),
        }
    }
    Ok(())
}

fn say(word: &str, text: &str) {
    println!("{word} {}", text.replace('\n', "; "));
}
