import { chunks } from "../transport/frames.js";
import type { CallOptions } from "../transport/http.js";
import type { LifecycleHttp, Schemas } from "../wire.js";

/** A text about a sandbox, and what it tells of. */
export type Diagnosis = Schemas["DiagnosticContentResponse"];

/** Which part of the logs. */
export interface LogOptions extends CallOptions {
  /** Lines from the end. */
  tail?: number;
  /** Only what came within this time: a number followed by `s`, `m`, `h` or `d`. */
  since?: string;
  /** Begins each line with the instant it came. */
  timestamps?: boolean;
}

/** What can be found out about a sandbox from outside, also when it has ended. */
export class Diagnostics {
  readonly #http: LifecycleHttp;
  readonly #path: { sandboxId: string };

  /** @internal */
  constructor(http: LifecycleHttp, sandboxId: string) {
    this.#http = http;
    this.#path = { sandboxId };
  }

  /** What its program has printed. */
  logs(options: LogOptions = {}): Promise<string> {
    const { tail, since, timestamps } = options;
    return this.#http.text("get_diagnostics_logs", { path: this.#path, query: { tail, since, timestamps } }, options);
  }

  /** The same and what comes, until the sandbox ends. */
  async *followLogs(options: LogOptions = {}): AsyncGenerator<string, void, undefined> {
    const { tail, since, timestamps } = options;
    const query = { tail, since, timestamps, follow: true };
    const opened = await this.#http.open("get_diagnostics_logs", { path: this.#path, query }, options);
    const decoder = new TextDecoder();
    // A program may print nothing for as long as it likes.
    for await (const chunk of chunks(opened, this.#http.config.base, Number.POSITIVE_INFINITY)) {
      yield decoder.decode(chunk, { stream: true });
    }
  }

  /** Logs with a description of what was cut. */
  describeLogs(options: CallOptions = {}): Promise<Diagnosis> {
    return this.#http.json("get_diagnostics_logs", { path: this.#path, query: { scope: "all" } }, options);
  }

  /** What happened to it, a line each, newest last. */
  events(options: CallOptions & { limit?: number } = {}): Promise<string> {
    return this.#http.text("get_diagnostics_events", { path: this.#path, query: { limit: options.limit } }, options);
  }

  /** Events with a description of what was cut. */
  describeEvents(options: CallOptions = {}): Promise<Diagnosis> {
    return this.#http.json("get_diagnostics_events", { path: this.#path, query: { scope: "all" } }, options);
  }

  /** Settings, limits and use, a `Key: value` line each. */
  inspect(options: CallOptions = {}): Promise<string> {
    return this.#http.text("get_diagnostics_inspect", { path: this.#path }, options);
  }

  /** Inspection, events and logs in one text. */
  summary(options: CallOptions & { tail?: number; eventLimit?: number } = {}): Promise<string> {
    const query = { tail: options.tail, event_limit: options.eventLimit };
    return this.#http.text("get_diagnostics_summary", { path: this.#path, query }, options);
  }
}
