//! What happens to every request, outside in: request id and log, limit, CORS, browsers' keys.

mod browser_key;
mod cors;
mod limit;
mod observe;

pub(super) use browser_key::browser_key;
pub(super) use cors::cors;
pub(super) use limit::{Limit, limit};
pub(super) use observe::{RouteName, observe};
