//! Error bodies.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of every error except a refused token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ErrorResponse)]
pub struct ErrorBody {
    /// Stable identifier of the kind of error, such as `INVALID_REQUEST_BODY`.
    #[schema(example = "INVALID_REQUEST_BODY")]
    pub code: String,
    /// What is wrong and where, for a person.
    pub message: String,
}

/// Body of a 401: the access token is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenRejected {
    /// Why the request was refused.
    pub error: String,
}
