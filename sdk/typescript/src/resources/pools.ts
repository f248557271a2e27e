import type { CallOptions } from "../transport/http.js";
import type { LifecycleHttp, Schemas } from "../wire.js";

/** A pool as it is now. */
export type Pool = Schemas["PoolResponse"];
/** How many members wait at least and at most, and how many there are altogether. */
export type PoolCapacity = Schemas["PoolCapacitySpec"];

/** What a pool is made of. */
export interface NewPool {
  /** What creations call it. */
  name: string;
  /** How many sandboxes wait, and how many there are at most. */
  capacity: PoolCapacity;
  /** What they are, as a Kubernetes pod template with one container. */
  template: Record<string, unknown>;
}

/** Sandboxes that run ahead of requests. */
export class Pools {
  readonly #http: LifecycleHttp;

  /** @internal */
  constructor(http: LifecycleHttp) {
    this.#http = http;
  }

  /**
   * Makes a pool; it fills in the background.
   *
   * @throws ConflictError if there is one of this name
   */
  create({ name, capacity, template }: NewPool, options: CallOptions = {}): Promise<Pool> {
    return this.#http.json("create_pool", { body: { name, capacitySpec: capacity, template } }, options);
  }

  /**
   * One pool as it is now.
   *
   * @throws NotFoundError if there is none of this name
   */
  get(poolName: string, options: CallOptions = {}): Promise<Pool> {
    return this.#http.json("get_pool", { path: { poolName } }, options);
  }

  /** All pools, by name. */
  async list(options: CallOptions = {}): Promise<Pool[]> {
    return (await this.#http.json("list_pools", {}, options)).items;
  }

  /** Changes how many sandboxes wait; they are started and ended in the background. */
  resize(poolName: string, capacity: PoolCapacity, options: CallOptions = {}): Promise<Pool> {
    return this.#http.json("update_pool", { path: { poolName }, body: { capacitySpec: capacity } }, options);
  }

  /** Ends the sandboxes that wait; those that were handed over go on. */
  async delete(poolName: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("delete_pool", { path: { poolName } }, options);
  }
}
