//! The port that published code-interpreter clients wait for.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpListener;

/// Environment variable with the port, and the port without it.
const PORT_VARIABLE: &str = "JUPYTER_PORT";
const DEFAULT_PORT: u16 = 44771;

/// Pause after a failed accept, which usually means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and closes connections on the loopback port that tells such clients that code can be run. Nothing is served
/// there. That the port cannot be had is logged and otherwise ignored: only those clients need it.
pub async fn listen() {
    let port = std::env::var(PORT_VARIABLE).ok().and_then(|port| port.parse().ok()).unwrap_or(DEFAULT_PORT);
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::info!(port, %error, "cannot listen for code-interpreter clients that probe this port");
            return;
        }
    };
    tokio::spawn(async move {
        loop {
            if listener.accept().await.is_err() {
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    });
}
