//! Code that shares variables from one run to the next.

use sandkeep_specs::execd::code::{CodeContext, CodeContextRequest, CodeTarget, RunCodeRequest};

use super::{EventStream, Execution};
use crate::Result;
use crate::transport::Http;

/// The language when none is named.
const DEFAULT_LANGUAGE: &str = "python";

/// Operations on code and its contexts.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    http: &'a Http,
}

impl<'a> Code<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Runs Python in the sandbox's default context.
    ///
    /// # Errors
    ///
    /// 429 if too many runs wait. Code that fails is no error: [`Execution::error`] tells of it.
    pub async fn run(&self, code: impl Into<String>) -> Result<Execution> {
        self.stream(code).await?.collect().await
    }

    /// Runs Python in the default context and gives its events as they come.
    ///
    /// # Errors
    ///
    /// As of [`Code::run`].
    pub async fn stream(&self, code: impl Into<String>) -> Result<EventStream> {
        self.stream_language(DEFAULT_LANGUAGE, code).await
    }

    /// Runs code in a language's default context and gives its events as they come.
    ///
    /// # Errors
    ///
    /// 400 if the language is unknown or not in the image, 429 if too many runs wait.
    pub async fn stream_language(&self, language: &str, code: impl Into<String>) -> Result<EventStream> {
        let target = CodeTarget { language: Some(language.to_owned()), ..CodeTarget::default() };
        self.post(target, code.into()).await
    }

    /// Runs code in a context.
    ///
    /// # Errors
    ///
    /// 404 if there is no such context, 429 if too many runs wait. Code that fails is no error.
    pub async fn run_in(&self, context: &CodeContext, code: impl Into<String>) -> Result<Execution> {
        self.stream_in(context, code).await?.collect().await
    }

    /// Runs code in a context and gives its events as they come.
    ///
    /// # Errors
    ///
    /// As of [`Code::run_in`].
    pub async fn stream_in(&self, context: &CodeContext, code: impl Into<String>) -> Result<EventStream> {
        let target =
            CodeTarget { id: context.id.clone(), language: Some(context.language.clone()), cwd: None };
        self.post(target, code.into()).await
    }

    /// Makes a context, in a directory of its own where one is named.
    ///
    /// # Errors
    ///
    /// 400 if the language is unknown or not in the image, 429 if there are too many contexts.
    pub async fn create_context(&self, language: &str, cwd: Option<&str>) -> Result<CodeContext> {
        let request = CodeContextRequest { language: Some(language.to_owned()), cwd: cwd.map(str::to_owned) };
        self.http.json("the new context", self.http.post(&["code", "context"]).json(&request)).await
    }

    /// The contexts of a language, or all.
    pub async fn contexts(&self, language: Option<&str>) -> Result<Vec<CodeContext>> {
        let query: Vec<_> = language.iter().map(|language| ("language", language)).collect();
        self.http.json("the contexts", self.http.get(&["code", "contexts"]).query(&query)).await
    }

    /// One context.
    ///
    /// # Errors
    ///
    /// 404 if there is no such context.
    pub async fn context(&self, id: &str) -> Result<CodeContext> {
        self.http.json("the context", self.http.get(&["code", "contexts", id])).await
    }

    /// Ends a context and forgets its variables.
    ///
    /// # Errors
    ///
    /// 404 if there is no such context.
    pub async fn delete_context(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["code", "contexts", id])).await
    }

    /// Ends every context of a language.
    pub async fn delete_contexts(&self, language: &str) -> Result<()> {
        self.http.done(self.http.delete(&["code", "contexts"]).query(&[("language", language)])).await
    }

    /// Interrupts what runs in a context, as Ctrl-C would; the context and its variables stay.
    ///
    /// # Errors
    ///
    /// 404 if there is no such context, 409 if nothing runs in it.
    pub async fn interrupt(&self, context_id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["code"]).query(&[("id", context_id)])).await
    }

    async fn post(&self, target: CodeTarget, code: String) -> Result<EventStream> {
        let request = RunCodeRequest { context: Some(target), code };
        let response = self.http.send(self.http.post(&["code"]).json(&request)).await?;
        Ok(EventStream::new(self.http, response))
    }
}
