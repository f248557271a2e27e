//! Sandboxes by the beginning of their ids.

use anyhow::{Result, bail};
use sandkeep::{Client, ListQuery, specs::lifecycle::Sandbox};

/// Length of a whole id.
const WHOLE: usize = 36;
/// Most that a server lists at once.
const PAGE: u64 = 200;

/// Every sandbox that the query finds.
pub(crate) async fn all(client: &Client, mut query: ListQuery) -> Result<Vec<Sandbox>> {
    query.page_size = Some(PAGE);
    let mut found = Vec::new();
    for page in 1.. {
        query.page = Some(page);
        let listed = client.list_sandboxes(&query).await?;
        found.extend(listed.items);
        if !listed.pagination.has_next_page {
            break;
        }
    }
    Ok(found)
}

/// The whole id that begins with `given`.
pub(crate) async fn resolve(client: &Client, given: &str) -> Result<String> {
    if given.len() >= WHOLE {
        return Ok(given.to_owned());
    }
    let found = all(client, ListQuery::default()).await?;
    pick(given, found.into_iter().map(|sandbox| sandbox.id))
}

fn pick(given: &str, ids: impl Iterator<Item = String>) -> Result<String> {
    let mut matching = ids.filter(|id| !given.is_empty() && id.starts_with(given));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => bail!("there is no sandbox {given}; `sb ps` lists those there are"),
        (Some(_), Some(_)) => bail!("{given} begins the ids of several sandboxes; give more of it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_must_be_of_one() {
        let ids = || ["abc1", "abd2"].map(str::to_owned).into_iter();
        assert_eq!(pick("abc", ids()).unwrap(), "abc1");
        for given in ["ab", "x", ""] {
            assert!(pick(given, ids()).is_err(), "{given}");
        }
    }
}
