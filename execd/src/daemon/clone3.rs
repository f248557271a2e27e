//! `clone3` hidden from everything execd starts, for programs that do not cope with a sandbox that half allows it.

use std::io;
#[cfg(test)]
use std::ptr;

/// The variable that asks for it.
pub(super) const VARIABLE: &str = "EXECD_CLONE3_COMPAT";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Off,
    /// The filter is put on this process.
    Filter,
    /// The filter is put on this process, which then executes itself again, so that nothing in it has seen `clone3`
    /// work.
    Reexec,
}

impl Mode {
    /// Reads the variable's value.
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "0" | "false" | "no" | "off" => Some(Self::Off),
            "1" | "true" | "yes" | "on" => Some(Self::Filter),
            "reexec" => Some(Self::Reexec),
            _ => None,
        }
    }
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Makes `clone3` answer that there is no such call, in this process and all that come from it. To be called while
/// there is one thread.
pub(super) fn hide() -> io::Result<()> {
    let load = |at| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let allow = || statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let mut program = [
        load(ARCHITECTURE_AT),
        skip_unless(ARCHITECTURE, 3),
        load(NUMBER_AT),
        skip_unless(u32::try_from(libc::SYS_clone3).unwrap_or(u32::MAX), 1),
        statement(libc::BPF_RET | libc::BPF_K, refused),
        allow(),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it; the other call takes integers.
    unsafe {
        let install =
            || libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter);
        if install() == 0 {
            return Ok(());
        }
        // Without the rights of an administrator it takes the promise not to gain any.
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || install() != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn skip_unless(value: u32, count: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter { code, jt: 0, jf: count, k: value }
}

/// Whether `clone3` is there: it complains about arguments that cannot be right.
#[cfg(test)]
fn is_there() -> bool {
    // SAFETY: a null pointer of no length is refused.
    unsafe { libc::syscall(libc::SYS_clone3, ptr::null::<u8>(), 0) };
    io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        for (value, mode) in [
            ("", Some(Mode::Off)),
            ("off", Some(Mode::Off)),
            ("1", Some(Mode::Filter)),
            ("TRUE", Some(Mode::Filter)),
            ("reexec", Some(Mode::Reexec)),
            ("maybe", None),
        ] {
            assert_eq!(Mode::parse(value), mode, "{value}");
        }
    }

    #[test]
    fn the_call_vanishes_for_the_thread_that_asks() {
        // The filter binds the calling thread only, so that other tests keep the call.
        std::thread::spawn(|| {
            assert!(is_there());
            hide().unwrap();
            assert!(!is_there());
            let answered = rustix::process::getpid();
            assert!(answered.as_raw_nonzero().get() > 0, "other calls work");
        })
        .join()
        .unwrap();
    }
}
