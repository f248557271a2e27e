//! Names of users and groups for answers.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::users::Database;

/// Names of users and groups by number, ready to be written as JSON strings.
pub(crate) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the image's databases.
    pub(crate) fn read() -> Self {
        let database = Database::read();
        Self { users: quoted(&database.user_names()), groups: quoted(&database.group_names()) }
    }

    /// JSON string with the user's name, or the number of one without a name.
    pub(crate) fn user(&self, uid: u32) -> Cow<'_, str> {
        named(&self.users, uid)
    }

    /// JSON string with the group's name, or the number of one without a name.
    pub(crate) fn group(&self, gid: u32) -> Cow<'_, str> {
        named(&self.groups, gid)
    }
}

fn named(names: &HashMap<u32, String>, number: u32) -> Cow<'_, str> {
    names.get(&number).map_or_else(|| format!("\"{number}\"").into(), Into::into)
}

fn quoted(names: &HashMap<u32, &str>) -> HashMap<u32, String> {
    names.iter().map(|(number, name)| (*number, serde_json::json!(name).to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_json_and_numbers_stand_in() {
        let users = quoted(&HashMap::from([(7, "a\"b")]));
        let names = Names { users, groups: HashMap::new() };
        assert_eq!(names.user(7), "\"a\\\"b\"");
        assert_eq!(names.user(12345), "\"12345\"");
        assert_eq!(names.group(7), "\"7\"");
    }
}
