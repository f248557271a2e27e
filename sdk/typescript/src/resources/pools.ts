import type { CallOptions } from "../transport/http.js";
import type { LifecycleHttp, Schemas } from "../wire.js";

export type Pool = Schemas["PoolResponse"];
export type PoolCapacity = Schemas["PoolCapacitySpec"];

export interface NewPool {
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

  create({ name, capacity, template }: NewPool, options: CallOptions = {}): Promise<Pool> {
    return this.#http.json("create_pool", { body: { name, capacitySpec: capacity, template } }, options);
  }

  get(poolName: string, options: CallOptions = {}): Promise<Pool> {
    return this.#http.json("get_pool", { path: { poolName } }, options);
  }

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
