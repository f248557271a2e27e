//! The local image store as the domain sees it.

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    image::{
        Credentials as RegistryCredentials, Image, ImageError, ImageStore, Platform as ImagePlatform,
        ProgressSink,
    },
    sandbox::{self, ImageProblem, ImageRequest, Images, PreparedImage, ProblemKind},
    snapshot,
};

/// Images for sandboxes: from the store, or fetched into it first.
#[derive(Clone)]
pub struct Library(ImageStore);

impl Library {
    pub fn new(store: ImageStore) -> Self {
        Self(store)
    }

    /// Keeps an image for `owner`. The store's work cannot be called off: if the caller goes away meanwhile, what he will
    /// never know of is given back.
    async fn lease(&self, image: &str, owner: &str) -> Result<(), ImageError> {
        let (store, image, owner) = (self.0.clone(), image.to_owned(), owner.to_owned());
        let (answer, answered) = oneshot::channel();
        tokio::spawn(async move {
            let leased = store.lease(&image, &owner).await.map(drop);
            if let Err(Ok(())) = answer.send(leased)
                && let Err(error) = store.release(&owner).await
            {
                tracing::warn!(%error, owner, "an image is still kept");
            }
        });
        answered.await.unwrap_or(Err(ImageError::Cancelled))
    }

    async fn find_or_pull(&self, request: &ImageRequest) -> Result<Image, ImageError> {
        if let Some(id) = &request.id {
            return self.0.find(id).await?.ok_or_else(|| ImageError::NotFound(request.reference.clone()));
        }
        let wanted = request.platform.as_ref().map(image_platform);
        if let Some(image) = self.0.find(&request.reference).await? {
            let is_open = image.is_open_to(request.tenant.as_deref());
            if is_open && wanted.as_ref().is_none_or(|wanted| runs_on(&image.platform, wanted)) {
                return Ok(image);
            }
            // A snapshot of somebody else's: no registry has it.
            if !is_open && image.digests.is_empty() {
                return Err(ImageError::NotFound(format!("there is no image {}", request.reference)));
            }
        }
        let credentials = request.credentials.as_ref().map(registry_credentials);
        let tenant = request.tenant.as_deref();
        self.0.pull(&request.reference, credentials, wanted, tenant, ProgressSink::none()).await
    }
}

#[async_trait]
impl Images for Library {
    async fn acquire(&self, request: &ImageRequest, owner: &str) -> Result<PreparedImage, ImageProblem> {
        let image = self.find_or_pull(request).await.map_err(problem)?;
        match self.lease(&image.id, owner).await {
            Ok(()) => Ok(prepared(image)),
            // Removed between the look and the lease: what the name means now is what counts.
            Err(ImageError::NotFound(_)) => {
                let image = self.find_or_pull(request).await.map_err(problem)?;
                self.lease(&image.id, owner).await.map_err(problem)?;
                Ok(prepared(image))
            }
            Err(error) => Err(problem(error)),
        }
    }

    async fn release(&self, owner: &str) -> Result<(), ImageProblem> {
        self.0.release(owner).await.map_err(problem)
    }

    async fn owners(&self) -> Result<Vec<String>, ImageProblem> {
        let leases = self.0.leases().await.map_err(problem)?;
        let sandboxes = leases.into_iter().filter(|lease| !lease.owner.starts_with(snapshot::LEASE_PREFIX));
        Ok(sandboxes.map(|lease| lease.owner).collect())
    }
}

/// The same login in the store's words.
pub(crate) fn registry_credentials(credentials: &sandbox::Credentials) -> RegistryCredentials {
    RegistryCredentials::Basic {
        username: credentials.username.clone(),
        password: credentials.password.clone(),
    }
}

/// The same platform in the store's words.
pub(crate) fn image_platform(platform: &sandbox::Platform) -> ImagePlatform {
    ImagePlatform { os: platform.os.clone(), architecture: platform.arch.clone(), variant: None }
}

/// What the domain is told about a failure.
pub(crate) fn problem(error: ImageError) -> ImageProblem {
    let kind = match &error {
        ImageError::InvalidReference { .. } => ProblemKind::InvalidReference,
        ImageError::Refused(_) => ProblemKind::Refused,
        ImageError::NotFound(_) => ProblemKind::NotFound,
        ImageError::Unauthorized(_) => ProblemKind::Unauthorized,
        ImageError::RegistryUnreachable(_) => ProblemKind::Unreachable,
        ImageError::Stalled(_) => ProblemKind::TimedOut,
        ImageError::DigestMismatch { .. }
        | ImageError::Corrupt(_)
        | ImageError::Unsupported(_)
        | ImageError::UnsafePath { .. } => ProblemKind::Unusable,
        ImageError::DiskFull(_) => ProblemKind::DiskFull,
        ImageError::InUse(_) | ImageError::Cancelled | ImageError::Io { .. } => ProblemKind::Internal,
    };
    ImageProblem { kind, message: error.to_string() }
}

fn runs_on(offered: &ImagePlatform, wanted: &ImagePlatform) -> bool {
    offered.os == wanted.os && offered.architecture == wanted.architecture
}

fn prepared(image: Image) -> PreparedImage {
    PreparedImage {
        id: image.id,
        layers: image.layers,
        env: image.config.env,
        working_dir: image.config.working_dir,
        user: Some(image.config.user).filter(|user| !user.is_empty()),
    }
}
