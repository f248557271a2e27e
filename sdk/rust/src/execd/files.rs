//! Files and directories of a sandbox.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::RANGE;
use reqwest::multipart::Form;
use reqwest::{Method, RequestBuilder};
use sandkeep_specs::execd::files::{
    ArchiveSummary, FileInfo, Permission, RenameFileItem, ReplaceFileContentItem, ReplaceFileContentResult,
};

use super::{ByteStream, FileSource, WatchStream};
use crate::transport::{Http, Stalled};
use crate::{Error, Result};

/// Operations on files and directories.
#[derive(Debug, Clone)]
pub struct Files<'a> {
    http: Cow<'a, Http>,
}

impl<'a> Files<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http: Cow::Borrowed(http) }
    }

    /// Files of a family with an address of its own.
    pub(super) fn owned(http: Http) -> Self {
        Self { http: Cow::Owned(http) }
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// 404 if there is no such file, 400 if it is none, 403 if the sandbox's permissions forbid it.
    pub async fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.download(path).await?.collect().await
    }

    /// The content of a text file; what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    ///
    /// As of [`Files::read`].
    pub async fn read_text(&self, path: &str) -> Result<String> {
        let content = self.read(path).await?;
        Ok(String::from_utf8(content)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// `limit` lines of a text file from line `first` (from 1) on.
    ///
    /// # Errors
    ///
    /// As of [`Files::read`].
    pub async fn read_lines(&self, path: &str, first: u64, limit: u64) -> Result<String> {
        let request = self.download_request(path).query(&[("offset", first), ("limit", limit)]);
        let content = self.open(request).await?.collect().await?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    /// The bytes `first` to `last`, both included, of a file; without `last` all from `first` on.
    ///
    /// # Errors
    ///
    /// As of [`Files::read`], and 416 if the file ends before `first`.
    pub async fn read_range(&self, path: &str, first: u64, last: Option<u64>) -> Result<Vec<u8>> {
        let last = last.map(|last| last.to_string()).unwrap_or_default();
        let request = self.download_request(path).header(RANGE, format!("bytes={first}-{last}"));
        self.open(request).await?.collect().await
    }

    /// The content of a file as it arrives.
    ///
    /// # Errors
    ///
    /// As of [`Files::read`].
    pub async fn download(&self, path: &str) -> Result<ByteStream> {
        self.open(self.download_request(path)).await
    }

    /// Copies a file of the sandbox to a local one and returns how many bytes that were.
    ///
    /// # Errors
    ///
    /// As of [`Files::read`], and [`Error::File`] if the local file cannot be written.
    pub async fn download_to(&self, path: &str, to: &Path) -> Result<u64> {
        self.download(path).await?.save(to).await
    }

    /// Writes a file, replacing what was there; missing directories are made.
    ///
    /// # Errors
    ///
    /// 400 if the path cannot be a file's, 403 if the sandbox's permissions forbid it.
    pub async fn write(&self, path: &str, content: impl Into<Bytes>) -> Result<()> {
        self.upload([FileSource::bytes(path, content)]).await
    }

    /// Copies a local file into the sandbox.
    ///
    /// # Errors
    ///
    /// As of [`Files::write`], and [`Error::File`] if the local file cannot be read.
    pub async fn upload_from(&self, from: &Path, path: &str) -> Result<()> {
        self.upload([FileSource::local(path, from).await?]).await
    }

    /// Writes files in one request.
    ///
    /// # Errors
    ///
    /// As of [`Files::write`].
    pub async fn upload(&self, files: impl IntoIterator<Item = FileSource>) -> Result<()> {
        let moved = Stalled::default();
        let mut form = Form::new();
        for file in files {
            form = file.add_to(form, &moved)?;
        }
        let request = self.http.post(&["files", "upload"]).multipart(form);
        let work = async {
            let response = self.http.open(request).await?;
            response.bytes().await.map_err(|source| self.http.transport(source))?;
            Ok(())
        };
        moved.guard(self.http.timeouts.idle, "moving an upload on", work).await
    }

    /// What is known of each path.
    ///
    /// # Errors
    ///
    /// 404 if one is missing.
    pub async fn info(&self, paths: &[&str]) -> Result<BTreeMap<String, FileInfo>> {
        self.http.json("the file information", self.paths(Method::GET, &["files", "info"], paths)).await
    }

    /// Removes files; missing ones are no error.
    ///
    /// # Errors
    ///
    /// 400 if one is a directory, 403 if the sandbox's permissions forbid it.
    pub async fn delete(&self, paths: &[&str]) -> Result<()> {
        self.http.done(self.paths(Method::DELETE, &["files"], paths)).await
    }

    /// Moves files and directories, one after the other.
    ///
    /// # Errors
    ///
    /// 404 if one is missing, 403 if the sandbox's permissions forbid it.
    pub async fn rename(&self, moves: &[RenameFileItem]) -> Result<()> {
        self.http.done(self.http.post(&["files", "mv"]).json(moves)).await
    }

    /// Sets owner, group and mode by path.
    ///
    /// # Errors
    ///
    /// 404 if one is missing, 400 if a mode or name is wrong, 403 if the sandbox's permissions forbid it.
    pub async fn set_permissions(&self, permissions: &BTreeMap<String, Permission>) -> Result<()> {
        self.http.done(self.http.post(&["files", "permissions"]).json(permissions)).await
    }

    /// Replaces text in files, and says how often it was found in each.
    ///
    /// # Errors
    ///
    /// 404 if one is missing, 403 if the sandbox's permissions forbid it.
    pub async fn replace(
        &self,
        replacements: &BTreeMap<String, ReplaceFileContentItem>,
    ) -> Result<BTreeMap<String, ReplaceFileContentResult>> {
        let request = self.http.post(&["files", "replace"]).query(&[("verbose", true)]).json(replacements);
        self.http.json("the replacement counts", request).await
    }

    /// Files below a directory whose base name matches a glob.
    ///
    /// # Errors
    ///
    /// 404 if there is no such directory, 400 if the glob is wrong.
    pub async fn search(&self, directory: &str, pattern: &str) -> Result<Vec<FileInfo>> {
        let request = self.http.get(&["files", "search"]).query(&[("path", directory), ("pattern", pattern)]);
        self.http.json("the search result", request).await
    }

    /// What a directory holds, down to `depth` levels.
    ///
    /// # Errors
    ///
    /// 404 if there is no such directory.
    pub async fn list(&self, directory: &str, depth: u32) -> Result<Vec<FileInfo>> {
        let request = self.http.get(&["directories", "list"]);
        let request = request.query(&[("path", directory)]).query(&[("depth", depth)]);
        self.http.json("the directory listing", request).await
    }

    /// Makes directories with their parents.
    ///
    /// # Errors
    ///
    /// 400 if a file is in the way or a mode is wrong, 403 if the sandbox's permissions forbid it.
    pub async fn create_directories(&self, directories: &BTreeMap<String, Permission>) -> Result<()> {
        self.http.done(self.http.post(&["directories"]).json(directories)).await
    }

    /// Removes directories with everything in them; missing ones are no error.
    ///
    /// # Errors
    ///
    /// 400 if one is a file, 403 if the sandbox's permissions forbid it.
    pub async fn delete_directories(&self, paths: &[&str]) -> Result<()> {
        self.http.done(self.paths(Method::DELETE, &["directories"], paths)).await
    }

    /// A directory with all that is in it as a tar stream.
    ///
    /// # Errors
    ///
    /// 404 if there is no such directory.
    pub async fn download_directory(&self, directory: &str) -> Result<ByteStream> {
        let request = self.http.get(&["directories", "archive"]);
        self.open(request.query(&[("path", directory)])).await
    }

    /// Unpacks a tar stream into a directory, making it if it is missing.
    ///
    /// # Errors
    ///
    /// 400 if the archive is broken, 403 if the sandbox's permissions forbid it.
    pub async fn upload_directory<S>(&self, directory: &str, archive: S) -> Result<ArchiveSummary>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let moved = Stalled::default();
        let request = self.http.request(Method::PUT, &["directories", "archive"]);
        let body = reqwest::Body::wrap_stream(moved.watch(archive));
        let request = request.query(&[("path", directory)]).body(body);
        let work = async {
            let response = self.http.open(request).await?;
            let answer = response.bytes().await.map_err(|source| self.http.transport(source))?;
            serde_json::from_slice(&answer)
                .map_err(|error| Error::Decode { what: "the archive's summary", detail: error.to_string() })
        };
        moved.guard(self.http.timeouts.idle, "moving an archive on", work).await
    }

    /// Changes in a directory from now on, and with `recursive` in all directories in it.
    ///
    /// # Errors
    ///
    /// 404 if there is no such directory, 429 if there are too many watches.
    pub async fn watch(&self, directory: &str, recursive: bool) -> Result<WatchStream> {
        let request = self.http.get(&["directories", "watch"]).query(&[("path", directory)]);
        let response = self.http.send(request.query(&[("recursive", recursive)])).await?;
        Ok(WatchStream::new(&self.http, response))
    }

    fn paths(&self, method: Method, segments: &[&str], paths: &[&str]) -> RequestBuilder {
        let query: Vec<_> = paths.iter().map(|path| ("path", path)).collect();
        self.http.request(method, segments).query(&query)
    }

    fn download_request(&self, path: &str) -> RequestBuilder {
        self.http.get(&["files", "download"]).query(&[("path", path)])
    }

    async fn open(&self, request: RequestBuilder) -> Result<ByteStream> {
        let response = self.http.send(request).await?;
        Ok(ByteStream::new(&self.http, response))
    }
}
