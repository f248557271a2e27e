import { type NewSandbox, createRequest } from "../options.js";
import type { CallOptions } from "../transport/http.js";
import type { LifecycleHttp, Schemas } from "../wire.js";
import { type Page, everything, labelFilter } from "./pages.js";

/** A sandbox as the server sees it. */
export type SandboxRecord = Schemas["Sandbox"];

/** Which sandboxes. */
export interface SandboxFilter extends CallOptions {
  /** Any of these states. */
  states?: string[];
  /** All of these labels. */
  metadata?: Record<string, string>;
}

/** The sandboxes of a server, by their ids. */
export class Sandboxes {
  readonly #http: LifecycleHttp;

  /** @internal */
  constructor(http: LifecycleHttp) {
    this.#http = http;
  }

  /** Creates a sandbox, which may not answer yet. `Sandbox.create` waits until it does. */
  async create(options: NewSandbox, call: CallOptions = {}): Promise<Schemas["CreateSandboxResponse"]> {
    const key = options.idempotencyKey ?? crypto.randomUUID();
    return this.#http.json(
      "create_sandbox",
      { body: createRequest(options) },
      {
        ...call,
        headers: { "idempotency-key": key },
        timeout: this.#http.timeouts.create,
        // The key makes the server recognise it.
        repeatable: true,
      },
    );
  }

  /**
   * One sandbox as it is now.
   *
   * @throws NotFoundError if there is none of this id
   */
  get(sandboxId: string, options: CallOptions = {}): Promise<SandboxRecord> {
    return this.#http.json("get_sandbox", { path: { sandboxId } }, options);
  }

  /** One page of them, newest first; pages count from 1. */
  page(filter: SandboxFilter & { page?: number; pageSize?: number } = {}): Promise<Page<SandboxRecord>> {
    const { states: state, metadata, page, pageSize } = filter;
    const query = { state, metadata: labelFilter(metadata), page, pageSize };
    return this.#http.json("list_sandboxes", { query }, filter);
  }

  /** All that match, newest first. */
  list(filter: SandboxFilter = {}): AsyncGenerator<SandboxRecord, void, undefined> {
    return everything((page) => this.page({ ...filter, ...page }));
  }

  /**
   * Removes a sandbox and everything in it.
   *
   * @throws NotFoundError if there is none of this id
   */
  async delete(sandboxId: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("delete_sandbox", { path: { sandboxId } }, options);
  }
}
