//! Questions over TCP.

use std::{
    io,
    net::TcpListener as StdTcpListener,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_local,
    time::{sleep, timeout},
};

use super::resolver::{Next, Resolver};

/// Connections at the same time.
const MAX_CONNECTIONS: usize = 64;
/// A connection without a question for this long is closed, and so is one that does not take its answer.
const IDLE: Duration = Duration::from_secs(10);
/// Questions of one connection, one after the other.
const MAX_QUESTIONS: usize = 1000;
/// Largest answer there can be.
const LIMIT: usize = u16::MAX as usize;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers until the task is ended.
pub(super) async fn serve(listener: StdTcpListener, resolver: Rc<Resolver>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => {
                let resolver = Rc::clone(&resolver);
                spawn_local(async move {
                    // How a connection ends is its client's affair.
                    let _ = connection(stream, &resolver).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(mut stream: TcpStream, resolver: &Resolver) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = Vec::new();
    for _ in 0..MAX_QUESTIONS {
        let message = timeout(IDLE, async {
            let length = usize::from(stream.read_u16().await?);
            let mut message = vec![0; length];
            stream.read_exact(&mut message).await?;
            io::Result::Ok(message)
        });
        let message = message.await??;
        match resolver.quick(&resolver.judge(), &message, Some(LIMIT), Instant::now(), &mut out) {
            Next::Reply => {}
            Next::Ask(ask) => out = resolver.ask(&ask, Some(LIMIT)).await,
            Next::Nothing => return Ok(()),
        }
        let length = u16::try_from(out.len()).map_err(io::Error::other)?;
        timeout(IDLE, stream.write_all(&[&length.to_be_bytes(), &out[..]].concat())).await??;
    }
    Ok(())
}
