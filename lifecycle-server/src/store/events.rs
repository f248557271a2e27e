//! The numbered notes: written in the transaction of what they tell of, kept within bounds.

use super::{
    StoreError,
    database::{Database, Row, Statement, sql},
};
use crate::sandbox::{Note, NoteKind, Noted, State};
use chrono::{DateTime, Utc};

/// How much is kept for readers that were away.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Newest notes kept in any case, as long as they are not too large together.
    pub rows: i64,
    /// Bytes of all of them.
    pub bytes: i64,
    /// Newest notes kept beyond that for every sandbox that is still there.
    pub per_sandbox: i64,
}

/// Numbers a note, which is what the first of the two answers, and writes it.
pub(super) fn append(note: &Note) -> Result<[Statement; 2], StoreError> {
    // Taking the number first also makes other writers wait for this commit, so numbers appear in order.
    let taken = sql("UPDATE event_sequence SET last_id = last_id + 1 RETURNING last_id");
    let corrupt = |error: serde_json::Error| StoreError::Corrupt {
        id: note.sandbox.clone(),
        column: "events",
        value: error.to_string(),
    };
    let metadata = serde_json::to_string(&note.metadata).map_err(corrupt)?;
    let details = note.details.as_ref().map(serde_json::to_string).transpose().map_err(corrupt)?;
    let texts = [note.message.as_deref(), details.as_deref(), Some(&metadata)];
    let size: usize = texts.into_iter().flatten().map(str::len).sum();
    let insert = sql(
        "INSERT INTO events (id, at, sandbox_id, kind, tenant, state, reason, message, metadata, details, \
         size) VALUES ((SELECT last_id FROM event_sequence), $1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(note.at.timestamp_micros())
    .bind(&note.sandbox)
    .bind(note.kind.as_str())
    .bind(&note.tenant)
    .bind(note.status.as_ref().map(|(state, _)| state.as_str()))
    .bind(note.status.as_ref().map(|(_, reason)| reason.as_str()))
    .bind(&note.message)
    .bind(metadata)
    .bind(&details)
    .bind(i64::try_from(size).unwrap_or(i64::MAX));
    Ok([taken, insert])
}

/// Number of the newest note there ever was.
pub(super) async fn last(database: &Database) -> Result<i64, StoreError> {
    database.fetch_one(sql("SELECT last_id FROM event_sequence")).await?.get(0)
}

/// At most `limit` notes after number `after`, oldest first.
pub(super) async fn after(database: &Database, after: i64, limit: i64) -> Result<Vec<Noted>, StoreError> {
    let select = sql("SELECT * FROM events WHERE id > $1 ORDER BY id LIMIT $2").bind(after).bind(limit);
    let rows = database.fetch_all(select).await?;
    rows.iter().map(read).collect()
}

/// The newest notes of one sandbox, oldest first.
pub(super) async fn of_sandbox(
    database: &Database,
    sandbox: &str,
    limit: i64,
) -> Result<Vec<Noted>, StoreError> {
    let select = sql("SELECT * FROM events WHERE sandbox_id = $1 ORDER BY id DESC LIMIT $2");
    let rows = database.fetch_all(select.bind(sandbox).bind(limit)).await?;
    rows.iter().rev().map(read).collect()
}

/// Number up to which notes may have been removed.
pub(super) async fn floor(database: &Database) -> Result<i64, StoreError> {
    database.fetch_one(sql("SELECT floor_id FROM event_sequence")).await?.get(0)
}

/// Removes what is beyond the bounds.
pub(super) async fn trim(database: &Database, keep: Keep) -> Result<(), StoreError> {
    let mut floor = (last(database).await? - keep.rows).max(0);
    let sum = sql("SELECT CAST(SUM(size) AS BIGINT) FROM events WHERE id > $1").bind(floor);
    let bytes: Option<i64> = database.fetch_one(sum).await?.get(0)?;
    if bytes.unwrap_or_default() > keep.bytes {
        let surplus =
            sql("SELECT MAX(id) FROM (SELECT id, SUM(size) OVER (ORDER BY id DESC) AS total FROM events \
             WHERE id > $1) AS summed WHERE total > $2")
            .bind(floor)
            .bind(keep.bytes);
        let too_many: Option<i64> = database.fetch_one(surplus).await?.get(0)?;
        floor = floor.max(too_many.unwrap_or(floor));
    }
    if floor == 0 {
        return Ok(());
    }
    // First the promise, then what it allows: a reader told of no gap finds none.
    let promise = sql("UPDATE event_sequence SET floor_id = $1 WHERE floor_id < $1").bind(floor);
    database.execute(promise).await?;
    let old =
        sql("DELETE FROM events WHERE id IN (SELECT id FROM (SELECT id, sandbox_id, ROW_NUMBER() OVER \
         (PARTITION BY sandbox_id ORDER BY id DESC) AS place FROM events WHERE id <= $1) AS ranked \
         WHERE place > $2 OR sandbox_id NOT IN (SELECT id FROM sandboxes))")
        .bind(floor)
        .bind(keep.per_sandbox);
    database.execute(old).await?;
    Ok(())
}

fn read(row: &Row) -> Result<Noted, StoreError> {
    let id: i64 = row.get("id")?;
    let corrupt = |column, value: &str| StoreError::Corrupt {
        id: format!("event {id}"),
        column,
        value: value.to_owned(),
    };
    let kind: String = row.get("kind")?;
    let state: Option<String> = row.get("state")?;
    let reason: Option<String> = row.get("reason")?;
    let state =
        state.map(|state| State::parse(&state).ok_or_else(|| corrupt("state", &state))).transpose()?;
    let details: Option<String> = row.get("details")?;
    let json = |column| move |error: serde_json::Error| corrupt(column, &error.to_string());
    Ok(Noted {
        id,
        note: Note {
            at: DateTime::<Utc>::from_timestamp_micros(row.get("at")?)
                .ok_or_else(|| corrupt("at", "no instant"))?,
            sandbox: row.get("sandbox_id")?,
            kind: NoteKind::parse(&kind).ok_or_else(|| corrupt("kind", &kind))?,
            tenant: row.get("tenant")?,
            status: state.zip(reason),
            message: row.get("message")?,
            metadata: serde_json::from_str(&row.get::<String, _>("metadata")?).map_err(json("metadata"))?,
            details: details.map(|text| serde_json::from_str(&text)).transpose().map_err(json("details"))?,
        },
    })
}
