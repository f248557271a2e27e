//! Reading what a sandbox has written while nothing in it runs.

use std::sync::Arc;

use super::{
    book::Entry,
    error::ServiceError,
    service::{Inner, Service},
    state::{Denial, State},
};
use crate::runtime::PrivateLayer;

impl State {
    /// What the sandbox has written is on this host, and its owner may go on with it.
    pub fn has_files(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Stopped)
    }
}

impl Service {
    /// Runs `work` on the files of a sandbox. A running one stands still meanwhile, and goes on whatever becomes of
    /// `work` or of the caller. Other changes of the sandbox wait; a deletion ends the work.
    pub async fn with_files<T: Send + 'static, F>(
        &self,
        id: &str,
        work: impl FnOnce(PrivateLayer) -> F + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let entry = self.inner.book.entry(id)?;
        let inner = Arc::clone(&self.inner);
        self.owned(async move { inner.with_files(&entry, work).await }).await
    }
}

impl Inner {
    async fn with_files<T: Send + 'static, F>(
        &self,
        entry: &Arc<Entry>,
        work: impl FnOnce(PrivateLayer) -> F + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let _gate = entry.gate.lock().await;
        let record = self.book.still_there(entry)?;
        let state = record.status.state;
        if !state.has_files() {
            return Err(Denial { state, action: "reading its files" }.into());
        }
        let running = state == State::Running;
        if running {
            self.runtime.freeze(&record.id).await?;
        }
        // A task of its own: a panic in it must not leave the sandbox frozen.
        let result = match self.runtime.private_layer(&record.id).await {
            Ok(layer) => {
                let mut task = tokio::spawn(work(layer));
                tokio::select! {
                    done = &mut task => done.map_err(|error| {
                        ServiceError::Runtime(crate::runtime::RuntimeError::Os {
                            context: "read a sandbox's files".to_owned(),
                            source: std::io::Error::other(error),
                        })
                    }),
                    () = entry.cancel.cancelled() => {
                        task.abort();
                        let _ = task.await;
                        Err(ServiceError::Interrupted(record.id.clone()))
                    }
                }
            }
            Err(error) => Err(error.into()),
        };
        if running {
            self.runtime.thaw(&record.id).await?;
        }
        result
    }
}
