//! A `10.x.0.0/16` for each server that no other test's server has meanwhile.

use std::{
    fs, io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Result, bail};

/// Below are subnets people configure by hand; above, those that a server chooses by itself.
const FIRST: u32 = 100;
const COUNT: u32 = 100;

/// A subnet that is the holder's alone.
pub(crate) struct Subnet {
    /// The second octet.
    pub second: u8,
    /// Tells other test processes; it is gone when this one is.
    _claim: Option<UnixDatagram>,
}

impl Subnet {
    /// One that no other test has and this host has no route into.
    pub(crate) fn choose() -> Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let routes = fs::read_to_string("/proc/net/route")?;
        for _ in 0..COUNT {
            let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
            let second = u8::try_from(FIRST + (std::process::id() * 7 + next) % COUNT)?;
            // Destinations are little-endian hexadecimal: the first two octets come last.
            let prefix = format!("{second:02X}0A\t");
            let Some(claim) = claim(second)? else { continue };
            if !routes.lines().any(|line| line.contains(&prefix)) {
                return Ok(Self { second, _claim: Some(claim) });
            }
        }
        bail!("no free 10.x.0.0/16 on this host")
    }

    /// One that a server had whose test process is gone, or has chosen itself.
    pub(crate) fn known(second: u8) -> Result<Self> {
        Ok(Self { second, _claim: claim(second)? })
    }
}

fn claim(second: u8) -> Result<Option<UnixDatagram>> {
    let name = SocketAddr::from_abstract_name(format!("sandkeep-tests/subnet/{second}"))?;
    match UnixDatagram::bind_addr(&name) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        other => Ok(Some(other?)),
    }
}
