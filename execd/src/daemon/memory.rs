//! What a daemon that waits for requests need not keep in memory.

use std::{fs, sync::Arc, time::Duration};

use crate::activity::Activity;

/// Without a request for this long the daemon counts as idle.
const SILENCE: Duration = Duration::from_secs(2);

/// Keeps an idle daemon small: after the start, and whenever requests have stopped coming.
pub(super) async fn release_when_idle(activity: Arc<Activity>) {
    // The first silence counts even when no request came before it.
    let mut seen = u64::MAX;
    loop {
        seen = activity.quiet_after(seen, SILENCE).await;
        release();
    }
}

/// Gives back free heap and the pages of code that ran. Code that is needed again comes back from the page cache.
fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only returns free memory to the system.
    unsafe {
        libc::malloc_trim(0);
    }
    for (start, length) in own_code() {
        // SAFETY: the range is a mapping of our executable that was never writable, so that its pages are those of
        // the file and dropping them loses nothing.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Address and length of the executable's code as mapped.
fn own_code() -> Vec<(usize, usize)> {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/maps"), fs::read_link("/proc/self/exe"))
    else {
        return Vec::new();
    };
    maps.lines().filter_map(|line| code_range(line, program.to_str()?)).collect()
}

/// The range of a line of `/proc/self/maps`, if it is code of this program.
fn code_range(line: &str, program: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()? == "r-xp" && line.ends_with(program);
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    is_code.then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_code_is_meant() {
        let line = |mode: &str, path: &str| format!("7f00-8000 {mode} 00001000 fe:00 123        {path}");
        assert_eq!(code_range(&line("r-xp", "/opt/execd"), "/opt/execd"), Some((0x7f00, 0x100)));
        assert_eq!(code_range(&line("r--p", "/opt/execd"), "/opt/execd"), None);
        assert_eq!(code_range(&line("r-xp", "/lib/libc.so"), "/opt/execd"), None);
        assert_eq!(code_range("", "/opt/execd"), None);
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        assert!(!own_code().is_empty());
        release();
        assert_eq!([3, 1, 2].iter().max(), Some(&3));
    }
}
