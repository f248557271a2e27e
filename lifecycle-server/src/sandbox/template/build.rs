//! Building a template: does a sandbox made like this become ready?

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Phase, Template};
use crate::{
    fault,
    sandbox::{
        book::now,
        creation::secret,
        error::ServiceError,
        images::{ImageRequest, PreparedImage},
        recipe::Ahead,
        service::Inner,
    },
};

/// A digest's algorithm, as it stands before the digest.
const DIGEST: &str = "sha256:";

impl Inner {
    /// Loads what an earlier server knew.
    pub(in crate::sandbox) async fn recover_templates(&self) -> Result<(), ServiceError> {
        for template in self.book.store.load_templates().await? {
            self.templates.insert(template);
        }
        Ok(())
    }

    /// Goes on with builds that an earlier server began: each starts anew, since its sandbox is gone.
    pub(in crate::sandbox) fn build_templates(self: &Arc<Self>) {
        let unfinished: Vec<(String, CancellationToken)> = {
            let templates = self.templates.by_id.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            let unfinished = templates.iter().filter(|(_, entry)| !entry.template.phase.is_final());
            unfinished.map(|(id, entry)| (id.clone(), entry.cancel.clone())).collect()
        };
        for (id, cancel) in unfinished {
            self.build(&id, cancel);
        }
    }

    /// Builds a template in the background, until it is deleted or the server stops.
    pub(super) fn build(self: &Arc<Self>, id: &str, cancel: CancellationToken) {
        let (inner, id) = (Arc::clone(self), id.to_owned());
        self.spawn_until_stopped(async move {
            if cancel.run_until_cancelled(inner.build_now(&id)).await.is_none() {
                // It may just have been about to keep its image.
                let _ = inner.images.release(&id).await;
            }
        });
    }

    async fn build_now(self: &Arc<Self>, id: &str) {
        let Ok(_permit) = self.templates.builds.acquire().await else { return };
        let Ok(template) = self.templates.find(id) else { return };
        let mut template = Template::clone(&template);
        template.phase = Phase::Building;
        if !self.keep_template(&mut template).await {
            return;
        }
        fault::point("template.building");
        let tried = self.try_out(&template).await;
        fault::point("template.tried_out");
        let kept = match tried {
            Ok(image) => self.keep_image(&template, image).await,
            Err(error) => Err(error),
        };
        fault::point("template.image_kept");
        match kept {
            Ok(image) => {
                template.phase = Phase::Succeeded;
                template.manifest_ref = Some(manifest_ref(&template.content.recipe.image, &image.id));
                template.image_id = Some(image.id);
                tracing::info!(template.id = id, "template built");
            }
            Err(error) => {
                template.phase = Phase::Failed;
                template.message = Some(error.to_string());
                tracing::warn!(template.id = id, %error, "template failed");
            }
        }
        self.keep_template(&mut template).await;
        fault::point("template.built");
    }

    /// Starts one sandbox; nothing of it remains, however this ends.
    async fn try_out(self: &Arc<Self>, template: &Template) -> Result<PreparedImage, ServiceError> {
        let recipe = &template.content.recipe;
        self.check_room(&recipe.limits)?;
        let trial = Trial { inner: Arc::clone(self), id: Uuid::new_v4().hyphenated().to_string() };
        let slot = self.runtime.reserve(&trial.id)?;
        let execd_token = secret();
        let ahead = Ahead {
            id: &trial.id,
            slot,
            execd_token: &execd_token,
            recipe,
            tenant: template.tenant.as_deref(),
            standby: false,
        };
        let started = self.start_ahead(&ahead).await;
        fault::point("template.trial_started");
        started
    }

    /// Keeps the image for as long as there is the template.
    async fn keep_image(
        &self,
        template: &Template,
        image: PreparedImage,
    ) -> Result<PreparedImage, ServiceError> {
        let request = ImageRequest {
            reference: template.content.recipe.image.clone(),
            id: Some(image.id.clone()),
            credentials: None,
            platform: None,
            tenant: template.tenant.clone(),
        };
        Ok(self.images.acquire(&request, &template.id).await?)
    }

    /// Stores and shows the template's present state; false when it is gone.
    async fn keep_template(&self, template: &mut Template) -> bool {
        template.updated_at = now();
        if let Err(error) = self.book.store.update_template(template).await {
            tracing::error!(template.id = template.id, %error, "a template's state could not be recorded");
        }
        self.templates.replace(template.clone())
    }
}

/// A sandbox that is thrown away after it was seen to work, or when nobody waits for that any more.
struct Trial {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let (inner, id) = (Arc::clone(&self.inner), std::mem::take(&mut self.id));
        self.inner.tasks.spawn(async move {
            inner.free(&id).await;
            inner.runtime.forget_logs(&id);
        });
    }
}

/// The image's name and what it means for good.
fn manifest_ref(image: &str, id: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let digest = id.strip_prefix(DIGEST).unwrap_or(id);
    format!("{name}@{DIGEST}{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reference_names_its_image_for_good() {
        assert_eq!(manifest_ref("team/app:1", "sha256:ab"), "team/app:1@sha256:ab");
        assert_eq!(manifest_ref("app@sha256:cd", "sha256:ab"), "app@sha256:ab");
    }
}
