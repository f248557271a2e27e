//! Output on its way to a client that wants to see it come.

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};
use tokio::time::Instant;

use super::limits::boundary;

/// Least time between two notifications.
const PACE: Duration = Duration::from_millis(100);
/// Most text in one notification; the result has what is left out here.
const MOST: usize = 4 * 1024;

/// Tells the client of one call how it goes on, if the client asked for that.
pub(super) struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<ProgressToken>,
    seen: f64,
    pending: String,
    next: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn of(context: &'a RequestContext<RoleServer>) -> Self {
        let token = context.meta.get_progress_token();
        Self { context, token, seen: 0.0, pending: String::new(), next: Instant::now() }
    }

    /// Takes in more output.
    pub(super) fn add(&mut self, text: &str) {
        if self.token.is_some() {
            self.seen += text.len() as f64;
            let room = MOST.saturating_sub(self.pending.len());
            self.pending.push_str(&text[..boundary(text, room)]);
        }
    }

    /// When there is something to tell; never while there is not.
    pub(super) async fn due(&self) {
        if self.pending.is_empty() {
            std::future::pending().await
        } else {
            tokio::time::sleep_until(self.next).await;
        }
    }

    /// Tells what has come in. A client that cannot be told gets the result all the same.
    pub(super) async fn tell(&mut self) {
        if let Some(token) = self.token.clone().filter(|_| !self.pending.is_empty()) {
            let mut told = ProgressNotificationParam::new(token, self.seen);
            told.message = Some(std::mem::take(&mut self.pending));
            let _ = self.context.peer.notify_progress(told).await;
            self.next = Instant::now() + PACE;
        }
    }
}
