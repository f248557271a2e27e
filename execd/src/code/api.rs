//! HTTP surface of code contexts.

use utoipa_axum::router::OpenApiRouter;

use crate::state::AppState;

/// Routes of code contexts.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
}
