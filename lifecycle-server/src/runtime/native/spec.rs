//! The OCI document of a sandbox. The direct launcher and OCI runtime binaries both start from it.

use std::{path::Path, sync::LazyLock};

use oci_spec::runtime::{LinuxSeccomp, Spec};
use serde_json::{Value, json};

use super::{
    launcher::plan::SECCOMP_ANNOTATION,
    rootfs::{ENVS_PATH, EXECD_PATH, ISOLATION_PATH},
    seccomp::{self, Profile},
};
use crate::runtime::{HandOver, LaunchSpec, Limits, RuntimeError};

/// Port of execd inside every sandbox.
pub const EXECD_PORT: u16 = 44772;
/// Open files a sandbox may have per process, where the host allows as many.
const OPEN_FILES: u64 = 1_048_576;
/// The kernel's out-of-memory killer takes sandboxes before anything of the host.
const OOM_SCORE_ADJ: i32 = 500;
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Docker's default set. `NET_RAW` is powerless over a namespace that belongs to the host, but `ping` carries it as a
/// file capability and would not even start without it here.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
];
/// Files that tell about the host; private uids keep sandboxes from the rest.
const MASKED: [&str; 4] = ["/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list"];
const DEVICES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// Host facts that go into the document.
pub(crate) struct Host<'a> {
    pub no_new_privileges: bool,
    pub limits: Limits,
    /// Path of the slot below every cgroup root.
    pub cgroup: &'a str,
    /// Names of the files of its control groups that a direct launch hands to execd, from descriptor 4 on.
    pub gauges: &'a [&'a str],
    /// Directory the root is mounted at.
    pub root: &'a Path,
    /// Set for an OCI runtime binary, which makes what the direct launcher is handed.
    pub join: Option<Join>,
}

/// What an OCI runtime needs to know beyond the document of a direct launch.
pub(crate) struct Join {
    /// Path of the network namespace made beforehand. (A user namespace made beforehand would be entered first, and
    /// from inside it the host's network namespace is out of reach.)
    pub netns: String,
    /// First host id of the sandbox's range.
    pub uid_base: u32,
}

/// Name of the sandbox as its processes see it.
pub(crate) fn hostname(id: &str) -> String {
    format!("sandbox-{}", id.get(..8).unwrap_or(id))
}

/// Arguments and environment of execd.
fn process(spec: &LaunchSpec, gauges: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut args: Vec<String> = [EXECD_PATH, "--init", "--port", &EXECD_PORT.to_string(), "--ready-fd", "3"]
        .map(str::to_owned)
        .into();
    if spec.standby {
        args.push(STANDBY.to_owned());
    }
    if let Some(user) = &spec.user {
        args.extend(["--user".to_owned(), user.clone()]);
    }
    args.extend(["--cwd".to_owned(), spec.cwd.clone(), "--".to_owned()]);
    args.extend(spec.entrypoint.iter().cloned());

    let url = format!("http://127.0.0.1:{EXECD_PORT}");
    let ours = [
        (TOKEN_VARIABLE, spec.execd_token.as_str()),
        ("EXECD_URL", &url),
        ("EXECD_ENVS", ENVS_PATH),
        ("EXECD_INIT", "1"),
        ("OPENSANDBOX_ID", &spec.id),
    ];
    let mut env: Vec<(&str, &str)> = vec![("PATH", DEFAULT_PATH)];
    // Later entries win, and each name appears once: programs differ in which of two they take.
    let isolation = spec.nested_isolation.then_some(("EXECD_ISOLATION_UPPER_ROOT", ISOLATION_PATH));
    let given = spec.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let names = gauges.join(",");
    let gauges = (!gauges.is_empty()).then_some(("EXECD_GAUGES", names.as_str()));
    for (name, value) in given.chain(ours).chain(isolation).chain(gauges) {
        env.retain(|(known, _)| *known != name);
        env.push((name, value));
    }
    (args, env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Variables by which execd itself is told what to do here.
const OURS: [&str; 7] = [
    TOKEN_VARIABLE,
    "EXECD_URL",
    "EXECD_ENVS",
    "EXECD_INIT",
    "OPENSANDBOX_ID",
    "EXECD_ISOLATION_UPPER_ROOT",
    "EXECD_GAUGES",
];
const TOKEN_VARIABLE: &str = "EXECD_ACCESS_TOKEN";
const STANDBY: &str = "--standby";

/// Makes the document of a sandbox that stood by for an owner the one of the sandbox he got.
pub(super) fn give(document: &mut Spec, owner: &HandOver) {
    let Some(process) = document.process_mut() else { return };
    let mut args = process.args().clone().unwrap_or_default();
    // What follows the first `--` is the program's own.
    let program = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
    if !owner.entrypoint.is_empty() {
        args.truncate(program);
        args.push("--".to_owned());
        args.extend(owner.entrypoint.iter().cloned());
    }
    if let Some(position) = args[..program].iter().position(|arg| arg == STANDBY) {
        args.remove(position);
    }
    process.set_args(Some(args));

    let mut env = process.env().clone().unwrap_or_default();
    let owned = owner.env.iter().filter(|(name, _)| !OURS.contains(&name.as_str()));
    let token = (TOKEN_VARIABLE, owner.execd_token.as_str());
    for (name, value) in owned.map(|(name, value)| (name.as_str(), value.as_str())).chain([token]) {
        env.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
        env.push(format!("{name}={value}"));
    }
    process.set_env(Some(env));
}

fn mounts(joined: bool, nested: bool) -> Value {
    let mut mounts = vec![
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "noexec", "mode=755", "size=1m", "uid=0", "gid=0"] }),
        json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] }),
        json!({ "destination": "/dev/shm", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "mode=1777", "size=64m", "uid=0", "gid=0"] }),
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
    ];
    // A process that is in its user namespace already is refused a fresh sysfs for a network namespace of the host's,
    // and the host's own sysfs would tell about the host. (execd is part of the root as it is handed over.)
    if !joined {
        mounts.push(json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs",
                            "options": ["nosuid", "noexec", "nodev", "ro"] }));
    }
    // The overlays of isolated sessions need a file system that is no overlay itself. What is in it counts as the
    // sandbox's memory.
    if nested {
        mounts.push(json!({ "destination": ISOLATION_PATH, "type": "tmpfs", "source": "tmpfs",
                            "options": ["nosuid", "nodev", "mode=700", "size=2g", "uid=0", "gid=0"] }));
    }
    Value::from(mounts)
}

/// Builds the document.
pub(crate) fn build(spec: &LaunchSpec, host: &Host<'_>) -> Result<Spec, RuntimeError> {
    // An OCI runtime hands nothing on.
    let gauges = if host.join.is_none() { host.gauges } else { &[] };
    let (args, env) = process(spec, gauges);
    let profile = if spec.nested_isolation { Profile::Nested } else { Profile::Default };
    // The kernel lets nobody mount a new /proc in a namespace whose own /proc is partly covered.
    let masked: &[&str] = if spec.nested_isolation { &[] } else { &MASKED };
    let mut namespaces = vec![
        json!({ "type": "mount" }),
        json!({ "type": "pid" }),
        json!({ "type": "ipc" }),
        json!({ "type": "uts" }),
        json!({ "type": "cgroup" }),
    ];
    if let Some(join) = &host.join {
        namespaces.push(json!({ "type": "network", "path": join.netns }));
        namespaces.push(json!({ "type": "user" }));
    }
    let map =
        host.join.as_ref().map(|join| json!([{ "containerID": 0, "hostID": join.uid_base, "size": 65536 }]));
    let limits = &host.limits;
    // Only binaries with a device controller read these; inside a user namespace no node can be made anyway.
    let mut devices = vec![json!({ "allow": false, "access": "rwm" })];
    devices.extend(DEVICES.map(|(_, major, minor)| {
        json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rw" })
    }));
    let resources = json!({
        "devices": devices,
        "cpu": limits.cpu_millis.map(|millis| json!({ "quota": (millis * 100).max(1000), "period": 100_000 })).unwrap_or(json!({})),
        "memory": limits.memory_bytes.map(|bytes| json!({ "limit": bytes, "swap": bytes })).unwrap_or(json!({})),
        "pids": limits.pids.map(|pids| json!({ "limit": pids })).unwrap_or(json!({ "limit": 0 })),
    });
    let document = json!({
        "ociVersion": "1.0.2",
        "hostname": hostname(&spec.id),
        "root": { "path": host.root, "readonly": false },
        "annotations": { SECCOMP_ANNOTATION: if spec.nested_isolation { "nested" } else { "default" } },
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": args,
            "env": env,
            "cwd": if host.join.is_some() { "/" } else { spec.cwd.as_str() },
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES,
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": open_files(), "soft": open_files() }],
            "noNewPrivileges": host.no_new_privileges,
            "oomScoreAdj": OOM_SCORE_ADJ,
        },
        "mounts": mounts(host.join.is_some(), spec.nested_isolation),
        "linux": {
            "cgroupsPath": host.cgroup,
            "namespaces": namespaces,
            "uidMappings": map,
            "gidMappings": map,
            "devices": DEVICES.map(|(path, major, minor)| json!({
                "path": path, "type": "c", "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0,
            })),
            "maskedPaths": masked,
            "resources": resources,
        },
    });
    let invalid = |error| RuntimeError::Invalid(format!("sandbox document: {error}"));
    let mut document: Spec = serde_json::from_value(document).map_err(invalid)?;
    if let Some(linux) = document.linux_mut() {
        linux.set_seccomp(Some(filter(profile)));
    }
    Ok(document)
}

/// The system call filter in OCI form, rendered once per profile.
fn filter(profile: Profile) -> LinuxSeccomp {
    static RENDERED: [LazyLock<LinuxSeccomp>; 2] =
        [LazyLock::new(|| seccomp::oci(Profile::Default)), LazyLock::new(|| seccomp::oci(Profile::Nested))];
    RENDERED[usize::from(profile == Profile::Nested)].clone()
}

/// As many open files as this host lets us grant.
fn open_files() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    OPEN_FILES.min(limit.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::runtime::{Slot, native::launcher::plan::Plan};

    fn spec() -> LaunchSpec {
        LaunchSpec {
            id: "0a1b2c3d-0000-4000-8000-000000000000".into(),
            slot: Slot { number: 2, address: Ipv4Addr::new(10, 231, 0, 2) },
            layers: vec![],
            volumes: vec![],
            entrypoint: vec!["sleep".into(), "9".into()],
            env: vec![("A".into(), "1".into()), ("EXECD_INIT".into(), "0".into()), ("A".into(), "2".into())],
            cwd: "/srv/x".into(),
            user: Some("1000:1000".into()),
            limits: Limits::default(),
            execd_token: "secret".into(),
            nested_isolation: false,
            standby: false,
            pre_start: std::time::Duration::ZERO,
            sidecar: None,
        }
    }

    fn host(root: &Path) -> Host<'_> {
        Host {
            no_new_privileges: true,
            limits: Limits::default(),
            cgroup: "/c",
            gauges: &[],
            root,
            join: None,
        }
    }

    fn texts(list: &[std::ffi::CString]) -> Vec<String> {
        list.iter().map(|text| text.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_plan_follows_the_document() {
        let document = build(&spec(), &host(Path::new("/r"))).unwrap();
        let plan = Plan::from_spec(&document, 1 << 28, Path::new("/m")).unwrap();
        let args = texts(&plan.args);
        assert_eq!(args[1..6], ["--init", "--port", "44772", "--ready-fd", "3"]);
        assert_eq!(args[6..], ["--user", "1000:1000", "--cwd", "/srv/x", "--", "sleep", "9"]);
        assert_eq!(texts(&plan.directories), ["/srv", "/srv/x"]);
        let env = texts(&plan.env);
        assert!(env.contains(&"A=2".to_owned()) && !env.contains(&"A=1".to_owned()), "{env:?}");
        assert!(env.contains(&"EXECD_INIT=1".to_owned()) && !env.contains(&"EXECD_INIT=0".to_owned()));
        assert_eq!(plan.capabilities, 0xa804_25fb);
        let data =
            plan.mounts.iter().map(|mount| mount.data.to_string_lossy().into_owned()).collect::<Vec<_>>();
        assert!(data[0].contains("uid=268435456"), "{data:?}");
        assert!(data[1].contains("gid=268435461"), "{data:?}");
        assert_eq!(plan.masked.len(), MASKED.len());
    }

    #[test]
    fn a_sandbox_that_stood_by_starts_again_as_its_owner_s() {
        let standby = LaunchSpec { standby: true, ..spec() };
        let mut document = build(&standby, &host(Path::new("/r"))).unwrap();
        let env = [("A", "mine"), ("EXECD_INIT", "0"), ("B", "b=c")];
        let owner = HandOver {
            execd_token: "owned".into(),
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            entrypoint: vec!["run".into(), "--standby".into()],
        };
        give(&mut document, &owner);
        let plan = Plan::from_spec(&document, 1 << 28, Path::new("/m")).unwrap();
        let args = texts(&plan.args);
        assert_eq!(args[6..], ["--user", "1000:1000", "--cwd", "/srv/x", "--", "run", "--standby"]);
        let env = texts(&plan.env);
        for expected in ["A=mine", "B=b=c", "EXECD_INIT=1", "EXECD_ACCESS_TOKEN=owned"] {
            let name = expected.split_once('=').unwrap().0;
            let found: Vec<_> = env.iter().filter(|entry| entry.split_once('=').unwrap().0 == name).collect();
            assert_eq!(found, [expected]);
        }
        // An owner without a program of his own gets the pool's.
        let mut document = build(&standby, &host(Path::new("/r"))).unwrap();
        give(&mut document, &HandOver { entrypoint: vec![], ..owner });
        assert_eq!(document.process().as_ref().unwrap().args().as_ref().unwrap()[6..10], args[6..10]);
        let plan = Plan::from_spec(&document, 1 << 28, Path::new("/m")).unwrap();
        assert_eq!(texts(&plan.args)[10..], ["--", "sleep", "9"]);
    }

    #[test]
    fn nested_isolation_needs_an_uncovered_proc() {
        let document =
            build(&LaunchSpec { nested_isolation: true, ..spec() }, &host(Path::new("/r"))).unwrap();
        let plan = Plan::from_spec(&document, 0, Path::new("/m")).unwrap();
        assert!(plan.masked.is_empty());
        assert!(plan.mounts.iter().any(|mount| mount.target.to_bytes() == &ISOLATION_PATH.as_bytes()[1..]));
        assert_eq!(plan.seccomp, Profile::Nested);
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let document = build(&LaunchSpec { cwd: "/a\0b".into(), ..spec() }, &host(Path::new("/r"))).unwrap();
        assert!(Plan::from_spec(&document, 0, Path::new("/m")).is_err());
    }
}
