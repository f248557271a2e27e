//! Changes in a directory of a sandbox.

use reqwest::Response;
use sandkeep_specs::execd::files::{WatchEvent, WatchEventKind};

use crate::transport::{Frames, Http};
use crate::{Error, Result};

/// Changes as they happen.
pub struct WatchStream {
    frames: Frames,
}

impl WatchStream {
    pub(super) fn new(http: &Http, response: Response) -> Self {
        Self { frames: Frames::new(http, response) }
    }

    /// The next change, or nothing once the directory is gone. Signs of life are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after a silence longer than [`crate::Timeouts::idle`].
    pub async fn next(&mut self) -> Result<Option<WatchEvent>> {
        loop {
            let Some(frame) = self.frames.next().await? else { return Ok(None) };
            let event: WatchEvent = serde_json::from_slice(&frame)
                .map_err(|error| Error::Decode { what: "a change", detail: error.to_string() })?;
            if event.kind != WatchEventKind::Ping {
                return Ok(Some(event));
            }
        }
    }
}
