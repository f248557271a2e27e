//! Paths as requests write them.

use std::path::{Component, Path};

use crate::command::expand::MAX_PATH_BYTES;
use crate::files::path::{clean, expand};

/// Length of the value every variable has here.
const VALUE: usize = 100;

/// An expanded path is absolute, has no way up in it, and is hardly longer than what was asked for.
///
/// # Panics
/// When that does not hold.
pub fn path(data: &[u8]) {
    let value = format!("/{}", "v/../".repeat((VALUE - 1) / 5));
    let variable = |name: &[u8]| (name != b"UNDEFINED").then(|| value.clone().into());
    let Ok(expanded) = expand(data, variable, Path::new("/home/user")) else { return };
    assert!(!data.is_empty() && !data.contains(&0), "{data:?} is no path");
    let length = expanded.as_os_str().len();
    assert!(length <= data.len() + MAX_PATH_BYTES + 2 * VALUE, "{length} bytes from {}", data.len());
    let cleaned = clean(&Path::new("/base").join(expanded));
    let mut components = cleaned.components();
    assert_eq!(components.next(), Some(Component::RootDir), "{cleaned:?} is not absolute");
    assert!(components.all(|part| matches!(part, Component::Normal(_))), "{cleaned:?} leads somewhere else");
}
