//! Snapshots of sandboxes.

use std::time::Instant;

use sandkeep_specs::lifecycle::{CreateSnapshotRequest, ListSnapshotsResponse, Snapshot, SnapshotState};

use crate::{Client, Error, Result, Sandbox};

/// Pause between two looks at a snapshot that is being made.
const POLL: std::time::Duration = std::time::Duration::from_millis(20);

/// Which snapshots to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// Only snapshots of this sandbox.
    pub sandbox_id: Option<String>,
    /// Only snapshots of exactly this name.
    pub name: Option<String>,
    /// Only snapshots in one of these states; empty means any.
    pub states: Vec<String>,
    /// Page number, from 1.
    pub page: Option<u64>,
    /// Snapshots a page, 1 to 200.
    pub page_size: Option<u64>,
}

impl Client {
    /// Begins a snapshot of a sandbox; [`Sandbox::snapshot`] also waits for it.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox, 409 if it has no files now or too many snapshots are being made.
    pub async fn create_snapshot(&self, sandbox: &str, name: Option<&str>) -> Result<Snapshot> {
        let post = self.http.post(&["v1", "sandboxes", sandbox, "snapshots"]);
        let post = post.json(&CreateSnapshotRequest { name: name.map(str::to_owned) });
        self.http.json("the snapshot", post).await
    }

    /// One snapshot as it is now.
    ///
    /// # Errors
    ///
    /// 404 if there is no such snapshot.
    pub async fn get_snapshot(&self, id: &str) -> Result<Snapshot> {
        self.http.json("the snapshot", self.http.get(&["v1", "snapshots", id])).await
    }

    /// One page of snapshots, newest first.
    ///
    /// # Errors
    ///
    /// 400 if a filter or page is wrong.
    pub async fn list_snapshots(&self, query: &SnapshotQuery) -> Result<ListSnapshotsResponse> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let single = [
            ("sandboxId", query.sandbox_id.clone()),
            ("name", query.name.clone()),
            ("page", number(query.page)),
            ("pageSize", number(query.page_size)),
        ];
        let mut pairs: Vec<_> = single.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        pairs.extend(query.states.iter().map(|state| ("state", state.clone())));
        let request = self.http.get(&["v1", "snapshots"]).query(&pairs);
        self.http.json("the list of snapshots", request).await
    }

    /// Removes a snapshot; one that a sandbox uses stays.
    ///
    /// # Errors
    ///
    /// 404 if there is no such snapshot, 409 if it is being made or a sandbox uses it.
    pub async fn delete_snapshot(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["v1", "snapshots", id])).await
    }
}

impl Sandbox {
    /// Keeps the sandbox's files, and waits until others can start from them (`CreateOptions::snapshot`).
    ///
    /// # Errors
    /// Also when the snapshot failed; the text says why.
    pub async fn snapshot(&self, name: Option<&str>) -> Result<Snapshot> {
        let client = &self.client;
        let limit = client.http.timeouts.create;
        let start = Instant::now();
        let mut snapshot = client.create_snapshot(self.id(), name).await?;
        while snapshot.status.state == SnapshotState::Creating {
            if start.elapsed() >= limit {
                return Err(Error::Timeout { what: "waiting for the snapshot", limit });
            }
            tokio::time::sleep(POLL).await;
            snapshot = client.get_snapshot(&snapshot.id).await?;
        }
        match snapshot.status.state {
            SnapshotState::Ready => Ok(snapshot),
            state => {
                let message = snapshot.status.message.unwrap_or_default();
                Err(Error::Snapshot { id: snapshot.id, state: state.to_string(), message })
            }
        }
    }
}
