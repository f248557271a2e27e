//! Which create request made which sandbox.

use chrono::{DateTime, Utc};

use super::{
    Store, StoreError,
    database::{Statement, sql},
};

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRow {
    pub(crate) key: String,
    /// Digest of the request it came with.
    pub(crate) fingerprint: String,
    pub(crate) sandbox_id: String,
    pub(crate) created_at: DateTime<Utc>,
}

impl KeyRow {
    /// Writes a new key.
    pub(super) fn insert(&self) -> Statement {
        sql("INSERT INTO idempotency_keys (idempotency_key, fingerprint, sandbox_id, created_at) \
             VALUES ($1, $2, $3, $4)")
        .bind(&self.key)
        .bind(&self.fingerprint)
        .bind(&self.sandbox_id)
        .bind(self.created_at.timestamp_micros())
    }
}

impl Store {
    /// The fingerprint and the sandbox of a key.
    pub(crate) async fn find_key(&self, key: &str) -> Result<Option<(String, String)>, StoreError> {
        let row = self
            .database
            .fetch_optional(
                sql("SELECT fingerprint, sandbox_id FROM idempotency_keys WHERE idempotency_key = $1")
                    .bind(key),
            )
            .await?;
        row.map(|row| Ok((row.get("fingerprint")?, row.get("sandbox_id")?))).transpose()
    }

    /// False if the key is known already.
    pub(crate) async fn insert_key(&self, row: &KeyRow) -> Result<bool, StoreError> {
        let mut insert = row.insert();
        insert.push(" ON CONFLICT (idempotency_key) DO NOTHING");
        Ok(self.database.execute(insert).await? == 1)
    }

    /// A sandbox that came to nothing is no answer to a repeated request.
    pub(crate) async fn delete_keys_of(&self, sandbox_id: &str) -> Result<(), StoreError> {
        self.database
            .execute(sql("DELETE FROM idempotency_keys WHERE sandbox_id = $1").bind(sandbox_id))
            .await?;
        Ok(())
    }

    /// Forgets keys from before `instant`, and the oldest beyond `most`.
    pub(crate) async fn delete_old_keys(&self, instant: DateTime<Utc>, most: u32) -> Result<(), StoreError> {
        self.database
            .execute(
                sql("DELETE FROM idempotency_keys WHERE created_at < $1").bind(instant.timestamp_micros()),
            )
            .await?;
        let surplus =
            sql("SELECT created_at FROM idempotency_keys ORDER BY created_at DESC LIMIT 1 OFFSET $1");
        let youngest = self.database.fetch_optional(surplus.bind(i64::from(most))).await?;
        if let Some(created_at) = youngest.map(|row| row.get::<i64, _>(0)).transpose()? {
            self.database
                .execute(sql("DELETE FROM idempotency_keys WHERE created_at <= $1").bind(created_at))
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[tokio::test]
    async fn keys_are_forgotten_by_age_number_and_failure() {
        let store = Store::in_memory().await.unwrap();
        let start = DateTime::<Utc>::from_timestamp(1_700_000_000, 0).unwrap();
        for number in 0..6_i64 {
            let row = KeyRow {
                key: format!("key-{number}"),
                fingerprint: "print".to_owned(),
                sandbox_id: format!("sandbox-{number}"),
                created_at: start + TimeDelta::seconds(number),
            };
            store.insert_key(&row).await.unwrap();
        }
        let known = async |number: i64| store.find_key(&format!("key-{number}")).await.unwrap().is_some();
        assert_eq!(
            store.find_key("key-3").await.unwrap(),
            Some(("print".to_owned(), "sandbox-3".to_owned()))
        );
        store.delete_old_keys(start + TimeDelta::seconds(1), 100).await.unwrap();
        assert!(!known(0).await && known(1).await);
        store.delete_old_keys(start, 3).await.unwrap();
        assert!(!known(2).await && known(3).await && known(5).await);
        store.delete_keys_of("sandbox-4").await.unwrap();
        assert!(!known(4).await && known(5).await);
    }
}
