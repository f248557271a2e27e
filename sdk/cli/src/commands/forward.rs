//! Ports of sandboxes on this machine.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use sandkeep::Client;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::App;
use crate::{args::PortForward, ids, output};

/// Listens until it is interrupted; each connection is one of its own in the sandbox.
pub(crate) async fn forward(app: &App, args: &PortForward) -> Result<()> {
    let id = ids::resolve(&app.client, &args.sandbox).await?;
    // One that is not there is told of now, not with the first connection.
    app.client.get_sandbox(&id).await?;
    let (local, remote) = args.ports;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, local)).await;
    let listener = listener.with_context(|| format!("cannot listen on 127.0.0.1:{local}"))?;
    let address = listener.local_addr()?;
    output::write(format!("http://{address} → {id}:{remote}\n").as_bytes())?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("cannot take a connection")?;
                let (client, id) = (app.client.clone(), id.clone());
                connections.spawn(async move {
                    if let Err(error) = carry(&client, &id, remote, stream).await {
                        eprintln!("sb: {error:#}");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            interrupt = tokio::signal::ctrl_c() => return interrupt.context("cannot wait for Ctrl-C"),
        }
    }
}

async fn carry(client: &Client, id: &str, port: u16, mut stream: TcpStream) -> Result<()> {
    let mut tunnel = client.open_tunnel(id, port).await?;
    // Either side breaking off is how connections end.
    let _ = copy_bidirectional(&mut stream, &mut tunnel).await;
    Ok(())
}
