//! A program inside a sandbox that answers requests, for tests of the ways that lead there.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::api::{Api, Sandbox, eventually};

/// Port of [`HTTP`].
pub const PORT: u16 = 8000;
/// Shows what arrived, and speaks WebSocket, with nothing but Python's standard library.
pub const HTTP: &str = include_str!("../python/backend.py");
const START_LIMIT: Duration = Duration::from_secs(30);

/// A sandbox, created with `overrides`, in which [`HTTP`] listens on [`PORT`].
pub async fn sandbox_with_backend(api: &Api, overrides: Value) -> Result<Sandbox> {
    let sandbox = api.create(overrides).await?;
    serve(&sandbox, HTTP, PORT).await?;
    Ok(sandbox)
}

/// Starts a Python program with a port as its argument and waits until it listens there.
pub async fn serve(sandbox: &Sandbox, program: &str, port: u16) -> Result<()> {
    // The sandbox's own address, however its ports are announced.
    let execd = sandbox.execd_through_server().await?;
    execd.output(&format!("cat > /srv/server-{port}.py <<'END'\n{program}\nEND")).await?;
    let start =
        json!({"argv": ["python3", format!("/srv/server-{port}.py"), port.to_string()], "background": true});
    execd.stream("/command", &start).await?.finish().await?;
    let probe = format!(
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 5)' 2>/dev/null"
    );
    eventually("the program listens", START_LIMIT, async || Ok(execd.run(&probe).await?.exit_code == 0)).await
}
