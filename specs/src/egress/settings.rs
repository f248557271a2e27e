//! How settings are written that callers may give a sidecar: read by the sidecar, and checked by the server before.

use std::time::Duration;

/// Whole or broken seconds, with or without the unit; also minutes (`m`) and milliseconds (`ms`).
///
/// # Errors
/// What is no such time, or none at all.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("{text:?} is not a positive number of seconds");
    let number = text.strip_suffix('s').unwrap_or(text);
    let (number, unit) =
        number.strip_suffix('m').map_or((number, 1.0), |number| match text.ends_with("ms") {
            true => (number, 0.001),
            false => (number, 60.0),
        });
    let seconds = number.parse::<f64>().map_err(|_| refuse())? * unit;
    if seconds > 0.0 { Duration::try_from_secs_f64(seconds).map_err(|_| refuse()) } else { Err(refuse()) }
}

/// A port, 1 to 65535.
///
/// # Errors
/// What is none.
pub fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a port")),
        Ok(port) => Ok(port),
    }
}

/// Parts between commas; blank ones count for nothing.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ports() {
        for (text, millis) in [("5", 5000), ("0.25", 250), ("250ms", 250), ("1m", 60_000), ("2s", 2000)] {
            assert_eq!(duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for bad in ["0", "-1", "soon", "inf", "NaN", "", "s", "1h", "1e300"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(port("65535"), Ok(65535));
        assert!(["0", "65536", "x", "-1", ""].iter().all(|text| port(text).is_err()));
        assert_eq!(parts(" 1, ,2,").collect::<Vec<_>>(), ["1", "2"]);
    }
}
