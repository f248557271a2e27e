//! A talk with one CRIU process: it takes one order, and tells on the way how far it is.

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair},
};

use super::wire::Message;

/// Longest answer of CRIU; they take some dozens of bytes.
const MAX_PACKET: usize = 64 * 1024;

// Kinds of requests and answers.
const DUMP: u64 = 1;
const RESTORE: u64 = 2;
const NOTIFY: u64 = 6;
const VERSION: u64 = 10;

/// Cgroups are the server's business, not CRIU's.
const IGNORE_CGROUPS: u64 = 0;
/// Nobody else touches the sandbox's connections meanwhile.
const NO_NETWORK_LOCK: u64 = 3;
/// CRIU's log says at this level what it does, not only what fails.
const LOG_LEVEL: u64 = 2;

/// Where CRIU finds its files, whatever its root directory is.
const IMAGES: &str = "/proc/self/fd/5";
pub(super) const LOG: &str = "criu.log";

/// Content of deleted files that are still open is kept up to this size.
const GHOST_BYTES: u64 = 64 << 20;

/// Something CRIU says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has come to this point and waits to be told to go on.
    Reached { point: String, pid: i32 },
    /// It is done. `pid` is the first process it has restored.
    Done { success: bool, pid: Option<i32> },
}

pub(super) struct Session {
    socket: OwnedFd,
    deadline: Instant,
}

impl Session {
    /// Our end of the talk, which must be over within `patience`, and CRIU's.
    pub(super) fn new(patience: Duration) -> io::Result<(Self, OwnedFd)> {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self { socket, deadline: Instant::now() + patience }, theirs))
    }

    /// Waits until CRIU is loaded, libraries and all.
    pub(super) fn await_loaded(&self) -> io::Result<()> {
        const KEEP_OPEN: u32 = 4;
        self.send(&Message::default().number(1, VERSION).flag(KEEP_OPEN))?;
        let answer = self.receive()?;
        if answer.get_number(1) == Some(VERSION) && answer.get_number(2) == Some(1) {
            return Ok(());
        }
        Err(io::Error::other("CRIU does not answer as it should"))
    }

    /// Has it save the process tree of its pid namespace; what lies outside the sandbox goes by the name in `external`.
    pub(super) fn dump<'a>(&self, external: impl Iterator<Item = &'a str>) -> io::Result<()> {
        const PID: u32 = 2;
        const EXTERNAL: u32 = 37;
        let options = options().number(PID, 1);
        let options = external.fold(options, |options, name| options.text(EXTERNAL, name));
        self.order(DUMP, &options)
    }

    /// Has it restore what was saved, with descriptor numbers of CRIU's for what goes by a name.
    pub(super) fn restore<'a>(&self, external: impl Iterator<Item = (&'a str, u64)>) -> io::Result<()> {
        const INHERIT: u32 = 27;
        const JOIN: u32 = 39;
        // Rights over the sandbox are all it has. Saving is done with more: only the host's root is told by the kernel to
        // which file a socket is bound.
        const SANDBOX_RIGHTS: u32 = 67;
        let mounts = Message::default().text(1, "mnt").text(2, "/proc/self/fd/4");
        let options = options().message(JOIN, &mounts).flag(SANDBOX_RIGHTS);
        let options = external.fold(options, |options, (name, number)| {
            options.message(INHERIT, &Message::default().text(1, name).number(2, number))
        });
        self.order(RESTORE, &options)
    }

    fn order(&self, kind: u64, options: &Message) -> io::Result<()> {
        self.send(&Message::default().number(1, kind).message(2, options))
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) -> io::Result<()> {
        const SUCCESS: u32 = 3;
        self.send(&Message::default().number(1, NOTIFY).flag(SUCCESS))
    }

    /// What it says next.
    pub(super) fn listen(&self) -> io::Result<Said> {
        let answer = self.receive()?;
        let pid = |message: &Message, field| message.get_number(field).map(|pid| pid as i32);
        if answer.get_number(1) == Some(NOTIFY) {
            let notice = answer.get_message(5).unwrap_or_default();
            let point = String::from_utf8_lossy(notice.get_bytes(1).unwrap_or_default()).into_owned();
            return Ok(Said::Reached { point, pid: pid(&notice, 2).unwrap_or_default() });
        }
        let restored = answer.get_message(4);
        let pid = restored.and_then(|restored| pid(&restored, 1));
        Ok(Said::Done { success: answer.get_number(2) == Some(1), pid })
    }

    fn send(&self, message: &Message) -> io::Result<()> {
        send(&self.socket, &message.encode(), SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn receive(&self) -> io::Result<Message> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "CRIU takes too long"));
            }
            let left = rustix::event::Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&left)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let mut bytes = vec![0u8; MAX_PACKET];
            let (length, _) = recv(&self.socket, bytes.as_mut_slice(), RecvFlags::empty())?;
            if length == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "CRIU ended too early"));
            }
            let message = bytes.get(..length).and_then(Message::decode);
            return message.ok_or_else(|| io::Error::other("CRIU does not answer as it should"));
        }
    }
}

/// What holds both ways.
fn options() -> Message {
    // By name, because a descriptor is looked up in a process of another pid namespace.
    const NO_DESCRIPTOR: u64 = -1i64 as u64;
    Message::default()
        .number(1, NO_DESCRIPTOR)
        .text(68, IMAGES)
        .flag(8) // file locks
        .number(9, LOG_LEVEL)
        .text(10, LOG)
        .flag(12) // notices
        .number(34, IGNORE_CGROUPS)
        .number(35, GHOST_BYTES)
        .flag(52) // connections do not outlast it
        .number(64, NO_NETWORK_LOCK)
}

/// The first real complaint in CRIU's log, if there is one.
pub(super) fn complaint(log: &str) -> Option<String> {
    /// What it complains about though it does without.
    const HARMLESS: [&str; 7] = [
        "tun: Unable to create tun",
        "rlimit: Can't setup RLIMIT_NOFILE",
        "net: Unexpected error: -1",
        "suspending seccomp failed",
        "failed to suspend seccomp",
        "turn off repair mode",
        "cg: cgroupd",
    ];
    let complaints = log.lines().filter_map(|line| line.split_once("Error (")?.1.split_once("): "));
    let mut texts = complaints.map(|(_, text)| text.trim());
    texts.find(|text| !HARMLESS.iter().any(|harmless| text.contains(harmless))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_real_complaint_is_told() {
        let log = "(00.01) Error (criu/tun.c:85): tun: Unable to create tun: No such file or directory\n\
                   (00.02) Warn  (criu/kerndat.c:1290): Can't keep kdat cache on non-tempfs\n\
                   (00.03)      3: Error (criu/files-reg.c:2175): File srv/count.log has bad size 4 (expect 2)\n\
                   (00.04) Error (criu/cr-restore.c:2331): Restoring FAILED.\n";
        assert_eq!(complaint(log).as_deref(), Some("File srv/count.log has bad size 4 (expect 2)"));
        assert_eq!(complaint("(00.01) fine\n"), None);
    }

    #[test]
    fn a_talk_has_its_turns_and_its_end() {
        let (session, theirs) = Session::new(Duration::from_secs(60)).unwrap();
        session.dump(["file[1:2]"].into_iter()).unwrap();
        let mut bytes = vec![0u8; 4096];
        let (length, _) = recv(&theirs, bytes.as_mut_slice(), RecvFlags::empty()).unwrap();
        let order = Message::decode(&bytes[..length]).unwrap();
        assert_eq!(order.get_number(1), Some(DUMP));
        assert_eq!(order.get_message(2).unwrap().get_bytes(37), Some(b"file[1:2]".as_slice()));
        let tell = |message: &Message| send(&theirs, &message.encode(), SendFlags::empty()).unwrap();
        let notice = Message::default().text(1, "post-dump").number(2, 7);
        tell(&Message::default().number(1, NOTIFY).flag(2).message(5, &notice));
        assert_eq!(session.listen().unwrap(), Said::Reached { point: "post-dump".to_owned(), pid: 7 });
        let restored = Message::default().number(1, 9);
        tell(&Message::default().number(1, RESTORE).flag(2).message(4, &restored));
        assert_eq!(session.listen().unwrap(), Said::Done { success: true, pid: Some(9) });
        drop(theirs);
        assert_eq!(session.listen().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (hasty, _theirs) = Session::new(Duration::ZERO).unwrap();
        assert_eq!(hasty.listen().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
