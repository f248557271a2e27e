//! Buckets of an object store, mounted by the store's own program where a sandbox's volume is taken from.
//!
//! Every sandbox has mounts of its own, at `ROOT/SANDBOX/VOLUME`: what one brings of keys serves nobody else. The keys
//! reach the program through a file that only root reads and that is gone when the mount is there. No record has them.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use rustix::mount::{UnmountFlags, unmount};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use super::{
    Volume,
    error::{VolumeError, VolumeProblem},
    open::{self, Refusal},
};

/// Longest a program may take until its mount is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at whether the mount is there.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// What is looked at of a program's complaint.
const MOST_SAID: u64 = 4096;
/// The programs of both generations.
const FIRST: &str = "ossfs";
const SECOND: &str = "ossfs2";
const MOUNTS: &str = "/proc/self/mountinfo";

/// A bucket and how to mount it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub bucket: String,
    pub endpoint: String,
    /// Of the program that mounts it.
    pub generation: Generation,
    pub options: Vec<String>,
    /// Only there until the sandbox has started for the first time with this server.
    #[serde(skip)]
    pub keys: Option<Arc<Keys>>,
}

/// Generation of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generation {
    First,
    Second,
}

/// What opens a bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub id: String,
    pub secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

/// Where buckets are mounted. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Buckets(Arc<Path>);

/// A bucket on its way to a place.
pub(super) struct Wanted<'a> {
    pub(super) sandbox: &'a str,
    /// Name of the volume.
    pub(super) volume: &'a str,
    pub(super) bucket: &'a Bucket,
    /// Host's number of the sandbox's root, to whom everything is to belong.
    pub(super) owner: u32,
    pub(super) read_only: bool,
}

impl Buckets {
    pub(super) fn new(root: &Path) -> Self {
        Self(root.into())
    }

    /// Where the bucket is mounted; mounts it unless it is.
    pub(super) async fn mount(&self, wanted: &Wanted<'_>) -> Result<PathBuf, VolumeError> {
        let failed = |text: String| VolumeError::new(wanted.volume, VolumeProblem::MountFailed, text);
        let place = self.0.join(wanted.sandbox).join(wanted.volume);
        if is_mounted(&place) {
            return Ok(place);
        }
        let Some(keys) = &wanted.bucket.keys else {
            return Err(failed("the bucket is not mounted any more, and its keys are not kept".to_owned()));
        };
        let name = program(wanted.bucket.generation);
        let program = find(name).ok_or_else(|| {
            let text = format!("this host has no {name}, which mounts such buckets");
            VolumeError::new(wanted.volume, VolumeProblem::Unsupported, text)
        })?;
        let secret = self.0.join(format!(".{}-{}", wanted.sandbox, wanted.volume));
        let prepared = prepare(&place).and_then(|()| write_secret(&secret, &content(wanted, keys)));
        let mounted = match prepared {
            Ok(()) => run(&program, &arguments(wanted, &place, &secret), &place).await,
            Err(error) => Err(format!("preparing its place: {error}")),
        };
        let forgotten = fs::remove_file(&secret);
        let outcome =
            mounted.and(forgotten.map_err(|error| format!("its keys could not be removed: {error}")));
        if let Err(text) = outcome {
            take_down(&place);
            return Err(failed(hide(&text, keys)));
        }
        tracing::info!(sandbox.id = %wanted.sandbox, volume = %wanted.volume, bucket = %wanted.bucket.bucket, "bucket mounted");
        Ok(place)
    }

    /// Opens what is mounted.
    pub(super) fn open(&self, sandbox: &str, volume: &Volume) -> Result<OwnedFd, VolumeError> {
        let place = self.0.join(sandbox).join(&volume.name);
        let explain = |problem: String| {
            VolumeError::new(&volume.name, VolumeProblem::BucketPathNotFound, format!("subPath: {problem}"))
        };
        let mounted = fs::File::open(place).map_err(|error| explain(error.to_string()))?;
        let path = Path::new(volume.sub_path.as_deref().unwrap_or_default());
        open::below(&mounted, path, !volume.read_only, false).map_err(|refusal| match refusal {
            Refusal::Leaves => explain("must not lead through links".to_owned()),
            Refusal::Failed(error) | Refusal::CreateFailed(error) => explain(error.to_string()),
        })
    }

    /// Whether anything is or was mounted for a sandbox.
    pub(super) fn has(&self, sandbox: &str) -> bool {
        self.0.join(sandbox).exists()
    }

    /// Ends all mounts of a sandbox of which nothing runs any more.
    pub(super) fn unmount(&self, sandbox: &str) {
        let own = self.0.join(sandbox);
        for place in fs::read_dir(&own).into_iter().flatten().flatten() {
            take_down(&place.path());
        }
        remove(&own);
    }

    /// The same for what an earlier server left of sandboxes that `is_living` does not know; and keys it left.
    pub(super) fn recover(&self, is_living: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') {
                let _ = fs::remove_file(entry.path());
            } else if !is_living(&name) {
                self.unmount(&name);
            }
        }
    }
}

fn program(generation: Generation) -> &'static str {
    match generation {
        Generation::First => FIRST,
        Generation::Second => SECOND,
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

fn prepare(place: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place)
}

fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    // One that a killed server left has to go first: another mode might be on it.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

/// What the program reads of keys: a password file of the first generation, a configuration of the second.
fn content(wanted: &Wanted<'_>, keys: &Keys) -> String {
    let Bucket { bucket, endpoint, options, generation, .. } = wanted.bucket;
    let Keys { id, secret } = keys;
    match generation {
        Generation::First => format!("{bucket}:{id}:{secret}\n"),
        Generation::Second => {
            let mut text = format!(
                "--oss_endpoint={endpoint}\n--oss_bucket={bucket}\n--oss_access_key_id={id}\n\
                 --oss_access_key_secret={secret}\n--allow_other=true\n--uid={owner}\n--gid={owner}\n",
                owner = wanted.owner
            );
            if wanted.read_only {
                text.push_str("--ro=true\n");
            }
            options.iter().for_each(|option| text.push_str(&format!("--{option}\n")));
            text
        }
    }
}

fn arguments(wanted: &Wanted<'_>, place: &Path, secret: &Path) -> Vec<String> {
    let (place, secret) = (place.display().to_string(), secret.display().to_string());
    let Bucket { bucket, endpoint, options, generation, .. } = wanted.bucket;
    match generation {
        Generation::Second => vec!["mount".to_owned(), place, "-c".to_owned(), secret],
        Generation::First => {
            let owner = wanted.owner;
            let own = [
                format!("url={endpoint}"),
                format!("passwd_file={secret}"),
                "allow_other".to_owned(),
                format!("uid={owner}"),
                format!("gid={owner}"),
            ];
            let read_only = wanted.read_only.then(|| "ro".to_owned());
            let all = own.into_iter().chain(read_only).chain(options.iter().cloned());
            let mut arguments = vec![bucket.clone(), place];
            arguments.extend(all.flat_map(|option| ["-o".to_owned(), option]));
            arguments
        }
    }
}

/// Runs the program, which goes on in the background, until the mount is there.
async fn run(program: &Path, arguments: &[String], place: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // What it leaves behind must outlive this server, whatever ends that.
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let mut said = Vec::new();
    let complaint = child.stderr.take();
    let work = async {
        let status = child.wait().await.map_err(|error| error.to_string())?;
        if !status.success() {
            if let Some(complaint) = complaint {
                // It may keep the pipe open for as long as it lives.
                let _ = timeout(LOOK_INTERVAL, complaint.take(MOST_SAID).read_to_end(&mut said)).await;
            }
            return Err(format!(
                "{} failed ({status}): {}",
                program.display(),
                String::from_utf8_lossy(&said).trim()
            ));
        }
        while !is_mounted(place) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    };
    match timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("{} mounted nothing within {} s", program.display(), PATIENCE.as_secs())),
    }
}

/// A file system of another than its parent's may look the same: the kernel's list is what counts.
fn is_mounted(place: &Path) -> bool {
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    let place = place.display().to_string();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(&place))
}

fn take_down(place: &Path) {
    while is_mounted(place) {
        // Nothing uses it; whoever does all the same keeps only what he has open.
        if let Err(error) = unmount(place, UnmountFlags::DETACH) {
            tracing::error!(place = %place.display(), %error, "a bucket stays mounted");
            return;
        }
    }
    remove(place);
}

/// Never what is in it: that would be the bucket's.
fn remove(directory: &Path) {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(directory = %directory.display(), %error, "a place of a bucket stays");
        }
        _ => {}
    }
}

fn hide(text: &str, keys: &Keys) -> String {
    text.replace(&keys.secret, "***").replace(&keys.id, "***")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(generation: Generation) -> Bucket {
        Bucket {
            bucket: "data".to_owned(),
            endpoint: "http://oss.test".to_owned(),
            generation,
            options: vec!["max_stat_cache_size=1".to_owned()],
            keys: Some(Arc::new(Keys { id: "the-id".to_owned(), secret: "the-secret".to_owned() })),
        }
    }

    #[test]
    fn keys_are_in_the_file_and_nowhere_else() {
        for generation in [Generation::First, Generation::Second] {
            let bucket = bucket(generation);
            let wanted =
                Wanted { sandbox: "s", volume: "v", bucket: &bucket, owner: 70_000, read_only: true };
            let keys = bucket.keys.clone().unwrap();
            let file = content(&wanted, &keys);
            assert!(file.contains("the-id") && file.contains("the-secret"), "{file}");
            let told = format!(
                "{:?} {bucket:?} {}",
                arguments(&wanted, Path::new("/m/s/v"), Path::new("/m/.s-v")),
                serde_json::to_string(&bucket).unwrap()
            );
            assert!(!told.contains("the-id") && !told.contains("the-secret"), "{told}");
            for part in ["max_stat_cache_size=1", "uid=70000", "ro"] {
                assert!(file.contains(part) || told.contains(part), "{part}");
            }
        }
        let keys = Keys { id: "the-id".to_owned(), secret: "the-secret".to_owned() };
        assert_eq!(hide("no the-secret for the-id", &keys), "no *** for ***");
    }

    #[test]
    fn what_a_killed_server_left_is_taken_down() {
        let dir = tempfile::tempdir().unwrap();
        let buckets = Buckets::new(dir.path());
        for place in ["living/v", "gone/v", "gone/w"] {
            prepare(&dir.path().join(place)).unwrap();
        }
        write_secret(&dir.path().join(".gone-v"), "secret").unwrap();
        buckets.recover(|sandbox| sandbox == "living");
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["living"]);
        assert!(!is_mounted(dir.path()) && is_mounted(Path::new("/proc")));
    }
}
