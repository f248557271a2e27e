//! All contexts of the daemon.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandkeep_specs::execd::code::CodeContext;
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};
use tokio::sync::mpsc;

use super::error::CodeError;
use super::language::Language;
use super::python::{Finder, Start};
use super::worker::{Handle, Job, Worker};
use crate::command::env;
use crate::files;
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
    finder: Finder,
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
    default_python: Option<String>,
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
    handle: Arc<Handle>,
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
    pub fn new(settings: Arc<Settings>) -> Self {
        let (finder, table, making) = (Finder::default(), Mutex::default(), tokio::sync::Mutex::default());
        Self(Arc::new(Inner { settings, finder, table, making }))
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
        let settings = &self.0.settings;
        let env = env::for_command(settings, None);
        let python = self.0.finder.find(settings, &env).await?;
        let directory = match &cwd {
            Some(cwd) => prepare(cwd, settings).await?,
            None => settings.cwd.clone(),
        };
        let start = Start { python, env, cwd: directory, identity: settings.identity.clone() };
        let interpreter = start.interpreter()?;
        let (jobs, queue) = mpsc::channel(MAX_WAITING);
        let handle = Arc::new(Handle::default());
        tokio::spawn(Worker::new(start, interpreter, queue, Arc::clone(&handle)).work());
        let id = uuid::Uuid::new_v4().simple().to_string();
        drop(reservation);
        let mut table = self.table();
        table.made += 1;
        let context = Arc::new(Context { id: id.clone(), language, cwd, number: table.made, jobs, handle });
        table.contexts.insert(id, Arc::clone(&context));
        Ok(context)
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
        let id = self.table().default_python.clone();
        let context = match id.and_then(|id| self.find(&id).ok()) {
            Some(context) => context,
            None => {
                let context = self.make(language, None).await?;
                self.table().default_python = Some(context.id.clone());
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
        self.find(id)?.handle.interrupt();
        Ok(())
    }

    /// Deletes a context and ends its interpreter.
    ///
    /// # Errors
    /// When there is none with this id.
    pub(crate) fn delete(&self, id: &str) -> Result<(), CodeError> {
        let removed = self.table().contexts.remove(id);
        removed.ok_or_else(|| CodeError::Unknown(id.to_owned()))?.handle.delete();
        Ok(())
    }

    /// Deletes all contexts of a language.
    pub(crate) fn delete_all(&self, language: Language) {
        self.table().contexts.retain(|_, context| {
            let kept = context.language != language;
            if !kept {
                context.handle.delete();
            }
            kept
        });
    }

    fn find(&self, id: &str) -> Result<Arc<Context>, CodeError> {
        self.table().contexts.get(id).cloned().ok_or_else(|| CodeError::Unknown(id.to_owned()))
    }
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
