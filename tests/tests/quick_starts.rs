//! Published OpenSandbox packages do what their own documentation begins with, under the image names it uses. That of
//! the code interpreter is tried where its image is, in `languages.rs`.

use anyhow::Result;
use sandkeep_tests::{node, paths, python, server::Server};
use tokio::sync::OnceCell;

/// Names the quick starts use for a small Linux with Python.
const IMAGES: [&str; 4] = ["ubuntu", "ubuntu:22.04", "python:3.11", "python:3.12"];

static SERVER: OnceCell<&'static Server> = OnceCell::const_new();

/// The server that knows the names.
async fn server() -> Result<&'static Server> {
    let make = || async {
        let server = Server::shared()?;
        let archive = paths::base_image()?;
        let archive = archive.to_string_lossy();
        let names = IMAGES.iter().flat_map(|name| ["--name", name]);
        let words: Vec<&str> = ["image", "import", &archive].into_iter().chain(names).collect();
        server.cli_ok(&words)?;
        anyhow::Ok(server)
    };
    SERVER.get_or_try_init(make).await.copied()
}

async fn python(script: &str, arguments: &[&str]) -> Result<()> {
    let text = python::run(server().await?, script, arguments).await?;
    assert_eq!(text.lines().last(), Some("ok"), "{script} {arguments:?} did not finish: {text}");
    Ok(())
}

#[tokio::test]
async fn the_python_clients() -> Result<()> {
    python("quick_start.py", &["opensandbox"]).await
}

#[tokio::test]
async fn the_command_line_client() -> Result<()> {
    python("quick_start.py", &["opensandbox-cli"]).await
}

#[tokio::test]
async fn the_mcp_server_over_standard_io() -> Result<()> {
    python("published_mcp.py", &["stdio", "direct"]).await
}

#[tokio::test]
async fn the_mcp_server_over_http_and_the_server_s_proxy() -> Result<()> {
    python("published_mcp.py", &["http", "proxy"]).await
}

#[tokio::test]
async fn the_typescript_client() -> Result<()> {
    for way in ["direct", "proxy"] {
        let text = node::run_published(server().await?, "quick_start.mjs", &[way]).await?;
        assert_eq!(text.lines().last(), Some("ok"), "{way} did not finish: {text}");
    }
    Ok(())
}
