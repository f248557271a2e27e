import { asyncDispose } from "../dispose.js";
import type { CallOptions, Opened } from "../transport/http.js";
import type { Execution, Listeners } from "./execution.js";
import { ExecutionStream } from "./stream.js";
import type { ExecdHttp } from "./wire.js";

/** How shell text runs in a session. */
export interface SessionRunOptions extends CallOptions {
  /** Directory to run in; where the run ends is where the next one starts. */
  cwd?: string;
  /** Variables of this run alone. */
  env?: Record<string, string>;
  /** When the run and everything it started are killed, in milliseconds. */
  timeoutMs?: number;
}

/** Shells that stay alive from command to command. */
export class Sessions {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
  }

  /** Starts a shell, in a directory if one is named. */
  async create(options: CallOptions & { cwd?: string } = {}): Promise<ShellSession> {
    const { session_id: id } = await this.#http.json("createSession", { body: { cwd: options.cwd } }, options);
    return this.get(id);
  }

  /** A session somebody made. Nothing is sent. */
  get(id: string): ShellSession {
    return new ShellSession(this.#http, id);
  }
}

/** One shell: directory, variables, functions and options last. Its runs wait for each other. */
export class ShellSession {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(
    http: ExecdHttp,
    readonly id: string,
  ) {
    this.#http = http;
  }

  /**
   * Runs shell text to its end; runs of one session wait for each other.
   *
   * @throws NotFoundError if the session has ended
   */
  async run(command: string, options: SessionRunOptions & Listeners & { check?: boolean } = {}): Promise<Execution> {
    const result = await this.stream(command, options).result(options);
    return options.check === true ? result.check() : result;
  }

  /** Runs a command and gives its events as they come. What it started ends when the loop is left. */
  stream(command: string, options: SessionRunOptions = {}): ExecutionStream {
    const { cwd, env, timeoutMs: timeout } = options;
    const open = (): Promise<Opened> =>
      this.#http.open("runInSession", { path: { sessionId: this.id }, body: { command, cwd, envs: env, timeout } });
    return new ExecutionStream(this.#http, open, {}, options.signal);
  }

  /** Ends the shell and everything it started. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#http.done("deleteSession", { path: { sessionId: this.id } }, options);
  }

  async [asyncDispose](): Promise<void> {
    await this.delete();
  }
}
