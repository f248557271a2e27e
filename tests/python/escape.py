"""Tries to get out of a sandbox, as its root. Attempts are made one by one for whoever connects: a line of JSON with what was
expected and what was seen, and the next attempt once a line has come back.

An expectation is the name of an errno (or several, divided by "|": kernels differ), "ok", or a word that the attempt
returns. `nested` is what a sandbox prepared for isolated sessions answers where that differs: it may make user and mount
namespaces of its own, and nothing it does in there may reach further than before.
"""

import ctypes
import errno
import fcntl
import glob
import json
import os
import platform
import signal
import socket
import stat
import struct
import sys

GIVEN = json.loads(sys.argv[1])
NESTED = GIVEN["nested"]
PATIENCE = 20
CONNECT_PATIENCE = 3

libc = ctypes.CDLL(None, use_errno=True)
# Number on x86-64 and on arm64.
NUMBERS = {
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "swapon": (167, 224),
    "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "unshare": (272, 97), "setns": (308, 268), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "quotactl": (179, 60), "open_by_handle_at": (304, 265), "vhangup": (153, 58), "clone": (56, 220),
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442), "open_tree_attr": (467, 467), "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "quotactl_fd": (443, 443),
    "kcmp": (312, 272), "move_pages": (279, 239),
    "ioprio_set": (251, 30), "sched_setattr": (314, 274), "capset": (126, 91),
    "nfsservctl": (180, 42),
}
INTEL = platform.machine() == "x86_64"


def call(name, *arguments):
    """A system call past every library."""
    number = NUMBERS[name][0 if INTEL else 1] if isinstance(name, str) else name
    ctypes.set_errno(0)
    values = [argument if isinstance(argument, bytes) else ctypes.c_long(argument) for argument in arguments]
    result = libc.syscall(ctypes.c_long(number), *values)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


ATTEMPTS = []
GROUP = ""


def group(name):
    """What the following attempts are about."""
    global GROUP
    GROUP = name


def attempt(name, expected, act, nested=None, together=False):
    ATTEMPTS.append((GROUP, name, nested if NESTED and nested else expected, act, together))


def start(act):
    """Runs one attempt in a process of its own: should it succeed, the others still see an untouched sandbox."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE)
        try:
            seen = str(act() or "ok")
        except OSError as error:
            seen = errno.errorcode.get(error.errno, "timeout" if isinstance(error, TimeoutError) else repr(error))
        except BaseException as error:
            seen = repr(error)
        os.write(writing, seen.encode()[:200])
        os._exit(0)
    os.close(writing)
    return child, reading


def finish(started):
    child, reading = started
    seen = b""
    while piece := os.read(reading, 400):
        seen += piece
        break
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    return seen.decode() or f"ended with {status}"


# --- mounts ---------------------------------------------------------------------------------------------------------
group("mounts")
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x80
AT_FDCWD = -100


def mount(source, target, kind=0, flags=0, data=0):
    call("mount", source, target, kind, flags, data)


attempt("mount a tmpfs", "EPERM", lambda: mount(b"none", b"/mnt", b"tmpfs"))
attempt("mount proc", "EPERM", lambda: mount(b"proc", b"/mnt", b"proc"))
attempt("mount sysfs", "EPERM", lambda: mount(b"sysfs", b"/mnt", b"sysfs"))
attempt("mount cgroup v1 with a release agent", "EPERM", lambda: mount(b"x", b"/mnt", b"cgroup", 0, b"memory"))
attempt("mount cgroup v2", "EPERM", lambda: mount(b"x", b"/mnt", b"cgroup2"))
attempt("mount a debugfs", "EPERM", lambda: mount(b"x", b"/mnt", b"debugfs"))
attempt("mount devtmpfs", "EPERM", lambda: mount(b"x", b"/mnt", b"devtmpfs"))
attempt("bind /etc elsewhere", "EPERM", lambda: mount(b"/etc", b"/mnt", 0, MS_BIND))
attempt("remount / writable", "EPERM", lambda: mount(b"none", b"/", 0, MS_REMOUNT))
attempt("remount /sys writable", "EPERM", lambda: mount(b"none", b"/sys", 0, MS_REMOUNT | MS_BIND))
attempt("make / shared with the host", "EPERM", lambda: mount(b"none", b"/", 0, 1 << 20))
attempt("unmount /proc", "EPERM", lambda: call("umount2", b"/proc", 2))
attempt("unmount what covers /proc/kcore", "EPERM", lambda: call("umount2", b"/proc/kcore", 2), nested="EPERM|ENOENT")
attempt("unmount execd", "EPERM", lambda: call("umount2", b"/opt/opensandbox/execd", 2))
attempt("pivot_root", "EPERM", lambda: call("pivot_root", b"/mnt", b"/mnt"))
attempt("open_tree with a clone", "EPERM", lambda: call("open_tree", AT_FDCWD, b"/", 1))
attempt("move_mount", "EPERM", lambda: call("move_mount", AT_FDCWD, b"/proc", AT_FDCWD, b"/mnt", 0))
attempt("fsopen", "EPERM", lambda: call("fsopen", b"tmpfs", 0))
attempt("fsconfig", "EPERM", lambda: call("fsconfig", 0, 6, 0, 0, 0))
attempt("fsmount", "EPERM", lambda: call("fsmount", 0, 0, 0))
attempt("fspick", "EPERM", lambda: call("fspick", AT_FDCWD, b"/", 0))
attempt("mount_setattr", "EPERM", lambda: call("mount_setattr", AT_FDCWD, b"/", 0, struct.pack("QQQQ", 0, 1, 0, 0), 32))
attempt("open_tree_attr with a clone", "EPERM|ENOSYS", lambda: call("open_tree_attr", AT_FDCWD, b"/", 1, 0, 0) and None)
attempt("mount binfmt_misc", "EPERM", lambda: mount(b"x", b"/mnt", b"binfmt_misc"))
attempt("mount a tracefs", "EPERM", lambda: mount(b"x", b"/mnt", b"tracefs"))
attempt("mount a securityfs", "EPERM", lambda: mount(b"x", b"/mnt", b"securityfs"))
attempt("mount an overlay of the root", "EPERM", lambda: mount(b"x", b"/mnt", b"overlay", 0, b"lowerdir=/,upperdir=/tmp,workdir=/tmp"))
attempt("listen to the whole file system", "EPERM|ENOSYS", lambda: call("fanotify_init", 0, 0) and None)
attempt("open_by_handle_at", "EPERM", lambda: call("open_by_handle_at", AT_FDCWD, b"\0" * 32, 0))


def chroot_out():
    os.makedirs("/tmp/cage", exist_ok=True)
    outside = os.open("/", os.O_RDONLY)
    os.chroot("/tmp/cage")
    os.fchdir(outside)
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    return "sandbox" if os.path.exists("/opt/opensandbox/execd") and not os.path.exists(GIVEN["state"]) else "host"


attempt("leave a chroot towards the host", "sandbox", chroot_out)


# --- processes ------------------------------------------------------------------------------------------------------
group("processes")
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206


def child_of(uid):
    """A process of another user that sits and waits."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        os.write(writing, b"x")
        signal.alarm(PATIENCE)
        signal.pause()
        os._exit(0)
    os.read(reading, 1)
    return child


def with_victim(act):
    victim = child_of(1000)
    try:
        return act(victim)
    finally:
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)


def vector(address, length):
    return struct.pack("QQ", address, length)


def peek(pid, write=False):
    buffer = ctypes.create_string_buffer(8)
    local = vector(ctypes.addressof(buffer), 8)
    call("process_vm_writev" if write else "process_vm_readv", pid, local, 1, vector(0x400000, 8), 1, 0)


def as_user(act, uid=1000):
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    return act()


def write(path, text):
    file = os.open(path, os.O_WRONLY)
    os.write(file, text)


def read(path):
    file = os.open(path, os.O_RDONLY)
    return "ok" if os.read(file, 64) else "empty"


attempt("ptrace a process of another user", "EPERM", lambda: with_victim(lambda pid: call("ptrace", PTRACE_SEIZE, pid, 0, 0)))
attempt("read the memory of another user's process", "EPERM", lambda: with_victim(peek))
attempt("write the memory of another user's process", "EPERM", lambda: with_victim(lambda pid: peek(pid, True)))
attempt("open /proc/PID/mem of another user's process", "EACCES", lambda: with_victim(lambda pid: write(f"/proc/{pid}/mem", b"")))
attempt("a user ptraces the first process", "EPERM", lambda: as_user(lambda: call("ptrace", PTRACE_SEIZE, 1, 0, 0)))
attempt("a user reads the first process's memory", "EPERM", lambda: as_user(lambda: peek(1)))
attempt("a user reads the first process's environment", "EACCES", lambda: as_user(lambda: read("/proc/1/environ")))
attempt("a user signals the first process", "EPERM", lambda: as_user(lambda: os.kill(1, 9)))
# The first process is the sandbox's own and no wall: it has no more rights than the root of the sandbox.
attempt("root ptraces the first process", "ok|EPERM", lambda: call("ptrace", PTRACE_SEIZE, 1, 0, 0) and None)
attempt("ptrace the server", "ESRCH", lambda: call("ptrace", PTRACE_SEIZE, GIVEN["server"], 0, 0))
attempt("signal the server", "ESRCH", lambda: os.kill(GIVEN["server"], 0))
attempt("read the server's memory", "ESRCH", lambda: peek(GIVEN["server"]))
attempt("open the server by pidfd", "ESRCH", lambda: call("pidfd_open", GIVEN["server"], 0))
attempt("look at the server in /proc", "ENOENT", lambda: read(f"/proc/{GIVEN['server']}/cmdline"))


def taken_descriptor():
    """A descriptor of another user's process."""
    def take(pid):
        call("pidfd_getfd", call("pidfd_open", pid, 0), 1, 0)

    return as_user(lambda: take(1))


attempt("a user takes a descriptor of the first process", "EPERM", taken_descriptor)
attempt("a user compares processes with the first one", "EPERM|ENOSYS", lambda: as_user(lambda: call("kcmp", 1, os.getpid(), 0, 0, 0)) and None)
attempt("a user moves the first process's memory", "EPERM|ENOSYS", lambda: as_user(lambda: call("move_pages", 1, 0, 0, 0, 0, 2)) and None)
attempt("make the server the first to be killed", "ENOENT", lambda: write(f"/proc/{GIVEN['server']}/oom_score_adj", b"1000"))


# --- descriptors and paths of the first process -------------------------------------------------------------------------
group("descriptors and paths")
def descriptors_lead_out():
    """Reopens what the first process holds; nothing of it may be a directory or writable outside of the sandbox."""
    found = []
    for entry in glob.glob("/proc/1/fd/*"):
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        # The console is a pipe: the sandbox's own output.
        if target.startswith(("socket:", "anon_inode:", "/dev/")) or stat.S_ISFIFO(os.stat(entry).st_mode):
            continue
        if os.path.isdir(entry) and os.path.exists(f"{entry}/.."):
            found.append(f"directory {target}")
        try:
            os.close(os.open(entry, os.O_WRONLY))
            found.append(f"writable {target}")
        except OSError:
            pass
    return "; ".join(found) or "none"


attempt("descriptors of the first process that lead out", "none", descriptors_lead_out)
attempt("the state directory", "ENOENT", lambda: os.listdir(GIVEN["state"]))
attempt("the state directory by /proc/1/root", "ENOENT", lambda: os.listdir("/proc/1/root" + GIVEN["state"]))
attempt("the state directory by /proc/1/cwd", "ENOENT", lambda: os.listdir("/proc/1/cwd/../../.." + GIVEN["state"]))
attempt("the database", "ENOENT", lambda: write(GIVEN["state"] + "/sandkeep.db", b"x"))
attempt("the server's configuration", "ENOENT", lambda: read(GIVEN["config"]))
# A bound file always shows where it comes from; execd is the only one.
attempt("the host's paths in mountinfo", "absent",
        lambda: "present" if any(GIVEN["state"] in line and "/opt/opensandbox/execd" not in line
                                 for line in open("/proc/1/mountinfo")) else "absent")
attempt("write execd's program", "EROFS|EACCES|EPERM|ETXTBSY", lambda: write("/opt/opensandbox/execd", b"x"))
attempt("replace execd's program", "EBUSY", lambda: os.rename("/opt/opensandbox/execd", "/opt/opensandbox/old"))
attempt("write execd's program by /proc/1/exe", "EROFS|EACCES|EPERM|ETXTBSY", lambda: write("/proc/1/exe", b"x"))
attempt("a neighbour's file", "ENOENT", lambda: read("/" + GIVEN["marker"]))

# --- /proc and /sys -----------------------------------------------------------------------------------------------------
group("/proc and /sys")
for path, text in {
    "/proc/sysrq-trigger": b"h", "/proc/sys/kernel/sysrq": b"1", "/proc/sys/kernel/core_pattern": b"|/tmp/x",
    "/proc/sys/kernel/modprobe": b"/tmp/x", "/proc/sys/kernel/randomize_va_space": b"0",
    "/proc/sys/kernel/printk": b"8", "/proc/sys/kernel/pid_max": b"400", "/proc/sys/kernel/threads-max": b"400",
    "/proc/sys/kernel/panic": b"1", "/proc/sys/kernel/ns_last_pid": b"1", "/proc/sys/vm/drop_caches": b"3",
    "/proc/sys/vm/overcommit_memory": b"2", "/proc/sys/fs/file-max": b"10", "/proc/sys/fs/protected_symlinks": b"0",
    "/proc/sys/fs/suid_dumpable": b"2", "/proc/sys/net/ipv4/ip_forward": b"1",
    "/proc/sys/net/ipv4/conf/all/route_localnet": b"1", "/proc/sys/user/max_user_namespaces": b"0",
    "/proc/sys/kernel/hostname": b"x", "/proc/sys/kernel/domainname": b"x", "/proc/mtrr": b"disable=0",
    "/proc/irq/default_smp_affinity": b"1", "/proc/sys/fs/binfmt_misc/register": b":x:M::xx::/tmp/x:",
    "/proc/1/oom_score_adj": b"-1000", "/proc/self/oom_score_adj": b"-1000", "/proc/self/uid_map": b"0 0 1",
    "/proc/self/gid_map": b"0 0 1",
}.items():
    attempt(f"write {path}", "EACCES|EPERM|ENOENT|EROFS", lambda path=path, text=text: write(path, text))
for path in [
    "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/devices/system/cpu/cpu1/online", "/sys/class/net/eth0/mtu", "/sys/class/net/eth0/address",
    "/sys/kernel/kexec_crash_size", "/sys/module/kernel/parameters/panic", "/sys/fs/cgroup/release_agent",
    "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/release_agent", "/sys/block/loop0/queue/scheduler",
    "/sys/bus/pci/rescan", "/sys/kernel/debug/tracing/trace",
]:
    attempt(f"write {path}", "EROFS|EACCES|EPERM|ENOENT", lambda path=path: write(path, b"1"))
for path in ["/proc/sys/kernel/unprivileged_bpf_disabled", "/proc/sys/kernel/perf_event_paranoid", "/proc/sys/kernel/dmesg_restrict",
             "/proc/sys/kernel/kptr_restrict", "/proc/sys/kernel/poweroff_cmd", "/proc/sys/kernel/modules_disabled",
             "/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/vm/swappiness", "/proc/sys/vm/panic_on_oom",
             "/proc/sys/vm/mmap_min_addr", "/proc/sys/fs/protected_hardlinks", "/proc/sys/fs/inotify/max_user_watches",
             "/proc/sys/fs/binfmt_misc/status", "/proc/sys/kernel/keys/maxkeys", "/proc/scsi/scsi", "/proc/acpi/wakeup",
             "/proc/asound/cards", "/proc/bus/pci/devices", "/proc/fs/nfsd/threads", "/proc/latency_stats",
             "/proc/timer_stats", "/sys/firmware/efi/vars", "/sys/kernel/security/lockdown", "/sys/kernel/livepatch/x/enabled",
             "/sys/kernel/profiling", "/sys/kernel/oops_count", "/sys/class/thermal/cooling_device0/cur_state",
             "/sys/bus/pci/drivers/x/bind", "/sys/devices/virtual/net/eth0/operstate"]:
    attempt(f"write 1 to {path}", "EROFS|EACCES|EPERM|ENOENT|EIO", lambda path=path: write(path, b"1"))
for path in ["/proc/kmsg", "/proc/kpageflags", "/proc/kpagecount", "/proc/vmallocinfo", "/proc/slabinfo",
             "/proc/pagetypeinfo", "/proc/1/map_files/x", "/sys/kernel/debug/x"]:
    attempt(f"read {path}", "EACCES|EPERM|ENOENT", lambda path=path: read(path))
for path in ["/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/timer_list"]:
    attempt(f"read {path}", "empty|ENOENT", lambda path=path: read(path),
            # Not covered there, so the kernel's own checks count: the list of keys shows the caller's own.
            nested="ok|empty|ENOENT" if path in ("/proc/keys", "/proc/kallsyms") else "EACCES|EPERM|ENOENT")


def kernel_addresses():
    lines = open("/proc/kallsyms").read(4096).split("\n")
    return "hidden" if all(line.split()[0].strip("0") == "" for line in lines[:-1] if line) else "shown"


attempt("learn the kernel's addresses", "hidden|ENOENT", kernel_addresses)


def foreign_keys():
    """Keys of anybody but the sandbox's own users, which is all a sandbox may list."""
    return "none" if all(line.split()[5].isdigit() and int(line.split()[5]) < 65536 for line in open("/proc/keys")) else "some"


attempt("list others' keys", "none|ENOENT", foreign_keys)


def another_project():
    """Disk limits may count by project; the kernel lets anybody map project ids and nobody in here use them."""
    try:
        write("/proc/self/projid_map", b"0 0 4294967295")
    except PermissionError:
        pass  # it can be written once
    with open("/tmp/project", "w") as file:
        known = bytearray(fcntl.ioctl(file, 0x801C581F, b"\0" * 28))
        struct.pack_into("=I", known, 12, 4242)
        fcntl.ioctl(file, 0x401C5820, bytes(known))
    return "changed"


attempt("charge files to another project", "EINVAL|EPERM|ENOTTY|ENOTSUP", another_project)

# --- cgroups ------------------------------------------------------------------------------------------------------------
group("control groups")
def own_cgroup():
    lines = [line.rstrip("\n").split(":", 2)[2] for line in open("/proc/self/cgroup")]
    return "root" if all(line == "/" for line in lines) else f"shown: {lines}"


attempt("learn the path of the own cgroup", "root", own_cgroup)
attempt("find a cgroup file system", "none",
        lambda: " ".join(line for line in open("/proc/mounts") if line.split()[2].startswith("cgroup")) or "none")


def doors():
    """Opens for writing what the first process holds of its control groups."""
    found = []
    for entry in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            target = os.readlink(entry)
            name = os.path.basename(target)
            if name.startswith(("cgroup.", "cpu.", "memory.", "pids.", "cpuacct.")) or name == "tasks":
                os.close(os.open(entry, os.O_WRONLY))
                found.append(target)
        except OSError:
            pass
    return "; ".join(found) or "none"


attempt("write to open files of control groups", "none", doors)
attempt("the host's control groups by /proc/1/root", "ENOENT|EACCES|EPERM|EROFS",
        lambda: write("/proc/1/root/sys/fs/cgroup/cgroup.procs", b"0"))
attempt("enter another control group by clone3", "ENOSYS", lambda: call("clone3", struct.pack("Q", 0x200000000) + b"\0" * 80, 88))

# --- sockets ------------------------------------------------------------------------------------------------------------
group("sockets")
for name, family, kind, protocol, expected in [
    ("packet", 17, socket.SOCK_RAW, 0x0300, "EAFNOSUPPORT"), ("raw IPv4", 2, socket.SOCK_RAW, 1, "EPERM"),
    ("raw IPv6", 10, socket.SOCK_RAW, 58, "EPERM|EAFNOSUPPORT"), ("PF_KEY", 15, socket.SOCK_RAW, 2, "EAFNOSUPPORT"),
    ("vsock", 40, socket.SOCK_STREAM, 0, "EAFNOSUPPORT"), ("AF_ALG", 38, socket.SOCK_SEQPACKET, 0, "EAFNOSUPPORT"),
    ("XDP", 44, socket.SOCK_RAW, 0, "EAFNOSUPPORT"), ("bluetooth", 31, socket.SOCK_RAW, 1, "EAFNOSUPPORT"),
    ("TIPC", 30, socket.SOCK_SEQPACKET, 0, "EAFNOSUPPORT"), ("CAN", 29, socket.SOCK_RAW, 1, "EAFNOSUPPORT"),
    ("RDS", 21, socket.SOCK_SEQPACKET, 0, "EAFNOSUPPORT"), ("SMC", 43, socket.SOCK_STREAM, 0, "EAFNOSUPPORT"),
    ("RxRPC", 33, socket.SOCK_DGRAM, 2, "EAFNOSUPPORT"), ("AX.25", 3, socket.SOCK_DGRAM, 0, "EAFNOSUPPORT"),
    ("IPX", 4, socket.SOCK_DGRAM, 0, "EAFNOSUPPORT"), ("AppleTalk", 5, socket.SOCK_DGRAM, 0, "EAFNOSUPPORT"),
    ("X.25", 9, socket.SOCK_SEQPACKET, 0, "EAFNOSUPPORT"), ("DECnet", 12, socket.SOCK_SEQPACKET, 0, "EAFNOSUPPORT"),
    ("PPPoX", 24, socket.SOCK_STREAM, 0, "EAFNOSUPPORT"), ("LLC", 26, socket.SOCK_STREAM, 0, "EAFNOSUPPORT"),
    ("802.15.4", 36, socket.SOCK_RAW, 0, "EAFNOSUPPORT"), ("NFC", 39, socket.SOCK_RAW, 0, "EAFNOSUPPORT"),
    ("KCM", 41, socket.SOCK_DGRAM, 0, "EAFNOSUPPORT"),
    ("old packet", 2, socket.SOCK_PACKET if hasattr(socket, "SOCK_PACKET") else 10, 0x0300, "EAFNOSUPPORT|ESOCKTNOSUPPORT|EPERM"),
    ("audit", 16, socket.SOCK_RAW, 9, "EPROTONOSUPPORT|EPERM|ECONNREFUSED"),
]:
    attempt(f"{name} socket", expected, lambda f=family, k=kind, p=protocol: audit(socket.socket(f, k, p)))


def every_family(make):
    """Tries all families but those a sandbox needs, in all kinds; a module of the kernel may be loaded by an attempt."""
    refused = None
    for family in [number for number in range(64) if number not in (1, 2, 10, 16)] + [2**31 - 1]:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                make(family, kind, 0)
            except OSError as error:
                refused = error
                if error.errno != errno.EAFNOSUPPORT:
                    raise
            else:
                return f"family {family}"
    raise refused


attempt("sockets of all other families", "EAFNOSUPPORT", lambda: every_family(socket.socket))
attempt("pairs of sockets of all other families", "EAFNOSUPPORT", lambda: every_family(socket.socketpair))


def audit(made):
    """Only the audit socket may be made at all; the kernel must refuse what is said on it."""
    if made.family == socket.AF_NETLINK:
        answer(made, 1001, b"", 0)


def answer(channel, kind, body, flags):
    """The kernel's answer to one netlink message: raises the error it carries."""
    channel.settimeout(CONNECT_PATIENCE)
    channel.bind((0, 0))
    channel.send(struct.pack("=IHHII", 16 + len(body), kind, flags | 5, 1, 0) + body)
    reply = channel.recv(4096)
    if struct.unpack_from("=H", reply, 4)[0] == 2:
        code = -struct.unpack_from("=i", reply, 16)[0]
        if code:
            raise OSError(code, "netlink")


def netlink(protocol, kind, body, flags=0):
    answer(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol), kind, body, flags)


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


LINK_INFO = attribute(18, attribute(1, b"dummy"))
attempt("netlink: make an interface", "EPERM", lambda: netlink(0, 16, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + LINK_INFO, 0x600))
attempt("netlink: take eth0 down", "EPERM",
        lambda: netlink(0, 16, struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("eth0"), 0, 1)))
attempt("netlink: another address", "EPERM",
        lambda: netlink(0, 20, struct.pack("=BBBBI", 2, 24, 0, 0, socket.if_nametoindex("eth0"))
                        + attribute(1, socket.inet_aton("10.9.9.9")) + attribute(2, socket.inet_aton("10.9.9.9")), 0x600))
attempt("netlink: another route", "EPERM",
        lambda: netlink(0, 24, struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 4, 0, 1, 0)
                        + attribute(1, socket.inet_aton("203.0.113.9"))
                        + attribute(4, struct.pack("=I", socket.if_nametoindex("eth0"))), 0x600))
attempt("netfilter: list tables", "EPERM|EPROTONOSUPPORT", lambda: netlink(12, (10 << 8) | 1, b"\0\0\0\0", 0x300))
attempt("netfilter: make a table", "EPERM|EPROTONOSUPPORT",
        lambda: netlink(12, (10 << 8) | 0, b"\2\0\0\0" + attribute(1, b"x\0"), 0x600))
attempt("iptables: list", "EPERM|ENOPROTOOPT", lambda: socket.socket().getsockopt(0, 64, 84))
attempt("iptables: replace", "EPERM|ENOPROTOOPT", lambda: socket.socket().setsockopt(0, 64, b"\0" * 96))
attempt("netlink: another rule of routing", "EPERM|ENOTSUP", lambda: netlink(0, 32, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 1, 0), 0x600))
attempt("netlink: another neighbour", "EPERM",
        lambda: netlink(0, 28, struct.pack("=BxxxiHBB", 2, socket.if_nametoindex("eth0"), 0x80, 0, 0)
                        + attribute(1, socket.inet_aton(GIVEN["gateway"])) + attribute(2, b"\2\0\0\0\0\1"), 0x600))
attempt("netlink: another queueing discipline", "EPERM|ENOTSUP|EINVAL",
        lambda: netlink(0, 36, struct.pack("=BxxxiIII", 0, socket.if_nametoindex("eth0"), 0, 0xFFFFFFFF, 0) + attribute(1, b"pfifo\0"), 0x600))
attempt("netlink: move eth0 to the first process's network", "EPERM|EINVAL",
        lambda: netlink(0, 16, struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("eth0"), 0, 0)
                        + attribute(19, struct.pack("=I", GIVEN["server"])), 0))
attempt("netlink: close the sockets of others", "EPERM|ENOENT|ENOTSUP|EINVAL|EPROTONOSUPPORT",
        lambda: netlink(4, 21, struct.pack("=BBxxI", 2, 6, 0xFFFFFFFF) + b"\0" * 48, 0))
attempt("netlink: send an event of a device", "EPERM|ECONNREFUSED",
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15).sendto(b"add@/devices/x\0ACTION=add\0", (0, 1)) and None)
for name, protocol, kind in [("IPsec", 6, 0x13), ("iSCSI", 8, 1), ("RDMA", 20, 1), ("the kernel's ciphers", 21, 0x10), ("a connector", 11, 3)]:
    attempt(f"netlink: {name}", "EPERM|EPROTONOSUPPORT|ENOTSUP|ECONNREFUSED|EINVAL|timeout",
            lambda protocol=protocol, kind=kind: netlink(protocol, kind, b"\0" * 64, 0))
attempt("mark packets", "EPERM", lambda: socket.socket().setsockopt(1, 36, 1))
attempt("use addresses of others", "EPERM", lambda: socket.socket().setsockopt(0, 19, 1))
attempt("bind an address of the host", "EADDRNOTAVAIL", lambda: socket.socket().bind((GIVEN["host"], 0)))
attempt("bind the neighbour's address", "EADDRNOTAVAIL", lambda: socket.socket().bind((GIVEN["neighbour"], 0)))
attempt("bind the gateway's address", "EADDRNOTAVAIL", lambda: socket.socket().bind((GIVEN["gateway"], 0)))
attempt("bind an address of the host nevertheless", "EPERM|EADDRNOTAVAIL", lambda: freely_bound(GIVEN["host"]))


def freely_bound(address):
    """IP_FREEBIND needs no right in the own network; the packets still have to pass the host."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(0, 19, 1)
    made.bind((address, 0))
attempt("take eth0 down by ioctl", "EPERM",
        lambda: fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"eth0", 0)) and None)
attempt("rename eth0", "EPERM",
        lambda: fcntl.ioctl(socket.socket(), 0x8923, struct.pack("16s16s", b"eth0", b"other")) and None)
attempt("abstract sockets of the host", "ECONNREFUSED",
        lambda: socket.socket(socket.AF_UNIX).connect("\0" + GIVEN["abstract"]))


# --- the network: all at once, because what is dropped takes its time ---------------------------------------------------
group("the network")
def connect(address, port):
    stream = socket.socket()
    stream.settimeout(CONNECT_PATIENCE)
    stream.connect((address, port))


for name, address, port in GIVEN["unreachable"]:
    attempt(f"connect to {name}", "timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED|EACCES|EPERM",
            lambda a=address, p=port: connect(a, p), together=True)
for name, address, port in GIVEN["reachable"]:
    # Were this refused as well, the refusals above would say nothing.
    attempt(f"connect to {name}", "ok", lambda a=address, p=port: connect(a, p), together=True)

# --- the kernel itself ------------------------------------------------------------------------------------------------
group("the kernel")
attempt("init_module", "EPERM", lambda: call("init_module", b"x", 1, b""))
attempt("finit_module", "EPERM", lambda: call("finit_module", 0, b"", 0))
attempt("delete_module", "EPERM", lambda: call("delete_module", b"x", 0))
attempt("kexec_load", "EPERM", lambda: call("kexec_load", 0, 0, 0, 0))
attempt("kexec_file_load", "EPERM", lambda: call("kexec_file_load", 0, 0, 0, b"", 0))
attempt("bpf: load a program", "EPERM", lambda: call("bpf", 5, b"\0" * 120, 120))
attempt("bpf: make a map", "EPERM", lambda: call("bpf", 0, struct.pack("IIIII", 2, 4, 4, 1, 0) + b"\0" * 100, 120))
attempt("perf_event_open", "EPERM", lambda: call("perf_event_open", b"\0" * 128, 0, -1, -1, 0))
attempt("userfaultfd", "EPERM", lambda: call("userfaultfd", 1))
attempt("io_uring_setup", "EPERM", lambda: call("io_uring_setup", 4, b"\0" * 120))
attempt("io_uring_enter", "EPERM", lambda: call("io_uring_enter", 0, 0, 0, 0, 0, 0))
attempt("io_uring_register", "EPERM", lambda: call("io_uring_register", 0, 0, 0, 0))
attempt("add_key", "EPERM", lambda: call("add_key", b"user", b"x", b"x", 1, -3))
attempt("request_key", "EPERM", lambda: call("request_key", b"user", b"x", b"", -3))
attempt("keyctl: join a session keyring", "EPERM", lambda: call("keyctl", 1, 0))
attempt("keyctl: describe the user's keyring", "EPERM", lambda: call("keyctl", 6, -4, 0, 0))
attempt("keyctl: read the session keyring", "EPERM", lambda: call("keyctl", 11, -3, 0, 0))
attempt("swapon", "EPERM", lambda: call("swapon", b"/tmp/x", 0))
attempt("swapoff", "EPERM", lambda: call("swapoff", b"/tmp/x"))
attempt("reboot", "EPERM", lambda: call("reboot", 0xFEE1DEAD, 672274793, 0, 0))
attempt("settimeofday", "EPERM", lambda: call("settimeofday", struct.pack("qq", 0, 0), 0))
attempt("clock_settime", "EPERM", lambda: call("clock_settime", 0, struct.pack("qq", 0, 0)))
attempt("adjtimex", "EPERM", lambda: call("adjtimex", b"\1" * 208))
attempt("acct", "EPERM", lambda: call("acct", b"/tmp/x"))
attempt("quotactl", "EPERM", lambda: call("quotactl", 0x800002 << 8, 0, 0, 0))
attempt("quotactl_fd", "EPERM", lambda: call("quotactl_fd", 0, 0x800002 << 8, 0, 0))
attempt("nfsservctl", "EPERM|ENOSYS", lambda: call("nfsservctl", 0, 0, 0))
attempt("bpf: get a program by its number", "EPERM", lambda: call("bpf", 13, struct.pack("III", 1, 0, 0) + b"\0" * 100, 112))
attempt("bpf: open a pinned map", "EPERM", lambda: call("bpf", 7, b"\0" * 120, 120))
attempt("clear the kernel's log", "EPERM", lambda: call("syslog", 5, 0, 0))
attempt("quiet the kernel's log", "EPERM", lambda: call("syslog", 6, 0, 0))
attempt("real-time input and output", "EPERM", lambda: call("ioprio_set", 1, 0, 1 << 13) and None)
attempt("a deadline for the scheduler", "EPERM|EBUSY",
        lambda: call("sched_setattr", 0, struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7), 0))
attempt("all capabilities", "EPERM",
        lambda: call("capset", struct.pack("Ii", 0x20080522, 0), struct.pack("IIIIII", *[0xFFFFFFFF] * 6)))
attempt("a capability out of the bounding set", "EINVAL|EPERM", lambda: bounding_set())


def bounding_set():
    """What is out of the bounding set does not come back through a program with capabilities of its own."""
    lacking = next(number for number in range(41) if libc.prctl(23, number, 0, 0, 0) == 0)
    ctypes.set_errno(0)
    if libc.prctl(47, 2, lacking, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ambient capability")


attempt("read the kernel's log", "EPERM", lambda: call("syslog", 3, b"\0" * 64, 64))
attempt("vhangup", "EPERM", lambda: call("vhangup"))
attempt("sethostname", "EPERM", lambda: call("sethostname", b"x", 1))
attempt("setdomainname", "EPERM", lambda: call("setdomainname", b"x", 1))
attempt("type into a terminal", "EPERM", lambda: fcntl.ioctl(os.openpty()[1], 0x5412, b"x") and None)
attempt("a higher priority", "EACCES|EPERM", lambda: os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 5))
attempt("real-time scheduling", "EPERM", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))
if INTEL:
    attempt("iopl", "EPERM|ENOSYS", lambda: call(172, 3))
    attempt("ioperm", "EPERM|ENOSYS", lambda: call(173, 0x70, 2, 1))
    attempt("a call by its x32 number", "ENOSYS", lambda: call(0x40000000 + 165, b"none", b"/mnt", b"tmpfs", 0, 0))


def more_files():
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
    except ValueError:
        return "EPERM"


attempt("raise a hard limit", "EPERM", more_files)
attempt("become a user of the host", "EINVAL", lambda: os.setresuid(70000000, 70000000, 70000000))
attempt("give a file to a user of the host", "EINVAL|EPERM", lambda: os.chown(__file__, 70000000, 70000000))
attempt("an attribute for the trusted", "EPERM|ENOTSUP", lambda: os.setxattr(__file__, "trusted.overlay.opaque", b"y"))
attempt("make a file immutable", "EPERM|ENOTTY|ENOTSUP",
        lambda: fcntl.ioctl(os.open(__file__, os.O_RDONLY), 0x40086602, struct.pack("l", 0x10)) and None)


# --- devices ------------------------------------------------------------------------------------------------------------
group("devices")
def node(major, minor, block=False):
    path = f"/tmp/node-{major}-{minor}"
    os.mknod(path, (0o060000 if block else 0o020000) | 0o600, os.makedev(major, minor))
    os.open(path, os.O_RDWR)


for name, major, minor, block in [
    ("/dev/mem", 1, 1, False), ("/dev/port", 1, 4, False), ("/dev/kmsg", 1, 11, False), ("/dev/fuse", 10, 229, False),
    ("/dev/kvm", 10, 232, False), ("/dev/net/tun", 10, 200, False), ("a loop device", 7, 0, True),
    ("loop-control", 10, 237, False), ("a disk", 254, 0, True), ("a SCSI disk", 8, 0, True), ("the console", 5, 1, False),
    ("/dev/null", 1, 3, False), ("/dev/vhost-vsock", 10, 241, False), ("/dev/vhost-net", 10, 238, False),
    ("the random generator", 1, 8, False), ("a processor's registers", 202, 0, False), ("a device mapper", 10, 236, False),
    ("/dev/uinput", 10, 223, False), ("/dev/nvram", 10, 144, False), ("/dev/rtc", 254, 0, False),
]:
    attempt(f"make {name}", "EPERM", lambda j=major, n=minor, b=block: node(j, n, b))
for path in ["/dev/mem", "/dev/kmsg", "/dev/port", "/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/loop-control",
             "/dev/loop0", "/dev/vda", "/dev/sda", "/dev/userfaultfd", "/dev/cpu/0/msr", "/dev/console", "/dev/vhost-vsock", "/dev/vsock", "/dev/mapper/control",
             "/dev/uinput", "/dev/nvram", "/dev/rtc0", "/dev/sg0", "/dev/watchdog", "/dev/hugepages", "/dev/input/event0"]:
    attempt(f"open {path}", "ENOENT", lambda path=path: os.open(path, os.O_RDWR))


# --- namespaces ---------------------------------------------------------------------------------------------------------
group("namespaces")
def own_world(flags=0):
    """A user namespace (with others inside it) in which this process is root."""
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS | flags)
    write("/proc/self/setgroups", b"deny")
    write("/proc/self/uid_map", b"0 0 1")
    write("/proc/self/gid_map", b"0 0 1")


def in_own_world(act, flags=0):
    own_world(flags)
    if flags & CLONE_NEWPID:
        started = start(act)
        seen = finish(started)
        if seen in errno.errorcode.values():
            raise OSError(getattr(errno, seen), seen)
        return seen
    return act()


for name, flag, nested in [
    ("user", CLONE_NEWUSER, "ok"), ("mount", CLONE_NEWNS, None), ("network", CLONE_NEWNET, None), ("pid", CLONE_NEWPID, None),
    ("uts", CLONE_NEWUTS, None), ("ipc", CLONE_NEWIPC, None), ("cgroup", CLONE_NEWCGROUP, None), ("time", CLONE_NEWTIME, None),
]:
    attempt(f"unshare the {name} namespace", "EPERM", lambda flag=flag: call("unshare", flag) and None, nested=nested)


def cloned(flag):
    if call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0) == 0:
        os._exit(0)


attempt("clone with a user namespace", "EPERM", lambda: cloned(CLONE_NEWUSER), nested="ok")
attempt("clone with a network namespace", "EPERM", lambda: cloned(CLONE_NEWNET))
attempt("clone with user and network namespace", "EPERM", lambda: cloned(CLONE_NEWUSER | CLONE_NEWNET))
attempt("clone3 past the filter", "ENOSYS", lambda: call("clone3", struct.pack("Q", CLONE_NEWUSER) + b"\0" * 80, 88))
for kind in ["net", "mnt", "pid", "uts", "ipc", "cgroup"]:
    attempt(f"setns to the first process's {kind}", "EPERM",
            lambda kind=kind: call("setns", os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0) and None)
attempt("setns to the first process's user", "EPERM",
        lambda: call("setns", os.open("/proc/1/ns/user", os.O_RDONLY), 0) and None, nested="EINVAL")
attempt("setns to a process by pidfd", "EPERM", lambda: call("setns", call("pidfd_open", 1, 0), CLONE_NEWNS) and None)
attempt("find the parent user namespace", "EPERM",
        lambda: fcntl.ioctl(os.open("/proc/self/ns/user", os.O_RDONLY), 0xB702) and None)
attempt("find the owner of the network namespace", "EPERM",
        lambda: fcntl.ioctl(os.open("/proc/self/ns/net", os.O_RDONLY), 0xB701) and None)

for name, nested, act in [
    ("a tmpfs", "ok", lambda: mount(b"none", b"/mnt", b"tmpfs")),
    ("a sysfs of the network", "EPERM", lambda: mount(b"sysfs", b"/mnt", b"sysfs")),
    ("cgroup v1", "EPERM|EBUSY|EINVAL", lambda: mount(b"x", b"/mnt", b"cgroup", 0, b"rdma")),
    ("cgroup v2", "EPERM", lambda: mount(b"x", b"/mnt", b"cgroup2")),
    ("debugfs", "EPERM", lambda: mount(b"x", b"/mnt", b"debugfs")),
    ("devtmpfs", "EPERM", lambda: mount(b"x", b"/mnt", b"devtmpfs")),
    ("ext4", "EPERM|ENOENT|ENOTBLK|ENODEV", lambda: mount(b"/dev/vda", b"/mnt", b"ext4")),
    ("/sys writable", "EPERM", lambda: mount(b"none", b"/sys", 0, MS_REMOUNT | MS_BIND)),
    ("and uncover execd", "EINVAL", lambda: call("umount2", b"/opt/opensandbox/execd", 2)),
    ("and uncover /sys", "EINVAL", lambda: call("umount2", b"/sys", 2)),
    ("and write execd", "EROFS|EACCES|ETXTBSY|EPERM", lambda: write("/opt/opensandbox/execd", b"x")),
    ("and make a device", "EPERM", lambda: node(1, 1)),
    ("and raise the kernel's sysctl", "EACCES|EPERM|EROFS", lambda: write("/proc/sys/kernel/core_pattern", b"|/tmp/x")),
    ("and open the packet filter", "EPERM|EPROTONOSUPPORT", lambda: netlink(12, (10 << 8) | 0, b"\2\0\0\0" + attribute(1, b"x\0"), 0x600)),
    ("and change eth0", "EPERM", lambda: netlink(0, 16, struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("eth0"), 0, 1))),
    ("and a raw socket", "EPERM", lambda: socket.socket(2, socket.SOCK_RAW, 1)),
    ("and fsopen", "EPERM", lambda: call("fsopen", b"tmpfs", 0)),
    ("and a network namespace", "EPERM", lambda: call("unshare", CLONE_NEWNET)),
    ("and the first process's mounts", "EPERM|EACCES", lambda: call("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) and None),
    ("and bpf", "EPERM", lambda: call("bpf", 0, struct.pack("IIIII", 2, 4, 4, 1, 0) + b"\0" * 100, 120)),
    # Newer kernels have one for every user namespace; the host's own is looked at from outside.
    ("and binfmt_misc", "EPERM|ENODEV|ok", lambda: mount(b"x", b"/mnt", b"binfmt_misc")),
    ("and tracefs", "EPERM|ENODEV", lambda: mount(b"x", b"/mnt", b"tracefs")),
    ("and securityfs", "EPERM|ENODEV", lambda: mount(b"x", b"/mnt", b"securityfs")),
    ("and listen to a whole file system", "EPERM|ENOSYS|ENOTSUP|ENODEV|EXDEV", lambda: call("fanotify_mark", call("fanotify_init", 0x200, 0), 0x101, 0x20, AT_FDCWD, b"/")),
    ("and add a swap", "EPERM", lambda: call("swapon", b"/tmp/x", 0)),
    ("and another clock", "EPERM", lambda: call("clock_settime", 0, struct.pack("qq", 0, 0))),
    ("and load a module", "EPERM", lambda: call("finit_module", 0, b"", 0)),
    ("and io_uring", "EPERM", lambda: call("io_uring_setup", 4, b"\0" * 120)),
    ("and open by handle", "EPERM", lambda: call("open_by_handle_at", AT_FDCWD, b"\0" * 32, 0)),
    ("and a packet socket", "EAFNOSUPPORT", lambda: socket.socket(17, socket.SOCK_RAW, 0x0300)),
    ("and the server's memory", "ESRCH", lambda: peek(GIVEN["server"])),
    ("and the state directory", "ENOENT|EACCES", lambda: os.listdir("/proc/1/root" + GIVEN["state"])),
    ("and keyctl", "EPERM", lambda: call("keyctl", 1, 0)),
]:
    attempt(f"a user namespace, then {name}", "EPERM", lambda act=act: in_own_world(act), nested=nested)
attempt("user and pid namespace, then proc", "EPERM",
        lambda: in_own_world(lambda: mount(b"proc", b"/mnt", b"proc"), CLONE_NEWPID), nested="ok")
attempt("map an id of the host's root", "EPERM", lambda: (call("unshare", CLONE_NEWUSER), write("/proc/self/uid_map", b"0 4294901760 1")),
        nested="EPERM")


# --- at the host's word, which looks at itself in between -----------------------------------------------------------------
def told(attempt, seen):
    return {"group": attempt[0], "attempt": attempt[1], "expected": attempt[2], "seen": seen}


def steps():
    """Lists of attempts made: first those that wait for the network, all at once, then one after the other."""
    waiting = [attempt for attempt in ATTEMPTS if attempt[4]]
    started = [start(attempt[3]) for attempt in waiting]
    yield [told(attempt, finish(process)) for attempt, process in zip(waiting, started)]
    for attempt in ATTEMPTS:
        if not attempt[4]:
            yield [told(attempt, finish(start(attempt[3])))]
    yield []


with socket.create_server(("0.0.0.0", GIVEN["port"])) as listener:
    print("ready", flush=True)
    listener.settimeout(PATIENCE)
    host = listener.accept()[0]
host.settimeout(None)
conversation = host.makefile("rw", encoding="utf-8")
for step in steps():
    conversation.write(json.dumps(step) + "\n")
    conversation.flush()
    if not conversation.readline():
        break
