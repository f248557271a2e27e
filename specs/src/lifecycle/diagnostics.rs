use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a sandbox printed, or what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiagnosticContentResponse {
    pub sandbox_id: String,
    pub kind: DiagnosticKind,
    /// The scope asked for, in lower case.
    #[schema(example = "container")]
    pub scope: String,
    pub delivery: DiagnosticDelivery,
    /// Media type of the content.
    #[schema(example = "text/plain; charset=utf-8")]
    pub content_type: String,
    /// The content itself, with delivery `inline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub content: Option<String>,
    /// Where the content is, with delivery `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "uri")]
    pub content_url: Option<String>,
    /// Bytes of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub content_length: Option<u64>,
    /// Until when the content can be fetched, with delivery `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub expires_at: Option<DateTime<Utc>>,
    /// There is more than is shown, or there was.
    pub truncated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub warnings: Option<Vec<String>>,
}

/// Kind of a [`DiagnosticContentResponse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiagnosticKind {
    Logs,
    Events,
}

/// How the content of a [`DiagnosticContentResponse`] comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiagnosticDelivery {
    /// Within the answer.
    Inline,
    /// To be fetched from elsewhere.
    Url,
}
