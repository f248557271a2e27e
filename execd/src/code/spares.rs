//! Interpreters that are started before somebody asks for them.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::adapt;
use super::interpreter::Interpreter;
use super::language::Language;
use super::start::{Driver, Start};
use crate::metrics;

/// How long after a context's start its language's next interpreter is started: the context's first run should not have
/// to share the processor with it.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an unused spare is kept after its language's last new context.
const LIFE: Duration = Duration::from_secs(300);

const MIB: u64 = 1024 * 1024;

/// Memory that must be free for a spare to be started, in bytes: several times what it takes.
fn room(driver: Driver) -> u64 {
    match driver {
        Driver::Python => 64 * MIB,
        Driver::JavaScript | Driver::TypeScript | Driver::Go => 256 * MIB,
        Driver::Java => 512 * MIB,
    }
}

/// Which languages have an interpreter waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prestart {
    /// None.
    Off,
    /// Those that have been used, and these from the start.
    On(Vec<String>),
}

impl FromStr for Prestart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "" | "used" => Ok(Self::On(Vec::new())),
            names => {
                let names: Vec<_> = names.split(',').map(|name| name.trim().to_owned()).collect();
                match names.iter().find(|name| !offered(name)) {
                    Some(name) => Err(format!(
                        "{name:?} is neither off, nor used, nor a list of python, javascript, typescript, java or go"
                    )),
                    None => Ok(Self::On(names)),
                }
            }
        }
    }
}

fn offered(name: &str) -> bool {
    let language = Language::of_context(Some(name));
    // Bash starts as fast as it can be handed over.
    language.is_ok_and(|language| language != Language::Bash)
}

/// At most one waiting interpreter of each language. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spares(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    off: bool,
    waiting: HashMap<Driver, Spare>,
    /// What will start each language's next spare, or end one that nobody needs.
    tasks: HashMap<Driver, JoinHandle<()>>,
}

#[derive(Debug)]
struct Spare {
    start: Start,
    interpreter: Interpreter,
}

impl Drop for Table {
    fn drop(&mut self) {
        self.tasks.values().for_each(JoinHandle::abort);
    }
}

impl Spares {
    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.0)
    }

    /// Ends all of them, and starts no more.
    pub(crate) fn turn_off(&self) {
        let mut table = self.lock();
        table.off = true;
        table.waiting.clear();
    }

    /// A waiting interpreter that is what `start` would make once the changes that come along are made in its environment.
    /// One that differs otherwise or has ended is of no use any more.
    pub(crate) fn take(&self, start: &Start) -> Option<(Interpreter, Vec<u8>)> {
        let mut table = self.lock();
        let spare = table.waiting.get_mut(&start.driver)?;
        if spare.start.cwd != start.cwd {
            // The next context may be in the usual directory again.
            return None;
        }
        let changes = adapt::changes(&spare.start, start).filter(|_| spare.interpreter.is_alive());
        let spare = table.waiting.remove(&start.driver)?;
        changes.map(|changes| (spare.interpreter, changes))
    }

    /// Sees to it that an interpreter like this waits soon, for as long as the language is used.
    pub(crate) fn expect(&self, start: Start) {
        self.tend(start, Some(LIFE));
    }

    /// Has an interpreter like this wait from now on.
    pub(crate) fn always(&self, start: Start) {
        self.tend(start, None);
    }

    fn tend(&self, start: Start, life: Option<Duration>) {
        let mut table = self.lock();
        if table.off {
            return;
        }
        let driver = start.driver;
        let weak = Arc::downgrade(&self.0);
        let task = tokio::spawn(async move {
            sleep(PAUSE).await;
            fill(&weak, start);
            if let Some(life) = life {
                sleep(life).await;
                let _ended = weak.upgrade().and_then(|table| lock(&table).waiting.remove(&driver));
            }
        });
        // A burst of new contexts puts the next spare off until it is over.
        if let Some(earlier) = table.tasks.insert(driver, task) {
            earlier.abort();
        }
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fill(table: &Weak<Mutex<Table>>, start: Start) {
    let Some(table) = table.upgrade() else { return };
    let mut table = lock(&table);
    if table.off || table.waiting.contains_key(&start.driver) || metrics::free_memory() < room(start.driver) {
        return;
    }
    match start.interpreter() {
        Ok(interpreter) => {
            table.waiting.insert(start.driver, Spare { start, interpreter });
        }
        Err(error) => tracing::info!(%error, "no interpreter is started ahead"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert_eq!("off".parse(), Ok(Prestart::Off));
        assert_eq!("used".parse(), Ok(Prestart::On(Vec::new())));
        assert_eq!("python, go".parse(), Ok(Prestart::On(vec!["python".to_owned(), "go".to_owned()])));
        for bad in ["on", "python,", "bash", "command", "sql"] {
            assert!(bad.parse::<Prestart>().is_err(), "{bad}");
        }
    }
}
