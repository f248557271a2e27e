//! The rows of snapshots.

use super::{
    Store, StoreError,
    database::{Row, Statement, sql},
};
use crate::snapshot::{Filter, Snapshot, SnapshotState};
use chrono::{DateTime, Utc};

impl Store {
    pub(crate) async fn insert_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.database.execute(sql(
            "INSERT INTO snapshots (id, sandbox_id, name, state, reason, message, last_transition_at, created_at, \
             image_id, tenant, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&snapshot.id)
        .bind(&snapshot.sandbox_id)
        .bind(&snapshot.name)
        .bind(snapshot.state.as_str())
        .bind(&snapshot.reason)
        .bind(&snapshot.message)
        .bind(snapshot.last_transition_at.timestamp_micros())
        .bind(snapshot.created_at.timestamp_micros())
        .bind(&snapshot.image_id)
        .bind(&snapshot.tenant)
        .bind(&*self.owner)).await?;
        Ok(())
    }

    /// Writes everything about a snapshot that can change, if it is still in the state `from`; says whether it was.
    pub(crate) async fn update_snapshot(
        &self,
        snapshot: &Snapshot,
        from: SnapshotState,
    ) -> Result<bool, StoreError> {
        let done = self.database.execute(sql(
            "UPDATE snapshots SET state = $1, reason = $2, message = $3, last_transition_at = $4, image_id = $5, \
             bytes = $6 WHERE id = $7 AND state = $8",
        )
        .bind(snapshot.state.as_str())
        .bind(&snapshot.reason)
        .bind(&snapshot.message)
        .bind(snapshot.last_transition_at.timestamp_micros())
        .bind(&snapshot.image_id)
        .bind(snapshot.bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
        .bind(&snapshot.id)
        .bind(from.as_str())).await?;
        Ok(done > 0)
    }

    pub(crate) async fn delete_snapshot(&self, id: &str) -> Result<(), StoreError> {
        self.database.execute(sql("DELETE FROM snapshots WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    pub(crate) async fn snapshot(&self, id: &str) -> Result<Option<Snapshot>, StoreError> {
        let row = self.database.fetch_optional(sql("SELECT * FROM snapshots WHERE id = $1").bind(id)).await?;
        row.as_ref().map(read).transpose()
    }

    /// Bytes of all snapshots of a tenant together.
    pub(crate) async fn snapshot_bytes(&self, tenant: &str) -> Result<u64, StoreError> {
        let sum = "SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM snapshots WHERE tenant = $1";
        let sum: i64 = self.database.fetch_one(sql(sum).bind(tenant)).await?.get(0)?;
        Ok(u64::try_from(sum).unwrap_or_default())
    }

    /// All snapshots of this server in one state.
    pub(crate) async fn own_snapshots(&self, state: SnapshotState) -> Result<Vec<Snapshot>, StoreError> {
        let select = sql("SELECT * FROM snapshots WHERE owner = $1 AND state = $2 ORDER BY id");
        let rows = self.database.fetch_all(select.bind(&*self.owner).bind(state.as_str())).await?;
        rows.iter().map(read).collect()
    }

    /// Newest first, `limit` of those that match from `offset` on, and how many match in all.
    pub(crate) async fn snapshots(
        &self,
        filter: &Filter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Snapshot>, u64), StoreError> {
        let mut count = sql("SELECT COUNT(*) FROM snapshots");
        restrict(&mut count, filter);
        let total: i64 = self.database.fetch_one(count).await?.get(0)?;
        let mut select = sql("SELECT * FROM snapshots");
        restrict(&mut select, filter);
        select.push(" ORDER BY created_at DESC, id LIMIT ");
        select.push_bind(limit);
        select.push(" OFFSET ");
        select.push_bind(offset);
        let rows = self.database.fetch_all(select).await?;
        let snapshots = rows.iter().map(read).collect::<Result<_, _>>()?;
        Ok((snapshots, u64::try_from(total).unwrap_or_default()))
    }
}

fn restrict(query: &mut Statement, filter: &Filter) {
    query.push(" WHERE 1 = 1");
    if let Some(tenant) = filter.scope.tenant() {
        query.push(" AND tenant = ");
        query.push_bind(tenant);
    }
    if let Some(sandbox) = &filter.sandbox_id {
        query.push(" AND sandbox_id = ");
        query.push_bind(sandbox);
    }
    if let Some(name) = &filter.name {
        query.push(" AND name = ");
        query.push_bind(name);
    }
    for (place, state) in filter.states.iter().enumerate() {
        query.push(if place == 0 { " AND state IN (" } else { ", " });
        query.push_bind(state);
    }
    if !filter.states.is_empty() {
        query.push(")");
    }
}

fn read(row: &Row) -> Result<Snapshot, StoreError> {
    let id: String = row.get("id")?;
    let state: String = row.get("state")?;
    let corrupt = |column, value: String| StoreError::Corrupt { id: id.clone(), column, value };
    let instant = |column: &'static str| -> Result<DateTime<Utc>, StoreError> {
        let micros: i64 = row.get(column)?;
        DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(column, micros.to_string()))
    };
    Ok(Snapshot {
        sandbox_id: row.get("sandbox_id")?,
        name: row.get("name")?,
        state: SnapshotState::parse(&state).ok_or_else(|| corrupt("state", state.clone()))?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        last_transition_at: instant("last_transition_at")?,
        created_at: instant("created_at")?,
        image_id: row.get("image_id")?,
        tenant: row.get("tenant")?,
        bytes: row.get::<Option<i64>, _>("bytes")?.and_then(|bytes| u64::try_from(bytes).ok()),
        owner: row.get("owner")?,
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: &str, sandbox: &str, age: i64) -> Snapshot {
        let now = DateTime::<Utc>::from_timestamp_micros(1_700_000_000_000_000 - age).unwrap();
        Snapshot::new(id.to_owned(), sandbox.to_owned(), Some(format!("n-{sandbox}")), now)
    }

    #[tokio::test]
    async fn rows_are_filtered_paged_and_change_only_from_the_state_expected() {
        let store = Store::in_memory().await.unwrap();
        for (id, sandbox, age) in [("1", "a", 3), ("2", "b", 2), ("3", "a", 1)] {
            store.insert_snapshot(&snapshot(id, sandbox, age)).await.unwrap();
        }
        let ids = async |filter: Filter, offset, limit| {
            let (found, total) = store.snapshots(&filter, offset, limit).await.unwrap();
            (found.into_iter().map(|snapshot| snapshot.id).collect::<Vec<_>>().join(","), total)
        };
        assert_eq!(ids(Filter::default(), 0, 2).await, ("3,2".to_owned(), 3));
        assert_eq!(ids(Filter::default(), 2, 2).await, ("1".to_owned(), 3));
        let of_a = Filter { sandbox_id: Some("a".to_owned()), ..Filter::default() };
        assert_eq!(ids(of_a, 0, 9).await, ("3,1".to_owned(), 2));
        let named = Filter { name: Some("n-b".to_owned()), ..Filter::default() };
        assert_eq!(ids(named, 0, 9).await, ("2".to_owned(), 1));

        let mut changed = snapshot("2", "b", 2);
        changed.enter(SnapshotState::Ready, "done", None);
        changed.image_id = Some("sha256:x".to_owned());
        assert!(!store.update_snapshot(&changed, SnapshotState::Deleting).await.unwrap());
        assert!(store.update_snapshot(&changed, SnapshotState::Creating).await.unwrap());
        assert_eq!(store.snapshot("2").await.unwrap(), Some(changed));
        let ready = |states: &[&str]| Filter {
            states: states.iter().map(|&state| state.to_owned()).collect(),
            ..Filter::default()
        };
        assert_eq!(ids(ready(&["Ready"]), 0, 9).await, ("2".to_owned(), 1));
        assert_eq!(ids(ready(&["Ready", "Creating"]), 0, 9).await.1, 3);
        assert_eq!(ids(ready(&["ready"]), 0, 9).await.1, 0);
        store.delete_snapshot("2").await.unwrap();
        assert_eq!(store.snapshot("2").await.unwrap(), None);
    }
}
