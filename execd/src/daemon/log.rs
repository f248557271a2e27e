//! The daemon's own log.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::sink::Sink;

/// Logs to a file, or to standard error. A log that cannot be written now is lost rather than waited for.
pub(super) fn start(level: LevelFilter, file: Option<&Path>) -> io::Result<()> {
    let sink = match file {
        Some(path) => OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.into(),
        None => Sink::duplicate(io::stderr().as_fd())?,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .with_writer(LogWriter(Arc::new(sink)))
        .try_init()
        .map_err(io::Error::other)
}

#[derive(Debug, Clone)]
struct LogWriter(Arc<Sink>);

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_now(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
