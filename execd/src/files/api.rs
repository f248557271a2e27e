//! HTTP surface of files and directories.

mod archive;
mod identity;
mod read;
mod responses;
mod watch;
mod write;

use axum::extract::DefaultBodyLimit;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::state::AppState;

/// Route of archives, whose bodies may be of any length.
pub(crate) const ARCHIVE_PATH: &str = "/directories/archive";

/// Routes of files and directories.
pub fn router() -> OpenApiRouter<AppState> {
    // An upload is written while it arrives, so its size is limited by the disk alone.
    let uploads = OpenApiRouter::new().routes(routes!(write::upload)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(routes!(read::info))
        .routes(routes!(read::search))
        .routes(routes!(read::download))
        .routes(routes!(read::list))
        .routes(routes!(write::remove_files))
        .routes(routes!(write::permissions))
        .routes(routes!(write::rename))
        .routes(routes!(write::replace))
        .routes(routes!(write::make_directories, write::remove_directories))
        .merge(uploads)
        .merge(identity::router())
        .merge(archive::router())
        .merge(watch::router())
}
