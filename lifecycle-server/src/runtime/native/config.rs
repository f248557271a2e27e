//! What an operator can choose about the native runtime.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// Resolvers given to sandboxes when the host names none that a sandbox could reach.
const FALLBACK_DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8)];
/// Where the host's resolvers are looked up, first useful file winning.
const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// Where sandboxes' addresses come from unless another server uses it already.
pub(crate) const DEFAULT_SUBNET: Cidr = Cidr { address: Ipv4Addr::new(10, 231, 0, 0), prefix: 16 };

/// An IPv4 network, such as `10.231.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    pub address: Ipv4Addr,
    pub prefix: u8,
}

impl Cidr {
    /// First address of the network and how many addresses it holds.
    pub(crate) fn range(self) -> (u32, u64) {
        let size = 1u64 << (32 - self.prefix);
        let base = u64::from(u32::from(self.address)) / size * size;
        (base as u32, size)
    }

    /// Whether the address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        self.overlaps(Self { address, prefix: 32 })
    }

    /// Whether some address is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let ((ours, size), (theirs, their_size)) = (self.range(), other.range());
        u64::from(ours) < u64::from(theirs) + their_size && u64::from(theirs) < u64::from(ours) + size
    }
}

impl std::str::FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an IPv4 network such as 10.231.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address = address.parse().map_err(|_| wrong())?;
        let prefix = prefix.parse().map_err(|_| wrong())?;
        if prefix > 32 {
            return Err(wrong());
        }
        Ok(Self { address, prefix })
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.range().0), self.prefix)
    }
}

/// Limits of a sandbox that names none of its own; `None` and zero are no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultLimits {
    /// Thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    /// Bytes a sandbox may write to its own file system.
    pub disk_bytes: Option<u64>,
}

impl Default for DefaultLimits {
    fn default() -> Self {
        Self { cpu_millis: None, memory_bytes: None, pids: Some(4096), disk_bytes: Some(10 << 30) }
    }
}

/// Launches are refused while the state disk has less room than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    pub free_bytes: u64,
    pub free_percent: u8,
}

impl Default for Watermark {
    fn default() -> Self {
        Self { free_bytes: 1 << 30, free_percent: 2 }
    }
}

/// Launches are refused while the host has less left than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserve {
    pub memory_bytes: u64,
    /// The same in percent of the host's memory; the larger of the two counts.
    pub memory_percent: u8,
    /// Processes and threads.
    pub tasks: u64,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { memory_bytes: 256 << 20, memory_percent: 3, tasks: 512 }
    }
}

/// How a sandbox's file system is put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OverlayWay {
    /// Whichever works, tried when the runtime starts; detached first.
    #[default]
    Auto,
    /// From descriptors of detached mounts: Linux 6.15 and newer.
    Detached,
    /// From paths in a private mount namespace: Linux 6.1 and newer.
    Attached,
}

/// Configuration of [`super::NativeRuntime`].
#[derive(Debug, Clone)]
pub struct NativeConfig {
    /// Holds everything the runtime keeps; two servers must not share one.
    pub state_dir: PathBuf,
    /// Addresses of sandboxes; its second address is the host's, as sandboxes see it. No two servers of a host share
    /// one; `None` is `10.231.0.0/16` or, if that is another server's, one that is free.
    pub subnet: Option<Cidr>,
    /// The static execd binary that becomes the first process of every sandbox.
    pub execd: PathBuf,
    /// The program that guards a sandbox's outbound traffic; without it, no sandbox can ask for that.
    pub egress_sidecar: Option<PathBuf>,
    /// Name or path of an OCI runtime binary (`runc`, `runsc`); empty means a direct launch.
    pub oci_runtime: String,
    /// Directory of CRIU with its loader and libraries.
    pub criu: PathBuf,
    /// Programs inside gain no rights by exec: set-user-id binaries such as sudo stay powerless.
    pub no_new_privileges: bool,
    pub default_limits: DefaultLimits,
    pub watermark: Watermark,
    pub reserve: Reserve,
    /// Resolvers written into sandboxes; empty means the host's own, except those on loopback.
    pub dns_servers: Vec<Ipv4Addr>,
    /// Networks no sandbox may reach.
    pub deny_cidrs: Vec<Cidr>,
    /// First host uid and gid of the range for slot 0; slot n starts `n * 65536` above it.
    pub uid_base: u32,
    /// Slots (network, cgroups, file system) kept ready for the next launches.
    pub prepared_slots: usize,
    pub overlay: OverlayWay,
    /// Connections through this host a sandbox may have at a time. The host's table of them is one for all sandboxes.
    pub max_flows: u32,
    /// Most bytes kept of what one sandbox prints.
    pub log_bytes: u64,
    /// Binary that answers [`super::launcher::run_if_asked`]; `None` is the running one.
    pub launcher: Option<PathBuf>,
}

impl NativeConfig {
    /// The defaults, with `execd` as the binary put into sandboxes.
    pub fn new(state_dir: impl Into<PathBuf>, execd: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), execd: execd.into(), ..Self::default() }
    }

    /// Resolvers for sandboxes: the configured ones, else the host's, else public ones.
    pub(crate) fn resolvers(&self) -> Vec<Ipv4Addr> {
        if !self.dns_servers.is_empty() {
            return self.dns_servers.clone();
        }
        RESOLVER_FILES
            .iter()
            .filter_map(|file| std::fs::read_to_string(Path::new(file)).ok())
            .map(|text| reachable_nameservers(&text))
            .find(|found| !found.is_empty())
            .unwrap_or_else(|| FALLBACK_DNS.to_vec())
    }
}

impl Default for NativeConfig {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/sandkeep"),
            subnet: None,
            execd: PathBuf::new(),
            egress_sidecar: None,
            oci_runtime: String::new(),
            criu: PathBuf::from("/usr/local/lib/sandkeep/criu"),
            no_new_privileges: true,
            default_limits: DefaultLimits::default(),
            watermark: Watermark::default(),
            reserve: Reserve::default(),
            dns_servers: Vec::new(),
            deny_cidrs: vec![Cidr { address: Ipv4Addr::new(169, 254, 0, 0), prefix: 16 }],
            uid_base: 0x1000_0000,
            prepared_slots: 8,
            overlay: OverlayWay::Auto,
            max_flows: 16384,
            log_bytes: 2 << 20,
            launcher: None,
        }
    }
}

/// IPv4 `nameserver` lines that are not on the host's loopback, where no sandbox could reach them.
fn reachable_nameservers(resolv_conf: &str) -> Vec<Ipv4Addr> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse::<Ipv4Addr>().ok())
        .filter(|address| !address.is_loopback())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_parse_and_normalise() {
        let cidr: Cidr = "10.231.7.9/16".parse().unwrap();
        assert_eq!(cidr.to_string(), "10.231.0.0/16");
        assert_eq!(cidr.range(), (u32::from(Ipv4Addr::new(10, 231, 0, 0)), 65536));
        for bad in ["10.231.0.0", "10.231.0.0/33", "x/8", "10.0/8"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_overlap_when_one_holds_the_other() {
        let overlap = |a: &str, b: &str| a.parse::<Cidr>().unwrap().overlaps(b.parse().unwrap());
        assert!(overlap("10.0.0.0/8", "10.231.0.0/16") && overlap("10.231.0.5/32", "10.231.0.0/16"));
        assert!(overlap("0.0.0.0/0", "255.255.255.255/32"));
        assert!(!overlap("10.230.0.0/16", "10.231.0.0/16") && !overlap("10.231.0.0/32", "10.231.0.1/32"));
    }

    #[test]
    fn loopback_and_ipv6_resolvers_are_left_out() {
        let text = "# x\nnameserver 127.0.0.53\nnameserver ::1\n nameserver 10.0.0.2 \nsearch a b\n";
        assert_eq!(reachable_nameservers(text), [Ipv4Addr::new(10, 0, 0, 2)]);
    }
}
