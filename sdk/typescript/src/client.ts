import { ConfigError } from "./errors.js";
import { type EventFilter, type SandboxEvent, follow } from "./resources/events.js";
import { Images } from "./resources/images.js";
import { Pools } from "./resources/pools.js";
import { Sandboxes } from "./resources/sandboxes.js";
import { Snapshots } from "./resources/snapshots.js";
import { Templates } from "./resources/templates.js";
import { type CallOptions, type HttpConfig, commonHeaders, parseBase } from "./transport/http.js";
import { DEFAULT_TIMEOUTS, type Timeouts } from "./transport/limits.js";
import { isNode, variable } from "./transport/runtime.js";
import { type LifecycleHttp, type Schemas, lifecycleHttp } from "./wire.js";

/** How to reach a server. Whatever is left out comes from the environment or has a default. */
export interface ClientOptions {
  /** The server's address. Default: `SANDKEEP_URL`, else `http://127.0.0.1:8080`; in a browser the page's own server. */
  url?: string;
  /** The API key. Default: `OPEN_SANDBOX_API_KEY`, else none. */
  apiKey?: string;
  /** Whether sandboxes are reached through the server. Default: yes, unless the server runs on this machine. */
  throughServer?: boolean;
  /** Limits of waits, in milliseconds. Default: 600,000 for a creation, else 30,000. */
  timeouts?: Partial<Timeouts>;
  /** How often a request that only reads, or that can be recognised, is sent again when it failed. Default: 2. */
  retries?: number;
  /** More headers for the server; sandboxes do not see them. */
  headers?: Record<string, string>;
  /** Sends requests, for proxies and certificates of one's own. Default: the platform's. */
  fetch?: typeof fetch;
  /** Hears the name of every operation before it is sent. */
  onRequest?: (operation: string) => void;
}

const DEFAULT_URL = "http://127.0.0.1:8080";
const DEFAULT_RETRIES = 2;
const KEY_HEADER = "open-sandbox-api-key";
const LOCAL = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** A server, as one caller sees it. */
export class Client {
  /** What the server runs. */
  readonly sandboxes: Sandboxes;
  /** Files of sandboxes, kept. */
  readonly snapshots: Snapshots;
  /** What sandboxes are made of, under an id. */
  readonly templates: Templates;
  /** Sandboxes kept ready ahead of their use. */
  readonly pools: Pools;
  /** What sandboxes are made from. */
  readonly images: Images;
  /** @internal */
  readonly http: LifecycleHttp;
  /** @internal */
  readonly throughServer: boolean;

  constructor(options: ClientOptions = {}) {
    const base = parseBase(options.url ?? variable("SANDKEEP_URL") ?? pageOrigin() ?? DEFAULT_URL).replace(/\/v1$/, "");
    const apiKey = options.apiKey ?? variable("OPEN_SANDBOX_API_KEY");
    if (apiKey !== undefined && !/^[\x21-\x7e]*$/.test(apiKey)) {
      throw new ConfigError("the API key has characters that HTTP cannot carry");
    }
    this.http = lifecycleHttp({
      base,
      headers: { ...commonHeaders(), ...options.headers, ...(apiKey === undefined ? {} : { [KEY_HEADER]: apiKey }) },
      // Browsers call it only as a function of the window.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      retries: options.retries ?? DEFAULT_RETRIES,
      onRequest: options.onRequest,
    });
    this.throughServer = options.throughServer ?? !(isNode && LOCAL.test(new URL(base).hostname));
    this.sandboxes = new Sandboxes(this.http);
    this.snapshots = new Snapshots(this.http);
    this.templates = new Templates(this.http);
    this.pools = new Pools(this.http);
    this.images = new Images(this.http);
  }

  /** Address of the server, without a slash at its end. */
  get url(): string {
    return this.http.config.base;
  }

  /** Whether the server is well. Needs no key. */
  health(options: CallOptions = {}): Promise<Schemas["Health"]> {
    return this.http.json("health", {}, options);
  }

  /** Version of the server. */
  async version(options: CallOptions = {}): Promise<string> {
    return (await this.http.json("version", {}, options)).version;
  }

  /** What the server can do on its host, by name. */
  async capabilities(options: CallOptions = {}): Promise<Record<string, Schemas["Capability"]>> {
    return (await this.http.json("capabilities", {}, options)).capabilities;
  }

  /** What happens to sandboxes, as it happens. */
  events(filter: EventFilter = {}): AsyncGenerator<SandboxEvent, void, undefined> {
    return follow(this.http, filter);
  }

  /** The server's counters in Prometheus' text format. */
  prometheus(options: CallOptions = {}): Promise<string> {
    return this.http.text("prometheus_metrics", {}, options);
  }

  /** Tells the server how long it took until a sandbox could be used. */
  async reportCreation(report: Omit<Schemas["MetricsEvent"], "eventType">, options: CallOptions = {}): Promise<void> {
    await this.http.done("report_metrics_event", { body: { eventType: "sandbox.create", ...report } }, options);
  }

  /** @internal Requests to an endpoint this client was told of. */
  reach(endpoint: Schemas["Endpoint"], throughServer: boolean): HttpConfig {
    const { config } = this.http;
    // The server takes the key of its own callers off again; a sandbox never sees it.
    const own = throughServer ? config.headers : commonHeaders();
    const scheme = throughServer ? new URL(config.base).protocol : "http:";
    return {
      ...config,
      base: `${scheme}//${endpoint.endpoint}`.replace(/\/+$/, ""),
      headers: { ...endpoint.headers, ...own },
    };
  }
}

function pageOrigin(): string | undefined {
  const origin = (globalThis as { location?: { origin?: string } }).location?.origin;
  return isNode || origin === undefined || !origin.startsWith("http") ? undefined : origin;
}
