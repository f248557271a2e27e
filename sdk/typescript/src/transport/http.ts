import { ApiError, ConfigError, ConnectionError, StreamError } from "../errors.js";
import { VERSION } from "../version.js";
import type { RawBody } from "./data.js";
import { type Timeouts, Watch, sleep } from "./limits.js";
import { type Arguments, type JsonAnswer, type Parts, type Routes, address } from "./operations.js";
import { refusal } from "./refusal.js";
import { isNode } from "./runtime.js";

/** What one request may be told beside its arguments. */
export interface CallOptions {
  /** Breaks the request off. */
  signal?: AbortSignal | undefined;
}

/** The same for the transport itself. */
export interface SendOptions extends CallOptions {
  headers?: Record<string, string>;
  /** A body that is not JSON. */
  raw?: RawBody;
  /** Limit of waiting for the answer, in milliseconds; for streams, for its headers. */
  timeout?: number;
  /** Whether it may be sent again when it failed; default: only what reads. */
  repeatable?: boolean;
}

export interface HttpConfig {
  base: string;
  headers: Record<string, string>;
  fetch: typeof fetch;
  timeouts: Timeouts;
  /** How often a request that only reads is sent again. */
  retries: number;
  /** Hears the name of every operation before it is sent. */
  onRequest?: ((operation: string) => void) | undefined;
}

/** An answer whose body is still to be read, watched while it is. */
export interface Opened {
  response: Response;
  watch: Watch;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const PASSING = new Set([429, 502, 503, 504]);

/** Sends the operations of one API to one address. `Ops` are the types that belong to `routes`. */
export class Http<Ops> {
  readonly config: HttpConfig;
  readonly #routes: Routes;

  constructor(config: HttpConfig, routes: Routes) {
    this.config = config;
    this.#routes = routes;
  }

  get timeouts(): Timeouts {
    return this.config.timeouts;
  }

  /** Calls an operation that answers in JSON. */
  async json<Op extends keyof Ops & string>(
    operation: Op,
    parts: Arguments<Ops[Op]>,
    options: SendOptions = {},
  ): Promise<JsonAnswer<Ops[Op]>> {
    const text = await this.text(operation, parts, options);
    try {
      return JSON.parse(text) as JsonAnswer<Ops[Op]>;
    } catch (cause) {
      throw new StreamError(`the answer to ${operation} is not JSON`, { cause });
    }
  }

  /** Calls an operation whose answer is text. */
  async text<Op extends keyof Ops & string>(
    operation: Op,
    parts: Arguments<Ops[Op]>,
    options: SendOptions = {},
  ): Promise<string> {
    return (await this.textAndHeaders(operation, parts, options)).text;
  }

  async textAndHeaders<Op extends keyof Ops & string>(
    operation: Op,
    parts: Arguments<Ops[Op]>,
    options: SendOptions = {},
  ): Promise<{ text: string; headers: Headers }> {
    const { response, watch } = await this.open(operation, parts, options);
    try {
      return { text: await response.text(), headers: response.headers };
    } catch (cause) {
      throw this.#failure(cause, watch);
    } finally {
      watch.end();
    }
  }

  /** Calls an operation whose answer has no body that matters. */
  async done<Op extends keyof Ops & string>(
    operation: Op,
    parts: Arguments<Ops[Op]>,
    options: SendOptions = {},
  ): Promise<void> {
    await this.text(operation, parts, options);
  }

  /** Sends and returns once the headers are there. Whoever reads the body ends the watch. */
  open<Op extends keyof Ops & string>(
    operation: Op,
    parts: Arguments<Ops[Op]>,
    options: SendOptions = {},
  ): Promise<Opened> {
    const route = this.#routes[operation];
    if (route === undefined) throw new ConfigError(`there is no operation ${operation}`);
    return this.openAt(route[0], address(route[1], parts as Parts), parts as Parts, operation, options);
  }

  /** Address of an operation, for what is not sent by `fetch`. */
  url<Op extends keyof Ops & string>(operation: Op, parts: Omit<Arguments<Ops[Op]>, "body">): string {
    const route = this.#routes[operation];
    if (route === undefined) throw new ConfigError(`there is no operation ${operation}`);
    this.config.onRequest?.(operation);
    return this.config.base + address(route[1], parts as Parts);
  }

  async openAt(
    method: string,
    path: string,
    parts: Parts,
    operation: string,
    options: SendOptions = {},
  ): Promise<Opened> {
    const repeatable = options.repeatable ?? (method === "GET" && options.raw === undefined);
    const attempts = repeatable ? this.config.retries : 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#once(method, path, parts, operation, options);
      } catch (error) {
        if (attempt >= attempts || options.signal?.aborted || !isPassing(error)) throw error;
        await sleep(pause(attempt, error), options.signal);
      }
    }
  }

  async #once(method: string, path: string, parts: Parts, operation: string, options: SendOptions): Promise<Opened> {
    this.config.onRequest?.(operation);
    const watch = new Watch(options.signal);
    watch.limit(operation, options.timeout ?? this.config.timeouts.request);
    const headers: Record<string, string> = { ...this.config.headers, ...options.headers };
    const init: RequestInit & { duplex?: "half" } = { method, headers, signal: watch.signal, redirect: "manual" };
    if (options.raw !== undefined) {
      init.body = options.raw as BodyInit;
      if (options.raw instanceof ReadableStream) init.duplex = "half";
    } else if (parts.body !== undefined) {
      init.body = JSON.stringify(parts.body);
      headers["content-type"] = "application/json";
    }
    try {
      const response = await this.config.fetch(this.config.base + path, init);
      if (!response.ok) throw await refusal(response);
      return { response, watch };
    } catch (cause) {
      watch.end();
      throw this.#failure(cause, watch);
    }
  }

  #failure(cause: unknown, watch: Watch): unknown {
    return failure(cause, watch, this.config.base);
  }
}

/** What a failed request or broken body is thrown as: the caller's own reason when it was the caller who broke it off. */
export function failure(cause: unknown, watch: Watch, base: string): unknown {
  if (cause instanceof ApiError) return cause;
  if (watch.signal.aborted) return watch.signal.reason;
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const how = inner instanceof Error ? inner.message || inner.name : String(inner);
  return new ConnectionError(`the connection to ${base} failed: ${how}`, { cause });
}

/** Whether a request that failed so may succeed when it is sent again. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return PASSING.has(error.status);
  return error instanceof ConnectionError;
}

function pause(attempt: number, error: unknown): number {
  const asked = error instanceof ApiError && error.retryAfter !== undefined ? error.retryAfter * 1000 : 0;
  const grown = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2);
  return Math.min(Math.max(asked, grown), LONGEST_PAUSE_MS);
}

/** Headers of every request. Browsers name themselves and let nobody else do it. */
export function commonHeaders(): Record<string, string> {
  return isNode ? { "user-agent": `sandkeep-typescript/${VERSION}` } : {};
}

/** An address people may have written without a scheme or with the API's prefix, without a slash at the end. */
export function parseBase(text: string): string {
  const full = text.includes("://") ? text.trim() : `http://${text.trim()}`;
  let url: URL;
  try {
    url = new URL(full);
  } catch (cause) {
    throw new ConfigError(`${JSON.stringify(text)} is not an address`, { cause });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new ConfigError(`${JSON.stringify(text)} is neither an http nor an https address`);
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}
