//! What isolation this machine can give: found out by putting up a session, once.

use std::{fs, path::PathBuf};

use sandkeep_specs::execd::isolated::{
    CapabilitiesResponse, CapabilitiesResponseHardening, HardeningLayerState, InitMode, LayerState, MountMode,
};

use super::{
    IsolatedError,
    directory::StateDirectory,
    launch,
    plan::{Ids, Mount, Plan, Walls},
};
use crate::command::env::Environment;

/// Name of what isolates.
const ISOLATOR: &str = "execd-namespaces";

/// What a session without the sandbox's network has where no network can be made for it. Sandboxes of the native
/// runtime are such a place on purpose: whoever owns a network may program the kernel's packet filter, in which flaws
/// that break out are found year after year.
const NO_LOOPBACK: &str = "no networks can be made here: with share_net false a session has local sockets only, and no loopback device";

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The walls, or why sessions with the sandbox's ids cannot be made.
    same_ids: Result<Walls, String>,
    /// The same for sessions with an id of their own.
    own_id: Result<Walls, String>,
}

impl Found {
    /// Puts up one session of each kind.
    pub(super) async fn find(state: &StateDirectory) -> Self {
        let try_out = async |ids| {
            try_out(state, ids).await.map_err(|error| match error {
                IsolatedError::Unavailable(reason) => reason,
                other => other.to_string(),
            })
        };
        Self { same_ids: try_out(Ids::Same).await, own_id: try_out(Ids::One { uid: 0, gid: 0 }).await }
    }

    /// Nothing works, for this reason.
    pub(super) fn nothing(reason: String) -> Self {
        Self { same_ids: Err(reason.clone()), own_id: Err(reason) }
    }

    /// Why no session of this kind can be made, if so.
    pub(super) fn check(&self, ids: Ids) -> Result<(), IsolatedError> {
        let found = if ids == Ids::Same { &self.same_ids } else { &self.own_id };
        found.as_ref().map(|_| ()).map_err(|reason| IsolatedError::Unavailable(reason.clone()))
    }

    /// Why no session at all can be made, if so.
    pub(super) fn check_any(&self) -> Result<(), IsolatedError> {
        self.check(Ids::Same).or_else(|error| if self.own_id.is_ok() { Ok(()) } else { Err(error) })
    }

    /// As clients see it.
    pub(super) fn describe(&self) -> CapabilitiesResponse {
        let walls = self.same_ids.as_ref().or(self.own_id.as_ref()).copied();
        let available = walls.is_ok();
        let restriction = || walls.ok().filter(|walls| !walls.network).map(|_| NO_LOOPBACK.to_owned());
        CapabilitiesResponse {
            available,
            isolator: ISOLATOR.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            message: self.same_ids.clone().err().or_else(|| self.own_id.clone().err()).or_else(restriction),
            setpriv_available: self.same_ids.is_ok(),
            userns_available: self.own_id.is_ok(),
            commit_supported: available,
            diff_supported: available,
            hardening: walls.ok().map(|walls| hardening(walls.landlock)),
        }
    }
}

fn hardening(landlock: i32) -> CapabilitiesResponseHardening {
    let active = || HardeningLayerState { state: LayerState::Active, message: None };
    CapabilitiesResponseHardening {
        init_mode: InitMode::Pid1,
        signal_shield: true,
        cap_drop: active(),
        seccomp: active(),
        landlock: match landlock {
            0 => HardeningLayerState {
                state: LayerState::Unsupported,
                message: Some(
                    "this kernel has no Landlock; read-only mounts alone confine writes".to_owned(),
                ),
            },
            1..6 => HardeningLayerState {
                state: LayerState::Degraded,
                message: Some(format!(
                    "Landlock version {landlock} cannot scope abstract sockets and signals"
                )),
            },
            _ => active(),
        },
        ebpf: HardeningLayerState {
            state: LayerState::Disabled,
            message: Some("nothing observes a session's code by eBPF".to_owned()),
        },
    }
}

async fn try_out(state: &StateDirectory, ids: Ids) -> Result<Walls, IsolatedError> {
    let failed = |error| IsolatedError::system("session directory", &error);
    let directory = state.session().map_err(failed)?;
    let _removed = Removed(directory.clone());
    let layer = directory.join("0");
    for part in ["lower", "0/upper", "0/work"] {
        fs::create_dir_all(directory.join(part)).map_err(failed)?;
    }
    let mount = Mount {
        source: directory.join("lower"),
        target: "/tmp".into(),
        mode: MountMode::Overlay,
        layer: Some(layer),
    };
    let plan = Plan {
        root: directory.join("root"),
        runs: directory.join("runs"),
        state: state.root.clone(),
        ids,
        identity: None,
        cwd: "/".into(),
        mounts: vec![mount],
        share_net: false,
        private_tmp: true,
        probe: true,
    };
    let agent = launch::start(&directory, &plan, Environment::new()).await?;
    Ok(agent.walls)
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let nothing = Found::nothing("no user namespaces".into());
        let said = nothing.describe();
        assert!(!said.available && said.hardening.is_none());
        assert_eq!(said.message.as_deref(), Some("no user namespaces"));
        assert!(nothing.check_any().unwrap_err().to_string().contains("no user namespaces"));
        let walls = Walls { landlock: 3, network: true };
        let half = Found { same_ids: Err("ids cannot be mapped".into()), own_id: Ok(walls) };
        let said = half.describe();
        assert!(said.available && !said.setpriv_available && said.userns_available);
        assert_eq!(said.hardening.unwrap().landlock.state, LayerState::Degraded);
        assert!(half.check_any().is_ok() && half.check(Ids::Same).is_err());
        let walls = Ok(Walls { network: false, ..walls });
        let said = Found { same_ids: walls.clone(), own_id: walls }.describe();
        assert!(said.available && said.message.is_some_and(|message| message.contains("no loopback")));
    }
}
