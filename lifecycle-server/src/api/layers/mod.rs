//! What happens to every request, outside in: request id and log, limit, CORS.

mod cors;
mod limit;
mod observe;

pub(super) use cors::cors;
pub(super) use limit::{Limit, limit};
pub(super) use observe::{RouteName, observe};
