//! Extractors whose refusals say what is wrong and where.

mod idempotency;
mod json;
mod path;
mod query;

pub(super) use idempotency::IdempotencyKey;
pub(super) use json::{Json, JsonList, read as read_body};
pub(super) use path::{PathMember, PathMembers, Port, SandboxId, SnapshotId};
pub(super) use query::Query;
