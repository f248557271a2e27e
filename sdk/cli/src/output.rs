//! Results as tables, JSON or YAML.

use std::io::{self, Write as _};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::args::Format;

/// Between two columns.
const GAP: &str = "  ";

/// Writes `value` for programs, or `table` for people.
pub(crate) fn show<T: Serialize + ?Sized>(
    format: Format,
    value: &T,
    table: impl FnOnce() -> Table,
) -> Result<()> {
    write(text(format, value, table)?.as_bytes())
}

/// What [`show`] writes.
pub(crate) fn text<T: Serialize + ?Sized>(
    format: Format,
    value: &T,
    table: impl FnOnce() -> Table,
) -> Result<String> {
    Ok(match format {
        Format::Table => table().to_string(),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(value)?),
        Format::Yaml => yaml_serde::to_string(value)?,
    })
}

/// Whoever read standard output has gone away: `head` has seen enough.
#[derive(Debug)]
pub(crate) struct ReaderGone;

impl std::error::Error for ReaderGone {}

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("nobody reads the output any more")
    }
}

/// Writes to standard output at once. A reader that has gone away is no failure.
pub(crate) fn write(bytes: &[u8]) -> Result<()> {
    pour(bytes).or_else(|error| if error.is::<ReaderGone>() { Ok(()) } else { Err(error) })
}

/// The same of something that goes on: without a reader it fails with [`ReaderGone`].
pub(crate) fn pour(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => error.into(),
    })
}

/// Rows of cells below a heading.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).into()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| Some(row.get(column)?.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(formatter, "{}", cells.join(GAP).trim_end())?;
        }
        Ok(())
    }
}

/// How long ago, or in how long, in the largest unit that fits.
pub(crate) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().abs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

pub(crate) fn ago(at: DateTime<Utc>) -> String {
    span(Utc::now() - at)
}

/// Bytes in the largest binary unit that fits.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "STATE"]);
        table.row(["a-long-one".to_owned(), "Running".to_owned()]);
        assert_eq!(table.to_string(), "ID          STATE\na-long-one  Running\n");
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
        assert_eq!(span(TimeDelta::seconds(119)), "119s");
        assert_eq!(span(TimeDelta::hours(-50)), "2d");
    }
}
