use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorResponse {
    /// Stable identifier of the kind of error.
    #[schema(example = "SANDBOX::INVALID_PARAMETER")]
    pub code: String,
    /// What is wrong and where, for people.
    #[schema(example = "timeout: must be at least 60 seconds, got 5")]
    pub message: String,
}
