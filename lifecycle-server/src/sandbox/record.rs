//! What the server knows of one sandbox, as kept in the store.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    egress::{Egress, EgressWish},
    error::ServiceError,
    idempotency::IdempotencyKey,
    images::ImageRequest,
    owner::Owner,
    recipe::Readiness,
    state::{State, Transition},
};
use crate::{
    runtime::{Guaranteed, HandOver, Limits, Slot},
    volume::Volume,
};

/// Most bytes that all keys and values of a sandbox's metadata may have.
const MAX_METADATA: usize = 256 * 1024;

/// Refuses more metadata than a sandbox may have.
pub fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ServiceError> {
    let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    match bytes {
        0..=MAX_METADATA => Ok(()),
        _ => Err(ServiceError::TooMuchMetadata { bytes, most: MAX_METADATA }),
    }
}

/// Operating system and processor a sandbox was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux` or `windows`.
    pub os: String,
    /// `amd64` or `arm64`.
    pub arch: String,
}

/// A validated wish for a sandbox.
#[derive(Debug, Clone)]
pub struct CreateSpec {
    pub image: ImageRequest,
    /// The snapshot whose image it is.
    pub snapshot_id: Option<String>,
    pub volumes: Vec<Volume>,
    /// The user's program and its arguments.
    pub entrypoint: Vec<String>,
    /// Variables on top of the image's own, null ones already left out.
    pub env: BTreeMap<String, String>,
    pub metadata: BTreeMap<String, String>,
    /// Time to live from creation; `None` never expires.
    pub timeout: Option<Duration>,
    pub limits: Limits,
    pub extensions: BTreeMap<String, String>,
    /// Echoed in answers only when it was asked for.
    pub platform: Option<Platform>,
    pub hooks: Option<Hooks>,
    /// What has to hold before it counts as running, beyond its execd answering.
    pub readiness: Option<Readiness>,
    /// No port of it is ever public.
    pub secure_access: bool,
    /// What it may reach outside; `None` lets it reach what the server's configuration does.
    pub egress: Option<EgressWish>,
    /// `None` on a server without tenants.
    pub owner: Option<Owner>,
    pub origin: Origin,
    /// Makes repetitions of this wish known.
    pub key: Option<IdempotencyKey>,
}

/// Where a sandbox comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// Its image, and nothing else.
    #[default]
    Image,
    /// A pool by name, or `*` for any. Image and limits are the pool's, and so is an empty entrypoint.
    Pool(String),
    /// A template by id, which says everything but metadata, timeout and extensions.
    Template(String),
}

/// Commands tied to the sandbox's life, which its execd runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// All of them as execd reads them.
    pub document: String,
    /// Seconds the one before the entrypoint may take, 0 without one.
    pub pre_start_seconds: u64,
}

/// State with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    pub reason: String,
    pub message: Option<String>,
    pub last_transition_at: DateTime<Utc>,
}

/// The part of a record that never changes after creation; stored as one JSON document.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The image as the request named it.
    pub image: String,
    /// The snapshot whose image it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    pub entrypoint: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    pub disk_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Guaranteed::is_nothing")]
    pub guaranteed: Guaranteed,
    pub extensions: BTreeMap<String, String>,
    pub platform: Option<Platform>,
    /// Absent in records of servers that knew no hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// No port of it is ever public.
    #[serde(default)]
    pub secure_access: bool,
    /// Whom the sandbox belongs to; absent where there are no tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Exactly this image, whatever its name means by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The pool it was taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolOrigin>,
    /// The template it was created from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How what leaves it is guarded, if at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
}

/// The pool a sandbox was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolOrigin {
    pub name: String,
    /// Tells pools that had the same name one after the other apart.
    pub uid: String,
}

/// One sandbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    pub plan: Plan,
    pub metadata: BTreeMap<String, String>,
    pub status: Status,
    pub created_at: DateTime<Utc>,
    /// `None` never expires.
    pub expires_at: Option<DateTime<Utc>>,
    pub slot: Slot,
    /// The caller was told of this sandbox while it was still pending, so a restarted server goes on with it.
    pub accepted: bool,
    /// Token of the sandbox's execd.
    pub execd_token: String,
    /// Token that opens the sandbox's other ports through the proxy.
    pub access_token: String,
    /// What its memory takes of the disk while it is stopped.
    pub kept_bytes: u64,
}

impl CreateSpec {
    /// The same for `owner`. What his quota counts gets the limit that would hold anyway.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<Owner>, defaults: &Limits) -> Self {
        if let Some(owner) = owner {
            Owner::bound(&mut self.limits, defaults);
            let tenant = owner.tenant.to_string();
            self.volumes.iter_mut().for_each(|volume| volume.tenant = Some(tenant.clone()));
            self.image.tenant = Some(tenant);
            self.owner = Some(owner);
        }
        self
    }
}

impl Plan {
    pub fn new(spec: &CreateSpec) -> Self {
        Self {
            image: spec.image.reference.clone(),
            snapshot_id: spec.snapshot_id.clone(),
            volumes: spec.volumes.clone(),
            entrypoint: spec.entrypoint.clone(),
            env: spec.env.clone(),
            cpu_millis: spec.limits.cpu_millis,
            memory_bytes: spec.limits.memory_bytes,
            pids: spec.limits.pids,
            disk_bytes: spec.limits.disk_bytes,
            guaranteed: spec.limits.guaranteed,
            extensions: spec.extensions.clone(),
            platform: spec.platform.clone(),
            hooks: spec.hooks.clone(),
            readiness: spec.readiness.clone(),
            secure_access: spec.secure_access,
            tenant: spec.owner.as_ref().map(|owner| owner.tenant.to_string()),
            image_id: spec.image.id.clone(),
            pool: None,
            template: match &spec.origin {
                Origin::Template(id) => Some(id.clone()),
                Origin::Image | Origin::Pool(_) => None,
            },
            egress: spec.egress.as_ref().map(Egress::new),
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            cpu_millis: self.cpu_millis,
            memory_bytes: self.memory_bytes,
            pids: self.pids,
            disk_bytes: self.disk_bytes,
            guaranteed: self.guaranteed,
        }
    }
}

impl Record {
    /// What makes a sandbox that was started ahead this one.
    pub fn hand_over(&self) -> HandOver {
        HandOver {
            execd_token: self.execd_token.clone(),
            env: self.plan.env.clone(),
            entrypoint: self.plan.entrypoint.clone(),
        }
    }
}

impl Status {
    pub fn pending(now: DateTime<Utc>) -> Self {
        Self {
            state: State::Pending,
            reason: "SANDBOX_STARTING".to_owned(),
            message: None,
            last_transition_at: now,
        }
    }

    pub fn after(transition: Transition, now: DateTime<Utc>) -> Self {
        Self {
            state: transition.state,
            reason: transition.reason.to_owned(),
            message: transition.message,
            last_transition_at: now,
        }
    }
}

// The environment and the tokens are the user's secrets: they must not reach a log through `{:?}`.
impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("image", &self.image)
            .field("entrypoint", &self.entrypoint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("id", &self.id)
            .field("plan", &self.plan)
            .field("status", &self.status)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// A running sandbox for the tests of this crate.
#[cfg(test)]
pub(crate) fn record_for_tests(id: &str, now: DateTime<Utc>) -> Record {
    Record {
        id: id.to_owned(),
        plan: Plan {
            image: "sandkeep/base:latest".to_owned(),
            snapshot_id: None,
            volumes: Vec::new(),
            entrypoint: vec!["tail".to_owned(), "-f".to_owned(), "/dev/null".to_owned()],
            env: BTreeMap::new(),
            cpu_millis: None,
            memory_bytes: Some(1 << 30),
            pids: None,
            disk_bytes: None,
            guaranteed: Guaranteed::NOTHING,
            extensions: BTreeMap::new(),
            platform: None,
            hooks: None,
            readiness: None,
            secure_access: false,
            tenant: None,
            image_id: None,
            pool: None,
            template: None,
            egress: None,
        },
        metadata: BTreeMap::new(),
        status: Status { state: State::Running, ..Status::pending(now) },
        created_at: now,
        expires_at: Some(now + chrono::TimeDelta::hours(1)),
        slot: Slot { number: 1, address: std::net::Ipv4Addr::LOCALHOST },
        accepted: true,
        execd_token: "execd".to_owned(),
        access_token: "access".to_owned(),
        kept_bytes: 0,
    }
}
