//! Sandboxes started ahead of their owners (an extension).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the owner of a sandbox that stands by brings.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandOverRequest {
    /// Token that opens this daemon from now on.
    pub access_token: String,
    /// Variables on top of the ones there are, for everything that starts from now on.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The program the sandbox ends with from now on, and its arguments. Empty leaves that to the one it runs already.
    #[serde(default)]
    pub entrypoint: Vec<String>,
}

// Token and variables are secrets.
impl fmt::Debug for HandOverRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandOverRequest").field("entrypoint", &self.entrypoint).finish_non_exhaustive()
    }
}
