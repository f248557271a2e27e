//! Where registries may be when strangers name them: not on this host, nor where only hosts of a link or a cloud's
//! guests get to.
//!
//! Addresses are looked at before each request and each redirection, and those of names when they are connected to: what
//! a name meant earlier says nothing.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{self, Policy},
};

/// As many as the client follows by itself.
const MAX_REDIRECTIONS: usize = 10;
/// Where clouds tell their guests about themselves, beside link-local addresses.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// How IPv4 addresses are written for a gateway from IPv6.
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
/// Where the client looks for a proxy.
const PROXY_VARIABLES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

type IsSandbox = dyn Fn(Ipv4Addr) -> bool + Send + Sync;

/// What is closed beside the addresses of this host; cheap to clone.
#[derive(Clone)]
pub struct Guard {
    is_sandbox: Arc<IsSandbox>,
}

impl Guard {
    /// Closes the addresses of sandboxes as well.
    pub fn new(is_sandbox: impl Fn(Ipv4Addr) -> bool + Send + Sync + 'static) -> Self {
        Self { is_sandbox: Arc::new(is_sandbox) }
    }

    /// For what one registry leads to. Only from a registry that the operator trusts the way leads to others of his.
    pub(super) fn of(&self, registry: &str, trusted: &[String]) -> Watch {
        let is_trusted = names(trusted, registry);
        let trusted = if is_trusted { trusted.to_vec() } else { Vec::new() };
        Watch(Arc::new(Watched { guard: self.clone(), trusted, proxies: proxies() }))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Guard")
    }
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} is an address of this host, of a sandbox or of the link; with tenants, only registries that \
     images.insecure_registries lists may be there"
)]
pub(super) struct Refusal {
    host: String,
}

/// Looks where one registry's requests go.
#[derive(Clone)]
pub(super) struct Watch(Arc<Watched>);

struct Watched {
    guard: Guard,
    trusted: Vec<String>,
    /// Hosts of the operator's own proxies.
    proxies: Vec<String>,
}

impl Watch {
    /// Judges an address as far as it says where it leads.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refusal> {
        let Some(host) = url.host_str() else { return Ok(()) };
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let is_closed = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => self.0.is_closed(address),
            // A proxy would find itself there.
            Err(_) => is_localhost(host),
        };
        match is_closed && !names(&self.0.trusted, &format!("{host}{port}")) {
            true => Err(Refusal { host: format!("{host}{port}") }),
            false => Ok(()),
        }
    }

    /// Judges where an answer leads to.
    pub(super) fn redirections(&self) -> Policy {
        let watch = self.clone();
        Policy::custom(move |attempt: redirect::Attempt<'_>| {
            if attempt.previous().len() > MAX_REDIRECTIONS {
                return attempt.error("too many redirections");
            }
            match watch.check(attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(refusal) => attempt.error(refusal),
            }
        })
    }
}

/// Judges what names mean at the moment of connecting.
impl Resolve for Watch {
    fn resolve(&self, name: Name) -> Resolving {
        let watch = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().any(|found| watch.0.is_closed(found.ip())) && !watch.0.trusts(name.as_str()) {
                return Err(Refusal { host: name.as_str().to_owned() }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Watched {
    fn trusts(&self, name: &str) -> bool {
        self.trusted.iter().any(|trusted| bare(trusted) == name)
            || self.proxies.iter().any(|proxy| proxy == name)
    }

    fn is_closed(&self, address: IpAddr) -> bool {
        match embedded(address) {
            IpAddr::V4(address) => {
                address.octets()[0] == 0
                    || address.is_loopback()
                    || address.is_link_local()
                    || address.is_broadcast()
                    || address.is_multicast()
                    || METADATA.contains(&address.into())
                    || (self.guard.is_sandbox)(address)
                    || is_own(address.into())
            }
            IpAddr::V6(address) => {
                address.is_unspecified()
                    || address.is_loopback()
                    || address.is_unicast_link_local()
                    || address.is_multicast()
                    || METADATA.contains(&address.into())
                    || is_own(address.into())
            }
        }
    }
}

/// The IPv4 address that an IPv6 one stands for, if it does.
fn embedded(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if address.segments()[..6] == NAT64 => {
            let [.., a, b, c, d] = address.octets();
            IpAddr::from([a, b, c, d])
        }
        canonical => canonical,
    }
}

/// Whether the address is one of this host's: it would be its own neighbour. Nothing is sent to find that out.
fn is_own(address: IpAddr) -> bool {
    let unspecified: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let neighbour = UdpSocket::bind((unspecified, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    neighbour.is_ok_and(|neighbour| neighbour.ip() == address)
}

/// Whether a list of `host` and `host:port` has one.
fn names(list: &[String], registry: &str) -> bool {
    list.iter().any(|listed| listed == registry || listed == bare(registry))
}

/// A registry without its port.
fn bare(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn proxies() -> Vec<String> {
    let addresses = PROXY_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    addresses.filter_map(|address| Some(Url::parse(&address).ok()?.host_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(registry: &str, trusted: &[&str]) -> Watch {
        let trusted: Vec<String> = trusted.iter().map(|name| (*name).to_owned()).collect();
        Guard::new(|address| address.octets()[..2] == [10, 231]).of(registry, &trusted)
    }

    fn refuses(watch: &Watch, url: &str) -> bool {
        watch.check(&Url::parse(url).unwrap()).is_err()
    }

    #[test]
    fn what_leads_to_this_host_is_closed_however_it_is_written() {
        let watch = watch("registry.example", &["127.0.0.1:5000"]);
        for host in [
            "127.0.0.1:5000",
            "127.8.9.1",
            "2130706433",
            "0x7f.1",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "10.231.0.7:8080",
            "localhost",
            "x.localhost.:80",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[fd00:ec2::254]",
        ] {
            assert!(refuses(&watch, &format!("http://{host}/v2/")), "{host}");
        }
        for host in ["192.0.2.1", "10.0.0.1:5000", "ghcr.io", "[2001:db8::1]", "localhost.example"] {
            assert!(!refuses(&watch, &format!("https://{host}/v2/")), "{host}");
        }
    }

    #[test]
    fn only_trusted_registries_lead_to_trusted_ones() {
        let trusted = ["127.0.0.1:5000", "127.0.0.2", "registry.lan:5000"];
        let from = |registry: &str, url: &str| !refuses(&watch(registry, &trusted), url);
        assert!(from("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"));
        assert!(from("127.0.0.1:5000", "http://127.0.0.2:81/token"));
        assert!(from("registry.lan:5000", "http://127.0.0.2/token"));
        assert!(!from("127.0.0.1:5000", "http://127.0.0.1:22/"));
        assert!(!from("127.0.0.1:5001", "http://127.0.0.1:5000/v2/"));
        assert!(!from("ghcr.io", "http://127.0.0.1:5000/v2/"));
    }

    #[test]
    fn an_address_of_an_interface_is_this_hosts() {
        assert!(is_own([127, 0, 0, 1].into()));
        assert!(!is_own([192, 0, 2, 1].into()));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_means() {
        let resolve = async |registry: &str, trusted: &[&str]| {
            watch(registry, trusted).resolve("localhost".parse().unwrap()).await.map(drop)
        };
        let refused = resolve("evil.example", &["localhost:5000"]).await.unwrap_err();
        assert!(refused.downcast_ref::<Refusal>().is_some(), "{refused}");
        assert!(resolve("localhost:5000", &["localhost:5000"]).await.is_ok());
    }
}
