//! What is on disk of a memory that was saved.
//!
//! `memory.new` is being written, `memory` is whole, `memory.used` is being restored from or was, and `memory.gone` says
//! that the processes went on from it: no more than one start may use a memory, since they change the files it belongs
//! to.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, chown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::wire::{Message, Value};

const NEW: &str = "memory.new";
const WHOLE: &str = "memory";
const USED: &str = "memory.used";
const GONE: &str = "memory.gone";
/// Written by CRIU once the processes go on.
const WENT_ON: &str = "stats-restore";
const NOTE: &str = "sandkeep.json";

/// Fields of the ids of namespaces.
const PID_NAMESPACE: u32 = 5;
const USER_NAMESPACE: u32 = 10;
/// Field of the inventory with the ids of CRIU's own namespaces.
const OWN_IDS: u32 = 3;
/// Bytes of magic before the length of the message: two words, but only one in the inventory.
const MAGIC: usize = 8;
const INVENTORY_MAGIC: usize = 4;
/// What the kernel counts a file's blocks in.
const BLOCK: u64 = 512;
/// Bytes of the length.
const LENGTH: usize = 4;

/// Something outside the sandbox that its processes have open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outside {
    /// Where the first process prints to.
    Console,
    /// The host's `/dev/null`.
    Null,
    /// The file of the sandbox's control group with this number.
    Gauge(usize),
}

/// What CRIU does not save.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// The host was not started again since: its clock would go backwards for the processes.
    pub boot_id: String,
    /// By the name it has in the images.
    pub outside: Vec<(String, Outside)>,
}

/// The directories of one sandbox.
pub(crate) struct Memory {
    pub new: PathBuf,
    pub whole: PathBuf,
    pub used: PathBuf,
    gone: PathBuf,
}

impl Memory {
    pub(crate) fn of(sandbox: &Path) -> Self {
        Self {
            new: sandbox.join(NEW),
            whole: sandbox.join(WHOLE),
            used: sandbox.join(USED),
            gone: sandbox.join(GONE),
        }
    }

    /// A stop that was to keep memory was begun and not finished.
    pub(crate) fn is_begun(&self) -> bool {
        self.new.exists() || self.whole.exists()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole.exists()
    }

    /// What it takes of the disk.
    pub(crate) fn bytes(&self) -> u64 {
        let files =
            [&self.new, &self.whole, &self.used].into_iter().filter_map(|path| fs::read_dir(path).ok());
        let known = files.flatten().flatten().filter_map(|entry| entry.metadata().ok());
        known.map(|known| known.blocks() * BLOCK).sum()
    }

    /// Makes room for a new one, which nobody else may look into.
    pub(super) fn begin(&self) -> io::Result<()> {
        self.clear()?;
        fs::DirBuilder::new().mode(0o700).create(&self.new)
    }

    /// From now on this is what the sandbox starts from. `owner` is the sandbox's root on the host.
    pub(super) fn finish(&self, note: &Note, owner: u32) -> io::Result<()> {
        settle_namespaces(&self.new)?;
        fs::write(self.new.join(NOTE), serde_json::to_vec(note)?)?;
        for entry in fs::read_dir(&self.new)? {
            chown(entry?.path(), Some(owner), Some(owner))?;
        }
        chown(&self.new, Some(owner), Some(owner))?;
        fs::rename(&self.new, &self.whole)
    }

    pub(super) fn note(&self) -> io::Result<Note> {
        Ok(serde_json::from_slice(&fs::read(self.whole.join(NOTE))?)?)
    }

    /// Nobody else may start from it.
    pub(super) fn consume(&self) -> io::Result<()> {
        fs::rename(&self.whole, &self.used)
    }

    /// The start came to nothing; if no process went on, another one may use the memory.
    pub(crate) fn give_back(&self) {
        if !self.used.join(WENT_ON).exists() && self.used.exists() {
            let _ = fs::rename(&self.used, &self.whole);
        }
    }

    /// The processes have gone on from it; what is left of it may go.
    pub(super) fn leave(&self) -> io::Result<&Path> {
        fs::write(&self.gone, "")?;
        Ok(&self.used)
    }

    /// If there is a process, it has gone on from memory, or would.
    pub(crate) fn is_used(&self) -> bool {
        self.used.exists() || self.gone.exists()
    }

    pub(crate) fn clear(&self) -> io::Result<()> {
        for directory in [&self.new, &self.whole, &self.used] {
            absent_is_fine(fs::remove_dir_all(directory))?;
        }
        absent_is_fine(fs::remove_file(&self.gone))
    }
}

fn absent_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Tells CRIU which namespaces are there already when it restores.
///
/// It saves from inside the sandbox but with the host's user namespace, and restores from inside the sandbox's user
/// namespace into a new pid namespace: what it notes of itself must differ from the first process in just the latter.
fn settle_namespaces(images: &Path) -> io::Result<()> {
    let (_, first) = read(&images.join("ids-1.img"), MAGIC)?;
    let inventory = images.join("inventory.img");
    let (magic, mut message) = read(&inventory, INVENTORY_MAGIC)?;
    let settled = (|| {
        let mut own = message.get_message(OWN_IDS)?;
        own.replace(USER_NAMESPACE, Value::Number(first.get_number(USER_NAMESPACE)?))?;
        let other = u64::from(u32::MAX).checked_sub(first.get_number(PID_NAMESPACE)?)?;
        own.replace(PID_NAMESPACE, Value::Number(other))?;
        message.replace(OWN_IDS, Value::Bytes(own.encode()))
    })();
    settled.ok_or_else(|| io::Error::other("CRIU's inventory lacks namespaces"))?;
    let bytes = message.encode();
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    fs::write(inventory, [magic, length.to_le_bytes().to_vec(), bytes].concat())
}

/// Magic and message of an image that holds one message.
fn read(path: &Path, magic: usize) -> io::Result<(Vec<u8>, Message)> {
    let bytes = fs::read(path)?;
    let split = bytes.split_at_checked(magic).and_then(|(magic, rest)| {
        let (length, body) = rest.split_at_checked(LENGTH)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        Some((magic.to_vec(), Message::decode(body.get(..length)?)?))
    });
    split.ok_or_else(|| io::Error::other(format!("{} is no image of CRIU's", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(magic: &[u8], message: &Message) -> Vec<u8> {
        let bytes = message.encode();
        [magic.to_vec(), (bytes.len() as u32).to_le_bytes().to_vec(), bytes].concat()
    }

    fn ids(pid: u64, user: u64) -> Message {
        Message::default().number(1, 1).number(PID_NAMESPACE, pid).number(6, 2).number(USER_NAMESPACE, user)
    }

    #[test]
    fn a_memory_is_whole_or_not_there_and_used_once() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::of(dir.path());
        memory.begin().unwrap();
        assert!(memory.is_begun() && !memory.is_whole());
        let note =
            Note { boot_id: "b".to_owned(), outside: vec![("file[1:2]".to_owned(), Outside::Gauge(3))] };
        assert!(memory.finish(&note, 0).is_err(), "without images");
        fs::write(memory.new.join("ids-1.img"), image(b"MAGICMAG", &ids(1, 9))).unwrap();
        let inventory = Message::default().number(1, 2).message(OWN_IDS, &ids(1, 7)).flag(4);
        fs::write(memory.new.join("inventory.img"), image(b"MAGI", &inventory)).unwrap();
        memory.finish(&note, rustix::process::geteuid().as_raw()).unwrap();
        assert!(memory.is_whole() && !memory.new.exists());
        assert!(memory.bytes() >= 3 * BLOCK, "{}", memory.bytes());
        assert_eq!(memory.note().unwrap(), note);
        let settled = read(&memory.whole.join("inventory.img"), INVENTORY_MAGIC).unwrap();
        assert_eq!(settled.0, b"MAGI");
        let own = settled.1.get_message(OWN_IDS).unwrap();
        assert_eq!(own.get_number(USER_NAMESPACE), Some(9));
        assert_ne!(own.get_number(PID_NAMESPACE), Some(1));
        memory.consume().unwrap();
        assert!(!memory.is_begun() && memory.consume().is_err());
        memory.give_back();
        assert!(memory.is_whole() && !memory.is_used());
        memory.consume().unwrap();
        fs::write(memory.used.join(WENT_ON), "").unwrap();
        memory.give_back();
        assert!(!memory.is_whole(), "used twice");
        fs::remove_dir_all(memory.leave().unwrap()).unwrap();
        assert!(memory.is_used());
        memory.clear().unwrap();
        assert!(!memory.is_begun() && !memory.is_used() && memory.bytes() == 0);
    }
}
