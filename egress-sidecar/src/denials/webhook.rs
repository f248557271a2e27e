//! Telling somebody elsewhere of refused names.

use std::time::Duration;

use anyhow::Context;
use chrono::{SecondsFormat, Utc};
use hyper::{
    HeaderMap, Uri,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::{dns::Names, post::Post, roots::Roots};

/// Refusals that wait to be told; more are lost.
const QUEUE: usize = 256;
/// One attempt, from the name of the receiver to its answer.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Attempts after the first one; the pause before each is twice the one before.
const RETRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const SOURCE: &str = "opensandbox-egress";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The receiver, and what waits to be told to it.
#[derive(Debug)]
pub struct Webhook {
    post: Post,
    sandbox_id: String,
    queue: mpsc::Receiver<Box<str>>,
}

impl Webhook {
    /// A receiver, and the end refusals are put in at.
    #[must_use]
    pub fn new(uri: Uri, sandbox_id: &str, roots: Roots) -> (Self, mpsc::Sender<Box<str>>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let post = Post::new(uri, HeaderMap::from_iter([(CONTENT_TYPE, JSON)]), roots);
        (Self { post, sandbox_id: sandbox_id.to_owned(), queue }, sender)
    }

    /// Tells one refusal after the other until nobody can put one in any more. `names` finds the receiver.
    pub async fn run(mut self, names: Names) {
        while let Some(name) = self.queue.recv().await {
            let body = json!({
                "hostname": &*name,
                "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
                "source": SOURCE,
                "sandboxId": self.sandbox_id,
            });
            let body = Bytes::from(body.to_string());
            let mut pause = FIRST_PAUSE;
            for attempt in 0..=RETRIES {
                let sent = timeout(ATTEMPT, self.post.send(body.clone(), &names)).await;
                match sent.context("no answer in time").flatten() {
                    Ok(status) if status.is_success() || status.is_client_error() => break,
                    Ok(status) => tracing::warn!(%status, attempt, "the deny web hook fails"),
                    Err(error) => {
                        tracing::warn!(error = format!("{error:#}"), attempt, "the deny web hook fails")
                    }
                }
                if attempt < RETRIES {
                    sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }
}
