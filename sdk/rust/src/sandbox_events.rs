//! What happens to sandboxes, as it happens.

use std::collections::BTreeMap;

use reqwest::Response;
use sandkeep_specs::lifecycle::{LAST_EVENT_ID_HEADER, SandboxEvent};

use crate::client::label_filter;
use crate::transport::{Frames, Http};
use crate::{Client, Error, Result};

/// Which events to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only of these sandboxes; empty means of all.
    pub sandbox_ids: Vec<String>,
    /// Only of sandboxes with all of these labels.
    pub metadata: BTreeMap<String, String>,
    /// Only of these types, such as `sandbox.state`; empty means any.
    pub types: Vec<String>,
    /// Go on after the event of this number; 0 begins with the oldest the server has. Default: from now on.
    pub last_event_id: Option<i64>,
}

impl EventQuery {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<_> = self.sandbox_ids.iter().map(|id| ("sandboxId", id.clone())).collect();
        pairs.extend(self.types.iter().map(|name| ("type", name.clone())));
        pairs.extend(label_filter(&self.metadata).map(|filter| ("metadata", filter)));
        pairs
    }
}

/// Events as they come. When the connection breaks, a new one goes on with
/// [`EventQuery::last_event_id`] set to [`SandboxEvents::last_event_id`].
pub struct SandboxEvents {
    frames: Frames,
    last: Option<i64>,
}

impl SandboxEvents {
    fn new(http: &Http, response: Response, last: Option<i64>) -> Self {
        Self { frames: Frames::new(http, response), last }
    }

    /// The next event, or nothing once the server has ended the stream.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after a silence longer than [`crate::Timeouts::idle`]. Going on
    /// after the last event's id misses nothing.
    pub async fn next(&mut self) -> Result<Option<SandboxEvent>> {
        let Some(frame) = self.frames.next().await? else { return Ok(None) };
        let event: SandboxEvent = serde_json::from_slice(&frame)
            .map_err(|error| Error::Decode { what: "an event", detail: error.to_string() })?;
        self.last = Some(event.id);
        Ok(Some(event))
    }

    /// Number of the last event that came, or the place that was asked for.
    #[must_use]
    pub fn last_event_id(&self) -> Option<i64> {
        self.last
    }
}

impl Client {
    /// Follows what happens to sandboxes, in the order in which it happened.
    ///
    /// # Errors
    ///
    /// 400 if a filter is wrong.
    pub async fn events(&self, query: &EventQuery) -> Result<SandboxEvents> {
        let mut request = self.http.get(&["v1", "events"]).query(&query.pairs());
        if let Some(last) = query.last_event_id {
            request = request.header(LAST_EVENT_ID_HEADER, last.to_string());
        }
        let response = self.http.send(request).await?;
        Ok(SandboxEvents::new(&self.http, response, query.last_event_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_only_what_it_was_told() {
        assert!(EventQuery::default().pairs().is_empty());
        let query = EventQuery {
            sandbox_ids: vec!["a".into(), "b".into()],
            metadata: BTreeMap::from([("k".into(), "v&w".into())]),
            types: vec!["sandbox.state".into()],
            last_event_id: Some(7),
        };
        let pairs: Vec<String> =
            query.pairs().iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["sandboxId=a", "sandboxId=b", "type=sandbox.state", "metadata=k=v%26w"]);
    }
}
