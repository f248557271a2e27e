//! `sb mcp serve`, used by the official MCP client.

use anyhow::Result;
use sandkeep_tests::{python, server::Server};

async fn over(transport: &str) -> Result<()> {
    let text = python::run(Server::shared()?, "sb_mcp.py", &[transport]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "{transport} did not finish: {text}");
    Ok(())
}

#[tokio::test]
async fn over_standard_io() -> Result<()> {
    over("stdio").await
}

#[tokio::test]
async fn over_http_on_this_machine() -> Result<()> {
    over("http").await
}
