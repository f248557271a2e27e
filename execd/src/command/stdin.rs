//! Writing to a command's standard input on behalf of clients.

use std::sync::Arc;

use super::{
    input::{Input, PATIENCE, WriteFailure},
    record::Record,
    registry::Commands,
    request::CommandError,
};

/// The standard input of a running command.
#[derive(Debug)]
pub struct StdinWriter {
    id: String,
    record: Arc<Record>,
    written: u64,
}

impl Commands {
    /// The standard input of a command that is running and was started with one.
    pub fn stdin(&self, id: &str) -> Result<StdinWriter, CommandError> {
        let record = self.get(id)?;
        let id = id.to_owned();
        match &record.input {
            None => Err(CommandError::NoInput(id)),
            Some(_) if !record.is_running() => Err(CommandError::Ended(id)),
            Some(input) if !input.is_open() => Err(CommandError::InputClosed(id)),
            Some(_) => Ok(StdinWriter { id, record, written: 0 }),
        }
    }
}

impl StdinWriter {
    fn input(&self) -> Result<&Input, CommandError> {
        self.record.input.as_ref().ok_or_else(|| CommandError::NoInput(self.id.clone()))
    }

    /// Writes all of it, waiting while the command does not read.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        self.input()?.write(bytes).await.map_err(|failure| self.failed(&failure))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Closes it: the command reads its end.
    pub async fn close(&self) -> Result<(), CommandError> {
        self.input()?.close().await.map_err(|failure| self.failed(&failure))
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    fn failed(&self, failure: &WriteFailure) -> CommandError {
        let id = self.id.clone();
        match failure {
            WriteFailure::Closed if !self.record.is_running() => CommandError::Ended(id),
            WriteFailure::Closed => CommandError::InputClosed(id),
            WriteFailure::Stuck => {
                CommandError::InputFull { id, seconds: PATIENCE.as_secs(), written: self.written }
            }
        }
    }
}
