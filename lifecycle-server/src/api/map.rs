//! From the domain's types to the wire's.

use std::collections::BTreeMap;

use chrono::Utc;
use sandkeep_specs::lifecycle::{
    self as wire, AllocationMode, AllocationState, AllocationSummary, CreateSandboxResponse, FsbTemplate,
    FsbTemplateFormat, FsbTemplatePhase, FsbTemplateReadiness, FsbTemplateStatus, ImageSpec,
    ListSandboxesResponse, PaginationInfo, PlatformSpec, PoolCapacitySpec, PoolResponse, PoolStatus, Sandbox,
    SandboxEvent, SandboxMetrics, SandboxState, SandboxStatus, StoredImage,
};

use super::validate;
use crate::image::Image;
use crate::runtime::{Limits, Usage};
use crate::sandbox::{Capacity, Noted, Page, Phase, Platform, PoolView, Record, State, Status, Template};
use crate::snapshot::Snapshot;

pub(super) fn sandbox(record: &Record) -> Sandbox {
    Sandbox {
        id: record.id.clone(),
        image: match record.plan.snapshot_id {
            None => Some(ImageSpec { uri: record.plan.image.clone(), auth: None }),
            Some(_) => None,
        },
        snapshot_id: record.plan.snapshot_id.clone(),
        platform: record.plan.platform.as_ref().map(platform),
        status: status(&record.status),
        metadata: metadata(record),
        entrypoint: record.plan.entrypoint.clone(),
        expires_at: record.expires_at,
        created_at: record.created_at,
        extensions: validate::echoed(&record.plan.extensions),
        allocation: allocation(record),
    }
}

pub(super) fn created(record: &Record) -> CreateSandboxResponse {
    CreateSandboxResponse {
        id: record.id.clone(),
        status: status(&record.status),
        metadata: metadata(record),
        platform: record.plan.platform.as_ref().map(platform),
        expires_at: record.expires_at,
        created_at: record.created_at,
        entrypoint: record.plan.entrypoint.clone(),
        extensions: validate::echoed(&record.plan.extensions),
    }
}

pub(super) fn page(page: &Page) -> ListSandboxesResponse {
    ListSandboxesResponse {
        items: page.items.iter().map(|record| sandbox(record)).collect(),
        pagination: PaginationInfo::new(page.page as u64, page.page_size as u64, page.total_items as u64),
    }
}

pub(super) fn platform(platform: &Platform) -> PlatformSpec {
    PlatformSpec { os: platform.os.clone(), arch: platform.arch.clone() }
}

pub(super) fn snapshot(snapshot: &Snapshot) -> wire::Snapshot {
    wire::Snapshot {
        id: snapshot.id.clone(),
        sandbox_id: snapshot.sandbox_id.clone(),
        name: snapshot.name.clone(),
        status: wire::SnapshotStatus {
            state: snapshot.state.as_str().to_owned().into(),
            reason: Some(snapshot.reason.clone()),
            message: snapshot.message.clone(),
            last_transition_at: Some(snapshot.last_transition_at),
        },
        created_at: snapshot.created_at,
    }
}

fn status(status: &Status) -> SandboxStatus {
    SandboxStatus {
        state: state(status.state),
        reason: Some(status.reason.clone()),
        message: status.message.clone(),
        last_transition_at: Some(status.last_transition_at),
    }
}

fn state(state: State) -> SandboxState {
    match state {
        State::Pending => SandboxState::Pending,
        State::Running => SandboxState::Running,
        State::Pausing => SandboxState::Pausing,
        State::Paused => SandboxState::Paused,
        State::Resuming => SandboxState::Resuming,
        State::Stopped => SandboxState::Stopped,
        State::Stopping => SandboxState::Stopping,
        State::Terminated => SandboxState::Terminated,
        State::Failed => SandboxState::Failed,
    }
}

fn metadata(record: &Record) -> Option<BTreeMap<String, String>> {
    (!record.metadata.is_empty()).then(|| record.metadata.clone())
}

/// Where a sandbox that lives was taken from.
fn allocation(record: &Record) -> Option<AllocationSummary> {
    let pool = record.plan.pool.as_ref().filter(|_| !record.status.state.is_final())?;
    Some(AllocationSummary {
        mode: AllocationMode::Pool,
        pool_ref: pool.name.clone(),
        state: AllocationState::Allocated,
    })
}

pub(super) fn pool(pool: &PoolView) -> PoolResponse {
    let Capacity { buffer_max, buffer_min, pool_max, pool_min } = pool.capacity;
    PoolResponse {
        name: pool.name.clone(),
        capacity_spec: PoolCapacitySpec { buffer_max, buffer_min, pool_max, pool_min },
        status: Some(PoolStatus {
            total: pool.total as u64,
            allocated: pool.allocated as u64,
            available: pool.available as u64,
            revision: pool.revision.clone(),
            message: pool.problem.clone(),
        }),
        created_at: Some(pool.created_at),
    }
}

pub(super) fn template(template: &Template) -> FsbTemplate {
    let content = &template.content;
    let some = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone());
    FsbTemplate {
        template_id: template.id.clone(),
        image: content.recipe.image.clone(),
        publish: content.publish.clone(),
        format: match content.format.as_str() {
            "native" => FsbTemplateFormat::Native,
            _ => FsbTemplateFormat::Overlaybd,
        },
        status: FsbTemplateStatus {
            phase: match template.phase {
                Phase::Pending => FsbTemplatePhase::Pending,
                Phase::Building => FsbTemplatePhase::Building,
                Phase::Succeeded => FsbTemplatePhase::Succeeded,
                Phase::Failed => FsbTemplatePhase::Failed,
            },
            manifest_ref: template.manifest_ref.clone(),
            message: template.message.clone(),
        },
        created_at: template.created_at,
        updated_at: template.updated_at,
        resource_limits: content.resource_limits.clone(),
        entrypoint: content.asked_entrypoint.clone(),
        env: some(&content.recipe.env),
        metadata: some(&content.metadata),
        readiness: content
            .asked_readiness
            .clone()
            .map(|(probe, warmup_seconds)| FsbTemplateReadiness { probe, warmup_seconds }),
    }
}

pub(super) fn image(image: &Image) -> StoredImage {
    StoredImage {
        id: image.id.clone(),
        names: image.names.clone(),
        platform: PlatformSpec { os: image.platform.os.clone(), arch: image.platform.architecture.clone() },
        size_bytes: image.size_bytes,
        created_at: image.created.parse().ok(),
    }
}

pub(super) fn event(noted: &Noted) -> SandboxEvent {
    let note = &noted.note;
    SandboxEvent {
        id: noted.id,
        r#type: note.kind.as_str().to_owned(),
        at: note.at,
        sandbox_id: Some(note.sandbox.clone()),
        state: note.status.as_ref().map(|(state_now, _)| state(*state_now)),
        reason: note.status.as_ref().map(|(_, reason)| reason.clone()),
        message: note.message.clone(),
        metadata: note.metadata.clone(),
        details: note.details.clone(),
    }
}

pub(super) fn usage(usage: &Usage, limits: Limits) -> SandboxMetrics {
    SandboxMetrics {
        at: Utc::now(),
        cpu_micros: usage.cpu_micros,
        cpu_limit_millis: limits.cpu_millis,
        memory_bytes: usage.memory_bytes,
        memory_peak_bytes: usage.memory_peak_bytes,
        memory_limit_bytes: limits.memory_bytes,
        oom_kills: usage.oom_kills,
        pids: usage.pids,
        pids_limit: limits.pids,
        pids_refused: usage.pids_refused,
        disk_bytes: usage.disk_bytes,
        disk_limit_bytes: limits.disk_bytes,
        disk_free_bytes: usage.disk_free_bytes,
    }
}
