//! Operating system and architecture.

use sandkeep_specs::lifecycle::PlatformSpec;

use crate::{api::error::ApiError, sandbox::Platform};

const SYSTEMS: [&str; 2] = ["linux", "windows"];
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// The platform this server runs on, in the contract's words.
pub(crate) fn host() -> Platform {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    Platform { os: "linux".to_owned(), arch: arch.to_owned() }
}

/// A platform the contract knows and this host has.
pub(super) fn check(wanted: &PlatformSpec, host: &Platform) -> Result<Platform, ApiError> {
    let os = one_of("platform.os", &wanted.os, &SYSTEMS)?;
    let arch = one_of("platform.arch", &wanted.arch, &ARCHITECTURES)?;
    let wanted = Platform { os, arch };
    if wanted == *host {
        return Ok(wanted);
    }
    let problem = format!("this host runs {}/{} only, not {}/{}", host.os, host.arch, wanted.os, wanted.arch);
    Err(ApiError::not_supported("platform", problem))
}

fn one_of(place: &str, text: &str, known: &[&str]) -> Result<String, ApiError> {
    let normal = text.trim().to_ascii_lowercase();
    if known.contains(&normal.as_str()) {
        Ok(normal)
    } else {
        Err(ApiError::invalid(place, format_args!("must be {}, is {text:?}", known.join(" or "))))
    }
}
