//! What a client asks for, checked and completed.

use std::{
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use sandkeep_specs::execd::isolated::{
    CreateIsolatedSessionRequest, IsolatedOverlaySpec, IsolatedWorkspaceSpec, IsolationProfile, MountMode,
    UidMode,
};

use super::{
    IsolatedError, environment,
    plan::{Ids, Mount},
};
use crate::{command::env::Environment, process::Identity, settings::Settings, users};

/// Mounts of one session, binds not counted.
const MAX_MOUNTS: usize = 16;

/// Further writable paths and binds of one session.
const MAX_BINDS: usize = 64;

/// A session nobody uses is deleted after this long, unless the request says otherwise.
const DEFAULT_IDLE_SECONDS: i64 = 1800;

/// Longest time limit that is told apart from none.
const MAX_IDLE_SECONDS: i64 = 10 * 365 * 24 * 3600;

/// Variable with the paths, separated by colons, that binds and extra writable paths must be in.
pub(super) const ALLOWED_VARIABLE: &str = "EXECD_ISOLATION_ALLOWED_WRITABLE";

/// Without that variable binds may be anywhere but in these.
const SYSTEM: [&str; 13] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys",
    "/usr",
];

/// Nothing is mounted over these: they are the session's own.
const RESERVED: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// Largest user and group id; the one above means "none" to the system.
const MAX_ID: i64 = u32::MAX as i64 - 1;

/// A request that can be carried out.
#[derive(Debug)]
pub(super) struct Checked {
    /// The parameters with defaults filled in, as clients see them.
    pub parameters: CreateIsolatedSessionRequest,
    /// What to mount, the client's mounts first and in its order; layers are yet to be given.
    pub mounts: Vec<Mount>,
    /// How many of these are the client's mounts, the rest being binds.
    pub own_mounts: usize,
    pub ids: Ids,
    pub identity: Option<Identity>,
    pub env: Environment,
    pub cwd: PathBuf,
    pub idle: Option<Duration>,
}

impl Checked {
    /// The client's mounts whose changes are kept, by position.
    pub(super) fn kept_layers(&self) -> Vec<usize> {
        let overlays = self.parameters.overlays.as_deref().unwrap_or_default();
        let kept =
            |spec: &IsolatedOverlaySpec| spec.mode == Some(MountMode::Overlay) && spec.persist != Some(false);
        overlays.iter().enumerate().filter(|(_, spec)| kept(spec)).map(|(position, _)| position).collect()
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T, IsolatedError> {
    Err(IsolatedError::Invalid(message.into()))
}

/// Checks a request; `state` is where sessions are kept.
pub(super) fn check(
    request: &CreateIsolatedSessionRequest,
    settings: &Settings,
    all_env: Environment,
    state: &Path,
) -> Result<Checked, IsolatedError> {
    let profile = request.profile.unwrap_or_default();
    let overlays = effective_mounts(request, profile)?;
    let mut mounts = Vec::new();
    for (index, spec) in overlays.iter().enumerate() {
        let name = if index == 0 && request.workspace.is_some() { "workspace" } else { "overlays" };
        mounts.push(own_mount(name, spec, state)?);
    }
    for (index, mount) in mounts.iter().enumerate() {
        if mounts[..index].iter().any(|other| other.target == mount.target) {
            return invalid(format!("{}: is mounted twice", mount.target.display()));
        }
    }
    let own_mounts = mounts.len();
    mounts.extend(binds(request, settings, state)?);
    let passthrough =
        request.env_passthrough.clone().unwrap_or_else(|| environment::default_passthrough(profile));
    let env = environment::filter(all_env, &passthrough)?;
    let (ids, identity) = identity(request, settings)?;
    let idle_seconds = request.idle_timeout_seconds.unwrap_or(DEFAULT_IDLE_SECONDS);
    if !(0..=MAX_IDLE_SECONDS).contains(&idle_seconds) {
        return invalid(format!("idle_timeout_seconds: {idle_seconds} is not from 0 to {MAX_IDLE_SECONDS}"));
    }
    let cwd = PathBuf::from(&overlays[0].path);
    let parameters = CreateIsolatedSessionRequest {
        profile: Some(profile),
        workspace: request
            .workspace
            .clone()
            .filter(|_| overlays.len() == 1)
            .map(|workspace| IsolatedWorkspaceSpec { mode: overlays[0].mode, ..workspace }),
        overlays: Some(overlays),
        share_net: Some(request.share_net.unwrap_or(true)),
        env_passthrough: Some(passthrough),
        uid_mode: Some(request.uid_mode.unwrap_or_default()),
        idle_timeout_seconds: Some(idle_seconds),
        ..request.clone()
    };
    let idle = u64::try_from(idle_seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    Ok(Checked { parameters, mounts, own_mounts, ids, identity, env, cwd, idle })
}

/// Workspace and overlays as one list with modes filled in.
fn effective_mounts(
    request: &CreateIsolatedSessionRequest,
    profile: IsolationProfile,
) -> Result<Vec<IsolatedOverlaySpec>, IsolatedError> {
    let by_profile = match profile {
        IsolationProfile::Strict => MountMode::Overlay,
        IsolationProfile::Balanced => MountMode::Rw,
    };
    let workspace = request.workspace.as_ref().map(|workspace| IsolatedOverlaySpec {
        path: workspace.path.clone(),
        mode: Some(workspace.mode.unwrap_or(by_profile)),
        persist: None,
    });
    let others = request.overlays.iter().flatten().map(|spec| IsolatedOverlaySpec {
        mode: Some(spec.mode.unwrap_or(MountMode::Overlay)),
        ..spec.clone()
    });
    let all: Vec<_> = workspace.into_iter().chain(others).collect();
    if all.is_empty() {
        return invalid("workspace or overlays: at least one directory is needed");
    }
    if all.len() > MAX_MOUNTS {
        return invalid(format!("overlays: {} mounts are more than {MAX_MOUNTS}", all.len()));
    }
    for spec in &all {
        if spec.persist.is_some() && spec.mode != Some(MountMode::Overlay) {
            return invalid(format!("{}: persist is for mode overlay only", spec.path));
        }
    }
    Ok(all)
}

fn own_mount(name: &str, spec: &IsolatedOverlaySpec, state: &Path) -> Result<Mount, IsolatedError> {
    let path = clean(name, &spec.path)?;
    let found = match path.canonicalize() {
        Ok(found) if found.is_dir() => found,
        Ok(_) => return invalid(format!("{name}: {} is not a directory", spec.path)),
        Err(error) => return invalid(format!("{name}: {}: {}", spec.path, crate::reason::reason(&error))),
    };
    refuse_reserved(name, &found, state)?;
    let mode = spec.mode.unwrap_or(MountMode::Overlay);
    Ok(Mount { source: found.clone(), target: found, mode, layer: None })
}

fn binds(
    request: &CreateIsolatedSessionRequest,
    settings: &Settings,
    state: &Path,
) -> Result<Vec<Mount>, IsolatedError> {
    let extra = request.extra_writable.iter().flatten().map(|path| ("extra_writable", path, None, false));
    let binds = request
        .binds
        .iter()
        .flatten()
        .map(|bind| ("binds", &bind.source, bind.dest.as_deref(), bind.readonly.unwrap_or(false)));
    let mut mounts = Vec::new();
    for (name, source, dest, readonly) in extra.chain(binds) {
        if mounts.len() == MAX_BINDS {
            return invalid(format!("{name}: there are more than {MAX_BINDS} binds"));
        }
        let asked = clean(name, source)?;
        let found = asked
            .canonicalize()
            .or_else(|error| invalid(format!("{name}: {source}: {}", crate::reason::reason(&error))))?;
        if !is_allowed(&found, settings.env().get(OsStr::new(ALLOWED_VARIABLE)).map(|list| list.as_os_str()))
        {
            return invalid(format!("{name}: {source} is not in the paths that may be bound"));
        }
        refuse_reserved(name, &found, state)?;
        let target = resolved(&clean(name, dest.unwrap_or(source))?);
        refuse_reserved(name, &target, state)?;
        let mode = if readonly { MountMode::Ro } else { MountMode::Rw };
        mounts.push(Mount { source: found, target, mode, layer: None });
    }
    Ok(mounts)
}

/// A path that is absolute, without detours and not the root.
fn clean(name: &str, path: &str) -> Result<PathBuf, IsolatedError> {
    let sound = path.starts_with('/')
        && path.len() > 1
        && !path.contains('\0')
        && path[1..].split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if sound {
        Ok(path.into())
    } else {
        invalid(format!(
            "{name}: {path:?} is not an absolute path without \".\", \"..\" and needless slashes"
        ))
    }
}

/// The path with what exists of it free of symbolic links.
fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return found.join(rest).components().filter(|part| *part != Component::CurDir).collect();
        }
    }
    path.to_owned()
}

fn refuse_reserved(name: &str, path: &Path, state: &Path) -> Result<(), IsolatedError> {
    let shown = path.display();
    if path == Path::new("/") || RESERVED.iter().any(|reserved| path.starts_with(reserved)) {
        return invalid(format!("{name}: {shown} cannot be mounted in a session"));
    }
    if state.starts_with(path) || path.starts_with(state) {
        return invalid(format!("{name}: {shown} overlaps {}, where sessions are kept", state.display()));
    }
    Ok(())
}

fn is_allowed(path: &Path, list: Option<&OsStr>) -> bool {
    match list {
        Some(list) => std::env::split_paths(list)
            .filter(|allowed| allowed.is_absolute())
            .any(|allowed| path.starts_with(allowed)),
        None => !SYSTEM.iter().any(|system| path.starts_with(system)),
    }
}

fn identity(
    request: &CreateIsolatedSessionRequest,
    settings: &Settings,
) -> Result<(Ids, Option<Identity>), IsolatedError> {
    let id = |name: &str, id: Option<i64>| match id {
        Some(id) if (0..=MAX_ID).contains(&id) => Ok(u32::try_from(id).ok()),
        Some(id) => invalid(format!("{name}: {id} is not from 0 to {MAX_ID}")),
        None => Ok(None),
    };
    let (uid, gid) = (id("uid", request.uid)?, id("gid", request.gid)?);
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let base = settings.identity.as_ref().map_or(own, |identity| (identity.uid, identity.gid));
    if request.uid_mode == Some(UidMode::Userns) {
        return Ok((Ids::One { uid: uid.unwrap_or(base.0), gid: gid.unwrap_or(base.1) }, None));
    }
    let wanted = match (uid, gid) {
        (None, None) => return Ok((Ids::Same, settings.identity.clone())),
        (Some(uid), gid) => users::by_number(uid, gid),
        (None, Some(gid)) => users::by_number(base.0, Some(gid)),
    };
    if own.0 != 0 && (wanted.uid, wanted.gid) != own {
        let message = "uid, gid: execd is not root here and cannot change to another user";
        return Err(IsolatedError::NotSupported(message.to_owned()));
    }
    for (name, id, map) in
        [("uid", wanted.uid, "/proc/self/uid_map"), ("gid", wanted.gid, "/proc/self/gid_map")]
    {
        if !is_mapped(&fs::read_to_string(map).unwrap_or_default(), id) {
            return invalid(format!("{name}: {id} is not an id of this sandbox"));
        }
    }
    Ok((Ids::Same, (own.0 == 0).then_some(wanted)))
}

/// Whether an id is in one of the ranges of a user namespace.
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_ascii_whitespace().filter_map(|text| text.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first + count).contains(&u64::from(id)))
    })
}

#[cfg(test)]
mod tests {
    use sandkeep_specs::execd::isolated::BindMount;

    use super::*;

    struct Place {
        root: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            for name in ["tree", "tree/sub", "other", "state"] {
                fs::create_dir(root.path().join(name)).unwrap();
            }
            fs::write(root.path().join("file"), "").unwrap();
            Self { root }
        }

        fn path(&self, name: &str) -> String {
            self.root.path().canonicalize().unwrap().join(name).display().to_string()
        }

        fn check(&self, request: &CreateIsolatedSessionRequest) -> Result<Checked, IsolatedError> {
            let settings = Settings {
                access_token: None,
                env_file: None,
                identity: None,
                cwd: "/".into(),
                env: Environment::new(),
                owner: Default::default(),
            };
            check(
                request,
                &settings,
                Environment::new(),
                &self.root.path().canonicalize().unwrap().join("state"),
            )
        }

        fn refusal(&self, request: &CreateIsolatedSessionRequest) -> String {
            match self.check(request) {
                Err(IsolatedError::Invalid(message)) => message,
                other => panic!("{other:?}"),
            }
        }

        fn workspace(&self, path: &str) -> CreateIsolatedSessionRequest {
            CreateIsolatedSessionRequest {
                workspace: Some(IsolatedWorkspaceSpec { path: path.to_owned(), mode: None }),
                ..Default::default()
            }
        }
    }

    fn overlay(path: String, mode: Option<MountMode>, persist: Option<bool>) -> IsolatedOverlaySpec {
        IsolatedOverlaySpec { path, mode, persist }
    }

    #[test]
    fn defaults_follow_the_profile() {
        let place = Place::new();
        let mut request = place.workspace(&place.path("tree"));
        let strict = place.check(&request).unwrap();
        assert_eq!(strict.mounts[0].mode, MountMode::Overlay);
        assert_eq!(strict.kept_layers(), [0]);
        assert_eq!(strict.idle, Some(Duration::from_secs(1800)));
        assert_eq!(strict.parameters.workspace.as_ref().unwrap().mode, Some(MountMode::Overlay));
        request.profile = Some(IsolationProfile::Balanced);
        request.idle_timeout_seconds = Some(0);
        let balanced = place.check(&request).unwrap();
        assert_eq!((balanced.mounts[0].mode, balanced.idle), (MountMode::Rw, None));
        assert!(balanced.kept_layers().is_empty());
    }

    #[test]
    fn the_workspace_is_the_first_of_several_mounts() {
        let place = Place::new();
        let mut request = place.workspace(&place.path("tree"));
        request.overlays = Some(vec![
            overlay(place.path("tree/sub"), Some(MountMode::Ro), None),
            overlay(place.path("other"), None, Some(false)),
        ]);
        let checked = place.check(&request).unwrap();
        assert_eq!(checked.parameters.workspace, None);
        assert_eq!(checked.parameters.overlays.as_ref().unwrap().len(), 3);
        assert_eq!(checked.cwd, Path::new(&place.path("tree")));
        assert_eq!((checked.kept_layers(), checked.own_mounts), (vec![0], 3));
    }

    #[test]
    fn impossible_mounts_are_refused() {
        let place = Place::new();
        assert!(place.refusal(&CreateIsolatedSessionRequest::default()).contains("workspace"));
        for path in ["tree", "/", "/tree/", "/a/../b", "/a//b", "/a/./b", ""] {
            assert!(place.refusal(&place.workspace(path)).contains("absolute"), "{path}");
        }
        for (path, says) in
            [("none", "No such file"), ("file", "not a directory"), ("state", "overlaps"), ("", "absolute")]
        {
            assert!(place.refusal(&place.workspace(&place.path(path))).contains(says), "{path}");
        }
        assert!(place.refusal(&place.workspace("/proc/self")).contains("/proc"));
        let mut twice = place.workspace(&place.path("tree"));
        twice.overlays = Some(vec![overlay(place.path("tree"), None, None)]);
        assert!(place.refusal(&twice).contains("twice"));
        twice.overlays = Some(vec![overlay(place.path("other"), Some(MountMode::Rw), Some(true))]);
        assert!(place.refusal(&twice).contains("persist"));
        twice.overlays = Some(vec![overlay(place.path("other"), None, None); 16]);
        assert!(place.refusal(&twice).contains("16"));
    }

    #[test]
    fn binds_stay_within_what_is_allowed() {
        let place = Place::new();
        let mut request = place.workspace(&place.path("tree"));
        let bind =
            |source: String| BindMount { source, dest: Some("/elsewhere".into()), readonly: Some(true) };
        request.binds = Some(vec![bind(place.path("file"))]);
        let checked = place.check(&request).unwrap();
        assert_eq!(checked.mounts[1].target, Path::new("/elsewhere"));
        assert_eq!(checked.mounts[1].mode, MountMode::Ro);
        request.binds = Some(vec![bind("/usr/bin".into())]);
        assert!(place.refusal(&request).contains("binds: /usr/bin"));
        request.binds = None;
        request.extra_writable = Some(vec!["/etc/ssl".into()]);
        assert!(place.refusal(&request).contains("extra_writable: /etc/ssl"));
        let list = Some(OsStr::new("/data:relative:/srv/x"));
        assert!(is_allowed(Path::new("/srv/x/y"), list) && !is_allowed(Path::new("/srv/xy"), list));
        assert!(!is_allowed(Path::new("relative"), list));
    }

    #[test]
    fn ids_and_limits_are_checked() {
        let place = Place::new();
        let mut request = place.workspace(&place.path("tree"));
        request.uid = Some(-1);
        assert!(place.refusal(&request).contains("uid: -1"));
        request.uid = Some(4_294_967_295);
        assert!(place.refusal(&request).contains("uid: 4294967295"));
        request.uid = Some(7);
        request.uid_mode = Some(UidMode::Userns);
        let checked = place.check(&request).unwrap();
        assert!(matches!(checked.ids, Ids::One { uid: 7, .. }) && checked.identity.is_none());
        request.idle_timeout_seconds = Some(-1);
        assert!(place.refusal(&request).contains("idle_timeout_seconds"));
        assert!(is_mapped("0 1000 1\n1 100000 10\n", 10) && !is_mapped("0 1000 1\n1 100000 10\n", 11));
    }
}
