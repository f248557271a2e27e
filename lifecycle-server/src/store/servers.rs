//! Servers that share a database: who owns what, and who is there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{PoolRow, Store, StoreError, database::sql, pools, row, templates};
use crate::sandbox::{Record, Template};

/// Microseconds of the database's own clock, so that the servers' clocks may differ. Only PostgreSQL is ever asked.
macro_rules! now {
    () => {
        "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
    };
}

macro_rules! owner_in {
    ($table:literal, $key:literal, $tenant:literal) => {
        concat!(
            "SELECT things.owner, ",
            $tenant,
            " AS tenant, servers.address, ",
            now!(),
            " - servers.heartbeat AS silence FROM ",
            $table,
            " AS things LEFT JOIN servers ON servers.id = things.owner WHERE things.",
            $key,
            " = $1"
        )
    };
}

/// A server that has said nothing for longer is taken for gone.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);
/// A database from the time of one server each belongs to the first one that says its name.
const ADOPT: [&str; 5] = [
    "UPDATE sandboxes SET owner = $1 WHERE owner = '' AND NOT EXISTS (SELECT 1 FROM servers)",
    "UPDATE snapshots SET owner = $1 WHERE owner = '' AND NOT EXISTS (SELECT 1 FROM servers)",
    "UPDATE pools SET owner = $1 WHERE owner = '' AND NOT EXISTS (SELECT 1 FROM servers)",
    "UPDATE pool_members SET owner = $1 WHERE owner = '' AND NOT EXISTS (SELECT 1 FROM servers)",
    "UPDATE templates SET owner = $1 WHERE owner = '' AND NOT EXISTS (SELECT 1 FROM servers)",
];

/// What servers own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sandbox,
    Snapshot,
    Pool,
    Template,
}

/// The server that owns something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnerRow {
    pub(crate) server: String,
    /// Whose the thing is, but for sandboxes, which say it themselves.
    pub(crate) tenant: Option<String>,
    /// Where it takes requests; `None` if it never said.
    pub(crate) address: Option<String>,
    /// Microseconds since it was last heard of.
    pub(crate) silence: Option<i64>,
}

impl OwnerRow {
    /// Whether its server has been heard of lately.
    pub(crate) fn is_heard(&self) -> bool {
        self.silence.is_some_and(|silence| i128::from(silence) < SILENCE.as_micros().cast_signed())
    }
}

/// A server as it tells the others of itself.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// Where it takes requests, such as `http://10.0.0.5:8080`.
    pub address: String,
    /// Its state directory on its host, which one process at a time can hold.
    pub place: String,
    /// This life of the server.
    pub boot: String,
}

/// A pool of another server.
pub(crate) struct OtherPool {
    pub(crate) row: PoolRow,
    /// Members without an owner.
    pub(crate) members: usize,
    /// Those of them that can be handed over.
    pub(crate) ready: usize,
}

impl Store {
    /// The same store in the hands of one of several servers.
    pub fn owned_by(self, server: &str) -> Self {
        Self { owner: server.into(), ..self }
    }

    /// Whether other servers may use the database too.
    pub fn is_shared(&self) -> bool {
        self.database.is_shared()
    }

    pub(crate) fn is_own(&self, owner: &str) -> bool {
        *self.owner == *owner
    }

    /// Says that this server is there. If there seems to be another one with its identity, one that was heard of lately in
    /// another place, it is not said, and the answer is when that was. Whoever had the identity before, `boot` being another, has it no longer.
    pub async fn announce(&self, own: &Announcement) -> Result<Option<i64>, StoreError> {
        let statement = sql(concat!(
            "INSERT INTO servers (id, address, boot, place, heartbeat) VALUES ($1, $2, $3, $4, ",
            now!(),
            ") ON CONFLICT (id) DO UPDATE SET address = excluded.address, boot = excluded.boot, \
             place = excluded.place, heartbeat = excluded.heartbeat \
             WHERE servers.place = excluded.place OR servers.heartbeat < excluded.heartbeat - $5 \
             RETURNING heartbeat"
        ));
        let silence = i64::try_from(SILENCE.as_micros()).unwrap_or(i64::MAX);
        let statement = statement.bind(&*self.owner).bind(&own.address).bind(&own.boot).bind(&own.place);
        let mut statements: Vec<_> = ADOPT.iter().map(|adopt| sql(adopt).bind(&*self.owner)).collect();
        statements.push(statement.bind(silence));
        let announced = self.database.change(statements).await?;
        if announced.is_some() {
            return Ok(None);
        }
        let heard = sql("SELECT heartbeat FROM servers WHERE id = $1").bind(&*self.owner);
        Ok(Some(self.database.fetch_one(heard).await?.get("heartbeat")?))
    }

    /// Says so again; false if another one has taken this server's identity.
    pub async fn beat(&self, boot: &str) -> Result<bool, StoreError> {
        let statement =
            sql(concat!("UPDATE servers SET heartbeat = ", now!(), " WHERE id = $1 AND boot = $2"));
        Ok(self.database.execute(statement.bind(&*self.owner).bind(boot)).await? > 0)
    }

    /// Says that this server goes.
    pub async fn leave(&self, boot: &str) -> Result<(), StoreError> {
        let statement = sql("UPDATE servers SET heartbeat = 0 WHERE id = $1 AND boot = $2");
        self.database.execute(statement.bind(&*self.owner).bind(boot)).await?;
        Ok(())
    }

    /// Which server owns something; `None` if it does not exist. Each tenant has its own names of pools.
    pub(crate) async fn owner_of(
        &self,
        kind: Kind,
        id: &str,
        tenant: Option<&str>,
    ) -> Result<Option<OwnerRow>, StoreError> {
        let statement = match kind {
            Kind::Sandbox => sql(owner_in!("sandboxes", "id", "CAST(NULL AS TEXT)")).bind(id),
            Kind::Snapshot => sql(owner_in!("snapshots", "id", "things.tenant")).bind(id),
            Kind::Template => sql(owner_in!("templates", "id", "things.tenant")).bind(id),
            Kind::Pool => {
                let named =
                    sql(concat!(owner_in!("pools", "name", "things.tenant"), " AND things.tenant = $2"));
                named.bind(id).bind(tenant.unwrap_or_default())
            }
        };
        let row = self.database.fetch_optional(statement).await?;
        row.map(|row| {
            Ok(OwnerRow {
                tenant: row.get("tenant")?,
                server: row.get("owner")?,
                address: row.get("address")?,
                silence: row.get("silence")?,
            })
        })
        .transpose()
    }

    /// A record, whoever's it is.
    pub(crate) async fn find_record(&self, id: &str) -> Result<Option<Record>, StoreError> {
        let statement = sql("SELECT * FROM sandboxes WHERE id = $1").bind(id);
        self.database.fetch_optional(statement).await?.as_ref().map(row::read).transpose()
    }

    /// The records of all other servers.
    pub(crate) async fn others_records(&self) -> Result<Vec<Arc<Record>>, StoreError> {
        let statement = sql("SELECT * FROM sandboxes WHERE owner <> $1").bind(&*self.owner);
        let rows = self.database.fetch_all(statement).await?;
        rows.iter().map(|row| row::read(row).map(Arc::new)).collect()
    }

    pub(crate) async fn others_templates(&self) -> Result<Vec<Arc<Template>>, StoreError> {
        let statement = sql("SELECT * FROM templates WHERE owner <> $1").bind(&*self.owner);
        let rows = self.database.fetch_all(statement).await?;
        rows.iter().map(|row| templates::read(row).map(Arc::new)).collect()
    }

    pub(crate) async fn others_pools(&self) -> Result<Vec<OtherPool>, StoreError> {
        let statement = sql("SELECT * FROM pools WHERE owner <> $1 AND deleting = 0").bind(&*self.owner);
        let rows = self.database.fetch_all(statement).await?;
        let counts = sql(
            "SELECT pool, ready, COUNT(*) AS members FROM pool_members WHERE owner <> $1 GROUP BY pool, ready",
        );
        let (mut members, mut ready) = (HashMap::new(), HashMap::new());
        for row in self.database.fetch_all(counts.bind(&*self.owner)).await? {
            let (of, count): (String, i64) = (row.get("pool")?, row.get("members")?);
            let count = usize::try_from(count).unwrap_or_default();
            *members.entry(of.clone()).or_default() += count;
            if row.get::<i64, _>("ready")? != 0 {
                ready.insert(of, count);
            }
        }
        let pool = |row| {
            let row = pools::read_pool(row)?;
            let of = |counts: &HashMap<String, usize>| counts.get(&row.uid).copied().unwrap_or_default();
            Ok(OtherPool { members: of(&members), ready: of(&ready), row })
        };
        rows.iter().map(pool).collect()
    }
}
