use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags, fchmod, fchown, fsetxattr, futimens, linkat,
        mkfifoat, openat, symlinkat,
    },
    io::Errno,
};

use super::{
    Budget, COPY_BUFFER,
    path::{CleanPath, shown},
    read_some,
    root::{Attributes, Place, Root, failed, timestamps},
    tar_stream::{Entry, Kind, TarStream, read_error, truncated},
};
use crate::image::error::{Context, ImageError};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const AUFS_METADATA: &[u8] = b".wh..wh.";

/// Sandboxes have the ids 0 to 65535; whoever is above is nobody.
const MAX_ID: u64 = 65_535;
const NOBODY: u32 = 65_534;
const MODE_BITS: u32 = 0o7777;
const SET_ID_BITS: u32 = 0o6000;

/// Puts entries of an archive into a directory.
pub(super) struct Applier {
    root: Root,
    /// Times of directories, set at the end because every new name in one changes them.
    directory_times: HashMap<CleanPath, (i64, u32)>,
    root_time: Option<(i64, u32)>,
    buffer: Vec<u8>,
    foreign_ids: u64,
    devices: u64,
}

impl Applier {
    pub(super) fn new(root: &Path, discard: &Path) -> Result<Self, ImageError> {
        Ok(Self {
            root: Root::open(root, discard)?,
            directory_times: HashMap::new(),
            root_time: None,
            buffer: vec![0; COPY_BUFFER],
            foreign_ids: 0,
            devices: 0,
        })
    }

    pub(super) fn apply<R: Read>(
        &mut self,
        entry: Entry,
        data: &mut TarStream<R>,
        budget: &mut Budget<'_>,
    ) -> Result<(), ImageError> {
        let path = CleanPath::new(&entry.path)?;
        let Some((_, name)) = path.split() else { return self.root_entry(&entry) };
        if is_aufs_metadata(&path) {
            return Ok(());
        }
        if name.starts_with(WHITEOUT) {
            return self.whiteout(&path);
        }
        let attributes = self.attributes(&entry);
        if entry.kind == Kind::Device {
            self.devices += 1;
            return Ok(());
        }
        let place = self.root.place(&path)?;
        if entry.kind == Kind::Directory {
            self.root.make_directory(&place)?;
            self.root.apply(&place, &attributes)?;
            if !entry.xattrs.is_empty() {
                set_xattrs(&self.root.open_directory(&place)?, &entry, &place)?;
            }
            self.directory_times.insert(path, attributes.mtime);
            return Ok(());
        }
        if entry.kind == Kind::HardLink {
            return self.hard_link(&entry, &path, &place);
        }
        self.root.clear(&place)?;
        match entry.kind {
            Kind::File => return self.file(&entry, &place, &attributes, data, budget),
            Kind::Symlink => {
                symlinkat(entry.link.as_slice(), &place.dir, place.name).map_err(|e| match e {
                    Errno::NOENT | Errno::NAMETOOLONG | Errno::INVAL => ImageError::Corrupt(format!(
                        "the symbolic link \"{}\" has a malformed target",
                        shown(&entry.path)
                    )),
                    e => failed("linking", &place, e),
                })?;
                self.root.own(&place, &attributes)?;
                self.root.touch(&place, attributes.mtime)?;
            }
            Kind::Fifo => {
                mkfifoat(&place.dir, place.name, Mode::from_raw_mode(0o600))
                    .map_err(|e| failed("making", &place, e))?;
                self.root.apply(&place, &attributes)?;
            }
            Kind::Directory | Kind::HardLink | Kind::Device => {}
        }
        Ok(())
    }

    /// Sets the directories' times; nothing may be unpacked afterwards.
    pub(super) fn finish(self) -> Result<(), ImageError> {
        for (path, time) in &self.directory_times {
            // A directory may have been replaced by something else since.
            let Ok(place) = self.root.existing_place(path) else { continue };
            if self.root.present(&place)? == super::root::Present::Directory {
                self.root.touch(&place, *time)?;
            }
        }
        if let Some(time) = self.root_time {
            self.root.touch(&Place { dir: self.root.dir(), name: b"." }, time)?;
        }
        if self.foreign_ids > 0 || self.devices > 0 {
            tracing::warn!(
                files = self.foreign_ids,
                devices = self.devices,
                "layer has files with owners above {MAX_ID} (now nobody's) or devices (left out)"
            );
        }
        Ok(())
    }

    fn root_entry(&mut self, entry: &Entry) -> Result<(), ImageError> {
        if entry.kind != Kind::Directory {
            return Err(ImageError::Corrupt("an entry other than a directory names the layer's root".into()));
        }
        let attributes = self.attributes(entry);
        let place = Place { dir: self.root.dir(), name: b"." };
        self.root.apply(&place, &attributes)?;
        self.root_time = Some(attributes.mtime);
        Ok(())
    }

    fn whiteout(&mut self, path: &CleanPath) -> Result<(), ImageError> {
        let place = self.root.place(path)?;
        if place.name == OPAQUE_MARK {
            let here = Place { dir: place.dir, name: b"." };
            return self.root.make_opaque(&here);
        }
        let hidden = &place.name[WHITEOUT.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ImageError::UnsafePath {
                path: shown(path.as_bytes()),
                reason: "a whiteout must name something in its directory".into(),
            });
        }
        let place = Place { dir: place.dir, name: hidden };
        self.root.make_whiteout(&place)
    }

    fn hard_link(&mut self, entry: &Entry, path: &CleanPath, place: &Place<'_>) -> Result<(), ImageError> {
        let target = CleanPath::new(&entry.link)?;
        if target == *path {
            return Ok(());
        }
        let old = self.root.existing_place(&target)?;
        let kind = self.root.stat(&old)?.map(|stat| FileType::from_raw_mode(stat.st_mode));
        if !matches!(kind, Some(FileType::RegularFile | FileType::Symlink | FileType::Fifo)) {
            return Err(ImageError::Corrupt(format!(
                "the hard link \"{}\" leads to \"{}\", which is no file of the same layer",
                shown(&entry.path),
                shown(&entry.link)
            )));
        }
        self.root.clear(place)?;
        linkat(&old.dir, old.name, &place.dir, place.name, AtFlags::empty())
            .map_err(|e| failed("linking", place, e))
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        place: &Place<'_>,
        attributes: &Attributes,
        data: &mut TarStream<R>,
        budget: &mut Budget<'_>,
    ) -> Result<(), ImageError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(
            openat(&place.dir, place.name, flags, Mode::from_raw_mode(0o600))
                .map_err(|e| failed("making", place, e))?,
        );
        let doing = |doing: &str| format!("{doing} \"{}\" of a layer", shown(&entry.path));
        match &entry.sparse {
            None => self.copy(entry.size, &mut file, data, budget, entry)?,
            Some(map) => {
                for &(offset, length) in &map.pieces {
                    file.seek(SeekFrom::Start(offset)).context(|| doing("writing"))?;
                    self.copy(length, &mut file, data, budget, entry)?;
                }
                file.set_len(map.real_size).context(|| doing("extending"))?;
            }
        }
        // The owner first: changing it clears set-id bits and capabilities.
        fchown(&file, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))
            .context(|| doing("setting the owner of"))?;
        fchmod(&file, Mode::from_raw_mode(attributes.mode)).context(|| doing("setting the mode of"))?;
        set_xattrs(&file, entry, place)?;
        futimens(&file, &timestamps(attributes.mtime)).context(|| doing("setting the time of"))
    }

    fn copy<R: Read>(
        &mut self,
        mut length: u64,
        file: &mut File,
        data: &mut TarStream<R>,
        budget: &mut Budget<'_>,
        entry: &Entry,
    ) -> Result<(), ImageError> {
        while length > 0 {
            let want = usize::try_from(length).map_or(self.buffer.len(), |l| l.min(self.buffer.len()));
            let n = read_some(data, &mut self.buffer[..want]).map_err(read_error)?;
            if n < want {
                return Err(truncated());
            }
            budget.write(n as u64)?;
            file.write_all(&self.buffer[..n])
                .context(|| format!("writing \"{}\" of a layer", shown(&entry.path)))?;
            length -= n as u64;
        }
        Ok(())
    }

    fn attributes(&mut self, entry: &Entry) -> Attributes {
        let foreign = entry.uid > MAX_ID || entry.gid > MAX_ID;
        let id = |id: u64| u32::try_from(id).ok().filter(|&id| u64::from(id) <= MAX_ID).unwrap_or(NOBODY);
        let mut mode = entry.mode & MODE_BITS;
        if foreign {
            self.foreign_ids += 1;
            if entry.kind != Kind::Directory {
                mode &= !SET_ID_BITS;
            }
        }
        Attributes { uid: id(entry.uid), gid: id(entry.gid), mode, mtime: entry.mtime }
    }
}

/// What AUFS, long gone, kept for itself beside the files.
fn is_aufs_metadata(path: &CleanPath) -> bool {
    let mut components = path.as_bytes().split(|&b| b == b'/');
    components.any(|name| name.starts_with(AUFS_METADATA) && name != OPAQUE_MARK)
}

/// Everything else is dropped: above all `trusted.overlay.*`, which would redirect the overlay out of its layers.
pub(in crate::image) fn is_kept(name: &[u8]) -> bool {
    (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
        || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
}

fn set_xattrs(file: &impl std::os::fd::AsFd, entry: &Entry, place: &Place<'_>) -> Result<(), ImageError> {
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_kept(name)) {
        match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOTSUP) if !name.starts_with(b"security.") => {
                tracing::debug!(file = %shown(&entry.path), "the store's file system has no such extended attributes");
            }
            Err(Errno::INVAL | Errno::RANGE | Errno::TOOBIG) => {
                return Err(ImageError::Corrupt(format!(
                    "\"{}\" has a malformed extended attribute {}",
                    shown(&entry.path),
                    shown(name)
                )));
            }
            Err(e) => return Err(failed("setting an extended attribute of", place, e)),
        }
    }
    Ok(())
}
