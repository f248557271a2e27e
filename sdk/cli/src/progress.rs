//! How far something is, on a terminal; nothing anywhere else.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};

const FORM: &str = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const TURN: Duration = Duration::from_millis(100);

/// A bar of `total` bytes.
pub(crate) fn bar(what: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(FORM).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what.to_owned())
}

/// Something of unknown length.
pub(crate) fn waiting(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(TURN);
    spinner
}

/// The same stream, each piece counted.
pub(crate) fn watched<S>(stream: S, bar: ProgressBar) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    stream.inspect(move |piece| {
        if let Ok(bytes) = piece {
            bar.inc(bytes.len() as u64);
        }
    })
}
