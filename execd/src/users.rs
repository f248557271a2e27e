//! Users and groups from the image's own files: a static program has no name service.

use std::{fs, path::PathBuf};

use crate::process::Identity;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub identity: Identity,
    /// Name and home directory, when the user has an entry.
    pub entry: Option<(String, PathBuf)>,
}

/// A user specification that fits nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {name:?} is neither a number nor in {file}")]
pub struct UnknownName {
    kind: &'static str,
    name: String,
    file: &'static str,
}

/// Looks `USER[:GROUP]` up, each a name or a number.
pub fn by_specification(specification: &str) -> Result<Account, UnknownName> {
    Database::read().account(specification)
}

/// The identity of a numeric user: its own groups, or `gid` alone for the primary one. A user without an entry gets
/// group 0.
#[must_use]
pub fn by_number(uid: u32, gid: Option<u32>) -> Identity {
    Database::read().identity(uid, gid)
}

/// Contents of the two files; a missing one counts as empty.
struct Database {
    passwd: String,
    group: String,
}

struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Database {
    fn read() -> Self {
        let text = |path| {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        Self { passwd: text(PASSWD), group: text(GROUP) }
    }

    fn account(&self, specification: &str) -> Result<Account, UnknownName> {
        let (user, group) = match specification.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (specification, None),
        };
        let unknown = |kind, name: &str, file| UnknownName { kind, name: name.to_owned(), file };
        let named = self.users().find(|entry| entry.name == user);
        let uid = match &named {
            Some(entry) => entry.uid,
            None if user.is_empty() => 0,
            None => user.parse().map_err(|_| unknown("user", user, PASSWD))?,
        };
        let gid =
            group.map(|name| self.gid(name).ok_or_else(|| unknown("group", name, GROUP))).transpose()?;
        let mut identity = self.identity(uid, gid);
        if gid.is_some() {
            // An explicit group stands alone, as container engines have it.
            identity.groups.clear();
        }
        let entry = named.or_else(|| self.user(uid)).map(|entry| (entry.name.to_owned(), entry.home.into()));
        Ok(Account { identity, entry })
    }

    fn identity(&self, uid: u32, gid: Option<u32>) -> Identity {
        match self.user(uid) {
            Some(entry) => {
                let gid = gid.unwrap_or(entry.gid);
                let mut groups = self.groups_of(entry.name);
                groups.retain(|group| *group != gid);
                Identity { uid, gid, groups }
            }
            None => Identity { uid, gid: gid.unwrap_or(0), groups: Vec::new() },
        }
    }

    fn user(&self, uid: u32) -> Option<Entry<'_>> {
        self.users().find(|entry| entry.uid == uid)
    }

    fn users(&self) -> impl Iterator<Item = Entry<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Entry { name, uid, gid, home: fields.nth(1).unwrap_or("/") })
        })
    }

    /// Name, number and members of each group.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or("")))
        })
    }

    fn gid(&self, name: &str) -> Option<u32> {
        let named = self.groups().find(|(known, ..)| *known == name).map(|(_, gid, _)| gid);
        named.or_else(|| name.parse().ok())
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        self.groups()
            .filter(|(.., members)| members.split(',').any(|m| m == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Database {
        Database {
            passwd: "root:x:0:0:root:/root:/bin/bash\nbroken\n::1:1\nann:x:1000:1001:Ann,,,:/home/ann:/bin/sh\n1005:x:7:7::/seven:\n".to_owned(),
            group: "root:x:0:\nann:x:1001:\ndocker:x:998:bob,ann\nwheel:x:10:annika\nself:x:1001:ann\nbad:x:y:ann\n".to_owned(),
        }
    }

    fn identity(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec() }
    }

    #[test]
    fn names_numbers_and_groups() {
        let database = database();
        let of = |specification| database.account(specification).unwrap().identity;
        assert_eq!(of("ann"), identity(1000, 1001, &[998]));
        assert_eq!(of("1000"), identity(1000, 1001, &[998]));
        assert_eq!(of("ann:docker"), identity(1000, 998, &[]));
        assert_eq!(of("ann:77"), identity(1000, 77, &[]));
        assert_eq!(of("4242"), identity(4242, 0, &[]));
        assert_eq!(of("4242:wheel"), identity(4242, 10, &[]));
        assert_eq!(of("1005"), identity(7, 7, &[]), "a name made of digits is a name first");
        assert_eq!(of(""), identity(0, 0, &[]));
        assert_eq!(of("root:"), identity(0, 0, &[]));
    }

    #[test]
    fn entries_give_name_and_home() {
        let account = database().account("1000").unwrap();
        assert_eq!(account.entry, Some(("ann".to_owned(), PathBuf::from("/home/ann"))));
        assert_eq!(database().account("99").unwrap().entry, None);
    }

    #[test]
    fn unknown_names_are_refused() {
        assert!(database().account("nobody-here").unwrap_err().to_string().contains("nobody-here"));
        assert!(database().account("ann:nogroup").unwrap_err().to_string().contains("/etc/group"));
        assert!(database().account("-1").is_err());
        assert!(database().account("4294967296").is_err());
    }

    #[test]
    fn an_explicit_gid_keeps_the_users_other_groups() {
        assert_eq!(database().identity(1000, Some(5)), identity(1000, 5, &[998, 1001]));
        assert_eq!(database().identity(31337, None), identity(31337, 0, &[]));
    }
}
