//! The system calls a sandbox is refused, as one table with two renderings: BPF and OCI.
//!
//! A list of refusals rather than of permissions: the walls are the namespaces and the private uid range, the
//! filter takes away kernel surface that no program in a sandbox needs and that has a history of holes.

use libc::{EAFNOSUPPORT, ENOSYS, EPERM, sock_filter};
use oci_spec::runtime::LinuxSeccomp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which namespaces a sandbox may make for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Profile {
    /// None.
    Default,
    /// Everything but network namespaces, and mounts within them: nested isolated sessions need this.
    Nested,
}

/// A test on one argument (its low 32 bits).
#[derive(Debug, Clone, Copy)]
enum Test {
    AnyBit(u32),
    Is(u32),
    Above(u32),
}

#[derive(Debug)]
struct Rule {
    name: &'static str,
    number: libc::c_long,
    errno: i32,
    /// Argument index and the tests of which any refuses; `None` refuses always.
    when: Option<(u32, &'static [Test])>,
}

macro_rules! refuse {
    ($errno:expr; $($name:ident),* $(,)?) => {
        [$(Rule { name: stringify!($name), number: number::$name, errno: $errno, when: None }),*]
    };
}

/// System call numbers under their plain names.
mod number {
    macro_rules! numbers {
        ($($name:ident = $number:ident),* $(,)?) => {
            $(#[allow(non_upper_case_globals)] pub(super) const $name: libc::c_long = libc::$number;)*
        };
    }
    numbers! {
        acct = SYS_acct, add_key = SYS_add_key, adjtimex = SYS_adjtimex, bpf = SYS_bpf, clock_adjtime = SYS_clock_adjtime,
        clock_settime = SYS_clock_settime, clone = SYS_clone, clone3 = SYS_clone3, delete_module = SYS_delete_module,
        finit_module = SYS_finit_module, fsconfig = SYS_fsconfig, fsmount = SYS_fsmount, fsopen = SYS_fsopen,
        fspick = SYS_fspick, init_module = SYS_init_module, io_uring_enter = SYS_io_uring_enter,
        io_uring_register = SYS_io_uring_register, io_uring_setup = SYS_io_uring_setup, ioctl = SYS_ioctl,
        kexec_file_load = SYS_kexec_file_load, kexec_load = SYS_kexec_load, keyctl = SYS_keyctl, mount = SYS_mount,
        mount_setattr = SYS_mount_setattr, move_mount = SYS_move_mount, nfsservctl = SYS_nfsservctl,
        open_by_handle_at = SYS_open_by_handle_at, open_tree = SYS_open_tree, perf_event_open = SYS_perf_event_open,
        pivot_root = SYS_pivot_root, quotactl = SYS_quotactl, quotactl_fd = SYS_quotactl_fd, reboot = SYS_reboot,
        request_key = SYS_request_key, setns = SYS_setns, settimeofday = SYS_settimeofday, socket = SYS_socket,
        socketpair = SYS_socketpair, swapoff = SYS_swapoff, swapon = SYS_swapon, syslog = SYS_syslog, umount2 = SYS_umount2, unshare = SYS_unshare,
        userfaultfd = SYS_userfaultfd, vhangup = SYS_vhangup,
    }
    #[cfg(target_arch = "x86_64")]
    numbers! { ioperm = SYS_ioperm, iopl = SYS_iopl, lookup_dcookie = SYS_lookup_dcookie }
}

/// Flags that make namespaces and mean the same to `clone` and `unshare`.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
/// Only `unshare` has this one; in `clone` its bit belongs to the exit signal.
const NEW_TIME: u32 = 0x80;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
/// Socket families but unix (1), inet (2), inet6 (10) and netlink (16): others reach past the network namespace, or into
/// rarely used code that a mere attempt has the kernel load.
const FAMILIES: &[Test] = &[
    Test::Is(0),
    Test::Is(3),
    Test::Is(4),
    Test::Is(5),
    Test::Is(6),
    Test::Is(7),
    Test::Is(8),
    Test::Is(9),
    Test::Is(11),
    Test::Is(12),
    Test::Is(13),
    Test::Is(14),
    Test::Is(15),
    Test::Above(16),
];

fn rules(profile: Profile) -> Vec<Rule> {
    let conditional =
        |name, number, errno, argument, tests| Rule { name, number, errno, when: Some((argument, tests)) };
    // Its flags lie in memory where no filter sees them; libraries fall back to `clone`.
    let mut rules = Vec::from(refuse![ENOSYS; clone3]);
    rules.extend(refuse![EPERM;
        acct, add_key, adjtimex, bpf, clock_adjtime, clock_settime, delete_module, finit_module, fsconfig, fsmount,
        fsopen, fspick, init_module, io_uring_enter, io_uring_register, io_uring_setup, kexec_file_load, kexec_load,
        keyctl, mount_setattr, move_mount, nfsservctl, open_by_handle_at, open_tree, perf_event_open, quotactl,
        quotactl_fd, reboot, request_key, settimeofday, swapoff, swapon, syslog, userfaultfd, vhangup,
    ]);
    #[cfg(target_arch = "x86_64")]
    rules.extend(refuse![EPERM; ioperm, iopl, lookup_dcookie]);
    rules.push(conditional("ioctl", number::ioctl, EPERM, 1, &[Test::Is(TIOCSTI), Test::Is(TIOCLINUX)]));
    rules.push(conditional("socket", number::socket, EAFNOSUPPORT, 0, FAMILIES));
    rules.push(conditional("socketpair", number::socketpair, EAFNOSUPPORT, 0, FAMILIES));
    match profile {
        Profile::Default => {
            rules.extend(refuse![EPERM; mount, pivot_root, setns, umount2]);
            rules.push(conditional("clone", number::clone, EPERM, 0, &[Test::AnyBit(NEW_NAMESPACES)]));
            rules.push(conditional(
                "unshare",
                number::unshare,
                EPERM,
                0,
                &[Test::AnyBit(NEW_NAMESPACES | NEW_TIME)],
            ));
        }
        Profile::Nested => {
            const NET: &[Test] = &[Test::AnyBit(libc::CLONE_NEWNET as u32)];
            rules.push(conditional("clone", number::clone, EPERM, 0, NET));
            rules.push(conditional("unshare", number::unshare, EPERM, 0, NET));
        }
    }
    rules
}

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The filter as a classic BPF program.
pub(crate) fn program(profile: Profile) -> Vec<sock_filter> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JGT, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump =
        |test: u32, k: u32, jt: u8, jf: u8| sock_filter { code: (BPF_JMP | test | BPF_K) as u16, jt, jf, k };
    let load = |offset: u32| statement(BPF_LD | BPF_W | BPF_ABS, offset);
    let answer = |action: u32| statement(BPF_RET | BPF_K, action);
    let refuse = |errno: i32| answer(libc::SECCOMP_RET_ERRNO | errno as u32);

    let mut program = vec![
        load(ARCH),
        jump(BPF_JEQ, AUDIT_ARCH, 1, 0),
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
    ];
    #[cfg(target_arch = "x86_64")]
    {
        // The x32 numbers would reach the same calls past every comparison below.
        program.push(jump(libc::BPF_JGE, 0x4000_0000, 0, 1));
        program.push(refuse(ENOSYS));
    }
    for rule in rules(profile) {
        match rule.when {
            None => program.extend([jump(BPF_JEQ, rule.number as u32, 0, 1), refuse(rule.errno)]),
            Some((argument, tests)) => {
                program.push(jump(BPF_JEQ, rule.number as u32, 0, (tests.len() * 2 + 2) as u8));
                program.push(load(ARGUMENTS + argument * 8));
                for test in tests {
                    program.push(match *test {
                        Test::AnyBit(bits) => jump(BPF_JSET, bits, 0, 1),
                        Test::Is(value) => jump(BPF_JEQ, value, 0, 1),
                        Test::Above(value) => jump(BPF_JGT, value, 0, 1),
                    });
                    program.push(refuse(rule.errno));
                }
                program.push(answer(libc::SECCOMP_RET_ALLOW));
            }
        }
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// The filter as the `linux.seccomp` member of an OCI document.
pub(crate) fn oci(profile: Profile) -> LinuxSeccomp {
    let mut syscalls = Vec::new();
    for rule in rules(profile) {
        let mut add = |args: Value| {
            syscalls.push(json!({
                "names": [rule.name], "action": "SCMP_ACT_ERRNO", "errnoRet": rule.errno as u32, "args": args,
            }));
        };
        let Some((index, tests)) = rule.when else {
            add(json!([]));
            continue;
        };
        for test in tests {
            match *test {
                Test::Is(value) => add(json!([{ "index": index, "value": value, "op": "SCMP_CMP_EQ" }])),
                Test::Above(value) => add(json!([{ "index": index, "value": value, "op": "SCMP_CMP_GT" }])),
                Test::AnyBit(bits) => (0..32).map(|bit| 1u32 << bit).filter(|bit| bits & bit != 0).for_each(|bit| {
                    add(json!([{ "index": index, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ" }]));
                }),
            }
        }
    }
    let document = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls });
    // Names and values above are constants of this file; the tests render both profiles.
    serde_json::from_value(document).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// Runs the program as the kernel would.
    fn run(program: &[sock_filter], number: u32, arguments: [u32; 2]) -> u32 {
        let (mut pc, mut accumulator) = (0, 0);
        loop {
            let step = program[pc];
            pc += 1;
            let jump = |taken: bool| usize::from(if taken { step.jt } else { step.jf });
            match u32::from(step.code) {
                0x20 => {
                    accumulator = match step.k {
                        NUMBER => number,
                        ARCH => AUDIT_ARCH,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => panic!("load of {other}"),
                    }
                }
                0x25 => pc += jump(accumulator > step.k),
                0x15 => pc += jump(accumulator == step.k),
                0x35 => pc += jump(accumulator >= step.k),
                0x45 => pc += jump(accumulator & step.k != 0),
                0x06 => return step.k,
                other => panic!("code {other:#x}"),
            }
        }
    }

    fn errno(code: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | code as u32
    }

    #[test]
    fn ordinary_calls_pass_and_dangerous_ones_do_not() {
        for profile in [Profile::Default, Profile::Nested] {
            let program = program(profile);
            assert_eq!(run(&program, libc::SYS_read as u32, [0; 2]), ALLOW);
            assert_eq!(run(&program, libc::SYS_execve as u32, [0; 2]), ALLOW);
            assert_eq!(run(&program, libc::SYS_bpf as u32, [0; 2]), errno(EPERM));
            assert_eq!(run(&program, libc::SYS_clone3 as u32, [0; 2]), errno(ENOSYS));
            assert_eq!(run(&program, libc::SYS_ioctl as u32, [0, TIOCSTI]), errno(EPERM));
            assert_eq!(run(&program, libc::SYS_ioctl as u32, [TIOCSTI, 1]), ALLOW);
            assert_eq!(run(&program, libc::SYS_unshare as u32, [libc::CLONE_NEWNET as u32, 0]), errno(EPERM));
        }
    }

    #[test]
    fn few_families_of_sockets_are_left() {
        let left = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        for profile in [Profile::Default, Profile::Nested] {
            let program = program(profile);
            for family in (0..64).chain([-1, i32::MAX, i32::MIN]) {
                let expected = if left.contains(&family) { ALLOW } else { errno(EAFNOSUPPORT) };
                for call in [libc::SYS_socket, libc::SYS_socketpair] {
                    assert_eq!(run(&program, call as u32, [family as u32, 0]), expected, "{call} {family}");
                }
            }
        }
    }

    #[test]
    fn namespaces_are_for_nested_isolation_only() {
        let user = libc::CLONE_NEWUSER as u32;
        let (strict, nested) = (program(Profile::Default), program(Profile::Nested));
        for call in [libc::SYS_clone, libc::SYS_unshare] {
            assert_eq!(run(&strict, call as u32, [user, 0]), errno(EPERM));
            assert_eq!(run(&nested, call as u32, [user, 0]), ALLOW);
        }
        assert_eq!(run(&strict, libc::SYS_clone as u32, [libc::SIGCHLD as u32, 0]), ALLOW);
        assert_eq!(run(&strict, libc::SYS_mount as u32, [0; 2]), errno(EPERM));
        assert_eq!(run(&nested, libc::SYS_mount as u32, [0; 2]), ALLOW);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn x32_numbers_do_not_exist() {
        assert_eq!(
            run(&program(Profile::Nested), 0x4000_0000 | libc::SYS_read as u32, [0; 2]),
            errno(ENOSYS)
        );
    }

    #[test]
    fn the_oci_rendering_is_a_valid_document() {
        assert!(oci(Profile::Nested).syscalls().is_some());
        let parsed = oci(Profile::Default);
        let rules = parsed.syscalls().as_ref().unwrap();
        assert!(rules.iter().any(|rule| rule.names() == &["bpf"]));
        assert_eq!(rules.iter().filter(|rule| rule.names() == &["socket"]).count(), FAMILIES.len());
    }
}
