//! JavaScript and TypeScript, run by Node.

mod edits;
mod source;
mod types;

use sandkeep_specs::execd::event::ExecutionError;

/// The program that runs inside Node.
pub(crate) const DRIVER: &str = include_str!("driver.js");

/// Node's arguments: the driver comes through standard input. Stopping a busy timer confuses a check of Node's that
/// would then end the process.
pub(crate) const ARGUMENTS: [&str; 2] = ["--no-force-async-hooks-checks", "-"];

/// What the driver takes as a wish to stop: the length of no frame.
pub(crate) const INTERRUPT: [u8; 4] = [0xff; 4];

/// The text for the driver: the language, whether there is a value to show, the code.
pub(crate) fn javascript(code: &str) -> String {
    prepared('j', &source::javascript(code))
}

/// The same for TypeScript; `number` is the run's, for error messages.
///
/// # Errors
/// When it is no TypeScript that can be run.
pub(crate) fn typescript(code: &str, number: i64) -> Result<String, ExecutionError> {
    Ok(prepared('t', &source::typescript(code, &format!("cell_{number}.ts"))?))
}

fn prepared(language: char, cell: &source::Cell) -> String {
    format!("{language}{}{}", if cell.has_value { 'v' } else { 's' }, cell.text)
}
