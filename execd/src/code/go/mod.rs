//! Go, compiled cell by cell.
//!
//! Each cell becomes a program of its own, and the variables' values are copied from one program to the next. A driver
//! written in Go, which needs Go's own type checker, makes the programs; the image's toolchain compiles it once.

use std::ffi::OsString;
use std::path::Path;

/// The script that compiles and starts the driver, with places for the driver's files.
const BOOT: &str = include_str!("boot.sh");

/// The files, by the names of their places.
const FILES: [(&str, &str); 5] = [
    ("\n%driver\n", include_str!("driver/driver.go")),
    ("\n%cell\n", include_str!("driver/cell.go")),
    ("\n%program\n", include_str!("driver/program.go")),
    ("\n%toolchain\n", include_str!("driver/toolchain.go")),
    ("\n%state\n", include_str!("state/state.go")),
];

/// The script as it is run.
pub(crate) fn script() -> String {
    FILES.iter().fold(BOOT.to_owned(), |script, (place, text)| script.replace(place, &format!("\n{text}")))
}

/// Arguments of `sh`, which reads the script from standard input: the `go` command and what tells this driver from
/// those of other versions.
pub(crate) fn arguments(go: &Path) -> [OsString; 4] {
    ["-s".into(), "--".into(), go.into(), format!("{:016x}", digest()).into()]
}

/// FNV-1a of everything that the driver is made of.
fn digest() -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let texts = FILES.iter().map(|(_, text)| *text).chain([BOOT]);
    texts.flat_map(str::bytes).fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_complete() {
        let script = script();
        assert!(FILES.iter().all(|(place, _)| !script.contains(place)));
        assert_eq!(script.matches("\nSANDKEEP_END\n").count(), FILES.len());
        assert_eq!(script.matches("\npackage main\n").count(), 4);
    }
}
