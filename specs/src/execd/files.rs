//! Files and directories.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is known of one file, directory or other entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileInfo {
    /// Where it is.
    pub path: String,
    /// What it is; a symbolic link is not followed.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<FileKind>,
    /// Size in bytes.
    pub size: i64,
    /// When its content last changed.
    pub modified_at: DateTime<Utc>,
    /// When its inode last changed: the nearest thing every file system keeps to a creation time.
    pub created_at: DateTime<Utc>,
    /// Name of the owner, or the number of one without a name.
    pub owner: String,
    /// Name of the group, or the number of one without a name.
    pub group: String,
    /// Permissions, octal digits read as a decimal number: 644 is `rw-r--r--`.
    #[schema(example = 644)]
    pub mode: i64,
}

/// Kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe.
    Other,
}

/// Owner, group and mode to set. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Permission {
    /// User, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Group, by name or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Octal digits read as a decimal number, such as 755; 0 leaves the mode as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 755)]
    pub mode: Option<i64>,
}

/// The `metadata` part that comes before each `file` part of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileMetadata {
    /// Where to write the file; missing directories are made.
    pub path: String,
    /// Owner, group and mode of the file.
    #[serde(flatten)]
    pub permission: Permission,
}

/// Body of an upload: `metadata` and `file` parts in turn, as many pairs as there are files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadForm {
    /// A [`FileMetadata`] document as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub metadata: Option<String>,
    /// The file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = Binary)]
    pub file: Option<String>,
}

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct FileContent(pub Vec<u8>);

/// One move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenameFileItem {
    /// What to move.
    pub src: String,
    /// Its new path, which must not exist; missing directories are made.
    pub dest: String,
}

/// One text replacement in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplaceFileContentItem {
    /// Text to look for.
    #[schema(min_length = 1)]
    pub old: String,
    /// Text to put in its place, at every occurrence.
    pub new: String,
}

/// Outcome of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplaceFileContentResult {
    /// Occurrences replaced; 0 when the text was not found.
    pub replaced_count: u64,
}

/// Paths an operation works on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathsQuery {
    /// Path, repeated for several; `~` and `$NAME` are expanded.
    #[param(style = Form, explode)]
    pub path: Vec<String>,
}

/// What to search for and where.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Directory to search; `~` and `$NAME` are expanded.
    pub path: String,
    /// Glob that the base name must match: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`, `**`.
    #[param(default = "**")]
    pub pattern: Option<String>,
}

/// Which directory to list and how deep.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Directory; `~` and `$NAME` are expanded.
    pub path: String,
    /// Levels to list: 1 is the directory's own entries, 0 nothing.
    #[param(default = 1, minimum = 0)]
    pub depth: Option<i32>,
}

/// Which file to download, and optionally which of its lines.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DownloadQuery {
    /// The file; `~` and `$NAME` are expanded.
    pub path: String,
    /// First line to send, from 1. Not together with `Range`.
    #[param(minimum = 1)]
    pub offset: Option<u64>,
    /// How many lines to send. Not together with `Range`.
    #[param(minimum = 1)]
    pub limit: Option<u64>,
}

/// Whether a replacement answers with counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplaceQuery {
    /// Answer with the number of replacements for each file.
    #[param(default = false)]
    pub verbose: Option<bool>,
}

/// Who works on the files.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct IdentityPath {
    /// User number; the groups that `/etc/group` gives this user count as well.
    #[param(minimum = 0, maximum = 4294967294u64)]
    pub uid: u32,
    /// Group number.
    #[param(minimum = 0, maximum = 4294967294u64)]
    pub gid: u32,
}

/// Directory that an archive is made of or unpacked into.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArchiveQuery {
    /// Directory; `~` and `$NAME` are expanded.
    pub path: String,
}

/// The bytes of a tar archive.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct ArchiveContent(pub Vec<u8>);

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArchiveSummary {
    /// Entries of the archive, directories and links included.
    pub entries: u64,
    /// Bytes of the files' content.
    pub bytes: u64,
}

/// What to watch.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WatchQuery {
    /// Directory; `~` and `$NAME` are expanded.
    pub path: String,
    /// Whether directories in it are watched as well, those that come later included.
    #[param(default = false)]
    pub recursive: Option<bool>,
}

/// One change in a watched directory, or what became of the watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: WatchEventKind,
    /// Where; empty for `ping`.
    #[serde(default)]
    pub path: String,
    /// Where it was before, for `moved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
    /// Whether it is a directory.
    #[serde(default)]
    pub directory: bool,
    /// Why the watch ended, for `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub message: Option<String>,
}

/// Kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum WatchEventKind {
    /// It is new, or was moved here from outside.
    Created,
    /// Its content, owner, mode or times have changed.
    Modified,
    /// It is gone, or was moved outside.
    Deleted,
    /// It was moved or renamed within what is watched.
    Moved,
    /// Changes came faster than they were read and some are lost: look at the directory afresh.
    Overflow,
    /// Nothing happened; the stream is alive.
    Ping,
    /// The watch has ended for the reason in `message`.
    Error,
}
