//! Loop devices: attaching files to them, and having the kernel take away those that are no longer needed.
//!
//! The kernel makes a device when none is free, uses it again for others, and never takes it away by itself. Each that is
//! there makes every start a little slower (a thousand idle ones double its time), so a few idle ones are kept and the
//! others are removed: only those that were made for this state directory, and never in anybody's way.

use std::{
    collections::{BTreeSet, HashSet},
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{host::rest, state, sys};

const CONTROL: &str = "/dev/loop-control";
const DEVICES: &str = "/sys/block";
/// Attempts at a free device before giving up: others may take it first.
const ATTEMPTS: usize = 64;
/// Idle devices that stay for the next sandboxes: making one takes the kernel most of a millisecond.
const KEPT: usize = 32;
/// How long a device is idle at least before it is removed.
const PERIOD: Duration = Duration::from_secs(3);
/// Threads that remove devices when the server stops. A removal waits for the kernel for some 40 ms, many do so together.
const AT_ONCE: usize = 8;

const LOOP_CTL_REMOVE: libc::c_ulong = 0x4c81;
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4c82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4c0a;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_config` with its `loop_info64`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// The devices of one state directory, and the thread that removes them.
pub(crate) struct Loops {
    ours: Arc<Ours>,
    sweeper: Mutex<Option<Sweeper>>,
}

struct Sweeper {
    /// Told of devices that are new.
    wake: Sender<()>,
    thread: JoinHandle<()>,
}

/// Devices that the kernel made for this state directory.
struct Ours {
    /// Those that were there before, whosever they are.
    others: HashSet<u32>,
    numbers: Mutex<BTreeSet<u32>>,
    /// Where the numbers are written down for the next start: this boot's id, and a number a line.
    ledger: PathBuf,
    boot: String,
}

impl Loops {
    /// Takes up what an earlier server wrote down in `ledger`.
    pub(crate) fn start(ledger: PathBuf) -> io::Result<Self> {
        let ours = Arc::new(Ours::read(ledger, state::boot_id()?, &registered()?));
        let (wake, woken) = channel();
        let swept = ours.clone();
        let thread = std::thread::Builder::new()
            .name("loops".into())
            .stack_size(256 * 1024)
            .spawn(move || swept.sweep(&woken))?;
        Ok(Self { ours, sweeper: Mutex::new(Some(Sweeper { wake, thread })) })
    }

    /// Makes a block device of a file. It frees itself with its last user.
    pub(crate) fn attach(&self, image: &Path) -> io::Result<(File, CString)> {
        let file = OpenOptions::new().read(true).write(true).open(image)?;
        let control = control()?;
        // The kernel names the same free device to everyone who asks; taking turns spares us our own races.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            // SAFETY: the request takes no argument.
            let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
            let number = sys::check(libc::c_long::from(number))? as u32;
            let path = format!("/dev/loop{number}");
            let device = match OpenOptions::new().read(true).write(true).open(&path) {
                // Somebody has it removed meanwhile.
                Err(error) if is_gone(&error) => continue,
                other => other?,
            };
            match configure(&device, &file, image) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.note(number);
                    return Ok((device, CString::new(path)?));
                }
            }
        }
        Err(io::Error::other("no free loop device"))
    }

    fn note(&self, number: u32) {
        if self.ours.add(number)
            && let Some(sweeper) = &*self.sweeper()
        {
            let _ = sweeper.wake.send(());
        }
    }

    /// Removes what is idle, at the end of the server. Devices of sandboxes that live on wait for the next one.
    pub(crate) fn release(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let sweeper = self.sweeper().take();
        if let Some(Sweeper { wake, thread }) = sweeper {
            drop(wake);
            let _ = thread.join();
        }
        let idle: Vec<u32> = self.ours.idle().into_iter().collect();
        let share = idle.len().div_ceil(AT_ONCE).max(1);
        std::thread::scope(|scope| {
            for numbers in idle.chunks(share) {
                scope.spawn(|| {
                    let in_time = |_: &&u32| Instant::now() < deadline;
                    numbers.iter().take_while(in_time).for_each(|number| self.ours.remove(*number));
                });
            }
        });
        if !idle.is_empty() {
            self.ours.write_down();
        }
    }

    fn sweeper(&self) -> MutexGuard<'_, Option<Sweeper>> {
        self.sweeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ours {
    fn read(ledger: PathBuf, boot: String, registered: &HashSet<u32>) -> Self {
        let text = fs::read_to_string(&ledger).unwrap_or_default();
        let known: HashSet<u32> = match text.split_once('\n') {
            Some((of, numbers)) if of == boot => {
                numbers.lines().filter_map(|line| line.parse().ok()).collect()
            }
            _ => HashSet::new(),
        };
        let others = registered.difference(&known).copied().collect();
        let numbers = Mutex::new(registered.intersection(&known).copied().collect());
        let ours = Self { others, numbers, ledger, boot };
        ours.write_down();
        ours
    }

    fn numbers(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a device that was just attached is a new one of ours.
    fn add(&self, number: u32) -> bool {
        if self.others.contains(&number) || !self.numbers().insert(number) {
            return false;
        }
        let appended = OpenOptions::new().append(true).open(&self.ledger);
        self.warn(appended.and_then(|mut ledger| ledger.write_all(format!("{number}\n").as_bytes())));
        true
    }

    fn write_down(&self) {
        let numbers = self.numbers();
        let lines = numbers.iter().map(|number| format!("{number}\n"));
        let text: String = std::iter::once(format!("{}\n", self.boot)).chain(lines).collect();
        let temporary = self.ledger.with_extension("new");
        self.warn(fs::write(&temporary, text).and_then(|()| fs::rename(temporary, &self.ledger)));
    }

    /// A full disk keeps no sandbox from starting.
    fn warn(&self, noted: io::Result<()>) {
        if let Err(error) = noted {
            let ledger = self.ledger.display();
            tracing::warn!(%error, %ledger, "after a crash, idle loop devices will stay: they cannot be written down");
        }
    }

    /// Removes what has been idle for a while, until the sender is gone.
    fn sweep(&self, woken: &Receiver<()>) {
        let mut idle_before = BTreeSet::new();
        loop {
            if self.numbers().len() <= KEPT {
                match woken.recv() {
                    Ok(()) => continue,
                    Err(_) => return,
                }
            }
            if rest(woken, PERIOD).is_break() {
                return;
            }
            let idle = self.idle();
            // The kernel gives out the lowest first.
            let surplus: Vec<u32> = idle.intersection(&idle_before).copied().skip(KEPT).collect();
            for number in surplus.iter().rev() {
                if rest(woken, Duration::ZERO).is_break() {
                    break;
                }
                self.remove(*number);
            }
            if !surplus.is_empty() {
                self.write_down();
            }
            idle_before = idle;
        }
    }

    fn idle(&self) -> BTreeSet<u32> {
        let numbers = self.numbers().clone();
        numbers.into_iter().filter(|number| !Path::new(&backing_file(*number)).exists()).collect()
    }

    /// Has the kernel remove a device, unless somebody has it open.
    fn remove(&self, number: u32) {
        match control().and_then(|control| {
            // SAFETY: integers only, on an open descriptor.
            let done =
                unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_REMOVE, libc::c_ulong::from(number)) };
            sys::check(libc::c_long::from(done))
        }) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) if !is_gone(&error) => {
                tracing::warn!(%error, number, "cannot remove a loop device");
                self.numbers().remove(&number);
            }
            _ => {
                self.numbers().remove(&number);
            }
        }
    }
}

/// The loop device that has `image` as its file, if one does.
pub(crate) fn device_of(image: &Path) -> io::Result<Option<CString>> {
    for number in registered()? {
        let Ok(backing) = fs::read(backing_file(number)) else { continue };
        if backing.strip_suffix(b"\n").unwrap_or(&backing) == image.as_os_str().as_bytes() {
            return Ok(Some(CString::new(format!("/dev/loop{number}"))?));
        }
    }
    Ok(None)
}

/// Where a device tells what its file is, while it has one.
fn backing_file(number: u32) -> String {
    format!("{DEVICES}/loop{number}/loop/backing_file")
}

/// Numbers of all devices there are.
fn registered() -> io::Result<HashSet<u32>> {
    let mut numbers = HashSet::new();
    for entry in fs::read_dir(DEVICES)? {
        let name = entry?.file_name();
        let number: Option<u32> = name.to_str().and_then(|name| name.strip_prefix("loop")?.parse().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}

fn control() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(CONTROL)
}

fn configure(device: &File, file: &File, image: &Path) -> io::Result<()> {
    // SAFETY: all-zero is a valid configuration.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = file.as_fd().as_raw_fd() as u32;
    config.info.flags = LO_FLAGS_AUTOCLEAR;
    let name = image.as_os_str().as_bytes();
    let shown = name.len().min(config.info.file_name.len() - 1);
    config.info.file_name[..shown].copy_from_slice(&name[..shown]);
    // SAFETY: `config` is a live `loop_config`.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    sys::check(libc::c_long::from(result)).map(drop)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENXIO | libc::ENODEV))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_structure_has_its_size() {
        assert_eq!(size_of::<LoopConfig>(), 304);
    }

    #[test]
    fn only_devices_made_for_the_state_directory_in_this_boot_are_ours() {
        let dir = tempfile::tempdir().unwrap();
        let read = |boot: &str, registered: &[u32]| {
            let registered = registered.iter().copied().collect();
            let ours = Ours::read(dir.path().join("ledger"), boot.to_owned(), &registered);
            let numbers = ours.numbers().clone();
            (ours, Vec::from_iter(numbers))
        };
        let (first, numbers) = read("a", &[0, 1, 2000]);
        assert!(numbers.is_empty());
        let added = [1, 1001, 1002, 1001, 1003, 2000].map(|number| first.add(number));
        assert_eq!(added, [false, true, true, false, true, false]);
        // The server was killed; somebody else's have come, and one of ours is gone.
        let (second, numbers) = read("a", &[0, 1, 1001, 1003, 1500, 2000]);
        assert_eq!(numbers, [1001, 1003]);
        assert!(!second.add(1500));
        let (_, numbers) = read("b", &[0, 1001, 1003]);
        assert!(numbers.is_empty());
    }
    /// Attaches files until the kernel had to make this many devices for them.
    fn attach_until_made(loops: &Loops, directory: &Path, count: usize) -> Vec<File> {
        let mut devices = Vec::new();
        while loops.ours.numbers().len() < count {
            let image = directory.join(devices.len().to_string());
            File::create(&image).unwrap().set_len(1 << 20).unwrap();
            devices.push(loops.attach(&image).unwrap().0);
        }
        devices
    }

    /// Others may use what is idle meanwhile, so only what is not in use counts.
    fn wait_for_idle(loops: &Loops, wanted: impl Fn(usize) -> bool) {
        let since = Instant::now();
        while !wanted(loops.ours.idle().intersection(&registered_in_order()).count()) {
            assert!(since.elapsed() < Duration::from_secs(120), "{:?}", loops.ours.idle());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn registered_in_order() -> BTreeSet<u32> {
        registered().unwrap().into_iter().collect()
    }

    #[test]
    fn devices_are_removed_when_they_are_no_longer_needed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger");
        let loops = Loops::start(ledger.clone()).unwrap();
        let devices = attach_until_made(&loops, dir.path(), KEPT + 12);
        let made = loops.ours.numbers().clone();
        assert!(made.is_subset(&registered_in_order()));
        drop(devices);
        wait_for_idle(&loops, |idle| idle >= KEPT);
        wait_for_idle(&loops, |idle| idle <= KEPT);
        assert!(loops.ours.numbers().len() < made.len());
        // What it leaves is known to the next one, which takes everything along when it ends in peace.
        drop(loops);
        let loops = Loops::start(ledger).unwrap();
        let left = loops.ours.numbers().clone();
        assert!(!left.is_empty() && left.is_subset(&made));
        loops.release(Duration::from_secs(60));
        assert!(loops.ours.idle().is_empty(), "{left:?}");
    }
}
