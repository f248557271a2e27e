//! What an outside web server has for those who show a password: an index of Python packages, and git repositories.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode, header};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::web::Received;

/// Where the packages are, and the repositories.
const INDEX: &str = "/simple/";
const WHEELS: &str = "/wheels/";
const GIT: &str = "/git";

/// What is offered, and to whom.
pub struct Site {
    /// A directory of packages.
    pub wheels: PathBuf,
    /// A directory of bare repositories.
    pub repositories: PathBuf,
    /// What a request must show as `Authorization`.
    pub authorization: String,
}

impl Site {
    /// `None` where the path is none of the site's.
    pub(crate) async fn answer(&self, request: &Received) -> Result<Option<Response<Full<Bytes>>>> {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        if ![INDEX, WHEELS, GIT].iter().any(|own| path.starts_with(own)) {
            return Ok(None);
        }
        if request.header("authorization") != Some(self.authorization.as_str()) {
            let response = Response::builder().status(StatusCode::UNAUTHORIZED);
            let response = response.header(header::WWW_AUTHENTICATE, "Basic realm=\"site\"");
            return Ok(Some(response.body(Full::default())?));
        }
        if let Some(name) = path.strip_prefix(INDEX) {
            return self.index(name.trim_end_matches('/')).map(Some);
        }
        if let Some(name) = path.strip_prefix(WHEELS) {
            ensure!(!name.contains('/'), "no package: {name}");
            let package = tokio::fs::read(self.wheels.join(name)).await?;
            return Ok(Some(Response::new(Full::new(package.into()))));
        }
        self.git(request, path.trim_start_matches(GIT), query).await.map(Some)
    }

    /// The files of one package.
    fn index(&self, name: &str) -> Result<Response<Full<Bytes>>> {
        let mut page = String::from("<!DOCTYPE html><html><body>\n");
        for file in std::fs::read_dir(&self.wheels)? {
            let file = file?.file_name().into_string().ok().context("a name in UTF-8")?;
            let package = file.split('-').next().unwrap_or_default().to_lowercase().replace(['_', '.'], "-");
            if package == name {
                page.push_str(&format!("<a href=\"{WHEELS}{file}\">{file}</a>\n"));
            }
        }
        page.push_str("</body></html>\n");
        Ok(Response::builder().header(header::CONTENT_TYPE, "text/html").body(Full::new(page.into()))?)
    }

    /// git's own program answers, as behind any web server.
    async fn git(&self, request: &Received, path: &str, query: &str) -> Result<Response<Full<Bytes>>> {
        let mut command = Command::new("git");
        command
            .arg("http-backend")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_PROJECT_ROOT", &self.repositories)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REMOTE_USER", "robot")
            .env("REQUEST_METHOD", &request.method)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", request.header("content-encoding").unwrap_or_default())
            .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().context("its input")?;
        let body = request.body.clone();
        let write = async move { input.write_all(&body).await };
        // It may have heard enough before everything is written.
        let (_, output) = tokio::join!(write, child.wait_with_output());
        let output = output?.stdout;
        let end = output.windows(4).position(|part| part == b"\r\n\r\n").context("no end of its headers")?;
        let mut response = Response::builder();
        for line in std::str::from_utf8(&output[..end])?.lines() {
            let (name, value) = line.split_once(": ").context("a header")?;
            response = match name {
                "Status" => response.status(value.split(' ').next().unwrap_or_default()),
                _ => response.header(name, value),
            };
        }
        Ok(response.body(Full::new(Bytes::copy_from_slice(&output[end + 4..])))?)
    }
}
