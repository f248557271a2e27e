//! Which network a server takes its sandboxes' addresses from: never one that another server of this host uses.
//!
//! A running server holds its network by an abstract Unix socket, which all of the network namespace sees, whatever its
//! view of the file system, and which goes with its process, however that ends. Sandboxes that have outlived their server
//! show by their routes.

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    time::{Duration, Instant},
};

use super::{
    config::{Cidr, DEFAULT_SUBNET},
    host::Context,
    names,
    net::{self, Way},
    state::Record,
};
use crate::runtime::RuntimeError;

/// Prefix of the sockets' names; the network follows.
const SOCKET: &str = "sandkeep/subnet/";
/// File in the state directory that keeps the network over restarts.
const FILE: &str = "subnet";
/// Second octets of the networks tried where none is configured, the default one's first.
const SECOND_OCTETS: [std::ops::RangeInclusive<u8>; 2] = [231..=254, 200..=230];
/// How long the end of an earlier process of this server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// A network that is this server's alone as long as this lives.
#[derive(Debug)]
pub(crate) struct Claim {
    pub subnet: Cidr,
    _socket: UnixDatagram,
}

/// Takes the network that is configured, else the one this server had before, else a free one.
///
/// # Errors
/// `Invalid` when another server has it, or when sandboxes on record have addresses of another network.
pub(crate) fn claim(configured: Option<Cidr>, sandboxes: &Path, root: &Path) -> Result<Claim, RuntimeError> {
    let before = remembered(root)?;
    let bound = any_on_record(sandboxes);
    let wanted = match (configured, before) {
        (Some(configured), Some(before)) if bound && configured != before => {
            return Err(RuntimeError::Invalid(format!(
                "native.subnet is {configured}, but this server's sandboxes have addresses of {before}: delete them \
                 with the earlier setting first"
            )));
        }
        (Some(configured), _) => Some(configured),
        // Servers that remembered nothing had the default one.
        (None, before) => before.or(bound.then_some(DEFAULT_SUBNET)),
    };
    let ways = net::ways().context("list interfaces and routes")?;
    let tag = names::tag(root);
    let claim = match wanted {
        Some(subnet) => match take_patiently(subnet, &tag, &ways)? {
            Ok(claim) => claim,
            Err(_) if configured.is_none() && !bound => choose(&tag, &ways)?,
            Err(other) => {
                return Err(RuntimeError::Invalid(format!(
                    "another lifecycle-server on this host uses the network {other}, which native.subnet ({subnet}) \
                     overlaps: give each server one of its own, or leave the setting out"
                )));
            }
        },
        None => choose(&tag, &ways)?,
    };
    if before != Some(claim.subnet) {
        remember(root, claim.subnet).context("remember the subnet")?;
    }
    Ok(claim)
}

/// The first network nobody uses; if there is none such, the first that no server does.
fn choose(tag: &str, ways: &[Way]) -> Result<Claim, RuntimeError> {
    for subnet in candidates(tag, ways) {
        if let Ok(claim) = take(subnet, tag, ways)? {
            if subnet != DEFAULT_SUBNET {
                tracing::info!(%subnet, "{DEFAULT_SUBNET} is in use: taking another network for sandboxes");
            }
            return Ok(claim);
        }
    }
    Err(RuntimeError::Invalid("no network is free for sandboxes; set native.subnet".into()))
}

/// Networks to try, those first that this host routes nowhere.
fn candidates(tag: &str, ways: &[Way]) -> impl Iterator<Item = Cidr> {
    let all = || {
        let second_octets = SECOND_OCTETS.into_iter().flatten();
        second_octets.map(|second| Cidr { address: [10, second, 0, 0].into(), prefix: DEFAULT_SUBNET.prefix })
    };
    let is_quiet = move |subnet: &Cidr| {
        let mut others = ways.iter().filter(|way| !way.is_of(tag) && way.network.prefix > 0);
        !others.any(|way| way.network.overlaps(*subnet))
    };
    all().filter(is_quiet).chain(all())
}

fn take_patiently(subnet: Cidr, tag: &str, ways: &[Way]) -> Result<Result<Claim, Cidr>, RuntimeError> {
    let since = Instant::now();
    loop {
        match take(subnet, tag, ways)? {
            Err(_) if since.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            taken => return Ok(taken),
        }
    }
}

/// Takes a network, or says which one of another server's is in the way.
fn take(subnet: Cidr, tag: &str, ways: &[Way]) -> Result<Result<Claim, Cidr>, RuntimeError> {
    let theirs = ways.iter().find(|way| way.is_of_another_server(tag) && way.network.overlaps(subnet));
    if theirs.is_some() {
        return Ok(Err(subnet));
    }
    let name = SocketAddr::from_abstract_name(format!("{SOCKET}{subnet}"));
    let socket = match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(Err(subnet)),
        other => other.context("hold the subnet")?,
    };
    // Two that take networks which overlap both see each other here: both give way.
    let sockets = fs::read_to_string("/proc/thread-self/net/unix").context("list sockets")?;
    match held(&sockets).find(|other| *other != subnet && other.overlaps(subnet)) {
        Some(other) => Ok(Err(other)),
        None => Ok(Ok(Claim { subnet, _socket: socket })),
    }
}

/// The networks that servers hold, from the kernel's list of sockets.
fn held(sockets: &str) -> impl Iterator<Item = Cidr> {
    let names = sockets.lines().filter_map(|line| line.split_ascii_whitespace().nth(7));
    names.filter_map(|name| name.strip_prefix('@')?.strip_prefix(SOCKET)?.parse().ok())
}

fn any_on_record(sandboxes: &Path) -> bool {
    let Ok(entries) = fs::read_dir(sandboxes) else { return false };
    entries.flatten().any(|entry| Record::load(&entry.path()).is_some())
}

fn remembered(root: &Path) -> Result<Option<Cidr>, RuntimeError> {
    match fs::read_to_string(root.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Half a file says nothing: it is written anew.
        other => Ok(other.context("read the subnet")?.trim().parse().ok()),
    }
}

/// The network of the server with this state directory, as far as it has one.
pub fn network(root: &Path) -> Option<Cidr> {
    remembered(root).ok().flatten()
}

fn remember(root: &Path, subnet: Cidr) -> io::Result<()> {
    let temporary = root.join("subnet.new");
    fs::write(&temporary, format!("{subnet}\n"))?;
    fs::rename(temporary, root.join(FILE))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Sockets are the whole process's.
    static HELD: Mutex<()> = Mutex::new(());

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn way(interface: &str, network: &str) -> Way {
        Way { interface: interface.into(), network: cidr(network) }
    }

    /// Networks that no other process of these tests takes, nor any server.
    fn own() -> [Cidr; 3] {
        let base = 0xf000_0000 | (std::process::id() << 6);
        [(base, 27), (base + 16, 28), (base + 32, 28)]
            .map(|(address, prefix)| Cidr { address: address.into(), prefix })
    }

    fn seconds(ways: &[Way]) -> Vec<u8> {
        candidates("aaaa", ways).map(|subnet| subnet.address.octets()[1]).collect()
    }

    #[test]
    fn a_network_is_held_by_one_and_free_once_that_is_gone() {
        let _one_at_a_time = HELD.lock().unwrap();
        let [wide, narrow, _] = own();
        let claim = take(wide, "aaaa", &[]).unwrap().unwrap();
        assert_eq!(take(wide, "bbbb", &[]).unwrap().unwrap_err(), wide);
        assert_eq!(take(narrow, "bbbb", &[]).unwrap().unwrap_err(), wide);
        drop(claim);
        let claim = take(narrow, "bbbb", &[]).unwrap().unwrap();
        assert_eq!(take(wide, "aaaa", &[]).unwrap().unwrap_err(), narrow);
        drop(claim);
    }

    #[test]
    fn living_sandboxes_of_others_keep_their_network() {
        let _one_at_a_time = HELD.lock().unwrap();
        let [subnet, inside, _] = own();
        let of = |interface: &str| [way(interface, &inside.to_string())];
        assert!(take(subnet, "aaaa", &of("skbbbb7")).unwrap().is_err());
        assert!(take(subnet, "bbbb", &of("skbbbb7")).unwrap().is_ok());
        // A name that only looks like theirs.
        assert!(take(subnet, "aaaa", &of("sky0")).unwrap().is_ok());
    }

    #[test]
    fn what_the_host_routes_elsewhere_comes_last() {
        assert_eq!(seconds(&[])[..2], [231, 232]);
        let ways = [way("eth0", "10.231.4.0/24"), way("tun0", "10.224.0.0/12"), way("eth0", "0.0.0.0/0")];
        assert_eq!(seconds(&ways)[0], 240);
        assert!(seconds(&ways).contains(&231));
        // Everything is somebody's: then only servers count.
        assert_eq!(seconds(&[way("tun0", "10.0.0.0/8")])[0], 231);
        assert_eq!(seconds(&[way("skaaaa2", "10.231.0.2/32")])[0], 231);
    }

    #[test]
    fn a_network_is_remembered_and_sandboxes_bind_to_it() {
        let _one_at_a_time = HELD.lock().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let sandboxes = dir.path().join("sandboxes");
        fs::create_dir_all(sandboxes.join("a")).unwrap();
        let [_, first, second] = own();
        drop(claim(Some(first), &sandboxes, dir.path()).unwrap());
        assert_eq!(claim(None, &sandboxes, dir.path()).unwrap().subnet, first);
        let record = r#"{"slot":2,"process":{"pid":1,"start_time":1,"pidfd_inode":1,"boot_id":""},"oci":false,"exit_code":null}"#;
        fs::write(sandboxes.join("a/state.json"), record).unwrap();
        let error = claim(Some(second), &sandboxes, dir.path()).unwrap_err().to_string();
        assert!(error.contains(&first.to_string()), "{error}");
        let theirs = take(first, "zzzz", &[]).unwrap().unwrap();
        let error = claim(None, &sandboxes, dir.path()).unwrap_err().to_string();
        assert!(error.contains("another lifecycle-server"), "{error}");
        drop(theirs);
        fs::remove_file(sandboxes.join("a/state.json")).unwrap();
        assert_eq!(claim(Some(second), &sandboxes, dir.path()).unwrap().subnet, second);
    }
}
