//! Names of users and groups for answers.

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
    pub(crate) fn user(&mut self, uid: u32) -> &str {
        self.users.entry(uid).or_insert_with(|| format!("\"{uid}\""))
    }

    /// JSON string with the group's name, or the number of one without a name.
    pub(crate) fn group(&mut self, gid: u32) -> &str {
        self.groups.entry(gid).or_insert_with(|| format!("\"{gid}\""))
    }
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
        let mut names = Names { users, groups: HashMap::new() };
        assert_eq!(names.user(7), "\"a\\\"b\"");
        assert_eq!(names.user(12345), "\"12345\"");
        assert_eq!(names.group(7), "\"7\"");
    }
}
