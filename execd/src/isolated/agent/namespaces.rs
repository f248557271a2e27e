//! Namespaces of a session.

use std::{
    fs::{self, File},
    io::{self, Write},
};

use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS,
};
use rustix::{
    pipe::{PipeFlags, pipe_with},
    process::{getegid, geteuid, getpid},
};

use super::Failure;
use crate::isolated::plan::{Ids, Plan};

/// Makes the namespaces. Only children are in the new PID namespace. Returns whether there is a network of its own,
/// which the plan may ask for and the machine may refuse.
pub(super) fn enter(plan: &Plan) -> Result<bool, Failure> {
    let maps = Maps::of(plan.ids).map_err(|error| Failure::refused("reading the user namespace", error))?;
    let mut flags =
        CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if !plan.share_net {
        flags |= CLONE_NEWNET;
    }
    let (go, start) = pipe_with(PipeFlags::CLOEXEC).map_err(|error| Failure::refused("pipe", error))?;
    let target = getpid().as_raw_nonzero().get();
    // SAFETY: this process has one thread.
    let helper = unsafe { libc::fork() };
    if helper == 0 {
        // The maps have to be written by somebody with rights over the namespace outside.
        drop(start);
        let mut byte = [0];
        let written =
            rustix::io::read(&go, &mut byte).is_ok_and(|count| count == 1) && maps.write(target).is_ok();
        // SAFETY: ends the helper without running what belongs to its parent.
        unsafe { libc::_exit(i32::from(!written)) }
    }
    if helper < 0 {
        return Err(Failure::refused("fork", io::Error::last_os_error()));
    }
    let network = match unshare(flags) {
        Ok(()) => flags & CLONE_NEWNET != 0,
        // Some places grant everything but networks.
        Err(_) if flags & CLONE_NEWNET != 0 && unshare(flags & !CLONE_NEWNET).is_ok() => false,
        Err(error) => {
            drop(start);
            wait(helper);
            return Err(Failure::refused("user, mount and PID namespaces cannot be made", error));
        }
    };
    let _ = rustix::io::write(&start, b"1");
    if wait(helper) != 0 {
        return Err(Failure::refused(
            "user namespace: ids cannot be mapped",
            io::Error::from_raw_os_error(libc::EPERM),
        ));
    }
    Ok(network)
}

fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: takes an integer; this process has one thread.
    if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Forks the first process of the PID namespace, the only one to return; this one ends with it.
pub(super) fn become_first_process() -> Result<(), Failure> {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: takes integers. Should the parent have ended already, the channel to execd says so.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            Ok(())
        }
        pid if pid > 0 => {
            // Only the inner one is to hold the channel and the socket.
            for descriptor in [0, 3] {
                // SAFETY: nothing here uses these any more; the process only waits and exits.
                unsafe { libc::close(descriptor) };
            }
            let status = wait(pid);
            // SAFETY: ends this process without closing its channel a second time.
            unsafe { libc::_exit(status) }
        }
        _ => Err(Failure::refused("fork", io::Error::last_os_error())),
    }
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a live integer.
        let found = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        if found == pid {
            return if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 };
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return 1;
        }
    }
}

/// Texts for the kernel's files.
struct Maps {
    users: String,
    groups: String,
    /// A process without rights over groups must give up setting any.
    deny_setgroups: bool,
}

impl Maps {
    fn of(ids: Ids) -> io::Result<Self> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let one = |inside_uid, inside_gid| Self {
            users: format!("{inside_uid} {uid} 1\n"),
            groups: format!("{inside_gid} {gid} 1\n"),
            deny_setgroups: true,
        };
        Ok(match ids {
            Ids::One { uid: inside_uid, gid: inside_gid } => one(inside_uid, inside_gid),
            Ids::Same if uid != 0 => one(uid, gid),
            Ids::Same => Self {
                users: same(&fs::read_to_string("/proc/self/uid_map")?),
                groups: same(&fs::read_to_string("/proc/self/gid_map")?),
                deny_setgroups: false,
            },
        })
    }

    fn write(&self, pid: i32) -> io::Result<()> {
        let put = |name: &str, text: &str| {
            File::options().write(true).open(format!("/proc/{pid}/{name}"))?.write_all(text.as_bytes())
        };
        if self.deny_setgroups {
            put("setgroups", "deny")?;
        }
        put("uid_map", &self.users)?;
        put("gid_map", &self.groups)
    }
}

/// A map of the ids that are known here to themselves.
fn same(known: &str) -> String {
    let mut map = String::new();
    for line in known.lines() {
        if let [inside, _, count] = line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
            map += &format!("{inside} {inside} {count}\n");
        }
    }
    map
}

/// Makes the only device of a new network namespace work.
pub(super) fn raise_loopback() -> Result<(), Failure> {
    // SAFETY: plain data, all zero is a valid value; the name is shorter than its field; the request is as the kernel
    // expects it and the socket is closed right after.
    let result = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l'.cast_signed() as libc::c_char;
        request.ifr_name[1] = b'o'.cast_signed() as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let result = libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw const request);
        let error = io::Error::last_os_error();
        libc::close(socket);
        if result == 0 { Ok(()) } else { Err(error) }
    };
    result.map_err(|error| Failure::refused("loopback device", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids_map_to_themselves() {
        assert_eq!(same("         0  268435456      65536\n"), "0 0 65536\n");
        assert_eq!(same("0 1000 1\n1 100000 65536\n"), "0 0 1\n1 1 65536\n");
        assert_eq!(same(""), "");
    }
}
