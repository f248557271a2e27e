//! Pools and their members without an owner.

use std::{fmt, net::Ipv4Addr};

use super::{
    KeyRow, Store, StoreError,
    database::{Row, sql},
    row,
};
use crate::{
    runtime::Slot,
    sandbox::{Capacity, Member, Note, Owner, Recipe, Record},
};
use chrono::{DateTime, Utc};

/// A pool as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PoolRow {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Whose it is, with the quota he had when he last looked after it; `None` where there are no tenants.
    pub(crate) owner: Option<Owner>,
    pub(crate) recipe: Recipe,
    pub(crate) revision: String,
    pub(crate) capacity: Capacity,
    pub(crate) created_at: DateTime<Utc>,
    /// Its members are being ended.
    pub(crate) deleting: bool,
}

/// A member as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MemberRow {
    pub(crate) member: Member,
    /// The pool's uid.
    pub(crate) pool: String,
    /// It may be handed over.
    pub(crate) ready: bool,
}

impl fmt::Debug for MemberRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.ready;
        formatter.debug_struct("MemberRow").field("member", &self.member).field("ready", &ready).finish()
    }
}

impl Store {
    /// Keeps a new pool; false if there is one of that name.
    pub(crate) async fn insert_pool(&self, pool: &PoolRow) -> Result<bool, StoreError> {
        let done = self.database.execute(sql(
            "INSERT INTO pools (tenant, quota, name, uid, recipe, revision, buffer_max, buffer_min, pool_max, pool_min, \
             created_at, deleting, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12) \
             ON CONFLICT (tenant, name) DO NOTHING",
        )
        .bind(pool.owner.as_ref().map_or("", |owner| &owner.tenant))
        .bind(&quota_of(pool.owner.as_ref(), &pool.name)?)
        .bind(&pool.name)
        .bind(&pool.uid)
        .bind(row::json(&pool.recipe, &pool.name, "recipe")?)
        .bind(&pool.revision)
        .bind(i64::from(pool.capacity.buffer_max))
        .bind(i64::from(pool.capacity.buffer_min))
        .bind(i64::from(pool.capacity.pool_max))
        .bind(i64::from(pool.capacity.pool_min))
        .bind(pool.created_at.timestamp_micros())
        .bind(&*self.owner)).await?;
        Ok(done == 1)
    }

    /// False if there is no such pool.
    pub(crate) async fn resize_pool(
        &self,
        uid: &str,
        capacity: Capacity,
        owner: Option<&Owner>,
    ) -> Result<bool, StoreError> {
        let done = self.database.execute(sql(
            "UPDATE pools SET buffer_max = $1, buffer_min = $2, pool_max = $3, pool_min = $4, quota = $5 WHERE uid = $6",
        )
        .bind(i64::from(capacity.buffer_max))
        .bind(i64::from(capacity.buffer_min))
        .bind(i64::from(capacity.pool_max))
        .bind(i64::from(capacity.pool_min))
        .bind(&quota_of(owner, uid)?)
        .bind(uid)).await?;
        Ok(done == 1)
    }

    pub(crate) async fn mark_pool_deleting(&self, uid: &str) -> Result<(), StoreError> {
        self.database.execute(sql("UPDATE pools SET deleting = 1 WHERE uid = $1").bind(uid)).await?;
        Ok(())
    }

    pub(crate) async fn delete_pool(&self, uid: &str) -> Result<(), StoreError> {
        self.database.execute(sql("DELETE FROM pools WHERE uid = $1").bind(uid)).await?;
        Ok(())
    }

    pub(crate) async fn load_pools(&self) -> Result<Vec<PoolRow>, StoreError> {
        let rows = self
            .database
            .fetch_all(sql("SELECT * FROM pools WHERE owner = $1 ORDER BY tenant, name").bind(&*self.owner))
            .await?;
        rows.iter().map(read_pool).collect()
    }

    pub(crate) async fn insert_member(&self, member: &Member, pool: &str) -> Result<(), StoreError> {
        self.database.execute(sql(
            "INSERT INTO pool_members (id, pool, slot, address, execd_token, ready, owner) VALUES ($1, $2, $3, $4, $5, 0, $6)",
        )
        .bind(&member.id)
        .bind(pool)
        .bind(i64::from(member.slot.number))
        .bind(member.slot.address.to_string())
        .bind(&member.execd_token)
        .bind(&*self.owner)).await?;
        Ok(())
    }

    pub(crate) async fn ready_member(&self, id: &str) -> Result<(), StoreError> {
        self.database.execute(sql("UPDATE pool_members SET ready = 1 WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    pub(crate) async fn delete_member(&self, id: &str) -> Result<(), StoreError> {
        self.database.execute(sql("DELETE FROM pool_members WHERE id = $1").bind(id)).await?;
        Ok(())
    }

    pub(crate) async fn load_members(&self) -> Result<Vec<MemberRow>, StoreError> {
        let rows = self
            .database
            .fetch_all(sql("SELECT * FROM pool_members WHERE owner = $1 ORDER BY id").bind(&*self.owner))
            .await?;
        rows.iter().map(read_member).collect()
    }

    /// Makes a member the sandbox of this record, in one step with the note of it and the key of its request; answers
    /// the note's number.
    pub(crate) async fn assign_member(
        &self,
        record: &Record,
        note: &Note,
        key: Option<&KeyRow>,
    ) -> Result<i64, StoreError> {
        let no_member = sql("DELETE FROM pool_members WHERE id = $1").bind(&record.id);
        let mut statements = vec![no_member, row::insert(record, &self.owner)?];
        statements.extend(key.map(KeyRow::insert));
        self.change(statements, note).await
    }
}

fn quota_of(owner: Option<&Owner>, id: &str) -> Result<Option<String>, StoreError> {
    owner.map(|owner| row::json(&owner.quota, id, "quota")).transpose()
}

fn read_owner(row: &Row, id: &str) -> Result<Option<Owner>, StoreError> {
    let tenant: String = row.get("tenant")?;
    match tenant.is_empty() {
        true => Ok(None),
        false => Ok(Some(Owner { tenant: tenant.into(), quota: row::parse(row, id, "quota")? })),
    }
}

pub(super) fn read_pool(row: &Row) -> Result<PoolRow, StoreError> {
    let name: String = row.get("name")?;
    let bound = |column| row::number::<u32>(row, &name, column);
    Ok(PoolRow {
        uid: row.get("uid")?,
        owner: read_owner(row, &name)?,
        recipe: row::parse(row, &name, "recipe")?,
        revision: row.get("revision")?,
        capacity: Capacity {
            buffer_max: bound("buffer_max")?,
            buffer_min: bound("buffer_min")?,
            pool_max: bound("pool_max")?,
            pool_min: bound("pool_min")?,
        },
        created_at: row::instant(row.get("created_at")?, &name, "created_at")?,
        deleting: row.get::<i64, _>("deleting")? != 0,
        name,
    })
}

fn read_member(row: &Row) -> Result<MemberRow, StoreError> {
    let id: String = row.get("id")?;
    let address: String = row.get("address")?;
    let address: Ipv4Addr = address.parse().map_err(|_| StoreError::Corrupt {
        id: id.clone(),
        column: "address",
        value: address.clone(),
    })?;
    Ok(MemberRow {
        pool: row.get("pool")?,
        ready: row.get::<i64, _>("ready")? != 0,
        member: Member {
            slot: Slot { number: row::number(row, &id, "slot")?, address },
            execd_token: row.get("execd_token")?,
            id,
        },
    })
}
