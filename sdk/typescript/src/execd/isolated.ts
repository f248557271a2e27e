import { asyncDispose } from "../dispose.js";
import { type Camel, camel, snake } from "../transport/case.js";
import { chunks } from "../transport/frames.js";
import type { CallOptions, Opened } from "../transport/http.js";
import { cursorOf } from "./commands.js";
import type { CommandLogs } from "./commands.js";
import type { Execution, Listeners } from "./execution.js";
import { Files } from "./files.js";
import { ExecutionStream } from "./stream.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** What isolation a sandbox can give, and why not more. */
export type IsolationCapabilities = Camel<Schemas["CapabilitiesResponse"]>;
/** What a session is made of. */
export type NewIsolatedSession = Camel<Schemas["CreateIsolatedSessionRequest"]>;
/** What a session is made of, and how it is. */
export type IsolatedSessionState = Camel<Schemas["SessionState"]>;
/** A session in a list. */
export type IsolatedSessionSummary = Camel<Schemas["IsolatedSessionSummary"]>;
/** How a background run is or ended. */
export type IsolatedRunStatus = Camel<Schemas["IsolatedRunStatus"]>;

/** How shell text runs in a session. */
export interface IsolatedRunOptions extends CallOptions {
  /** Variables of this run alone. */
  env?: Record<string, string>;
  /** When the run and everything it started are killed, in seconds. */
  timeoutSeconds?: number;
}

/** Shells that see the sandbox's files through layers of their own, so that their changes can be looked at first. */
export class Isolated {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
  }

  /** Whether there can be isolated sessions in this sandbox, and why not. */
  async capabilities(options: CallOptions = {}): Promise<IsolationCapabilities> {
    return camel(await this.#http.json("isolatedCapabilities", {}, options));
  }

  /**
   * Makes a session.
   *
   * @throws ServerError (503) if this sandbox cannot isolate: ask for `isolation` when it is created
   */
  async create(session: NewIsolatedSession, options: CallOptions = {}): Promise<IsolatedSession> {
    const body = snake<Schemas["CreateIsolatedSessionRequest"]>(session);
    const { session_id: id } = await this.#http.json("createIsolatedSession", { body }, options);
    return this.get(id);
  }

  /** A session somebody made. Nothing is sent. */
  get(id: string): IsolatedSession {
    return new IsolatedSession(this.#http, id);
  }

  /** All sessions, oldest first. */
  async list(options: CallOptions = {}): Promise<IsolatedSessionSummary[]> {
    return camel((await this.#http.json("listIsolatedSessions", {}, options)).sessions);
  }
}

/** A shell with files of its own on top of the sandbox's. */
export class IsolatedSession {
  readonly #http: ExecdHttp;
  /** The files as the session sees them. */
  readonly files: Files;

  /** @internal */
  constructor(
    http: ExecdHttp,
    readonly id: string,
  ) {
    this.#http = http;
    this.files = new Files(http, { prefix: "isolated", path: { sessionId: id } });
  }

  /** What it is made of, and how it is. */
  async state(options: CallOptions = {}): Promise<IsolatedSessionState> {
    return camel(await this.#http.json("getIsolatedSession", this.#parts, options));
  }

  /**
   * Runs shell text to its end.
   *
   * @throws NotFoundError if the session has ended
   */
  async run(code: string, options: IsolatedRunOptions & Listeners & { check?: boolean } = {}): Promise<Execution> {
    const result = await this.stream(code, options).result(options);
    return options.check === true ? result.check() : result;
  }

  /** Runs shell text and gives its events as they come. What it started ends when the loop is left. */
  stream(code: string, options: IsolatedRunOptions = {}): ExecutionStream {
    const body = { code, envs: options.env, timeout_seconds: options.timeoutSeconds };
    const open = (): Promise<Opened> => this.#http.open("runInIsolatedSession", { ...this.#parts, body });
    return new ExecutionStream(this.#http, open, {}, options.signal);
  }

  /** Starts shell text in the background and returns the run's id. */
  async start(code: string, options: CallOptions & { env?: Record<string, string> } = {}): Promise<string> {
    const body = { code, envs: options.env, background: true };
    return (await this.#http.json("runInIsolatedSession", { ...this.#parts, body }, options)).run_id;
  }

  /** How a background run is. */
  async runStatus(runId: string, options: CallOptions = {}): Promise<IsolatedRunStatus> {
    return camel(await this.#http.json("getIsolatedRunStatus", { path: { sessionId: this.id, runId } }, options));
  }

  /** Output of a background run from `cursor` on. */
  async runLogs(runId: string, options: CallOptions & { cursor?: number } = {}): Promise<CommandLogs> {
    const parts = { path: { sessionId: this.id, runId }, query: { cursor: options.cursor ?? 0 } };
    const answer = await this.#http.textAndHeaders("getIsolatedRunLogs", parts, options);
    return { text: answer.text, cursor: cursorOf(answer.headers, "execd-isolated-tail-cursor") };
  }

  /** What the session has changed, as a gzipped tar archive in the form of an image's layer. */
  async *diff(options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const opened = await this.#http.open("isolatedSessionDiff", this.#parts, options);
    yield* chunks(opened, this.#http.config.base, this.#http.timeouts.idle);
  }

  /** Puts the session's changes into the sandbox's own files. */
  async commit(options: CallOptions = {}): Promise<Schemas["IsolatedCommitResponse"]> {
    return this.#http.json("isolatedSessionCommit", this.#parts, options);
  }

  /** Ends it; what was not committed is gone. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#http.done("deleteIsolatedSession", this.#parts, options);
  }

  async [asyncDispose](): Promise<void> {
    await this.delete();
  }

  get #parts(): { path: { sessionId: string } } {
    return { path: { sessionId: this.id } };
  }
}
