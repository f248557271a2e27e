//! Requests worked on at once.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::api::error::{ApiError, Code};

/// How many requests may be worked on at once; cheap to clone.
#[derive(Clone)]
pub(in crate::api) struct Limit(Option<Arc<Semaphore>>);

impl Limit {
    /// 0 sets no limit.
    pub(in crate::api) fn new(most: usize) -> Self {
        Self((most > 0).then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)))))
    }
}

/// Refuses what is over the limit at once: waiting would only pile it up. A request counts until its answer begins;
/// streams that follow are bounded by the connections.
pub(in crate::api) async fn limit(State(limit): State<Limit>, request: Request, next: Next) -> Response {
    let Some(semaphore) = limit.0 else { return next.run(request).await };
    match semaphore.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => ApiError::new(
            Code::TooManyRequests,
            "the server is working on as many requests as it may; try again",
        )
        .into_response(),
    }
}
