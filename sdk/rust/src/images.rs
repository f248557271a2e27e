//! The server's image store.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use sandkeep_specs::lifecycle::{
    ImportImagesResponse, ListImagesResponse, PullImageRequest, PushImageRequest, PushImageResponse,
    StoredImage,
};

use crate::transport::{Http, Stalled};
use crate::{ByteStream, Result};

/// Operations on the images of a server.
#[derive(Debug, Clone, Copy)]
pub struct Images<'a> {
    http: &'a Http,
}

impl<'a> Images<'a> {
    pub(crate) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Every image that is ready for use.
    pub async fn list(&self) -> Result<Vec<StoredImage>> {
        let answer: ListImagesResponse =
            self.http.json("the list of images", self.http.get(&["v1", "images"])).await?;
        Ok(answer.items)
    }

    /// Fetches an image from its registry.
    ///
    /// # Errors
    ///
    /// 404 if the registry has no such image, 400 if it cannot be used, 429 if the disk has no room, 503 and 504 if
    /// the registry cannot be reached or stops answering.
    pub async fn pull(&self, request: &PullImageRequest) -> Result<StoredImage> {
        let post = self.http.post(&["v1", "images", "pull"]).json(request);
        self.http.json_within(self.http.timeouts.create, "pulling an image", post).await
    }

    /// Sends an image to a registry, under `target` or its own name; answers where it is by digest.
    ///
    /// # Errors
    ///
    /// 404 if there is no such image here, 400 if the registry refuses it, 429 if the disk has no room for a layer,
    /// 503 and 504 if the registry cannot be reached or stops answering.
    pub async fn push(&self, request: &PushImageRequest) -> Result<String> {
        let post = self.http.post(&["v1", "images", "push"]).json(request);
        let answer: PushImageResponse =
            self.http.json_within(self.http.timeouts.create, "pushing an image", post).await?;
        Ok(answer.reference)
    }

    /// An image as an OCI layout that is a docker archive as well.
    ///
    /// # Errors
    ///
    /// 404 if there is no such image here.
    pub async fn export(&self, reference: &str) -> Result<ByteStream> {
        let get = self.http.get(&["v1", "images", "export"]).query(&[("reference", reference)]);
        let response = self.http.open(get).await?;
        Ok(ByteStream::new(self.http, response))
    }

    /// Imports a docker-archive or OCI-layout tar, under these names or, without any, those in the archive.
    ///
    /// # Errors
    ///
    /// 400 if the archive or a name cannot be used, 429 if the disk has no room.
    pub async fn import<S>(&self, archive: S, names: &[&str]) -> Result<Vec<StoredImage>>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let moved = Stalled::default();
        let body = reqwest::Body::wrap_stream(moved.watch(archive));
        let mut post = self.http.post(&["v1", "images", "import"]).body(body);
        post = post.header(reqwest::header::CONTENT_TYPE, "application/x-tar");
        for name in names {
            post = post.query(&[("name", name)]);
        }
        // Unpacking goes on after the last byte was sent, so the limit of a create applies to each silence.
        let work = self.http.json_within(Duration::MAX, "importing an image", post);
        let answer: ImportImagesResponse =
            moved.guard(self.http.timeouts.create, "importing an image", work).await?;
        Ok(answer.items)
    }

    /// Removes a name, and the image with its last name; an image that a sandbox uses stays.
    ///
    /// # Errors
    ///
    /// 404 if there is no such image here, 409 if a sandbox uses it.
    pub async fn delete(&self, reference: &str) -> Result<()> {
        let path: Vec<&str> = ["v1", "images"].into_iter().chain(reference.split('/')).collect();
        self.http.done(self.http.delete(&path)).await
    }
}
