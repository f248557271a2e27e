import type { components, operations } from "../generated/execd.js";
import { routes } from "../generated/execd.js";
import { Http, type HttpConfig } from "../transport/http.js";

export type Schemas = components["schemas"];
export type Operations = operations;

/** execd of one sandbox. */
export type ExecdHttp = Http<operations>;

export function execdHttp(config: HttpConfig): ExecdHttp {
  return new Http<operations>(config, routes);
}
