//! System calls refused to a session's code.
//!
//! A list of refusals: kernel surface that no program in a session needs, and everything that could take its walls
//! apart.

use std::io;

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, CLONE_NEWCGROUP, CLONE_NEWIPC,
    CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, EACCES, ENOSYS, EPERM, c_long,
    sock_filter, sock_fprog,
};

/// Refused whatever the arguments.
const REFUSED: [c_long; 43] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_chroot,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

const NEW_NAMESPACES: u32 = (CLONE_NEWNS
    | CLONE_NEWCGROUP
    | CLONE_NEWUTS
    | CLONE_NEWIPC
    | CLONE_NEWUSER
    | CLONE_NEWPID
    | CLONE_NEWNET) as u32;

/// Only `unshare` has this one; in `clone` its bit belongs to the exit signal.
const NEW_TIME: u32 = 0x80;

/// Terminal requests that put words into another process's mouth.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt, jf, k }
}

fn program(local_sockets_only: bool) -> Vec<sock_filter> {
    let load = |offset| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    let refuse = |errno: i32| statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ERRNO | errno as u32);
    let allow = statement(BPF_RET | BPF_K, libc::SECCOMP_RET_ALLOW);
    let mut program = vec![
        load(ARCH),
        jump(BPF_JEQ, AUDIT_ARCH, 1, 0),
        statement(BPF_RET | BPF_K, libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
    ];
    #[cfg(target_arch = "x86_64")]
    // The x32 numbers would reach the same calls past every comparison below.
    program.extend([jump(libc::BPF_JGE, 0x4000_0000, 0, 1), refuse(ENOSYS)]);
    // Its flags lie in memory where no filter sees them; libraries fall back to `clone`.
    program.extend([jump(BPF_JEQ, libc::SYS_clone3 as u32, 0, 1), refuse(ENOSYS)]);
    for number in REFUSED {
        program.extend([jump(BPF_JEQ, number as u32, 0, 1), refuse(EPERM)]);
    }
    for (number, bits) in [(libc::SYS_clone, NEW_NAMESPACES), (libc::SYS_unshare, NEW_NAMESPACES | NEW_TIME)]
    {
        program.extend([
            jump(BPF_JEQ, number as u32, 0, 4),
            load(ARGUMENTS),
            jump(BPF_JSET, bits, 0, 1),
            refuse(EPERM),
            allow,
        ]);
    }
    program.extend([
        jump(BPF_JEQ, libc::SYS_ioctl as u32, 0, 5),
        load(ARGUMENTS + 8),
        jump(BPF_JEQ, TIOCSTI, 1, 0),
        jump(BPF_JEQ, TIOCLINUX, 0, 1),
        refuse(EPERM),
        allow,
    ]);
    if local_sockets_only {
        program.extend([
            jump(BPF_JEQ, libc::SYS_socket as u32, 0, 3),
            load(ARGUMENTS),
            jump(BPF_JEQ, libc::AF_UNIX as u32, 1, 0),
            refuse(EACCES),
        ]);
    }
    program.push(allow);
    program
}

/// Installs the filter; needs `no_new_privs`.
pub(super) fn install(local_sockets_only: bool) -> io::Result<()> {
    let mut program = program(local_sockets_only);
    let filter = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the pointer is to a live program of the length given.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn run(number: c_long, arguments: [u32; 2]) -> u32 {
        evaluate(&program(false), number, arguments)
    }

    fn evaluate(program: &[sock_filter], number: c_long, arguments: [u32; 2]) -> u32 {
        let (mut pc, mut accumulator) = (0, 0);
        loop {
            let step = program[pc];
            pc += 1;
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match u32::from(step.code) {
                0x20 => {
                    accumulator = match step.k {
                        NUMBER => number as u32,
                        ARCH => AUDIT_ARCH,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => panic!("load of {other}"),
                    }
                }
                0x15 => pc += jump(accumulator == step.k),
                0x35 => pc += jump(accumulator >= step.k),
                0x45 => pc += jump(accumulator & step.k != 0),
                0x06 => return step.k,
                other => panic!("code {other:#x}"),
            }
        }
    }

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    fn errno(code: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | code as u32
    }

    #[test]
    fn ordinary_calls_pass() {
        for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_socket, libc::SYS_waitid, libc::SYS_openat]
        {
            assert_eq!(run(number, [0; 2]), ALLOW);
        }
        assert_eq!(run(libc::SYS_clone, [libc::SIGCHLD as u32, 0]), ALLOW);
        assert_eq!(run(libc::SYS_unshare, [libc::CLONE_FILES as u32, 0]), ALLOW);
        assert_eq!(run(libc::SYS_ioctl, [TIOCSTI, 1]), ALLOW);
    }

    #[test]
    fn without_a_network_only_local_sockets_are_left() {
        let program = program(true);
        let socket = |family: i32| evaluate(&program, libc::SYS_socket, [family as u32, 0]);
        assert_eq!(socket(libc::AF_UNIX), ALLOW);
        for family in [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK] {
            assert_eq!(socket(family), errno(EACCES));
        }
        assert_eq!(evaluate(&program, libc::SYS_read, [0; 2]), ALLOW);
        assert_eq!(run(libc::SYS_socket, [libc::AF_INET as u32, 0]), ALLOW);
    }

    #[test]
    fn calls_that_take_walls_apart_do_not() {
        for number in REFUSED {
            assert_eq!(run(number, [0; 2]), errno(EPERM));
        }
        assert_eq!(run(libc::SYS_clone3, [0; 2]), errno(ENOSYS));
        assert_eq!(run(libc::SYS_clone, [CLONE_NEWUSER as u32, 0]), errno(EPERM));
        assert_eq!(run(libc::SYS_unshare, [NEW_TIME, 0]), errno(EPERM));
        for request in [TIOCSTI, TIOCLINUX] {
            assert_eq!(run(libc::SYS_ioctl, [0, request]), errno(EPERM));
        }
    }
}
