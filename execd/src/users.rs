//! Users and groups from the image's own files: a static program has no name service.

use std::{collections::HashMap, fs::OpenOptions, io::Read, os::unix::fs::OpenOptionsExt, path::PathBuf};

use crate::process::Identity;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Most bytes read of either file.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

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

/// The same with name and home directory.
#[must_use]
pub(crate) fn account_of(uid: u32, gid: u32) -> Account {
    let database = Database::read();
    let entry = database.user(uid).map(|entry| (entry.name.to_owned(), entry.home.into()));
    Account { identity: database.identity(uid, Some(gid)), entry }
}

/// Contents of the two files; a missing one counts as empty.
#[derive(Debug, Clone)]
pub(crate) struct Database {
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
    /// Reads both files.
    pub(crate) fn read() -> Self {
        Self { passwd: text(PASSWD), group: text(GROUP) }
    }

    /// Number of the user of this name.
    pub(crate) fn user_named(&self, name: &str) -> Option<u32> {
        self.users().find(|entry| entry.name == name).map(|entry| entry.uid)
    }

    /// Number of the group of this name.
    pub(crate) fn group_named(&self, name: &str) -> Option<u32> {
        self.groups().find(|(known, ..)| *known == name).map(|(_, gid, _)| gid)
    }

    /// Names of all users by number.
    pub(crate) fn user_names(&self) -> HashMap<u32, &str> {
        first_of_each(self.users().map(|entry| (entry.uid, entry.name)))
    }

    /// Names of all groups by number.
    pub(crate) fn group_names(&self) -> HashMap<u32, &str> {
        first_of_each(self.groups().map(|(name, gid, _)| (gid, name)))
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
        records(&self.passwd).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(Entry { name, uid, gid, home: fields.nth(1).unwrap_or("/") })
        })
    }

    /// Name, number and members of each group.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        records(&self.group).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or("")))
        })
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.group_named(name).or_else(|| name.parse().ok())
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        self.groups()
            .filter(|(.., members)| members.split(',').any(|m| m == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }
}

/// A file's text. Whoever owns the image may have put anything there, so neither a pipe nor an endless file is waited
/// for.
fn text(path: &str) -> String {
    let mut bytes = Vec::new();
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    if let Ok(file) = opened {
        // What cannot be read counts as not there.
        let _ = file.take(MAX_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn records(file: &str) -> impl Iterator<Item = &str> {
    file.lines().filter(|line| !line.starts_with('#'))
}

/// The first line for a number wins, as it does in the C library.
fn first_of_each<'a>(names: impl Iterator<Item = (u32, &'a str)>) -> HashMap<u32, &'a str> {
    let mut by_number = HashMap::new();
    for (number, name) in names {
        by_number.entry(number).or_insert(name);
    }
    by_number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Database {
        Database {
            passwd: "root:x:0:0:root:/root:/bin/bash\n#gone:x:9:9::/:\ntoor:x:0:0::/:\nbroken\n::1:1\nann:x:1000:1001:Ann,,,:/home/ann:/bin/sh\n1005:x:7:7::/seven:\n".to_owned(),
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
    fn names_by_number_prefer_the_first_line() {
        let database = database();
        assert_eq!(database.user_names().get(&0), Some(&"root"));
        assert_eq!(database.user_names().get(&9), None, "a comment is no user");
        assert_eq!(database.group_names().get(&1001), Some(&"ann"));
        assert_eq!((database.user_named("ann"), database.user_named("broken")), (Some(1000), None));
        assert_eq!((database.group_named("wheel"), database.group_named("bad")), (Some(10), None));
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
