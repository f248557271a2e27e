//! Wire types of the Sandbox Lifecycle API, one file per resource.

mod create;
mod diagnostics;
mod endpoint;
mod error;
mod event;
mod hooks;
mod image;
mod metrics;
mod network;
mod page;
mod pool;
mod renew;
mod sandbox;
mod schedule;
mod service;
mod snapshot;
mod state;
mod stop;
mod template;
mod usage;
mod volume;

pub use create::{CreateSandboxRequest, CreateSandboxResponse, IDEMPOTENCY_HEADER};
pub use diagnostics::{DiagnosticContentResponse, DiagnosticDelivery, DiagnosticKind};
pub use endpoint::{
    ACCESS_RENEW_HEADER, API_KEY_HEADER, EGRESS_AUTH_HEADER, Endpoint, INGRESS_HEADER, SECURE_ACCESS_HEADER,
};
pub use error::ErrorResponse;
pub use event::{LAST_EVENT_ID_HEADER, SandboxEvent};
pub use hooks::{
    DEFAULT_HOOK_SECONDS, LIFECYCLE_VARIABLE, LifecycleHook, MAX_PERIODIC_HOOKS, PERIODIC_SECONDS,
    PRE_START_SECONDS, PeriodicLifecycleHook, SandboxLifecycle,
};
pub use image::{
    ImageAuth, ImageSpec, ImportImagesResponse, ListImagesResponse, PlatformSpec, PullImageRequest,
    PushImageRequest, PushImageResponse, StoredImage,
};
pub use metrics::{MetricsEvent, MetricsEventType};
pub use network::{CredentialProxyConfig, NetworkAction, NetworkPolicy, NetworkRule, PolicyStatusResponse};
pub use page::PaginationInfo;
pub use pool::{
    CreatePoolRequest, ListPoolsResponse, PoolCapacitySpec, PoolResponse, PoolStatus, UpdatePoolRequest,
};
pub use renew::{RenewSandboxExpirationRequest, RenewSandboxExpirationResponse};
pub use sandbox::{
    AllocationMode, AllocationState, AllocationSummary, ListSandboxesResponse, PatchSandboxMetadataRequest,
    Sandbox, SandboxStatus,
};
pub use schedule::{BadSchedule, Cron, Schedule};
pub use service::{Health, Version};
pub use snapshot::{CreateSnapshotRequest, ListSnapshotsResponse, Snapshot, SnapshotState, SnapshotStatus};
pub use state::SandboxState;
pub use stop::{
    Capabilities, Capability, StartSandboxRequest, StartSandboxResponse, StopSandboxRequest,
    StopSandboxResponse,
};
pub use template::{
    CreateFsbTemplateRequest, FsbTemplate, FsbTemplateFormat, FsbTemplatePhase, FsbTemplateReadiness,
    FsbTemplateStatus, ListFsbTemplatesResponse,
};
pub use usage::SandboxMetrics;
pub use volume::{Host, Ossfs, OssfsVersion, Pvc, Volume};
