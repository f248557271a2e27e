//! Cleaning up behind sandboxes, off everybody's way.
//!
//! One thread takes what is left of them (disk, interface, cgroups) in batches: a link deletion on its own costs the
//! kernel tens of milliseconds. A second one removes directories, which may take long and holds up nothing else. The
//! first queue is bounded by the number of slots, since a slot is given out again only after its job is done;
//! directories wait in the trash, where the next start finds them if this one does not get to them.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use super::{cgroup::Cgroups, names::Names, net, slots::Slots};

/// How long a job waits for company.
const BATCH_WINDOW: Duration = Duration::from_millis(50);
/// Most jobs in one batch.
const BATCH: usize = 128;
/// A cgroup is busy for a moment after its last process.
const CGROUP_RETRY: Duration = Duration::from_millis(10);
const CGROUP_PATIENCE: Duration = Duration::from_secs(5);

/// Leftovers of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    pub slot: Option<u16>,
    /// A directory in the trash.
    pub directory: Option<PathBuf>,
    /// Last hold on the sandbox's disk: closing it unmounts a file system, which takes milliseconds.
    pub store: Option<OwnedFd>,
    /// Told when everything up to here is done.
    pub done: Option<Sender<()>>,
}

/// The sending side; the thread ends when the last one is gone and everything is done.
#[derive(Clone)]
pub(crate) struct Reaper {
    jobs: Sender<Leftovers>,
    slots: Arc<Slots>,
    trash: PathBuf,
    moved: Arc<AtomicU64>,
}

impl Reaper {
    pub(crate) fn start(
        names: Names,
        cgroups: Cgroups,
        slots: Arc<Slots>,
        trash: PathBuf,
    ) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let (files, swept) = channel();
        let known = slots.clone();
        spawn("reaper", move || run(&queue, &names, &cgroups, &slots, &files))?;
        spawn("sweeper", move || sweep(&swept))?;
        Ok(Self { jobs, slots: known, trash, moved: Arc::default() })
    }

    /// Moves `directory` out of the way (at once) and has everything removed (soon).
    pub(crate) fn dispose(&self, slot: Option<u16>, directory: Option<&Path>) {
        self.dispose_with(slot, directory, None);
    }

    /// Like [`Reaper::dispose`], with a hold on the sandbox's disk to let go of.
    pub(crate) fn dispose_with(&self, slot: Option<u16>, directory: Option<&Path>, store: Option<OwnedFd>) {
        if let Some(number) = slot {
            self.slots.drain(number);
        }
        let directory = directory.and_then(|directory| self.to_trash(directory));
        let _ = self.jobs.send(Leftovers { slot, directory, store, done: None });
    }

    /// Takes up what an earlier server left in the trash.
    pub(crate) fn resume(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.trash)?.flatten() {
            let _ = self.jobs.send(Leftovers { directory: Some(entry.path()), ..Leftovers::default() });
        }
        Ok(())
    }

    /// Waits until all that was disposed of is gone, but no longer than `patience`.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, waiting) = channel();
        let _ = self.jobs.send(Leftovers { done: Some(done), ..Leftovers::default() });
        let _ = waiting.recv_timeout(patience);
    }

    fn to_trash(&self, directory: &Path) -> Option<PathBuf> {
        let target = unique(&self.trash, &self.moved);
        match fs::rename(directory, &target) {
            Ok(()) => Some(target),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, directory = %directory.display(), "cannot move to the trash");
                None
            }
        }
    }
}

/// A name in `directory` that no other run and no other call makes.
fn unique(directory: &Path, counter: &AtomicU64) -> PathBuf {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
    directory.join(format!("{now:x}-{}-{}", std::process::id(), counter.fetch_add(1, Ordering::Relaxed)))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(work).map(drop)
}

fn run(
    queue: &Receiver<Leftovers>,
    names: &Names,
    cgroups: &Cgroups,
    slots: &Slots,
    files: &Sender<Leftovers>,
) {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        let deadline = Instant::now() + BATCH_WINDOW;
        while batch.len() < BATCH {
            match queue.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(job) => batch.push(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        batch.iter_mut().for_each(|job| drop(job.store.take()));
        free_slots(&batch, names, cgroups, slots);
        for job in batch {
            let _ = files.send(job);
        }
    }
}

fn free_slots(batch: &[Leftovers], names: &Names, cgroups: &Cgroups, slots: &Slots) {
    let numbers: Vec<u16> = batch.iter().filter_map(|job| job.slot).collect();
    if let Err(error) = net::delete(names, &numbers) {
        tracing::warn!(%error, "cannot delete interfaces");
    }
    for number in numbers {
        let deadline = Instant::now() + CGROUP_PATIENCE;
        loop {
            match cgroups.remove(number) {
                Ok(()) => {
                    slots.free(number);
                    break;
                }
                Err(error) if Instant::now() > deadline => {
                    tracing::warn!(%error, slot = number, "cannot remove cgroups; the slot stays out of use");
                    break;
                }
                Err(_) => {
                    cgroups.kill(number);
                    std::thread::sleep(CGROUP_RETRY);
                }
            }
        }
    }
}

fn sweep(queue: &Receiver<Leftovers>) {
    while let Ok(job) = queue.recv() {
        if let Some(Err(error)) = job.directory.as_deref().map(remove_tree) {
            tracing::warn!(%error, "cannot remove a sandbox's files");
        }
        if let Some(done) = job.done {
            let _ = done.send(());
        }
    }
}

/// Removes a tree that may be arbitrarily deep: sub-directories are first moved beside their parent, so neither stack
/// nor descriptors grow with the depth, and nothing is followed.
fn remove_tree(top: &Path) -> io::Result<()> {
    let counter = AtomicU64::new(0);
    let parent = top.parent().unwrap_or(Path::new("/"));
    let prefix = top.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut waiting = vec![top.to_owned()];
    while let Some(directory) = waiting.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
            } else if fs::remove_dir(entry.path()).is_err() {
                let aside = parent.join(format!("{prefix}.{}", counter.fetch_add(1, Ordering::Relaxed)));
                fs::rename(entry.path(), &aside)?;
                waiting.push(aside);
            }
        }
        fs::remove_dir(&directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_deep_trees_go_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (top, outside) = (dir.path().join("top"), dir.path().join("outside"));
        fs::create_dir(&top).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, top.join("link")).unwrap();
        // Deeper than PATH_MAX reaches, built from the inside out.
        let stack = dir.path().join("stack");
        fs::create_dir(&stack).unwrap();
        for _ in 0..3000 {
            let next = dir.path().join("next");
            fs::create_dir(&next).unwrap();
            fs::write(next.join("file"), "x").unwrap();
            fs::rename(&stack, next.join("d")).unwrap();
            fs::rename(&next, &stack).unwrap();
        }
        fs::rename(&stack, top.join("deep")).unwrap();
        remove_tree(&top).unwrap();
        assert!(outside.join("kept").exists());
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["outside"]);
    }
}
