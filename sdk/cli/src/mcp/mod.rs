//! `sb mcp serve`: sandboxes as tools of the Model Context Protocol.

mod code;
mod commands;
mod failure;
mod files;
mod http;
mod limits;
mod network;
mod progress;
mod sandboxes;
mod tools;

use std::time::Duration;

use anyhow::{Context as _, Result};
use rmcp::{ServiceExt as _, transport::stdio};
use tokio::{signal::unix, time::timeout};

use crate::{
    args::{Global, Mcp, Serve, Transport},
    context,
};
use tools::Tools;

/// Longest wait at the end for calls that were cancelled to clean up.
const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) async fn mcp(global: &Global, action: Mcp) -> Result<()> {
    let Mcp::Serve(args) = action;
    let tools = Tools::new(context::client(global)?, global.proxy);
    match args.transport {
        Transport::Stdio => serve_stdio(&tools).await?,
        Transport::Http => http::serve(&tools, &args).await?,
    }
    tools.calls.close();
    // Calls end at the latest when what they wait for has its limit: nothing is lost by not waiting.
    let _ = timeout(FAREWELL, tools.calls.wait()).await;
    Ok(())
}

/// Until standard input ends, or the process is told to.
async fn serve_stdio(tools: &Tools) -> Result<()> {
    let service = tools.clone().serve(stdio()).await.context("the client did not begin as MCP clients do")?;
    let stop = service.cancellation_token();
    let mut waiting = std::pin::pin!(service.waiting());
    tokio::select! {
        ended = &mut waiting => drop(ended.context("serving failed")?),
        () = told_to_end() => {
            stop.cancel();
            let _ = timeout(FAREWELL, waiting).await;
        }
    }
    Ok(())
}

/// Returns at Ctrl-C or SIGTERM.
async fn told_to_end() {
    let Ok(mut terminated) = unix::signal(unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

/// The secret that HTTP callers show: given by a file or a variable, else made now.
fn token_of(args: &Serve) -> Result<(String, bool)> {
    let given = match &args.token_file {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => std::env::var(http::TOKEN_VARIABLE).ok(),
    };
    let given = given.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    Ok(match given {
        Some(token) => (token, false),
        None => (uuid::Uuid::new_v4().simple().to_string(), true),
    })
}
