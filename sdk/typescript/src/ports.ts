import type { Client } from "./client.js";
import { ConfigError } from "./errors.js";
import type { CallOptions, HttpConfig } from "./transport/http.js";
import { Tunnel } from "./tunnel.js";
import type { Operations, Schemas } from "./wire.js";

/** Which address of a port. */
export interface EndpointOptions extends CallOptions {
  /** Through the server or not. Default: as the sandbox is reached. */
  throughServer?: boolean;
  /** Until when the address alone opens the port. Needs a server with a gateway. */
  expires?: Date;
}

/** A request to a port, as of `fetch`. */
export interface PortRequest extends RequestInit {
  /** Below the port's root, with a query if there is one. Default: `/`. */
  path?: string;
}

const METHODS = new Set(["get", "post", "put", "patch", "delete"]);

/** The ports of one sandbox. */
export interface Ports {
  /** Where a port is reached, and the headers that every request to it must carry. */
  endpoint(port: number, options?: EndpointOptions): Promise<Schemas["Endpoint"]>;
  /** An address of a port for people's browsers. With `expires` it opens the port by itself, where the server can. */
  previewUrl(port: number, options?: EndpointOptions): Promise<string>;
  /** A request to a port, through the server, with the proof it needs. Every status is an answer. */
  fetch(port: number, request?: PortRequest): Promise<Response>;
  /** A TCP connection to a port, through the server. */
  connect(port: number, options?: CallOptions): Promise<Tunnel>;
  /** @internal */
  config(port: number, options?: CallOptions): Promise<HttpConfig>;
}

/** @internal */
export function ports(client: Client, sandboxId: string, throughServer: boolean): Ports {
  const { http } = client;
  const endpoint = (port: number, options: EndpointOptions = {}): Promise<Schemas["Endpoint"]> => {
    const expires = options.expires === undefined ? undefined : String(Math.floor(options.expires.getTime() / 1000));
    const through = expires === undefined ? (options.throughServer ?? throughServer) : undefined;
    return http.json(
      "get_sandbox_endpoint",
      { path: { sandboxId, port }, query: { use_server_proxy: through, expires } },
      options,
    );
  };
  return {
    endpoint,
    async previewUrl(port, options = {}) {
      const { endpoint: address } = await endpoint(port, options);
      return `${new URL(http.config.base).protocol}//${address}/`.replace(/\/+$/, "/");
    },
    async fetch(port, { path = "/", ...init } = {}) {
      const method = (init.method ?? "GET").toLowerCase();
      if (!METHODS.has(method)) throw new ConfigError(`the server forwards no ${method.toUpperCase()} requests`);
      const below = path.replace(/^\/+/, "");
      const operation = `proxy_${method}${below === "" ? "" : "_path"}` as keyof Operations & string;
      const headers = new Headers(init.headers);
      for (const [name, value] of Object.entries(http.config.headers)) headers.set(name, value);
      http.config.onRequest?.(operation);
      const address = `${http.config.base}/v1/sandboxes/${encodeURIComponent(sandboxId)}/proxy/${port}/${below}`;
      return http.config.fetch(address, { ...init, headers });
    },
    connect: (port, options = {}) =>
      Tunnel.open(http.url("open_tunnel", { path: { sandboxId, port } }), {
        headers: http.config.headers,
        timeout: http.timeouts.request,
        signal: options.signal,
      }),
    async config(port, options = {}) {
      return client.reach(await endpoint(port, options), throughServer);
    },
  };
}
