//! HTTPS that the egress sidecar reads on its way, and the same past it, between the same ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use sandkeep_tests::outside::{Lab, Sidecar};
use sandkeep_tests::web::TestAuthority;
use serde_json::{Value, json};

use super::{WARM_UP, memory};
use crate::sandbox::Bench;
use crate::tls::{Clients, HOST, Http, Server, runtime};

/// How long each sample of a rate lasts.
const TIME: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 16;
/// Requests under way on each HTTP/2 connection.
const STREAMS: usize = 4;
/// Pieces of 64 KiB in a bulky answer: 512 MiB.
const PIECES: usize = 8192;
/// The same before the first sample.
const WARM_UP_PIECES: usize = 1024;
/// Bulky answers under way while memory is looked at.
const BULKY: usize = 4;
/// Connections that stay open meanwhile.
const CROWD: usize = 64;
/// By then a sidecar has noticed that it has nothing to do any more.
const AFTER: Duration = Duration::from_secs(15);

/// An address of the outside that nobody else uses.
const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const TRUSTED: &str = "outside.pem";
const CERTIFICATE: &str = "ca-cert.pem";
/// What the server is never to be asked without.
const SECRET: &str = "a-secret-of-the-bench-0123456789abcdef";
const BINDING: &str = "outside";
const RULES: &str = r#"{"defaultAction":"deny","egress":[{"action":"allow","target":"*.ok.test"},{"action":"allow","target":"203.0.113.7"}]}"#;

/// How connections go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Through the sidecar, to a port that it intercepts.
    Intercepted,
    /// The same with a secret, which is added to requests and looked for in answers.
    Lent,
    /// Judged by the firewall only, to a port that is not intercepted.
    Direct,
}

/// A guarded namespace and a server outside.
struct World {
    // Ended in this order.
    _server: Server,
    sidecar: Sidecar,
    lab: Lab,
    authority: TestAuthority,
}

impl World {
    fn new() -> Result<Self> {
        let lab = Lab::new()?;
        lab.outside.ip(&format!("address add {SERVER}/32 dev lo"))?;
        let authority = TestAuthority::new("Bench")?;
        std::fs::write(lab.dir().join(TRUSTED), &authority.pem)?;
        let addresses = [Way::Intercepted, Way::Direct].map(address);
        let server = Server::start(&lab.outside, &addresses, authority.server(&[HOST])?)?;
        let sidecar = lab.sidecar(&[
            ("RULES", RULES),
            ("MITMPROXY_TRANSPARENT", "true"),
            ("MITMPROXY_UPSTREAM_EXTRA_CA", TRUSTED),
            ("CA_FILE", CERTIFICATE),
        ])?;
        Ok(Self { _server: server, sidecar, lab, authority })
    }

    /// One in which requests that go this way find what they need.
    fn prepared_for(way: Way) -> Result<Self> {
        let world = Self::new()?;
        if let Way::Lent = way {
            let vault = json!({
                "credentials": [{"name": "key", "source": {"value": SECRET}}],
                "bindings": [{
                    "name": BINDING,
                    "match": {"hosts": [HOST]},
                    "auth": {"type": "bearer", "credential": "key"},
                }],
            });
            let (status, text) = world.lab.call("POST", "/credential-vault", Some(&vault.to_string()))?;
            ensure!(status == 201, "no vault: {status} {text}");
        }
        Ok(world)
    }

    /// Fails if requests that have gone this way did not get the secret, or others did.
    fn check(&self, way: Way) -> Result<()> {
        let audit = self.lab.ask("GET", "/audit?limit=1000", None)?;
        let mut entries = audit["entries"].as_array().into_iter().flatten();
        let is_lent = |entry: &Value| entry["binding"] == BINDING;
        let should = matches!(way, Way::Lent);
        ensure!(entries.all(|entry| is_lent(entry) == should), "requests went another way: {audit}");
        Ok(())
    }

    fn clients(&self, way: Way, http: Http) -> Result<Clients> {
        let authority = match way {
            Way::Intercepted | Way::Lent => std::fs::read_to_string(self.lab.dir().join(CERTIFICATE))?,
            Way::Direct => self.authority.pem.clone(),
        };
        Clients::new(address(way), &authority, http)
    }

    /// Many connections, then bulky answers.
    fn keep_busy(&self) -> Result<()> {
        let clients = self.clients(Way::Intercepted, Http::One)?;
        self.inside(async || {
            clients.rate(CROWD, STREAMS, TIME).await?;
            let bulky: Vec<_> = (0..BULKY)
                .map(|_| {
                    let clients = clients.clone();
                    tokio::spawn(async move { clients.bulk(WARM_UP_PIECES).await })
                })
                .collect();
            for answer in bulky {
                answer.await??;
            }
            Ok(())
        })
    }

    /// Runs clients in the guarded namespace, on a thread of their own.
    fn inside<T: Send>(&self, work: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
        self.lab.inside.run(|| runtime()?.block_on(work()))?
    }
}

fn address(way: Way) -> SocketAddr {
    let port = match way {
        Way::Intercepted | Way::Lent => 443,
        Way::Direct => 8443,
    };
    (SERVER, port).into()
}

/// Small requests a second over connections that stay open.
pub(crate) async fn requests(_: &Bench, samples: usize, way: Way, http: Http) -> Result<Vec<f64>> {
    let world = World::prepared_for(way)?;
    let clients = world.clients(way, http)?;
    let rates = world.inside(async || {
        clients.rate(CONNECTIONS, STREAMS, TIME / 4).await?;
        let mut rates = Vec::new();
        for _ in 0..samples {
            rates.push(clients.rate(CONNECTIONS, STREAMS, TIME).await?);
        }
        Ok(rates)
    })?;
    world.check(way)?;
    Ok(rates)
}

/// Megabytes a second of one large answer.
pub(crate) async fn bulk(_: &Bench, samples: usize, way: Way, http: Http) -> Result<Vec<f64>> {
    let world = World::prepared_for(way)?;
    let clients = world.clients(way, http)?;
    let rates = world.inside(async || {
        clients.bulk(WARM_UP_PIECES).await?;
        let mut rates = Vec::new();
        for _ in 0..samples {
            rates.push(clients.bulk(PIECES).await?);
        }
        Ok(rates)
    })?;
    world.check(way)?;
    Ok(rates)
}

/// A new connection of a client, from nothing to its first answer; `path` decides whether the upstream's is kept.
pub(crate) async fn connect(_: &Bench, samples: usize, way: Way, path: &str) -> Result<Vec<f64>> {
    let world = World::new()?;
    let clients = world.clients(way, Http::One)?;
    world.inside(async || {
        let mut times = Vec::new();
        for _ in 0..WARM_UP + samples {
            times.push(clients.first_answer(path).await? * 1e3);
        }
        Ok(times.split_off(WARM_UP))
    })
}

/// What the sidecar holds before anybody has connected.
pub(crate) async fn memory_idle(_: &Bench, _: usize) -> Result<Vec<f64>> {
    let world = World::new()?;
    tokio::time::sleep(memory::SETTLE).await;
    Ok(vec![memory::resident(world.sidecar.pid())?])
}

/// The most it holds while many connections are used, and then bulky answers come.
pub(crate) async fn memory_busy(_: &Bench, _: usize) -> Result<Vec<f64>> {
    let world = World::new()?;
    world.keep_busy()?;
    Ok(vec![memory::peak_resident(world.sidecar.pid())?])
}

/// What it holds some time after that.
pub(crate) async fn memory_after(_: &Bench, _: usize) -> Result<Vec<f64>> {
    let world = World::new()?;
    world.keep_busy()?;
    tokio::time::sleep(AFTER).await;
    Ok(vec![memory::resident(world.sidecar.pid())?])
}
