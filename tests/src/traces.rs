//! Looks for a text in the memory of processes, as somebody with a core dump of them would.

use std::{fs, os::unix::fs::FileExt};

use anyhow::{Context, Result, ensure};

/// Memory is read in pieces of this size.
const PIECE: usize = 4 << 20;

/// How often a text is in what a process can write to.
pub fn occurrences(pid: u32, text: &str) -> Result<usize> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut piece = vec![0; PIECE + text.len() - 1];
    let mut count = 0;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').context("a mapping")?;
        if !rest.starts_with("rw") {
            continue;
        }
        let (first, end) = range.split_once('-').context("a range")?;
        let (mut at, end) = (u64::from_str_radix(first, 16)?, u64::from_str_radix(end, 16)?);
        while at < end {
            // Pieces overlap, so that a text on the border of two is found once.
            let length = usize::try_from(end - at)?.min(piece.len());
            // Some mappings cannot be read by anybody.
            if memory.read_exact_at(&mut piece[..length], at).is_ok() {
                count += count_in(&piece[..length], text.as_bytes());
            }
            at += PIECE as u64;
        }
    }
    Ok(count)
}

/// By the C library: these are hundreds of megabytes.
fn count_in(mut bytes: &[u8], text: &[u8]) -> usize {
    let mut count = 0;
    loop {
        // SAFETY: both are slices given with their lengths, and are only read.
        let found =
            unsafe { libc::memmem(bytes.as_ptr().cast(), bytes.len(), text.as_ptr().cast(), text.len()) };
        if found.is_null() {
            return count;
        }
        count += 1;
        bytes = &bytes[found.addr() - bytes.as_ptr().addr() + 1..];
    }
}

/// How often a text is in the memory of all that runs in a sandbox.
pub fn in_sandbox(id: &str, text: &str) -> Result<usize> {
    let mut count = 0;
    for pid in processes(id)? {
        match occurrences(pid, text) {
            Ok(found) => count += found,
            // What has just ended has no memory.
            Err(_) if process_is_gone(pid) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn process_is_gone(pid: u32) -> bool {
    // One that nobody has waited for yet has no mappings any more.
    fs::read_to_string(format!("/proc/{pid}/maps")).map_or(true, |maps| maps.is_empty())
}

/// Processes of a sandbox, as the host numbers them.
fn processes(id: &str) -> Result<Vec<u32>> {
    let mark = format!("OPENSANDBOX_ID={id}");
    let found: Vec<u32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| {
            let environment = fs::read(entry.path().join("environ")).ok()?;
            let ours = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
            entry.file_name().to_str().filter(|_| ours)?.parse().ok()
        })
        .collect();
    ensure!(!found.is_empty(), "sandbox {id} has no process");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found() {
        assert_eq!(count_in(b"abcabab", b"ab"), 3);
        assert_eq!(count_in(b"abc", b"x"), 0);
        let text = format!("a needle in {}", std::process::id());
        assert!(occurrences(std::process::id(), &text).unwrap() > 0);
    }
}
