//! All contexts of the daemon.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandkeep_specs::execd::code::CodeContext;
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use sandkeep_specs::execd::session::CreateSessionRequest;
use tokio::sync::{Notify, mpsc};

use super::error::CodeError;
use super::language::Language;
use super::python::Finder;
use super::shell::ShellWorker;
use super::spares::{Prestart, Spares};
use super::start::{Driver, Start};
use super::worker::{Handle, Job, Worker};
use crate::command::env;
use crate::files;
use crate::process::find_in_path;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::stream::{EventBody, channel, now_millis};

/// Most contexts at a time; each is a process.
const MAX_CONTEXTS: usize = 64;

/// Runs that may wait in one context.
const MAX_WAITING: usize = 32;

/// The contexts, cheap to clone.
#[derive(Debug, Clone)]
pub struct Contexts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    sessions: Sessions,
    finder: Finder,
    spares: Spares,
    table: Mutex<Table>,
    /// Held while a default context is made, so that two first uses make one.
    making: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    contexts: HashMap<String, Arc<Context>>,
    /// Contexts in the making; they count.
    reserved: usize,
    /// How many were ever made.
    made: u64,
    /// Default context of each language.
    defaults: HashMap<Language, String>,
}

/// One context.
#[derive(Debug)]
struct Context {
    id: String,
    language: Language,
    cwd: Option<String>,
    /// For the order of listings.
    number: u64,
    jobs: mpsc::Sender<Job>,
    engine: Engine,
}

/// What runs a context's code.
#[derive(Debug)]
enum Engine {
    /// A process of its own.
    Interpreter(Arc<Handle>),
    /// A bash session of the context's id.
    Bash(Arc<Notify>),
}

impl Context {
    fn describe(&self) -> CodeContext {
        let cwd = self.cwd.clone();
        CodeContext { id: Some(self.id.clone()), language: self.language.name().to_owned(), cwd }
    }
}

/// A place in the table for a context in the making.
struct Reservation<'a>(&'a Contexts);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.0.table().reserved -= 1;
    }
}

impl Contexts {
    /// No contexts yet.
    #[must_use]
    pub fn new(settings: Arc<Settings>, sessions: Sessions) -> Self {
        let (finder, spares) = (Finder::default(), Spares::default());
        let (table, making) = (Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { settings, sessions, finder, spares, table, making }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a context and starts its interpreter, in a directory that is made when missing.
    ///
    /// # Errors
    /// When the sandbox has no interpreter, the directory is unusable, or there are too many contexts.
    pub(crate) async fn create(
        &self,
        language: Language,
        cwd: Option<String>,
    ) -> Result<CodeContext, CodeError> {
        Ok(self.make(language, cwd).await?.describe())
    }

    async fn make(&self, language: Language, cwd: Option<String>) -> Result<Arc<Context>, CodeError> {
        let reservation = self.reserve()?;
        let (jobs, queue) = mpsc::channel(MAX_WAITING);
        let (id, engine) = match language {
            Language::Bash => self.start_bash(cwd.clone(), queue)?,
            _ => self.start_interpreter(language, cwd.as_deref(), queue).await?,
        };
        drop(reservation);
        let mut table = self.table();
        table.made += 1;
        let context = Arc::new(Context { id: id.clone(), language, cwd, number: table.made, jobs, engine });
        table.contexts.insert(id, Arc::clone(&context));
        Ok(context)
    }

    async fn start_interpreter(
        &self,
        language: Language,
        cwd: Option<&str>,
        jobs: mpsc::Receiver<Job>,
    ) -> Result<(String, Engine), CodeError> {
        let start = self.plan(language, cwd).await?;
        let spares = &self.0.spares;
        let interpreter = match spares.take(&start) {
            Some((mut waiting, changes)) => match waiting.change(&changes).await {
                Ok(()) => waiting,
                Err(_) => start.interpreter()?,
            },
            None => start.interpreter()?,
        };
        spares.expect(Start { cwd: self.0.settings.cwd.clone(), ..start.clone() });
        let handle = Arc::new(Handle::default());
        tokio::spawn(Worker::new(start, interpreter, jobs, Arc::clone(&handle)).work());
        Ok((crate::id::random().simple().to_string(), Engine::Interpreter(handle)))
    }

    /// How a language's interpreter is started here.
    async fn plan(&self, language: Language, cwd: Option<&str>) -> Result<Start, CodeError> {
        let settings = &self.0.settings;
        let env = env::for_command(settings, None);
        let (driver, program) = match language {
            Language::JavaScript => (Driver::JavaScript, program("node", language, &env)?),
            Language::TypeScript => (Driver::TypeScript, program("node", language, &env)?),
            Language::Java => {
                // A Java without it cannot compile.
                program("jshell", language, &env)?;
                (Driver::Java, program("java", language, &env)?)
            }
            Language::Go => {
                let go = program("go", language, &env)?;
                // It runs the script that starts the driver.
                program("sh", language, &env)?;
                (Driver::Go, go)
            }
            _ => (Driver::Python, self.0.finder.find(settings, &env).await?),
        };
        let cwd = match cwd {
            Some(cwd) => prepare(cwd, settings).await?,
            None => settings.cwd.clone(),
        };
        Ok(Start { driver, program, env, cwd, identity: settings.identity.clone() })
    }

    /// Says which interpreters are to be started before they are asked for; by default one of each language used.
    pub async fn prestart(&self, wanted: &Prestart) {
        let Prestart::On(names) = wanted else { return self.0.spares.turn_off() };
        for name in names {
            let planned = match Language::of_context(Some(name)) {
                Ok(language) => self.plan(language, None).await,
                Err(error) => Err(error),
            };
            match planned {
                Ok(start) => self.0.spares.always(start),
                Err(error) => tracing::warn!(%error, "cannot start an interpreter ahead"),
            }
        }
    }

    fn start_bash(
        &self,
        cwd: Option<String>,
        jobs: mpsc::Receiver<Job>,
    ) -> Result<(String, Engine), CodeError> {
        let env = env::for_command(&self.0.settings, None);
        program("bash", Language::Bash, &env)?;
        let sessions = self.0.sessions.clone();
        let id = sessions.create(&CreateSessionRequest { cwd })?;
        let interrupt = Arc::new(Notify::new());
        let engine = Engine::Bash(Arc::clone(&interrupt));
        tokio::spawn(ShellWorker { sessions, id: id.clone(), jobs, interrupt }.work());
        Ok((id, engine))
    }

    fn reserve(&self) -> Result<Reservation<'_>, CodeError> {
        let mut table = self.table();
        if table.contexts.len() + table.reserved >= MAX_CONTEXTS {
            return Err(CodeError::Busy(format!(
                "there are {MAX_CONTEXTS} code contexts already; delete one first"
            )));
        }
        table.reserved += 1;
        Ok(Reservation(self))
    }

    /// Runs code in a context, after what runs there already: the stream of its events.
    ///
    /// # Errors
    /// When there is no such context, or too much is waiting for it.
    pub(crate) async fn run(&self, id: &str, code: String) -> Result<EventBody, CodeError> {
        let context = self.find(id)?;
        submit(&context, code).await
    }

    /// Runs code in a language's default context, made at its first use.
    ///
    /// # Errors
    /// When it cannot be made, or too much is waiting for it.
    pub(crate) async fn run_in_default(
        &self,
        language: Language,
        code: String,
    ) -> Result<EventBody, CodeError> {
        let making = self.0.making.lock().await;
        let id = self.table().defaults.get(&language).cloned();
        let context = match id.and_then(|id| self.find(&id).ok()) {
            Some(context) => context,
            None => {
                let context = self.make(language, None).await?;
                self.table().defaults.insert(language, context.id.clone());
                context
            }
        };
        drop(making);
        submit(&context, code).await
    }

    /// What there is, oldest first.
    pub(crate) fn list(&self, language: Option<Language>) -> Vec<CodeContext> {
        let table = self.table();
        let mut found: Vec<_> =
            table.contexts.values().filter(|c| language.is_none_or(|l| c.language == l)).collect();
        found.sort_unstable_by_key(|context| context.number);
        found.into_iter().map(|context| context.describe()).collect()
    }

    /// One context.
    ///
    /// # Errors
    /// When there is none with this id.
    pub(crate) fn get(&self, id: &str) -> Result<CodeContext, CodeError> {
        Ok(self.find(id)?.describe())
    }

    /// Interrupts what runs in a context; other contexts are not touched. Nothing happens when nothing runs.
    ///
    /// # Errors
    /// When there is none with this id.
    pub(crate) fn interrupt(&self, id: &str) -> Result<(), CodeError> {
        match &self.find(id)?.engine {
            Engine::Interpreter(handle) => handle.interrupt(),
            Engine::Bash(interrupt) => interrupt.notify_waiters(),
        }
        Ok(())
    }

    /// Deletes a context and ends its interpreter.
    ///
    /// # Errors
    /// When there is none with this id.
    pub(crate) async fn delete(&self, id: &str) -> Result<(), CodeError> {
        let removed = self.table().contexts.remove(id);
        self.end(&*removed.ok_or_else(|| CodeError::Unknown(id.to_owned()))?).await;
        Ok(())
    }

    /// Deletes all contexts of a language.
    pub(crate) async fn delete_all(&self, language: Language) {
        let removed: Vec<_> =
            self.table().contexts.extract_if(|_, context| context.language == language).collect();
        futures_util::future::join_all(removed.iter().map(|(_, context)| self.end(context))).await;
    }

    async fn end(&self, context: &Context) {
        match &context.engine {
            Engine::Interpreter(handle) => handle.delete(),
            // The session may have been deleted on its own.
            Engine::Bash(_) => drop(self.0.sessions.delete(&context.id).await),
        }
    }

    fn find(&self, id: &str) -> Result<Arc<Context>, CodeError> {
        self.table().contexts.get(id).cloned().ok_or_else(|| CodeError::Unknown(id.to_owned()))
    }
}

/// Where a program is that a language needs.
fn program(name: &str, language: Language, env: &env::Environment) -> Result<PathBuf, CodeError> {
    find_in_path(name, env).ok_or_else(|| {
        let language = language.name();
        CodeError::NotSupported(format!(
            "the sandbox has no {name} on its PATH, which code in {language} needs"
        ))
    })
}

/// Queues code and begins its stream.
async fn submit(context: &Context, code: String) -> Result<EventBody, CodeError> {
    let place = context.jobs.try_reserve().map_err(|error| match error {
        mpsc::error::TrySendError::Full(()) => {
            CodeError::Busy(format!("{MAX_WAITING} runs are waiting in this context already"))
        }
        mpsc::error::TrySendError::Closed(()) => CodeError::Unknown(context.id.clone()),
    })?;
    let (events, body) = channel();
    for (kind, text) in [(EventKind::Init, context.id.as_str()), (EventKind::Ping, "pong")] {
        // The stream is new and has room, so that this neither waits nor fails.
        let _ = events.send(&ServerStreamEvent::new(kind, now_millis()).with_text(text)).await;
    }
    place.send(Job { code, events });
    Ok(body)
}

/// The directory a context is to start in. One that has to be made belongs to the user whose code will run in it.
async fn prepare(cwd: &str, settings: &Settings) -> Result<PathBuf, CodeError> {
    let wrong = |error: &dyn std::fmt::Display| CodeError::Invalid(format!("cwd: {error}"));
    let path = files::path::resolve(cwd.as_bytes(), settings).map_err(|error| wrong(&error))?;
    let owner = settings.identity.as_ref().map(|identity| (identity.uid, identity.gid));
    let made = path.clone();
    let made = tokio::task::spawn_blocking(move || files::staged::make_directory_for(&made, owner)).await;
    made.map_err(|error| CodeError::System(error.to_string()))?.map_err(|error| wrong(&error))?;
    Ok(path)
}
