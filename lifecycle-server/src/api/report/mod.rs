//! What is known of a sandbox, as text for people.

mod events;
mod inspect;
mod summary;

pub(super) use events::{Listing, events};
pub(super) use inspect::inspect;
pub(super) use summary::summary;
