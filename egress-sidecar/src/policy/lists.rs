//! The lists that stand above every policy: files of targets, one a line.

use std::{io, path::Path, sync::Arc};

use super::Index;

const DENY_FILE: &str = "deny.always";
const ALLOW_FILE: &str = "allow.always";
/// Much more than anybody writes; a larger file is a mistake.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Both lists. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    deny: Arc<List>,
    allow: Arc<List>,
}

#[derive(Debug, Default)]
struct List {
    targets: Vec<String>,
    index: Index,
}

impl List {
    fn new(text: &str) -> Self {
        let targets: Vec<String> = targets(text).map(str::to_owned).collect();
        let index = Index::new(targets.iter().map(String::as_str));
        Self { targets, index }
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.index.first(name).and_then(|at| self.targets.get(at)).map(String::as_str)
    }
}

impl Lists {
    #[must_use]
    pub fn new(deny: &str, allow: &str) -> Self {
        Self { deny: Arc::new(List::new(deny)), allow: Arc::new(List::new(allow)) }
    }

    /// Reads the files in a directory; one that is not there is empty.
    pub fn load(dir: &Path) -> io::Result<Self> {
        Ok(Self::new(&read(&dir.join(DENY_FILE))?, &read(&dir.join(ALLOW_FILE))?))
    }

    /// The target that denies a name.
    pub(super) fn denies(&self, name: &str) -> Option<&str> {
        self.deny.first(name)
    }

    /// The target that allows a name.
    pub(super) fn allows(&self, name: &str) -> Option<&str> {
        self.allow.first(name)
    }

    pub(super) fn denied(&self) -> impl Iterator<Item = &str> {
        self.deny.targets.iter().map(String::as_str)
    }

    pub(super) fn allowed(&self) -> impl Iterator<Item = &str> {
        self.allow.targets.iter().map(String::as_str)
    }
}

impl PartialEq for Lists {
    fn eq(&self, other: &Self) -> bool {
        self.deny.targets == other.deny.targets && self.allow.targets == other.allow.targets
    }
}

/// Targets of a text, one a line, `#` begins a comment.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()).filter(|line| !line.is_empty())
}

/// The targets in another file beside the lists; one that is not there has none.
pub fn index_of(dir: &Path, name: &str) -> io::Result<Index> {
    let text = read(&dir.join(name))?;
    Ok(Index::new(targets(&text)))
}

fn read(path: &Path) -> io::Result<String> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE_BYTES => {
            Err(io::Error::other(format!("{} is too large", path.display())))
        }
        Ok(_) => std::fs::read_to_string(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_there_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Lists::load(dir.path()).unwrap() == Lists::default());
        std::fs::write(dir.path().join(DENY_FILE), "# nothing\n\n a.b # why\n*.c\n").unwrap();
        let lists = Lists::load(dir.path()).unwrap();
        assert_eq!(lists.denied().collect::<Vec<_>>(), ["a.b", "*.c"]);
        assert_eq!(
            (lists.denies("a.b"), lists.denies("x.c"), lists.denies("c")),
            (Some("a.b"), Some("*.c"), None)
        );
        std::fs::write(dir.path().join(ALLOW_FILE), [0xff]).unwrap();
        assert!(Lists::load(dir.path()).is_err());
    }
}
