import type { components, operations } from "./generated/lifecycle.js";
import { routes } from "./generated/lifecycle.js";
import { Http, type HttpConfig } from "./transport/http.js";

export type Schemas = components["schemas"];
export type Operations = operations;

/** The lifecycle API of one server. */
export type LifecycleHttp = Http<operations>;

export function lifecycleHttp(config: HttpConfig): LifecycleHttp {
  return new Http<operations>(config, routes);
}
