//! Between a record and its row.

use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, Sqlite, query::Query, sqlite::SqliteArguments, sqlite::SqliteRow};

use super::StoreError;
use crate::{
    runtime::Slot,
    sandbox::{Record, State, Status},
};

type Statement = Query<'static, Sqlite, SqliteArguments>;

pub(super) fn insert(record: &Record) -> Result<Statement, StoreError> {
    Ok(sqlx::query(
        "INSERT INTO sandboxes (id, plan, created_at, slot, address, execd_token, access_token, metadata, state, \
         reason, message, last_transition_at, expires_at, accepted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(record.id.clone())
    .bind(json(&record.plan, &record.id, "plan")?)
    .bind(record.created_at.timestamp_micros())
    .bind(i64::from(record.slot.number))
    .bind(record.slot.address.to_string())
    .bind(record.execd_token.clone())
    .bind(record.access_token.clone())
    .bind(json(&record.metadata, &record.id, "metadata")?)
    .bind(record.status.state.as_str())
    .bind(record.status.reason.clone())
    .bind(record.status.message.clone())
    .bind(record.status.last_transition_at.timestamp_micros())
    .bind(record.expires_at.map(|at| at.timestamp_micros()))
    .bind(record.accepted))
}

pub(super) fn update(record: &Record) -> Result<Statement, StoreError> {
    Ok(sqlx::query(
        "UPDATE sandboxes SET metadata = ?, state = ?, reason = ?, message = ?, last_transition_at = ?, \
         expires_at = ?, accepted = ?, slot = ?, address = ? WHERE id = ?",
    )
    .bind(json(&record.metadata, &record.id, "metadata")?)
    .bind(record.status.state.as_str())
    .bind(record.status.reason.clone())
    .bind(record.status.message.clone())
    .bind(record.status.last_transition_at.timestamp_micros())
    .bind(record.expires_at.map(|at| at.timestamp_micros()))
    .bind(record.accepted)
    .bind(i64::from(record.slot.number))
    .bind(record.slot.address.to_string())
    .bind(record.id.clone()))
}

pub(super) fn read(row: &SqliteRow) -> Result<Record, StoreError> {
    let id: String = row.try_get("id")?;
    let state: String = row.try_get("state")?;
    let address: String = row.try_get("address")?;
    let slot: i64 = row.try_get("slot")?;
    let corrupt = |column, value: String| StoreError::Corrupt { id: id.clone(), column, value };
    Ok(Record {
        plan: parse(row, &id, "plan")?,
        metadata: parse(row, &id, "metadata")?,
        status: Status {
            state: State::parse(&state).ok_or_else(|| corrupt("state", state.clone()))?,
            reason: row.try_get("reason")?,
            message: row.try_get("message")?,
            last_transition_at: instant(row.try_get("last_transition_at")?, &id, "last_transition_at")?,
        },
        created_at: instant(row.try_get("created_at")?, &id, "created_at")?,
        expires_at: row
            .try_get::<Option<i64>, _>("expires_at")?
            .map(|micros| instant(micros, &id, "expires_at"))
            .transpose()?,
        slot: Slot {
            number: u16::try_from(slot).map_err(|_| corrupt("slot", slot.to_string()))?,
            address: address.parse::<Ipv4Addr>().map_err(|_| corrupt("address", address.clone()))?,
        },
        accepted: row.try_get("accepted")?,
        execd_token: row.try_get("execd_token")?,
        access_token: row.try_get("access_token")?,
        id,
    })
}

pub(super) fn json(value: &impl Serialize, id: &str, column: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt {
        id: id.to_owned(),
        column,
        value: error.to_string(),
    })
}

// The value itself stays out of the error: a plan holds the user's environment.
pub(super) fn parse<T: DeserializeOwned>(
    row: &SqliteRow,
    id: &str,
    column: &'static str,
) -> Result<T, StoreError> {
    serde_json::from_str(&row.try_get::<String, _>(column)?).map_err(|error| StoreError::Corrupt {
        id: id.to_owned(),
        column,
        value: format!("something else ({:?} at column {})", error.classify(), error.column()),
    })
}

/// A whole number in its bounds.
pub(super) fn number<T: TryFrom<i64>>(
    row: &SqliteRow,
    id: &str,
    column: &'static str,
) -> Result<T, StoreError> {
    let value: i64 = row.try_get(column)?;
    T::try_from(value).map_err(|_| StoreError::Corrupt {
        id: id.to_owned(),
        column,
        value: value.to_string(),
    })
}

pub(super) fn instant(micros: i64, id: &str, column: &'static str) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| StoreError::Corrupt {
        id: id.to_owned(),
        column,
        value: micros.to_string(),
    })
}
