import { type Camel, camel } from "../transport/case.js";
import { frames } from "../transport/frames.js";
import type { CallOptions } from "../transport/http.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** What execd measures: processors in use and memory in mebibytes. */
export type DaemonMetrics = Camel<Schemas["Metrics"]>;

/** The daemon inside a sandbox: whether it answers, and what it measures. */
export class Daemon {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
  }

  /** Fails unless the daemon answers and accepts the token. */
  async ping(options: CallOptions = {}): Promise<void> {
    await this.#http.done("ping", {}, { ...options, repeatable: false });
  }

  /** What the sandbox uses now. */
  async metrics(options: CallOptions = {}): Promise<DaemonMetrics> {
    return camel(await this.#http.json("getMetrics", {}, options));
  }

  /** New figures every second. */
  async *watchMetrics(options: CallOptions = {}): AsyncGenerator<DaemonMetrics, void, undefined> {
    const opened = await this.#http.open("watchMetrics", {}, options);
    for await (const frame of frames(opened, this.#http.config.base, this.#http.timeouts.idle)) {
      yield camel(JSON.parse(frame.data) as Schemas["Metrics"]);
    }
  }

  /** Counters in Prometheus' text format. */
  prometheus(options: CallOptions = {}): Promise<string> {
    return this.#http.text("getPrometheusMetrics", {}, options);
  }

  /** The API document of this very daemon. */
  async openapi(options: CallOptions = {}): Promise<Record<string, unknown>> {
    return (await this.#http.json("getOpenApi", {}, options)) as Record<string, unknown>;
  }
}
