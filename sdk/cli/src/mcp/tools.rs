//! The server as clients see it: its tools and what they are told about them.

use std::sync::Arc;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    handler::server::{router::tool::ToolRouter, tool::ToolCallContext},
    model::{
        CallToolRequestParams, CallToolResponse, Implementation, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use sandkeep::{Client, Sandbox};
use tokio_util::task::TaskTracker;

use super::failure::Failure;
use crate::ids;

const INSTRUCTIONS: &str = include_str!("instructions.md");

/// The tools, of one lifecycle server. Cheap to clone: HTTP clients get one each.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) client: Client,
    proxy: bool,
    router: Arc<ToolRouter<Self>>,
    /// Calls that have something to clean up when they are cancelled.
    pub(super) calls: TaskTracker,
}

impl Tools {
    pub(super) fn new(client: Client, proxy: bool) -> Self {
        let router = Self::sandbox_tools()
            + Self::command_tools()
            + Self::code_tools()
            + Self::file_tools()
            + Self::network_tools();
        Self { client, proxy, router: Arc::new(router), calls: TaskTracker::new() }
    }

    /// A sandbox by its id or the beginning of it.
    pub(super) async fn id(&self, given: &str) -> Result<String, Failure> {
        ids::resolve(&self.client, given).await.map_err(Failure::from)
    }

    /// The daemon in a sandbox.
    pub(super) async fn sandbox(&self, given: &str) -> Result<Sandbox, Failure> {
        let id = self.id(given).await?;
        let reached = if self.proxy {
            Sandbox::connect_through_server(&self.client, &id).await
        } else {
            Sandbox::connect(&self.client, &id).await
        };
        reached.map_err(Failure::from)
    }

    pub(super) fn through_server(&self) -> bool {
        self.proxy
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("sandkeep", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.router.call(ToolCallContext::new(self, request, context)).await
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.router.list_all()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.router.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_tool_says_what_it_takes_and_gives() {
        let tools = Tools::new(Client::new("http://127.0.0.1:1", "k").unwrap(), false);
        let all = tools.router.list_all();
        assert!(all.len() > 20, "{}", all.len());
        for tool in all {
            let name = &tool.name;
            assert!(tool.description.is_some_and(|text| text.len() > 20), "{name} is not described");
            let output = tool.output_schema.unwrap_or_else(|| panic!("{name} has no output schema"));
            assert_eq!(output["type"], "object", "{name}");
            assert!(tool.annotations.is_some(), "{name} has no annotations");
            let input = serde_json::to_value(&tool.input_schema).unwrap();
            for (argument, schema) in input["properties"].as_object().unwrap() {
                assert!(schema["description"].is_string(), "{name}: {argument} is not described");
            }
        }
    }

    #[test]
    fn the_instructions_name_tools_that_exist() {
        let tools = Tools::new(Client::new("http://127.0.0.1:1", "k").unwrap(), false);
        let names = INSTRUCTIONS.split('`').skip(1).step_by(2).filter(|name| name.contains('_'));
        for name in names.filter(|name| !matches!(*name, "sandbox_id" | "exit_code")) {
            assert!(tools.router.has_route(name), "{name}");
        }
    }
}
