//! Tools for files.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmcp::{Json, handler::server::wrapper::Parameters, schemars, tool, tool_router};
use sandkeep::{
    FileSource,
    specs::execd::files::{FileInfo, FileKind, Permission, RenameFileItem, ReplaceFileContentItem},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{failure::Failure, limits, tools::Tools};

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    #[default]
    Text,
    Base64,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ReadArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Path of the file.
    path: String,
    /// Byte to begin at: 0, or the `next_offset` of the last call.
    #[serde(default)]
    offset: u64,
    /// Most bytes to read; 16384 unless given, at most 262144.
    max_bytes: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct WriteArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Path of the file; missing directories are made.
    path: String,
    /// All of its content.
    content: String,
    /// How the content is given; text unless given.
    #[serde(default)]
    encoding: Encoding,
    /// Permissions as octal digits, such as 755; 644 for a new file unless given.
    mode: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct EditArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Path of the file.
    path: String,
    /// Text to find, letter by letter; every occurrence is replaced.
    old: String,
    /// Text to put there.
    new: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ListArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Directory to list.
    path: String,
    /// Levels below it; 1 unless given.
    depth: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct SearchArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Directory to search, with all below it.
    path: String,
    /// Pattern for the names of files, such as `*.py`.
    pattern: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct MoveArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// File or directory to move.
    from: String,
    /// Its new path.
    to: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct PathArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Path of the file or directory.
    path: String,
}

/// A part of a file, or all of it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Content {
    path: String,
    /// Bytes of the whole file.
    size: u64,
    content: String,
    /// How the content is given: base64 where it is no text.
    encoding: Encoding,
    /// Where to go on reading; absent at the end of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
    /// How to read the rest, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    /// What was written, moved to, made or deleted.
    path: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Edited {
    path: String,
    /// How often the text was found and replaced.
    replaced: u64,
}

/// A file, directory or other entry.
#[derive(Serialize, JsonSchema)]
pub(super) struct Entry {
    path: String,
    /// `file`, `directory`, `symlink` or `other`.
    kind: String,
    size: i64,
    /// Octal digits, such as 644.
    mode: i64,
    modified_at: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Entries {
    entries: Vec<Entry>,
    /// How to see the rest, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl From<FileInfo> for Entry {
    fn from(info: FileInfo) -> Self {
        let kind = match info.kind {
            Some(FileKind::Directory) => "directory",
            Some(FileKind::Symlink) => "symlink",
            Some(FileKind::Other) => "other",
            Some(FileKind::File) | None => "file",
        };
        Self {
            path: info.path,
            kind: kind.to_owned(),
            size: info.size,
            mode: info.mode,
            modified_at: info.modified_at.to_rfc3339(),
        }
    }
}

impl Entries {
    fn of(found: Vec<FileInfo>) -> Self {
        let count = found.len();
        let note = (count > limits::ENTRIES).then(|| {
            format!(
                "{} of {count} entries; look into one directory, or search for a narrower pattern",
                limits::ENTRIES
            )
        });
        Self { entries: found.into_iter().take(limits::ENTRIES).map(Entry::from).collect(), note }
    }
}

#[tool_router(router = file_tools, vis = "pub(super)")]
impl Tools {
    /// Reads a file of a sandbox, or a part of it.
    #[tool(annotations(title = "Read a file", read_only_hint = true))]
    async fn file_read(
        &self,
        Parameters(given): Parameters<ReadArguments>,
    ) -> Result<Json<Content>, Failure> {
        let limit = limits::wanted(given.max_bytes);
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let info = sandbox.files().info(&[&given.path]).await?;
        let info = info.into_values().next().ok_or_else(|| not_there(&given.path))?;
        if matches!(info.kind, Some(FileKind::Directory)) {
            return Err(Failure::new(
                format!("{} is a directory", given.path),
                "use file_list for directories",
            ));
        }
        let size = u64::try_from(info.size).unwrap_or_default();
        let bytes = if given.offset >= size {
            Vec::new()
        } else {
            let last = given.offset + limit as u64 - 1;
            sandbox.files().read_range(&given.path, given.offset, Some(last)).await?
        };
        Ok(Json(content(given.path, size, given.offset, bytes)))
    }

    /// Writes a file of a sandbox, replacing what was there.
    #[tool(annotations(title = "Write a file", destructive_hint = true, idempotent_hint = true))]
    async fn file_write(&self, Parameters(given): Parameters<WriteArguments>) -> Result<Json<Done>, Failure> {
        let bytes = match given.encoding {
            Encoding::Text => given.content.into_bytes(),
            Encoding::Base64 => BASE64_STANDARD.decode(given.content.trim()).map_err(|error| {
                Failure::new(
                    format!("the content is not base64: {error}"),
                    "encode it again, or write it as text",
                )
            })?,
        };
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let permission = Permission { mode: given.mode, ..Permission::default() };
        sandbox.files().upload([FileSource::bytes(&given.path, bytes).permission(permission)]).await?;
        Ok(Json(Done { path: given.path }))
    }

    /// Replaces text in a file of a sandbox.
    #[tool(annotations(title = "Edit a file", destructive_hint = true))]
    async fn file_edit(&self, Parameters(given): Parameters<EditArguments>) -> Result<Json<Edited>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let item = ReplaceFileContentItem { old: given.old, new: given.new };
        let found = sandbox.files().replace(&BTreeMap::from([(given.path.clone(), item)])).await?;
        let replaced = found.into_values().map(|found| found.replaced_count).sum::<u64>();
        if replaced == 0 {
            return Err(Failure::new(
                format!("the text is not in {}, which is unchanged", given.path),
                "read the file with file_read and give the text exactly as it stands there",
            ));
        }
        Ok(Json(Edited { path: given.path, replaced }))
    }

    /// Lists a directory of a sandbox.
    #[tool(annotations(title = "List a directory", read_only_hint = true))]
    async fn file_list(
        &self,
        Parameters(given): Parameters<ListArguments>,
    ) -> Result<Json<Entries>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let found = sandbox.files().list(&given.path, given.depth.unwrap_or(1)).await?;
        Ok(Json(Entries::of(found)))
    }

    /// Finds files below a directory by a pattern for their names.
    #[tool(annotations(title = "Search for files", read_only_hint = true))]
    async fn file_search(
        &self,
        Parameters(given): Parameters<SearchArguments>,
    ) -> Result<Json<Entries>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        Ok(Json(Entries::of(sandbox.files().search(&given.path, &given.pattern).await?)))
    }

    /// Moves or renames a file or directory of a sandbox.
    #[tool(annotations(title = "Move a file", destructive_hint = true))]
    async fn file_move(&self, Parameters(given): Parameters<MoveArguments>) -> Result<Json<Done>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        sandbox.files().rename(&[RenameFileItem { src: given.from, dest: given.to.clone() }]).await?;
        Ok(Json(Done { path: given.to }))
    }

    /// Deletes a file of a sandbox, or a directory with everything in it.
    #[tool(annotations(title = "Delete a file", destructive_hint = true))]
    async fn file_delete(&self, Parameters(given): Parameters<PathArguments>) -> Result<Json<Done>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let info = sandbox.files().info(&[&given.path]).await?;
        let info = info.into_values().next().ok_or_else(|| not_there(&given.path))?;
        if matches!(info.kind, Some(FileKind::Directory)) {
            sandbox.files().delete_directories(&[&given.path]).await?;
        } else {
            sandbox.files().delete(&[&given.path]).await?;
        }
        Ok(Json(Done { path: given.path }))
    }

    /// Makes a directory of a sandbox with its parents.
    #[tool(annotations(title = "Make a directory", destructive_hint = false, idempotent_hint = true))]
    async fn directory_create(
        &self,
        Parameters(given): Parameters<PathArguments>,
    ) -> Result<Json<Done>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let wanted = BTreeMap::from([(given.path.clone(), Permission::default())]);
        sandbox.files().create_directories(&wanted).await?;
        Ok(Json(Done { path: given.path }))
    }
}

fn not_there(path: &str) -> Failure {
    Failure::new(format!("there is no {path}"), "file_list or file_search shows what is there")
}

/// Text as far as the bytes are text, and base64 otherwise.
fn content(path: String, size: u64, offset: u64, bytes: Vec<u8>) -> Content {
    // The last character may go on in the next part.
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let (content, encoding, read) = match text {
        Some(text) => (text.to_owned(), Encoding::Text, text.len()),
        None => (BASE64_STANDARD.encode(&bytes), Encoding::Base64, bytes.len()),
    };
    let next = offset + read as u64;
    let next_offset = (next < size && read > 0).then_some(next);
    let note = next_offset
        .map(|next| format!("bytes {offset} to {next} of {size}; file_read with offset {next} goes on"));
    Content { path, size, content, encoding, next_offset, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_files_end_between_characters_and_say_how_to_go_on() {
        let whole = "aüb".as_bytes();
        let first = content("f".into(), 4, 0, whole[..2].to_vec());
        assert_eq!((first.content.as_str(), first.next_offset), ("a", Some(1)));
        assert!(first.note.is_some_and(|note| note.contains("offset 1 ")));
        let rest = content("f".into(), 4, 1, whole[1..].to_vec());
        assert_eq!((rest.content.as_str(), rest.next_offset), ("üb", None));
        let binary = content("f".into(), 2, 0, vec![0xff, 0xfe]);
        assert!(binary.encoding == Encoding::Base64 && binary.content == "//4=");
    }
}
