//! Limits and measurements through cgroups: version 1, version 2, and hosts with some controllers in each.

mod entrance;
mod layout;
mod limits;
mod usage;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use self::{entrance::Entrance, layout::Layout};
use limits::low_of;

/// Directory beside those of the sandboxes, with one for the sidecar of each that has one.
const SIDECARS: &str = "egress";

/// This server's cgroups.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    layout: Layout,
    parent: String,
}

impl Cgroups {
    /// Makes the server's directories and hands controllers down to them.
    pub(crate) fn new(layout: Layout, parent: String) -> io::Result<Self> {
        let cgroups = Self { layout, parent };
        for root in cgroups.roots() {
            make_dir(&root.join(&cgroups.parent))?;
        }
        if let Some(root) = &cgroups.layout.unified {
            for controller in cgroups.layout.unified_controllers() {
                for directory in [root.clone(), root.join(&cgroups.parent)] {
                    let control = directory.join("cgroup.subtree_control");
                    fs::write(&control, format!("+{controller}")).map_err(|error| {
                        let text = format!(
                            "cannot enable the {controller} controller in {}: {error}",
                            control.display()
                        );
                        io::Error::new(error.kind(), text)
                    })?;
                }
            }
        }
        Ok(cgroups)
    }

    /// The cgroups of the sandboxes' sidecars, which are numbered like those of the sandboxes.
    pub(crate) fn sidecars(&self) -> Self {
        Self { layout: self.layout.clone(), parent: format!("{}/{SIDECARS}", self.parent) }
    }

    /// Makes the directories of [`Cgroups::sidecars`].
    pub(crate) fn with_sidecars(self) -> io::Result<Self> {
        let sidecars = self.sidecars();
        Self::new(sidecars.layout, sidecars.parent)?;
        Ok(self)
    }

    /// Controllers a host has in neither version.
    pub(crate) fn missing(layout: &Layout) -> Vec<&'static str> {
        let offered = layout.unified.as_ref().map(|root| fs::read_to_string(root.join("cgroup.controllers")));
        let offered = offered.and_then(Result::ok).unwrap_or_default();
        layout
            .unified_controllers()
            .filter(|wanted| !offered.split_whitespace().any(|name| name == *wanted))
            .collect()
    }

    fn roots(&self) -> Vec<&Path> {
        self.layout.unified.as_deref().into_iter().chain(self.layout.legacy_roots()).collect()
    }

    /// A slot's directory in every hierarchy, version 2 first.
    fn directories(&self, slot: u16) -> Vec<PathBuf> {
        self.roots().into_iter().map(|root| root.join(&self.parent).join(slot.to_string())).collect()
    }

    /// Path of a slot below each hierarchy's root, as OCI runtimes take it.
    pub(crate) fn relative_path(&self, slot: u16) -> String {
        format!("/{}/{slot}", self.parent)
    }

    pub(in crate::runtime::native) fn unified_dir(&self, slot: u16) -> Option<PathBuf> {
        Some(self.layout.unified.as_ref()?.join(&self.parent).join(slot.to_string()))
    }

    /// A slot's directory in version 1's freezer; there only if somebody put the slot into that.
    pub(in crate::runtime::native) fn legacy_freezer(&self, slot: u16) -> Option<PathBuf> {
        Some(self.layout.freezer.as_ref()?.join(&self.parent).join(slot.to_string()))
    }

    /// The directory where a controller of a slot is found, and whether that is version 2.
    fn controller_dir(&self, controller: &str, slot: u16) -> Option<(PathBuf, bool)> {
        match self.layout.legacy.get(controller) {
            Some(root) => Some((root.join(&self.parent).join(slot.to_string()), false)),
            None => self.unified_dir(slot).map(|directory| (directory, true)),
        }
    }

    pub(crate) fn create(&self, slot: u16) -> io::Result<()> {
        self.directories(slot).iter().try_for_each(|directory| make_dir(directory))
    }

    /// Kills every process of a slot and its sidecar, at once where version 2 is mounted. Killing the first process of a sandbox takes
    /// the others with it in any case; this one also reaches processes that are no longer its descendants.
    pub(crate) fn kill(&self, slot: u16) {
        if let Some(directory) = self.unified_dir(slot) {
            let _ = fs::write(directory.join("cgroup.kill"), "1");
        }
        self.kill_listed(slot);
        self.sidecars().kill_listed(slot);
        super::freezer::let_end(self, slot);
    }

    /// Kills the processes of a slot one by one. Unlike after [`Cgroups::kill`], a new process can be started in the
    /// same cgroup: kernels take a clone into one that was once killed for a latecomer, and kill it too.
    pub(crate) fn kill_listed(&self, slot: u16) {
        for directory in self.directories(slot) {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            for pid in listed.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Removes a slot's directories and its sidecar's; an error means that one is still in use.
    pub(crate) fn remove(&self, slot: u16) -> io::Result<()> {
        let memory = self.controller_dir("memory", slot).filter(|(_, is_unified)| *is_unified);
        let was_protected = memory.is_some_and(|(directory, _)| low_of(&directory) > 0);
        for directory in self.sidecars().directories(slot).into_iter().chain(self.directories(slot)) {
            match fs::remove_dir(&directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if was_protected { self.protect() } else { Ok(()) }
    }

    /// Removes the server's own directories; those with sandboxes in them stay.
    pub(crate) fn remove_parents(&self) {
        for root in self.roots() {
            let parent = root.join(&self.parent);
            let _ = fs::remove_dir(parent.join(SIDECARS));
            let _ = fs::remove_dir(parent);
        }
    }

    /// Slots that have a directory in any hierarchy, or whose sidecar has.
    pub(crate) fn present(&self) -> Vec<u16> {
        let mut slots: Vec<u16> = self
            .roots()
            .into_iter()
            .flat_map(|root| [root.join(&self.parent), root.join(&self.parent).join(SIDECARS)])
            .filter_map(|parent| fs::read_dir(parent).ok())
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
