use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What a proxy does once it has passed so many bytes to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Never,
    /// Closes all connections, and every new one.
    Cut(u64),
    /// Keeps connections open and says nothing more.
    Stall(u64),
}

/// Stands between a client and a registry, and counts.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

struct Shared {
    target: u16,
    passed: AtomicU64,
    limit: std::sync::Mutex<Limit>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Proxy {
    pub async fn start(target: u16, limit: Limit) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared { target, passed: AtomicU64::new(0), limit: limit.into() });
        let accept = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    // An error is the end of this connection, nothing more.
                    tokio::spawn(async move { shared.serve(client).await.ok() });
                }
            }
        });
        Ok(Self { port, shared, accept })
    }

    pub fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }

    /// Bytes passed to clients since the last look.
    pub fn take_passed(&self) -> u64 {
        self.shared.passed.swap(0, Ordering::SeqCst)
    }

    pub fn set_limit(&self, limit: Limit) {
        *self.shared.limit() = limit;
    }
}

impl Shared {
    fn limit(&self) -> std::sync::MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn serve(&self, client: TcpStream) -> Result<()> {
        let (mut client_read, mut client_write) = client.into_split();
        let (mut server_read, mut server_write) =
            TcpStream::connect(("127.0.0.1", self.target)).await?.into_split();
        let up = tokio::spawn(async move { copy(&mut client_read, &mut server_write).await });
        let mut buffer = vec![0; 16 << 10];
        loop {
            let n = server_read.read(&mut buffer).await?;
            let passed = self.passed.load(Ordering::SeqCst);
            let limit = *self.limit();
            match limit {
                Limit::Cut(at) if passed >= at => break,
                Limit::Stall(at) if passed >= at => {
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
            if n == 0 {
                break;
            }
            self.passed.fetch_add(n as u64, Ordering::SeqCst);
            client_write.write_all(&buffer[..n]).await?;
        }
        up.abort();
        Ok(())
    }
}
