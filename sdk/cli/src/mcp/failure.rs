//! Errors that a model can act on: what went wrong, and what to do next.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult, ContentBlock},
};
use sandkeep::Error;

/// Why a tool did not do what it was called for.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    next: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>, next: &'static str) -> Self {
        Self { what: what.into(), next: Some(next) }
    }

    /// The caller has lost interest: nobody reads this.
    pub(super) fn cancelled() -> Self {
        Self { what: "cancelled".to_owned(), next: None }
    }

    fn text(&self) -> String {
        match self.next {
            Some(next) => format!("{}\nNext: {next}", self.what),
            None => self.what.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { next: next(&error), what: error.to_string() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            next: error.chain().find_map(|cause| next(cause.downcast_ref()?)),
            what: crate::problem::text(&error),
        }
    }
}

impl IntoCallToolResult for Failure {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::error(vec![ContentBlock::text(self.text())]).into())
    }
}

fn next(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Transport { .. } => {
            "the server or the sandbox does not answer; ask the person who runs it to look at `sb doctor`"
        }
        Error::Timeout { .. } => "call sandbox_get to see whether the sandbox still runs",
        Error::Api { status: 401 | 403, .. } => {
            "the server refuses this tool's key; ask the person who configured it"
        }
        Error::Api { status, code, .. } => match (code.as_str(), *status) {
            ("SANDBOX::NOT_FOUND", _) => "call sandbox_list for those there are, or sandbox_create",
            ("SANDBOX::NOT_REACHABLE" | "SANDBOX::INVALID_STATE", _) => {
                "call sandbox_get; a Paused sandbox goes on after sandbox_resume"
            }
            ("SANDBOX::NO_NETWORK_POLICY", _) => {
                "a sandbox gets a policy when it is created: sandbox_create with allow or deny"
            }
            ("IMAGE::NOT_FOUND" | "SANDBOX::IMAGE_PULL_FAILED", _) => {
                "give another image, or ask the person who runs the server to pull it"
            }
            ("SANDBOX::CAPACITY_EXHAUSTED" | "SANDBOX::QUOTA_EXCEEDED", _) => {
                "delete sandboxes that are not needed any more (sandbox_list, sandbox_delete)"
            }
            ("FILE_NOT_FOUND", _) => "file_list or file_search shows what is there",
            (_, 400 | 422) => "correct the argument that the message names",
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_to_do_next() {
        let error = Error::Api {
            status: 404,
            code: "SANDBOX::NOT_FOUND".into(),
            message: "there is no sandbox x".into(),
            request_id: None,
        };
        let text = Failure::from(error).text();
        assert!(text.contains("there is no sandbox x") && text.contains("Next: call sandbox_list"), "{text}");
    }
}
