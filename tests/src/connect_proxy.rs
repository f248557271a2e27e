//! A proxy that opens connections for others (`CONNECT`), somewhere in an outside of our own.

use std::{
    fs::File,
    net::SocketAddr,
    os::fd::AsFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

use crate::internet::Netns;

/// What the proxy does when it is asked to open a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Opens it for who shows this.
    Open(String),
    /// Answers with these words.
    Answer(String),
    /// Says nothing, and keeps the connection.
    Silent,
}

/// A proxy, as long as this value lives.
pub struct ConnectProxy {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Shared {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnectProxy {
    /// Listens at this address of the namespace, with TLS or without.
    pub fn start(
        netns: &Netns,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        manner: Manner,
    ) -> Result<Self> {
        let namespace = File::open(netns.path())?;
        let shared = Arc::new(Shared { manner: manner.into(), asked: Mutex::default() });
        let serving = shared.clone();
        let ((stop, stopped), (told, ready)) = (oneshot::channel(), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let bound = (|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let listener = runtime.block_on(TcpListener::bind(address))?;
                anyhow::Ok((runtime, listener))
            })();
            let (runtime, listener) = match bound {
                Ok(bound) => bound,
                Err(error) => return drop(told.send(Err(error))),
            };
            let _ = told.send(Ok(()));
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, tls.map(TlsAcceptor::from), serving) => {}
                    _ = stopped => {}
                }
            });
        });
        ready.recv().context("the proxy's thread ended")??;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    pub fn set(&self, manner: Manner) {
        *lock(&self.shared.manner) = manner;
    }

    /// Heads of what it was asked since this was last asked.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.asked))
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.stop.take();
        // Its port is free again when this returns.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), shared.clone());
        // An error is the end of this connection, nothing more.
        tokio::spawn(async move {
            match tls {
                Some(tls) => serve(tls.accept(stream).await?, &shared).await,
                None => serve(stream, &shared).await,
            }
        });
    }
}

async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> Result<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await?));
    }
    lock(&shared.asked).push(head.clone());
    let manner = lock(&shared.manner).clone();
    let shown = match manner {
        Manner::Open(shown) => shown,
        Manner::Answer(words) => return Ok(client.write_all(words.as_bytes()).await?),
        Manner::Silent => return std::future::pending().await,
    };
    let address = head.split(' ').nth(1).context("an address")?;
    if !head.lines().any(|line| line == format!("Proxy-Authorization: {shown}")) {
        return Ok(client.write_all(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n").await?);
    }
    let mut upstream = TcpStream::connect(address).await?;
    client.write_all(b"HTTP/1.1 200 Opened\r\nVia: 1.1 proxy\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}
