//! The egress sidecar alone, in a namespace of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sandkeep_tests::outside::{Lab, TOKEN};

use super::{WARM_UP, millis};
use crate::dns;
use crate::sandbox::Bench;

/// How long each sample of a rate lasts.
const TIME: Duration = Duration::from_secs(2);
/// Where the namespace's questions end up.
const NAMES: &str = "127.0.0.1:15353";
/// Name server of the row about names nobody has asked for.
const UPSTREAM: &str = "198.51.100.1:5300";
const RULES: &str = r#"{"defaultAction":"deny","egress":[{"action":"allow","target":"*.ok.test"}]}"#;
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;
/// Rules of the row about changes: names, addresses and blocks.
const MANY: usize = 1000;

/// Start to everything in force.
pub(crate) async fn start(_: &Bench, samples: usize) -> Result<Vec<f64>> {
    let lab = Lab::new()?;
    let mut times = Vec::new();
    for _ in 0..WARM_UP + samples {
        let begun = Instant::now();
        let sidecar = lab.sidecar(&[("RULES", RULES)])?;
        times.push(millis(begun));
        sidecar.kill()?;
    }
    Ok(times.split_off(WARM_UP))
}

/// A change of many rules, from the request to the answer.
pub(crate) async fn patch(_: &Bench, samples: usize) -> Result<Vec<f64>> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[("RULES", RULES)])?;
    let rules: Vec<String> = (0..MANY)
        .map(|at| match at % 4 {
            0 => format!(r#"{{"action":"allow","target":"93.{}.{}.7"}}"#, at / 256, at % 256),
            1 => format!(r#"{{"action":"allow","target":"94.{}.{}.0/24"}}"#, at / 256, at % 256),
            _ => format!(r#"{{"action":"allow","target":"*.n{at}.test"}}"#),
        })
        .collect();
    let body = format!("[{}]", rules.join(","));
    lab.inside.run(|| {
        let mut connection = TcpStream::connect("127.0.0.1:18080")?;
        connection.set_nodelay(true)?;
        let mut times = Vec::new();
        for _ in 0..WARM_UP + samples {
            let begun = Instant::now();
            change(&mut connection, &body)?;
            times.push(millis(begun));
        }
        Ok(times.split_off(WARM_UP))
    })?
}

fn change(connection: &mut TcpStream, body: &str) -> Result<()> {
    let request = format!(
        "PATCH /policy HTTP/1.1\r\nHost: x\r\nOPENSANDBOX-EGRESS-AUTH: {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !answer.ends_with(b"}\n") {
        let length = connection.read(&mut part)?;
        ensure!(length > 0, "the connection was closed");
        answer.extend_from_slice(&part[..length]);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// Refused names.
pub(crate) async fn denied(_: &Bench, samples: usize) -> Result<Vec<f64>> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[("RULES", RULES), ("LOG_LEVEL", "error")])?;
    ask(&lab, samples, NXDOMAIN, |number| format!("n{}.other.test", number % 5000))
}

/// Allowed names that are known.
pub(crate) async fn cached(_: &Bench, samples: usize) -> Result<Vec<f64>> {
    let lab = Lab::new()?;
    let _sidecar = lab.sidecar(&[("RULES", RULES), ("LOG_LEVEL", "error")])?;
    ask(&lab, samples, NOERROR, |_| "www.ok.test".to_owned())
}

/// Allowed names nobody has asked for before, whose addresses reach the firewall before the answer.
pub(crate) async fn upstream(_: &Bench, samples: usize) -> Result<Vec<f64>> {
    let lab = Lab::new()?;
    let settings = [("RULES", RULES), ("LOG_LEVEL", "error"), ("DNS_UPSTREAM", UPSTREAM)];
    let _sidecar = lab.sidecar(&settings)?;
    let socket = lab.outside.run(|| UdpSocket::bind(UPSTREAM))??;
    let stop = AtomicBool::new(false);
    let rates = thread::scope(|scope| {
        let server = scope.spawn(|| dns::answer(&socket, &stop));
        let begun = Instant::now();
        let rates = ask(&lab, samples, NOERROR, |number| {
            format!("n{}.s{}.ok.test", number, begun.elapsed().as_secs() / TIME.as_secs())
        });
        stop.store(true, Ordering::Relaxed);
        server.join().map_err(|_| anyhow::anyhow!("the name server panicked"))??;
        rates
    });
    rates.context("names from upstream")
}

fn ask(lab: &Lab, samples: usize, code: u8, name: impl Fn(u64) -> String + Copy + Send) -> Result<Vec<f64>> {
    lab.inside.run(move || {
        let warm_up = Duration::from_millis(200);
        dns::ask(NAMES, warm_up, code, name)?;
        (0..samples).map(|_| dns::ask(NAMES, TIME, code, name)).collect()
    })?
}
