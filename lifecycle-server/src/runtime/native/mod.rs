//! Sandboxes made directly with the kernel's own means: namespaces, cgroups, overlayfs, nftables.
//!
//! The design case is a sandbox whose root is hostile. Every namespace of a sandbox belongs to the host, except the
//! user namespace, which is entered last and maps a uid range no other sandbox has.
//!
//! | module | what it holds |
//! |---|---|
//! | `launcher` | the small process that forks sandboxes, and what runs between fork and exec |
//! | `spec`, `seccomp` | the OCI document of a sandbox; the system calls it is refused |
//! | `net`, `netlink`, `firewall`, `forward` | one routed interface pair per sandbox, and what it may reach |
//! | `subnet` | the network that is this server's alone |
//! | `tap` | whether anything passes on a sandbox's interface |
//! | `rootfs`, `overlay`, `disk`, `quota` | overlay on shared layers through id maps; how much may be written |
//! | `layer` | a way into what a sandbox has written |
//! | `cgroup`, `freezer` | limits, measurements and standing still, version 1 and 2 |
//! | `sidecar` | the process that guards what leaves a sandbox |
//! | `room` | what the host itself has left |
//! | `slots`, `host` | numbered places, and what can be prepared before a sandbox is asked for |
//! | `launch`, `underway`, `watch`, `adopt`, `reaper` | a sandbox's start, end, survival of a restart, and removal |
//! | `again`, `criu` | stopping so that files last, and starting from them; saving memory as well |

mod adopt;
mod again;
mod cgroup;
mod config;
mod console;
mod criu;
mod disk;
mod firewall;
mod forward;
mod freezer;
mod host;
mod launch;
pub mod launcher;
mod layer;
mod loops;
mod names;
mod net;
mod netlink;
mod overlay;
mod preflight;
mod quota;
mod reaper;
mod refusals;
mod room;
mod rootfs;
mod runtime;
mod seccomp;
mod sidecar;
mod slots;
mod spec;
mod state;
mod subnet;
pub(super) mod sys;
mod tap;
mod underway;
mod volume;
mod watch;

pub use config::{Cidr, DefaultLimits, NativeConfig, OverlayWay, Reserve, Watermark};
pub use preflight::{Problem, Severity, preflight};
pub use runtime::NativeRuntime;
pub(super) use runtime::blocking;
pub use spec::EXECD_PORT;
pub use subnet::network;
pub(super) use watch::Process;
