//! HTTP surface of files and directories.

use utoipa_axum::router::OpenApiRouter;

use crate::state::AppState;

/// Routes of files and directories.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
}
