//! Watching a directory or a whole tree for changes.

mod stream;
mod tree;

pub(crate) use stream::start;
