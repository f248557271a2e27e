//! The server's templates.

use sandkeep_specs::lifecycle::{CreateFsbTemplateRequest, FsbTemplate, ListFsbTemplatesResponse};

use crate::Result;
use crate::transport::Http;

/// Operations on templates: what sandboxes are made of, under an id.
#[derive(Debug, Clone, Copy)]
pub struct Templates<'a> {
    http: &'a Http,
}

impl<'a> Templates<'a> {
    pub(crate) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Makes a template; it is built in the background.
    ///
    /// # Errors
    ///
    /// 400 names the member that is wrong. One that cannot be built is made and says so in its phase.
    pub async fn create_template(&self, request: &CreateFsbTemplateRequest) -> Result<FsbTemplate> {
        self.http.json("the template", self.http.post(&["v1", "templates"]).json(request)).await
    }

    /// One page of templates, newest first; pages count from 1.
    ///
    /// # Errors
    ///
    /// 400 if the page is wrong.
    pub async fn list_templates(&self, page: u64, page_size: u64) -> Result<ListFsbTemplatesResponse> {
        let request = self.http.get(&["v1", "templates"]).query(&[("page", page), ("pageSize", page_size)]);
        self.http.json("the list of templates", request).await
    }

    /// One template as it is now.
    ///
    /// # Errors
    ///
    /// 404 if there is no such template.
    pub async fn get_template(&self, id: &str) -> Result<FsbTemplate> {
        self.http.json("the template", self.http.get(&["v1", "templates", id])).await
    }

    /// Removes a template; sandboxes that came from it go on.
    ///
    /// # Errors
    ///
    /// 404 if there is no such template.
    pub async fn delete_template(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["v1", "templates", id])).await
    }
}
