import { SandkeepError, TimeoutError } from "../errors.js";
import type { CallOptions } from "../transport/http.js";
import { sleep } from "../transport/limits.js";
import type { LifecycleHttp, Schemas } from "../wire.js";
import { type Page, everything } from "./pages.js";

/** A snapshot as it is now. */
export type Snapshot = Schemas["Snapshot"];

/** Which snapshots. */
export interface SnapshotFilter extends CallOptions {
  /** Only of this sandbox. */
  sandboxId?: string;
  /** Exactly this name. */
  name?: string;
  /** Any of these states. */
  states?: string[];
}

const POLL_MS = 50;

/** Kept files of sandboxes, from which others can begin. */
export class Snapshots {
  readonly #http: LifecycleHttp;

  /** @internal */
  constructor(http: LifecycleHttp) {
    this.#http = http;
  }

  /** Starts keeping a sandbox's files. {@link Snapshots.wait} waits until they are kept. */
  create(sandboxId: string, options: CallOptions & { name?: string } = {}): Promise<Snapshot> {
    const body = { name: options.name };
    return this.#http.json("create_snapshot", { path: { sandboxId }, body }, options);
  }

  /**
   * One snapshot as it is now.
   *
   * @throws NotFoundError if there is none of this id
   */
  get(snapshotId: string, options: CallOptions = {}): Promise<Snapshot> {
    return this.#http.json("get_snapshot", { path: { snapshotId } }, options);
  }

  /** One page of them, newest first; pages count from 1. */
  page(filter: SnapshotFilter & { page?: number; pageSize?: number } = {}): Promise<Page<Snapshot>> {
    const { sandboxId, name, states: state, page, pageSize } = filter;
    return this.#http.json("list_snapshots", { query: { sandboxId, name, state, page, pageSize } }, filter);
  }

  /** All that match, newest first. */
  list(filter: SnapshotFilter = {}): AsyncGenerator<Snapshot, void, undefined> {
    return everything((page) => this.page({ ...filter, ...page }));
  }

  /** Waits until a snapshot can be used. */
  async wait(snapshotId: string, options: CallOptions = {}): Promise<Snapshot> {
    const limit = this.#http.timeouts.create;
    for (const since = Date.now(); Date.now() - since < limit; ) {
      const snapshot = await this.get(snapshotId, options);
      const { state, message, reason } = snapshot.status;
      if (state === "Ready") return snapshot;
      if (state !== "Creating")
        throw new SandkeepError(`snapshot ${snapshotId} is ${state}: ${message ?? reason ?? ""}`);
      await sleep(POLL_MS, options.signal);
    }
    throw new TimeoutError(`snapshot ${snapshotId}`, limit);
  }

  /**
   * Removes a snapshot.
   *
   * @throws ConflictError if a sandbox uses it
   */
  async delete(snapshotId: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("delete_snapshot", { path: { snapshotId } }, options);
  }
}
