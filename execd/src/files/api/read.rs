//! Looking at files and directories.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rustix::fs::CWD;
use sandkeep_specs::execd::error::ErrorBody;
use sandkeep_specs::execd::files::{
    DownloadQuery, FileContent, FileInfo, ListQuery, PathsQuery, SearchQuery,
};

use super::responses::{BadRequest, Common, NotFound};
use crate::api::error::ApiError;
use crate::files::actor::Actor;
use crate::files::conditions::Answer;
use crate::files::download::{Download, disposition};
use crate::files::entry::Writer;
use crate::files::error::FileError;
use crate::files::glob::Matcher;
use crate::files::names::Names;
use crate::files::path::resolve_for;
use crate::files::walk::{Select, Walk};
use crate::files::{body, entry, query};
use crate::state::AppState;

/// Answer to a `Range` header that is none.
const MALFORMED_RANGE: &str = "the Range header is not of the form bytes=FIRST-LAST";

/// Levels listed when a request does not say.
const DEFAULT_DEPTH: usize = 1;

/// What is known of files, by the path as it was asked for.
#[utoipa::path(get, path = "/files/info", operation_id = "getFilesInfo", tag = "Files", params(PathsQuery), responses(
    (status = 200, description = "One entry a path", body = BTreeMap<String, FileInfo>), BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn info(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let paths = query::values(raw.as_deref(), "path");
    let resolved: Vec<PathBuf> =
        paths.iter().map(|path| resolve_for(&actor, path, &state.settings)).collect::<Result<_, _>>()?;
    let json = actor.run(move || {
        let names = Names::read();
        let mut writer = Writer::new(&names);
        let mut out = b"{".to_vec();
        for (asked, path) in paths.iter().zip(&resolved) {
            let stat = entry::stat(CWD, path).map_err(|error| FileError::io(path, error))?;
            if out.len() > 1 {
                out.push(b',');
            }
            entry::write_string(&mut out, asked);
            out.push(b':');
            writer.write(&mut out, b"", path.as_os_str().as_bytes(), &stat);
        }
        out.push(b'}');
        Ok(out)
    });
    Ok(json_response(Body::from(json.await?)))
}

/// Files at any depth below a directory whose base name matches a glob.
#[utoipa::path(get, path = "/files/search", operation_id = "searchFiles", tag = "Files", params(SearchQuery), responses(
    (status = 200, description = "Everything that matches and is not a directory", body = Vec<FileInfo>),
    BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn search(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let root = path(&state, &actor, raw.as_deref())?;
    let pattern = query::value(raw.as_deref(), "pattern").filter(|pattern| !pattern.is_empty());
    let pattern = String::from_utf8(pattern.unwrap_or_else(|| b"**".to_vec()))
        .map_err(|_| ApiError::invalid("pattern: is not UTF-8"))?;
    let select = Select::Matching(Matcher::new(&pattern)?);
    walk(actor, root, select).await
}

/// Entries of a directory, down to a depth; symbolic links are listed, not followed.
#[utoipa::path(get, path = "/directories/list", operation_id = "listDirectory", tag = "Directories", params(ListQuery),
    responses((status = 200, description = "Parents before children, in order of their names", body = Vec<FileInfo>),
    BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn list(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let root = path(&state, &actor, raw.as_deref())?;
    let depth = number(raw.as_deref(), "depth", 0)?
        .map_or(DEFAULT_DEPTH, |depth| usize::try_from(depth).unwrap_or(usize::MAX));
    walk(actor, root, Select::Depth(depth)).await
}

async fn walk(actor: Actor, root: PathBuf, select: Select) -> Result<Response, ApiError> {
    let reader = actor.clone();
    let body = actor.run(move || {
        if matches!(select, Select::Depth(_)) && root.is_symlink() {
            return Err(FileError::invalid(&root, "is a symbolic link"));
        }
        let walk = Walk::new(&root, select)?;
        body::start(reader, walk).map_err(|error| FileError::io(&root, error))
    });
    Ok(json_response(body.await?))
}

/// A file's content: all of it, a range of bytes, or a range of lines.
#[utoipa::path(get, path = "/files/download", operation_id = "downloadFile", tag = "Files", params(
        DownloadQuery,
        ("Range" = Option<String>, Header, description = "`bytes=first-last`; only the first range is served"),
    ), responses(
        (status = 200, description = "The file, or the lines asked for", content(
            (FileContent = "application/octet-stream"),
            (String = "text/plain"),
        ), headers(
            ("Content-Disposition" = String, description = "Name to save the file under"),
            ("Content-Length" = u64, description = "Bytes that follow"),
            ("ETag" = String, description = "Changes whenever the file does"),
            ("Last-Modified" = String, description = "When the file last changed"),
        )),
        (status = 206, description = "The range asked for", body = FileContent, content_type = "application/octet-stream", headers(
            ("Content-Range" = String, description = "Where the bytes lie"),
            ("Content-Length" = u64, description = "Bytes that follow"),
        )),
        (status = 304, description = "The client's copy is current"),
        (status = 412, description = "The file is not in the state the client expects"),
        (status = 416, description = "The range lies outside the file, or (as plain text) is none", content(
            (ErrorBody = "application/json"),
            (String = "text/plain"),
        )),
        BadRequest, NotFound, Common,
))]
pub(in crate::files) async fn download(
    State(state): State<AppState>,
    actor: Actor,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let path = path(&state, &actor, raw.as_deref())?;
    let first = number(raw.as_deref(), "offset", 1)?;
    let limit = number(raw.as_deref(), "limit", 1)?;
    if first.is_none() && limit.is_none() {
        return bytes(actor, path, &headers).await;
    }
    if headers.contains_key(header::RANGE) {
        return Err(ApiError::invalid("offset and limit cannot be combined with a Range header"));
    }
    let reader = actor.clone();
    let lines = actor.run(move || {
        let download = Download::open(&path)?;
        download.lines(reader, first.unwrap_or(1), limit).map_err(|error| FileError::io(&path, error))
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], lines.await?).into_response())
}

/// The answer to a download that is not one of lines.
async fn bytes(actor: Actor, path: PathBuf, headers: &HeaderMap) -> Result<Response, ApiError> {
    let save_as = disposition(&path);
    let opened = actor.run(move || Download::open(&path).map(|download| (download, path)));
    let (download, path) = opened.await?;
    let version = download.version.clone();
    let size = version.size;
    let mut described = vec![
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, save_as),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::LAST_MODIFIED, version.last_modified()),
        (header::ETAG, version.tag.clone()),
    ];
    Ok(match version.answer(headers) {
        Answer::NotModified => (StatusCode::NOT_MODIFIED, headers_of(&described[3..])).into_response(),
        Answer::PreconditionFailed => StatusCode::PRECONDITION_FAILED.into_response(),
        Answer::Unsatisfiable => {
            let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            (headers_of(&range), ApiError::from(FileError::Range { size })).into_response()
        }
        Answer::Malformed => (StatusCode::RANGE_NOT_SATISFIABLE, MALFORMED_RANGE).into_response(),
        Answer::Part { start, length } => {
            described.push((header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", start + length - 1)));
            (StatusCode::PARTIAL_CONTENT, headers_of(&described), download.part(actor, start, length))
                .into_response()
        }
        Answer::Whole if size == 0 => {
            let reader = actor.clone();
            let whole = actor
                .run(move || download.unsized_whole(reader).map_err(|error| FileError::io(&path, error)));
            (headers_of(&described), whole.await?).into_response()
        }
        Answer::Whole => (headers_of(&described), download.part(actor, 0, size)).into_response(),
    })
}

fn headers_of(pairs: &[(HeaderName, String)]) -> HeaderMap {
    let pairs =
        pairs.iter().filter_map(|(name, value)| Some((name.clone(), HeaderValue::try_from(value).ok()?)));
    pairs.collect()
}

/// The path a request names.
pub(super) fn path(state: &AppState, actor: &Actor, raw: Option<&str>) -> Result<PathBuf, FileError> {
    let path = query::value(raw, "path").filter(|path| !path.is_empty());
    resolve_for(actor, &path.ok_or(FileError::MissingQuery("path"))?, &state.settings)
}

/// A whole number that a parameter must be, and not below `least`.
fn number(raw: Option<&str>, name: &str, least: u64) -> Result<Option<u64>, ApiError> {
    let Some(given) = query::value(raw, name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let given = String::from_utf8_lossy(&given);
    match given.parse() {
        Ok(number) if number >= least => Ok(Some(number)),
        _ => Err(ApiError::invalid(format!("{name}: {given:?} is not a whole number from {least} on"))),
    }
}

fn json_response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
