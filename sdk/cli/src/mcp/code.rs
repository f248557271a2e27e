//! Tools for code that keeps its variables.

use std::collections::BTreeMap;

use rmcp::{
    Json, RoleServer,
    handler::server::{tool::schema_for_output, wrapper::Parameters},
    model::{CallToolResult, ContentBlock},
    schemars,
    service::RequestContext,
    tool, tool_router,
};
use sandkeep::{
    EventStream, Sandbox,
    specs::execd::{
        code::CodeContext,
        event::{EventKind, ExecutionError},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    failure::Failure,
    limits::{self, Kept},
    progress::Progress,
    tools::Tools,
};

/// A language that code can be in, provided its interpreter is in the sandbox's image.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    #[default]
    Python,
    Bash,
    JavaScript,
    TypeScript,
    Java,
    Go,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Bash => "bash",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Java => "java",
            Self::Go => "go",
        }
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct RunArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// The code.
    code: String,
    /// Its language; python unless given. Ignored with `context_id`.
    #[serde(default)]
    language: Language,
    /// Context to run in, as `code_context_create` named it; the language's default context unless given.
    context_id: Option<String>,
    /// Most bytes to show of each output stream; 16384 unless given, at most 262144.
    max_output_bytes: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct CreateArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// The language; python unless given.
    #[serde(default)]
    language: Language,
    /// Directory to start its interpreter in.
    working_directory: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ListArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct DeleteArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// The context, as `code_context_create` named it.
    context_id: String,
}

/// What came of code.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Ran {
    /// The context it ran in, which keeps its variables.
    context_id: String,
    stdout: String,
    stderr: String,
    /// Values that were shown, by MIME type; plain text is under `text`. Pictures come as images beside this.
    results: Vec<BTreeMap<String, Value>>,
    /// How it failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Raised>,
    /// What is missing from the output and how to get at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// An exception.
#[derive(Serialize, JsonSchema)]
pub(super) struct Raised {
    name: String,
    message: String,
    traceback: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Context {
    context_id: String,
    language: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    contexts: Vec<Context>,
}

impl From<CodeContext> for Context {
    fn from(context: CodeContext) -> Self {
        Self { context_id: context.id.unwrap_or_default(), language: context.language }
    }
}

#[tool_router(router = code_tools, vis = "pub(super)")]
impl Tools {
    /// Runs code in a context that keeps variables, functions and imports for the next call, like a notebook. Languages:
    /// python, bash, javascript, typescript, java, go, as far as the sandbox's image has them. Cancelling the call
    /// interrupts the code and keeps the context.
    #[tool(
        annotations(title = "Run code", destructive_hint = true, open_world_hint = true),
        output_schema = schema_for_output::<Ran>()
    )]
    async fn code_run(
        &self,
        Parameters(given): Parameters<RunArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Failure> {
        let limit = limits::wanted(given.max_output_bytes);
        let _call = self.calls.token();
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let events = match given.context_id {
            Some(id) => {
                let known = sandbox.code().context(&id).await?;
                sandbox.code().stream_in(&known, given.code).await?
            }
            None => sandbox.code().stream_language(given.language.name(), given.code).await?,
        };
        let (ran, pictures) = follow(&sandbox, events, limit, &context).await?;
        let value = serde_json::to_value(&ran)
            .map_err(|error| Failure::new(error.to_string(), "print the values as text"))?;
        let mut result = CallToolResult::structured(value);
        result.content.extend(pictures);
        Ok(result)
    }

    /// Makes a fresh context for code, apart from the default one of its language.
    #[tool(annotations(title = "Make a code context", destructive_hint = false))]
    async fn code_context_create(
        &self,
        Parameters(given): Parameters<CreateArguments>,
    ) -> Result<Json<Context>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let directory = given.working_directory.as_deref();
        Ok(Json(sandbox.code().create_context(given.language.name(), directory).await?.into()))
    }

    /// Lists the code contexts of a sandbox.
    #[tool(annotations(title = "List code contexts", read_only_hint = true))]
    async fn code_context_list(
        &self,
        Parameters(given): Parameters<ListArguments>,
    ) -> Result<Json<Listed>, Failure> {
        let contexts = self.sandbox(&given.sandbox_id).await?.code().contexts(None).await?;
        Ok(Json(Listed { contexts: contexts.into_iter().map(Context::from).collect() }))
    }

    /// Ends a code context and forgets its variables.
    #[tool(annotations(title = "Delete a code context", destructive_hint = true))]
    async fn code_context_delete(
        &self,
        Parameters(given): Parameters<DeleteArguments>,
    ) -> Result<Json<Listed>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        sandbox.code().delete_context(&given.context_id).await?;
        let left = sandbox.code().contexts(None).await?;
        Ok(Json(Listed { contexts: left.into_iter().map(Context::from).collect() }))
    }
}

/// Gathers what code writes and shows until it ends, or the client wants no more of it.
async fn follow(
    sandbox: &Sandbox,
    mut events: EventStream,
    limit: usize,
    context: &RequestContext<RoleServer>,
) -> Result<(Ran, Vec<ContentBlock>), Failure> {
    let mut progress = Progress::of(context);
    let (mut ran, mut pictures) = (Ran::default(), Vec::new());
    let (mut stdout, mut stderr) = (Kept::new(limit), Kept::new(limit));
    loop {
        tokio::select! {
            biased;
            () = context.ct.cancelled() => {
                if !ran.context_id.is_empty() {
                    // Code that has ended by itself is no longer there to be interrupted.
                    let _ = sandbox.code().interrupt(&ran.context_id).await;
                }
                return Err(Failure::cancelled());
            }
            () = progress.due() => progress.tell().await,
            event = events.next() => {
                let event = event?.ok_or(sandkeep::Error::Incomplete)?;
                let text = event.text.unwrap_or_default();
                match event.kind {
                    EventKind::Init => ran.context_id = text,
                    EventKind::Stdout => {
                        stdout.push(&text);
                        progress.add(&text);
                    }
                    EventKind::Stderr => {
                        stderr.push(&text);
                        progress.add(&text);
                    }
                    EventKind::Result => {
                        ran.results.extend(event.results.map(|values| apart(values, limit, &mut pictures)));
                    }
                    // The completion of code comes after its error.
                    EventKind::Error => ran.error = event.error.map(|error| raised(error, limit)),
                    EventKind::ExecutionComplete => break,
                    _ => {}
                }
            }
        }
    }
    progress.tell().await;
    if stdout.is_cut() || stderr.is_cut() {
        let note = "the output is cut in the middle; write it to a file and read that with file_read";
        ran.note = Some(note.to_owned());
    }
    (ran.stdout, ran.stderr) = (stdout.finish(), stderr.finish());
    Ok((ran, pictures))
}

fn raised(error: ExecutionError, limit: usize) -> Raised {
    let mut traceback = Kept::new(limit);
    traceback.push(&error.traceback.join("\n"));
    Raised { name: error.ename, message: error.evalue, traceback: traceback.finish() }
}

/// The values without those that are pictures, which go to the client as such, and without what is too long.
fn apart(
    values: BTreeMap<String, Value>,
    limit: usize,
    pictures: &mut Vec<ContentBlock>,
) -> BTreeMap<String, Value> {
    let mut left = BTreeMap::new();
    for (kind, value) in values {
        let shown = match value {
            Value::String(text) if text.len() <= limits::VALUE && is_picture(&kind) => {
                pictures.push(ContentBlock::image(text.trim(), &kind));
                Value::from("(beside this, as an image)")
            }
            Value::String(text) if text.len() > limit => {
                let mut kept = Kept::new(limit);
                kept.push(&text);
                Value::from(kept.finish())
            }
            value => value,
        };
        left.insert(kind, shown);
    }
    left
}

/// Whether clients show values of this type; the text of other images, such as SVG, says more.
fn is_picture(kind: &str) -> bool {
    matches!(kind, "image/png" | "image/jpeg" | "image/gif" | "image/webp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_beside_the_text() {
        let values = BTreeMap::from([
            ("image/png".to_owned(), Value::from("aGk=\n")),
            ("text".to_owned(), Value::from("x".repeat(100))),
        ]);
        let mut pictures = Vec::new();
        let left = apart(values, 10, &mut pictures);
        assert_eq!(pictures.len(), 1);
        assert_eq!(left["image/png"], "(beside this, as an image)");
        assert!(left["text"].as_str().unwrap().contains("90 bytes left out"), "{left:?}");
    }
}
