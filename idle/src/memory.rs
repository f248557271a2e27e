//! Giving memory back to the system.

use std::{ffi::c_int, ptr};

use libc::{PF_W, PT_LOAD, c_void, dl_phdr_info, size_t};

/// Gives back free heap, and the pages of code and constants that were read. What is needed again comes back from the page
/// cache.
pub fn release() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only returns free memory to the system.
    unsafe {
        libc::malloc_trim(0);
    }
    // SAFETY: the callback fits; it drops pages that lose nothing.
    unsafe { libc::dl_iterate_phdr(Some(drop_constant_pages), ptr::null_mut()) };
}

/// Drops the pages of one loaded object that are those of its file: the segments nobody may write to, now or before.
unsafe extern "C" fn drop_constant_pages(object: *mut dl_phdr_info, _: size_t, _: *mut c_void) -> c_int {
    // SAFETY: the loader describes an object that stays loaded meanwhile, with as many headers as it says.
    let (base, headers) = unsafe {
        let object = &*object;
        (object.dlpi_addr, std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)))
    };
    for header in headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_flags & PF_W == 0) {
        let (start, length) = pages(base.wrapping_add(header.p_vaddr), header.p_memsz, page_size());
        // SAFETY: the pages belong to a private mapping of a file that was never writable, so that they are read from
        // the file again.
        unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) };
    }
    0
}

/// Start and length of the pages a segment lies in; no two segments share one.
fn pages(start: u64, length: u64, page: u64) -> (usize, usize) {
    let first = start / page * page;
    let end = (start + length).next_multiple_of(page);
    (first as usize, (end - first) as usize)
}

fn page_size() -> u64 {
    // SAFETY: takes a number.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_lie_in_whole_pages() {
        assert_eq!(pages(0x1000, 0x2000, 0x1000), (0x1000, 0x2000));
        assert_eq!(pages(0x1fff, 0x2, 0x1000), (0x1000, 0x2000));
        assert_eq!(pages(0x1801, 0x100, 0x1000), (0x1000, 0x1000));
        assert_eq!(pages(0x1000, 0, 0x1000), (0x1000, 0));
    }

    #[test]
    fn a_program_goes_on_without_its_pages() {
        let before = "what was written stays".to_owned();
        release();
        assert_eq!(before, "what was written stays");
        assert_eq!([3, 1, 2].iter().max(), Some(&3));
    }
}
