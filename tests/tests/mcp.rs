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

/// The example of an agent that knows nothing but MCP.
#[tokio::test]
async fn an_agent_takes_its_tools_from_it() -> Result<()> {
    let text = python::run(Server::shared()?, "../../examples/python/mcp_agent.py", &[]).await?;
    assert!(text.ends_with("sandbox_delete: done\nThe fifteenth is FizzBuzz.\n"), "{text}");
    Ok(())
}
