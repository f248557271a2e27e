//! What the launcher needs to know about one sandbox, taken from its OCI document.

use std::{
    ffi::{CString, NulError},
    path::Path,
};

use oci_spec::runtime::{LinuxDeviceType, Mount, PosixRlimitType, Spec};
use serde::{Deserialize, Serialize};

use super::super::seccomp::Profile;

/// Annotation of the OCI document that says which seccomp profile the launcher installs.
pub(crate) const SECCOMP_ANNOTATION: &str = "sandkeep.seccomp";

/// A file system to mount inside the new root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedMount {
    /// Path below the new root, without a leading slash.
    pub target: CString,
    pub kind: CString,
    pub flags: u64,
    pub data: CString,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedDevice {
    pub path: CString,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub hostname: CString,
    pub args: Vec<CString>,
    pub env: Vec<CString>,
    /// The working directory and its parents, outermost first; made where the image lacks them.
    pub directories: Vec<CString>,
    pub mounts: Vec<PlannedMount>,
    pub devices: Vec<PlannedDevice>,
    /// Files below the new root that are covered with `/dev/null`.
    pub masked: Vec<CString>,
    /// Capabilities that stay in the bounding set, as a bit mask.
    pub capabilities: u64,
    pub open_files: u64,
    pub oom_score_adj: CString,
    pub no_new_privileges: bool,
    pub seccomp: Profile,
    /// Host directory the new root is attached to on its way to becoming `/`.
    pub mount_point: CString,
}

/// A document the direct launcher cannot follow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("a NUL byte in the entrypoint, environment or working directory")]
    Nul(#[from] NulError),
    #[error("the sandbox document lacks {0}")]
    Missing(&'static str),
}

impl Plan {
    /// Ids in mount options are the sandbox's; `uid_base` turns them into the host's.
    pub(crate) fn from_spec(spec: &Spec, uid_base: u32, mount_point: &Path) -> Result<Self, PlanError> {
        let process = spec.process().as_ref().ok_or(PlanError::Missing("process"))?;
        let linux = spec.linux().as_ref().ok_or(PlanError::Missing("linux"))?;
        let strings = |list: &Option<Vec<String>>| -> Result<Vec<CString>, NulError> {
            list.iter().flatten().map(|text| CString::new(text.as_str())).collect()
        };
        let mounts = spec.mounts().iter().flatten().filter(|mount| mount.typ().as_deref() != Some("bind"));
        let bounding =
            process.capabilities().as_ref().and_then(|sets| sets.bounding().clone()).unwrap_or_default();
        let open_files = process
            .rlimits()
            .iter()
            .flatten()
            .find(|limit| limit.typ() == PosixRlimitType::RlimitNofile)
            .map_or(1024, |limit| limit.hard());
        let nested =
            spec.annotations().as_ref().and_then(|all| all.get(SECCOMP_ANNOTATION)).map(String::as_str);
        Ok(Self {
            hostname: CString::new(spec.hostname().as_deref().unwrap_or("sandbox"))?,
            args: strings(process.args())?,
            env: strings(process.env())?,
            directories: directories(process.cwd())?,
            mounts: mounts.map(|mount| planned_mount(mount, uid_base)).collect::<Result<_, _>>()?,
            devices: linux
                .devices()
                .iter()
                .flatten()
                .filter(|device| device.typ() == LinuxDeviceType::C)
                .map(|device| {
                    Ok(PlannedDevice {
                        path: relative(device.path())?,
                        major: device.major() as u32,
                        minor: device.minor() as u32,
                        mode: device.file_mode().unwrap_or(0o666),
                    })
                })
                .collect::<Result<_, NulError>>()?,
            masked: linux
                .masked_paths()
                .iter()
                .flatten()
                .map(|path| relative(Path::new(path)))
                .collect::<Result<_, _>>()?,
            capabilities: bounding
                .iter()
                .fold(0, |mask, capability| mask | 1 << capability_number(&capability.to_string())),
            open_files,
            oom_score_adj: CString::new(process.oom_score_adj().unwrap_or(0).to_string())?,
            no_new_privileges: process.no_new_privileges().unwrap_or(true),
            seccomp: if nested == Some("nested") { Profile::Nested } else { Profile::Default },
            mount_point: CString::new(mount_point.as_os_str().as_encoded_bytes())?,
        })
    }
}

fn relative(path: &Path) -> Result<CString, NulError> {
    CString::new(path.strip_prefix("/").unwrap_or(path).as_os_str().as_encoded_bytes())
}

fn directories(cwd: &Path) -> Result<Vec<CString>, NulError> {
    let mut all: Vec<&Path> = cwd.ancestors().filter(|path| path.parent().is_some()).collect();
    all.reverse();
    all.into_iter().map(|path| CString::new(path.as_os_str().as_encoded_bytes())).collect()
}

fn planned_mount(mount: &Mount, uid_base: u32) -> Result<PlannedMount, NulError> {
    let (mut flags, mut data) = (0u64, Vec::new());
    for option in mount.options().iter().flatten() {
        match option.as_str() {
            "nosuid" => flags |= libc::MS_NOSUID,
            "nodev" => flags |= libc::MS_NODEV,
            "noexec" => flags |= libc::MS_NOEXEC,
            "ro" => flags |= libc::MS_RDONLY,
            other => data.push(match other.split_once('=') {
                Some((key @ ("uid" | "gid"), id)) => {
                    format!("{key}={}", id.parse::<u32>().unwrap_or(0).saturating_add(uid_base))
                }
                _ => other.to_owned(),
            }),
        }
    }
    Ok(PlannedMount {
        target: relative(mount.destination())?,
        kind: CString::new(mount.typ().as_deref().unwrap_or_default())?,
        flags,
        data: CString::new(data.join(","))?,
    })
}

/// Number of a capability by its name (`NET_RAW`, `CAP_NET_RAW`).
fn capability_number(name: &str) -> u32 {
    const NAMES: [&str; 41] = [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ];
    let name = name.trim_start_matches("CAP_");
    // An unknown name maps to a bit that no kernel grants.
    NAMES.iter().position(|known| *known == name).map_or(63, |number| number as u32)
}
