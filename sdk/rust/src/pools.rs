//! The server's pools.

use reqwest::Method;
use sandkeep_specs::lifecycle::{
    CreatePoolRequest, ListPoolsResponse, PoolCapacitySpec, PoolResponse, UpdatePoolRequest,
};

use crate::Result;
use crate::transport::Http;

/// Operations on pools of sandboxes that are started before they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Pools<'a> {
    http: &'a Http,
}

impl<'a> Pools<'a> {
    pub(crate) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Makes a pool; it fills in the background.
    ///
    /// # Errors
    ///
    /// 400 names the member that is wrong, 409 if there is a pool of that name.
    pub async fn create_pool(&self, request: &CreatePoolRequest) -> Result<PoolResponse> {
        self.http.json("the pool", self.http.post(&["v1", "pools"]).json(request)).await
    }

    /// Every pool, by name.
    pub async fn list_pools(&self) -> Result<Vec<PoolResponse>> {
        let answer: ListPoolsResponse =
            self.http.json("the list of pools", self.http.get(&["v1", "pools"])).await?;
        Ok(answer.items)
    }

    /// One pool as it is now.
    ///
    /// # Errors
    ///
    /// 404 if there is no such pool.
    pub async fn get_pool(&self, name: &str) -> Result<PoolResponse> {
        self.http.json("the pool", self.http.get(&["v1", "pools", name])).await
    }

    /// Sets how many members a pool has.
    ///
    /// # Errors
    ///
    /// 400 if the numbers contradict each other, 404 if there is no such pool.
    pub async fn update_pool(&self, name: &str, capacity_spec: PoolCapacitySpec) -> Result<PoolResponse> {
        let request = self.http.request(Method::PUT, &["v1", "pools", name]);
        self.http.json("the pool", request.json(&UpdatePoolRequest { capacity_spec })).await
    }

    /// Removes a pool and the members nobody owns; sandboxes that came from it go on.
    ///
    /// # Errors
    ///
    /// 404 if there is no such pool.
    pub async fn delete_pool(&self, name: &str) -> Result<()> {
        self.http.done(self.http.delete(&["v1", "pools", name])).await
    }
}
