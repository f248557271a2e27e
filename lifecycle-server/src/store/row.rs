//! Between a record and its row.

use std::net::Ipv4Addr;

use super::{
    StoreError,
    database::{Row, Statement, sql},
};
use crate::{
    runtime::Slot,
    sandbox::{Record, State, Status},
};
use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

pub(super) fn insert(record: &Record, owner: &str) -> Result<Statement, StoreError> {
    Ok(sql(
        "INSERT INTO sandboxes (id, plan, created_at, slot, address, execd_token, access_token, metadata, state, \
         reason, message, last_transition_at, expires_at, accepted, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
         $11, $12, $13, $14, $15)",
    )
    .bind(&record.id)
    .bind(json(&record.plan, &record.id, "plan")?)
    .bind(record.created_at.timestamp_micros())
    .bind(i64::from(record.slot.number))
    .bind(record.slot.address.to_string())
    .bind(&record.execd_token)
    .bind(&record.access_token)
    .bind(json(&record.metadata, &record.id, "metadata")?)
    .bind(record.status.state.as_str())
    .bind(&record.status.reason)
    .bind(&record.status.message)
    .bind(record.status.last_transition_at.timestamp_micros())
    .bind(record.expires_at.map(|at| at.timestamp_micros()))
    .bind(record.accepted)
    .bind(owner))
}

pub(super) fn update(record: &Record) -> Result<Statement, StoreError> {
    Ok(sql(
        "UPDATE sandboxes SET metadata = $1, state = $2, reason = $3, message = $4, last_transition_at = $5, \
         expires_at = $6, accepted = $7, slot = $8, address = $9, kept_bytes = $10 WHERE id = $11",
    )
    .bind(json(&record.metadata, &record.id, "metadata")?)
    .bind(record.status.state.as_str())
    .bind(&record.status.reason)
    .bind(&record.status.message)
    .bind(record.status.last_transition_at.timestamp_micros())
    .bind(record.expires_at.map(|at| at.timestamp_micros()))
    .bind(record.accepted)
    .bind(i64::from(record.slot.number))
    .bind(record.slot.address.to_string())
    .bind(i64::try_from(record.kept_bytes).unwrap_or(i64::MAX))
    .bind(&record.id))
}

pub(super) fn read(row: &Row) -> Result<Record, StoreError> {
    let id: String = row.get("id")?;
    let state: String = row.get("state")?;
    let address: String = row.get("address")?;
    let slot: i64 = row.get("slot")?;
    let corrupt = |column, value: String| StoreError::Corrupt { id: id.clone(), column, value };
    Ok(Record {
        plan: parse(row, &id, "plan")?,
        metadata: parse(row, &id, "metadata")?,
        status: Status {
            state: State::parse(&state).ok_or_else(|| corrupt("state", state.clone()))?,
            reason: row.get("reason")?,
            message: row.get("message")?,
            last_transition_at: instant(row.get("last_transition_at")?, &id, "last_transition_at")?,
        },
        created_at: instant(row.get("created_at")?, &id, "created_at")?,
        expires_at: row
            .get::<Option<i64>, _>("expires_at")?
            .map(|micros| instant(micros, &id, "expires_at"))
            .transpose()?,
        slot: Slot {
            number: u16::try_from(slot).map_err(|_| corrupt("slot", slot.to_string()))?,
            address: address.parse::<Ipv4Addr>().map_err(|_| corrupt("address", address.clone()))?,
        },
        accepted: row.get::<i64, _>("accepted")? != 0,
        execd_token: row.get("execd_token")?,
        access_token: row.get("access_token")?,
        // A damaged file of an older server's does not have it.
        kept_bytes: u64::try_from(row.get::<i64, _>("kept_bytes").unwrap_or_default()).unwrap_or_default(),
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
pub(super) fn parse<T: DeserializeOwned>(row: &Row, id: &str, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(&row.get::<String, _>(column)?).map_err(|error| StoreError::Corrupt {
        id: id.to_owned(),
        column,
        value: format!("something else ({:?} at column {})", error.classify(), error.column()),
    })
}

/// A whole number in its bounds.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, id: &str, column: &'static str) -> Result<T, StoreError> {
    let value: i64 = row.get(column)?;
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
