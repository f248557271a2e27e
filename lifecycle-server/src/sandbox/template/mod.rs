//! Templates: what a sandbox is made of, tried out once and kept under an id.
//!
//! A template is built in the background: its image is fetched, one sandbox is started from it and has to become
//! ready. What is kept is the image, unpacked and not to be removed, and everything else a create would have to say.

mod build;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    book::now,
    error::ServiceError,
    owner::{Owner, Scope},
    recipe::Recipe,
    record::CreateSpec,
    service::Service,
};
use crate::{fault, runtime::Limits};

/// Templates built at once; more wait their turn.
const PARALLEL_BUILDS: usize = 4;
/// What ids of templates begin with.
const PREFIX: &str = "tpl-";

/// A template to make.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTemplate {
    pub recipe: Recipe,
    /// Its limits as they were asked for.
    pub resource_limits: Option<BTreeMap<String, String>>,
    /// Name its creator publishes it under.
    pub publish: String,
    pub format: String,
    pub metadata: BTreeMap<String, String>,
    /// The entrypoint as it was asked for.
    pub asked_entrypoint: Option<Vec<String>>,
    /// Probe and seconds as they were asked for.
    pub asked_readiness: Option<(Option<String>, Option<i64>)>,
}

/// How far a template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Building,
    Succeeded,
    Failed,
}

/// A template as it is now.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    pub id: String,
    /// Whose it is; absent where there are no tenants.
    pub tenant: Option<String>,
    pub content: NewTemplate,
    pub phase: Phase,
    /// Why it failed.
    pub message: Option<String>,
    /// The image it was built from, for good.
    pub image_id: Option<String>,
    /// The same for people.
    pub manifest_ref: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

// Variables may be secrets.
impl fmt::Debug for NewTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewTemplate").field("recipe", &self.recipe).finish_non_exhaustive()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, phase, .. } = self;
        formatter.debug_struct("Template").field("id", id).field("phase", phase).finish_non_exhaustive()
    }
}

/// Which templates to list.
#[derive(Debug, Clone, Default)]
pub struct TemplateFilter {
    /// Whose to list.
    pub scope: Scope,
    /// All of these.
    pub metadata: Vec<(String, String)>,
}

/// A part of a list, newest first.
#[derive(Debug, Clone)]
pub struct TemplatePage {
    pub items: Vec<Arc<Template>>,
    pub total_items: usize,
}

impl NewTemplate {
    /// The same for `owner`. What his quota counts gets the limit that would hold anyway.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<&Owner>, defaults: &Limits) -> Self {
        if owner.is_some() {
            Owner::bound(&mut self.recipe.limits, defaults);
        }
        self
    }
}

impl Phase {
    const ALL: [Self; 4] = [Self::Pending, Self::Building, Self::Succeeded, Self::Failed];

    /// The name on the wire and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Building => "Building",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }

    fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// All templates of this server.
pub(super) struct Templates {
    by_id: RwLock<HashMap<String, Entry>>,
    builds: Semaphore,
}

impl Default for Templates {
    fn default() -> Self {
        Self { by_id: RwLock::default(), builds: Semaphore::new(PARALLEL_BUILDS) }
    }
}

struct Entry {
    template: Arc<Template>,
    /// Ends its build.
    cancel: CancellationToken,
}

impl Templates {
    fn find(&self, id: &str) -> Result<Arc<Template>, ServiceError> {
        let templates = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let found = templates.get(id).map(|entry| Arc::clone(&entry.template));
        found.ok_or_else(|| ServiceError::TemplateNotFound(id.to_owned()))
    }

    fn insert(&self, template: Template) -> CancellationToken {
        let cancel = CancellationToken::new();
        let entry = Entry { template: Arc::new(template), cancel: cancel.clone() };
        let mut templates = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        templates.insert(entry.template.id.clone(), entry);
        cancel
    }

    /// Shows a change; false when the template is gone.
    fn replace(&self, template: Template) -> bool {
        let mut templates = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = templates.get_mut(&template.id) else { return false };
        entry.template = Arc::new(template);
        true
    }

    fn remove(&self, id: &str) -> Result<CancellationToken, ServiceError> {
        let removed = self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        removed.map(|entry| entry.cancel).ok_or_else(|| ServiceError::TemplateNotFound(id.to_owned()))
    }

    pub(super) fn all(&self) -> Vec<Arc<Template>> {
        let templates = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        templates.values().map(|entry| Arc::clone(&entry.template)).collect()
    }

    /// Whether this is the id of a template.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    /// The wish for a sandbox from a template, completed by the template.
    pub(super) fn apply(&self, id: &str, mut spec: CreateSpec) -> Result<CreateSpec, ServiceError> {
        let template = self.find(id)?;
        let own = Owner::scope_of(spec.owner.as_ref()).covers(template.tenant.as_deref());
        if !own || template.phase != Phase::Succeeded {
            return Err(ServiceError::TemplateNotFound(id.to_owned()));
        }
        let recipe = &template.content.recipe;
        spec.image.reference.clone_from(&recipe.image);
        spec.image.id.clone_from(&template.image_id);
        spec.entrypoint.clone_from(&recipe.command);
        spec.env.clone_from(&recipe.env);
        spec.limits = recipe.limits;
        // A time to warm up is for the trial alone: who creates knows nothing of what it should wait for.
        spec.readiness = recipe.readiness.clone().filter(|readiness| readiness.probe.is_some());
        Ok(spec)
    }
}

/// Newest first; pages count from 1.
pub(super) fn paginate_templates(
    mut found: Vec<Arc<Template>>,
    filter: &TemplateFilter,
    page: usize,
    page_size: usize,
) -> TemplatePage {
    found.retain(|template| {
        let has = |(key, value): &(String, String)| template.content.metadata.get(key) == Some(value);
        filter.scope.covers(template.tenant.as_deref()) && filter.metadata.iter().all(has)
    });
    found.sort_unstable_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    let total_items = found.len();
    let first = page.saturating_sub(1).saturating_mul(page_size);
    TemplatePage { items: found.into_iter().skip(first).take(page_size).collect(), total_items }
}

impl Service {
    /// Keeps a template and begins to build it.
    pub async fn create_template(
        &self,
        owner: Option<Owner>,
        content: NewTemplate,
    ) -> Result<Arc<Template>, ServiceError> {
        let inner = Arc::clone(&self.inner);
        self.owned(async move {
            let created_at = now();
            if let Some(owner) = &owner {
                owner.quota.admit(&[], 0, &content.recipe.limits.into())?;
            }
            let template = Template {
                tenant: owner.map(|owner| owner.tenant.to_string()),
                id: format!("{PREFIX}{}", Uuid::new_v4().hyphenated()),
                content,
                phase: Phase::Pending,
                message: None,
                image_id: None,
                manifest_ref: None,
                created_at,
                updated_at: created_at,
            };
            inner.book.store.insert_template(&template).await?;
            fault::point("template.on_record");
            let cancel = inner.templates.insert(template.clone());
            inner.build(&template.id, cancel);
            Ok(Arc::new(template))
        })
        .await
    }

    pub fn template(&self, scope: &Scope, id: &str) -> Result<Arc<Template>, ServiceError> {
        let template = self.inner.templates.find(id)?;
        match scope.covers(template.tenant.as_deref()) {
            true => Ok(template),
            false => Err(ServiceError::TemplateNotFound(id.to_owned())),
        }
    }

    /// Forgets a template; a build under way ends. Sandboxes that came from it go on.
    pub async fn delete_template(&self, scope: &Scope, id: &str) -> Result<(), ServiceError> {
        self.template(scope, id)?;
        let (inner, id) = (Arc::clone(&self.inner), id.to_owned());
        self.owned(async move {
            inner.templates.find(&id)?;
            inner.book.store.delete_template(&id).await?;
            fault::point("template.erased");
            inner.templates.remove(&id)?.cancel();
            inner.images.release(&id).await?;
            Ok(())
        })
        .await
    }
}
