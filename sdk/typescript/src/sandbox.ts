import { Client } from "./client.js";
import { asyncDispose } from "./dispose.js";
import { ApiError, ConfigError, ConnectionError, NotFoundError, TimeoutError } from "./errors.js";
import { Code } from "./execd/code.js";
import { type CommandLine, Commands, type RunOptions, type StreamOptions } from "./execd/commands.js";
import { Daemon } from "./execd/daemon.js";
import type { Execution } from "./execd/execution.js";
import { Isolated } from "./execd/isolated.js";
import { Terminals } from "./execd/pty.js";
import { SandboxFiles } from "./execd/sandbox-files.js";
import { Sessions } from "./execd/sessions.js";
import type { ExecutionStream } from "./execd/stream.js";
import { type ExecdHttp, execdHttp } from "./execd/wire.js";
import { Network } from "./network.js";
import type { NewSandbox, ReachOptions } from "./options.js";
import { type Ports, ports } from "./ports.js";
import { Diagnostics } from "./resources/diagnostics.js";
import { type EventFilter, type SandboxEvent, follow } from "./resources/events.js";
import type { SandboxRecord } from "./resources/sandboxes.js";
import type { Snapshot } from "./resources/snapshots.js";
import type { CallOptions } from "./transport/http.js";
import { sleep } from "./transport/limits.js";
import type { Schemas } from "./wire.js";

const EXECD_PORT = 44772;
const READY_POLL_MS = 5;
const PASSING = new Set([409, 502, 503, 504]);

/** A sandbox that answers. */
export class Sandbox {
  /** The client it was made with. */
  readonly client: Client;
  /** Its id, by which anybody with the key finds it again. */
  readonly id: string;
  /** Whether it is reached through the server. */
  readonly throughServer: boolean;
  /** Programs: in the foreground, in the background, to come back to. */
  readonly commands: Commands;
  /** Code whose variables last. */
  readonly code: Code;
  /** Its files. */
  readonly files: SandboxFiles;
  /** Shells that remember. */
  readonly sessions: Sessions;
  /** Programs on terminals. */
  readonly terminals: Terminals;
  /** Shells whose changes can be looked at before they count. */
  readonly isolated: Isolated;
  /** Its ports: addresses, requests and connections. */
  readonly ports: Ports;
  /** What it may reach, and the credentials that are put into what it sends. */
  readonly network: Network;
  /** What is to be seen of it from outside. */
  readonly diagnostics: Diagnostics;
  /** The daemon inside it. */
  readonly daemon: Daemon;
  /** Whether it ends with the variable that holds it. */
  readonly #isOwned: boolean;

  private constructor(client: Client, id: string, execd: ExecdHttp, throughServer: boolean, isOwned: boolean) {
    this.client = client;
    this.id = id;
    this.throughServer = throughServer;
    this.#isOwned = isOwned;
    this.commands = new Commands(execd);
    this.code = new Code(execd);
    this.files = new SandboxFiles(execd);
    this.sessions = new Sessions(execd);
    this.terminals = new Terminals(execd);
    this.isolated = new Isolated(execd);
    this.daemon = new Daemon(execd);
    this.ports = ports(client, id, throughServer);
    this.network = new Network(client.http, id, this.ports);
    this.diagnostics = new Diagnostics(client.http, id);
  }

  /**
   * Creates a sandbox and waits until it answers; one that never does is removed again. `await using` removes it at the
   * end of the block.
   */
  static async create(options: NewSandbox & ReachOptions & { client?: Client }): Promise<Sandbox> {
    const client = options.client ?? new Client();
    const { id } = await client.sandboxes.create(options, { signal: options.signal });
    try {
      return await reach(client, id, options, true);
    } catch (error) {
      // What went wrong first is what the caller has to know.
      await client.sandboxes.delete(id).catch(() => undefined);
      throw error;
    }
  }

  /** Finds a sandbox by its id. `await using` leaves it as it is. */
  static connect(id: string, options: ReachOptions & { client?: Client } = {}): Promise<Sandbox> {
    return reach(options.client ?? new Client(), id, options, false);
  }

  /** @internal */
  static at(client: Client, id: string, execd: ExecdHttp, throughServer: boolean, isOwned: boolean): Sandbox {
    return new Sandbox(client, id, execd, throughServer, isOwned);
  }

  /** Runs a command to its end. A failure is a result too, unless `check` is set. */
  run(command: CommandLine, options: RunOptions = {}): Promise<Execution> {
    return this.commands.run(command, options);
  }

  /** Runs a command and gives its events as they come. */
  stream(command: CommandLine, options: StreamOptions = {}): ExecutionStream {
    return this.commands.stream(command, options);
  }

  /** The sandbox as the server sees it now. */
  info(options: CallOptions = {}): Promise<SandboxRecord> {
    return this.client.sandboxes.get(this.id, options);
  }

  /** What the host counts of it: processor time, memory, disk, processes. */
  metrics(options: CallOptions = {}): Promise<Schemas["SandboxMetrics"]> {
    return this.client.http.json("get_sandbox_metrics", this.#parts, options);
  }

  /** What happens to it, as it happens. */
  events(filter: Omit<EventFilter, "sandboxIds" | "metadata"> = {}): AsyncGenerator<SandboxEvent, void, undefined> {
    return follow(this.client.http, { ...filter, sandboxIds: [this.id] });
  }

  /** Freezes it where it is. */
  async pause(options: CallOptions = {}): Promise<void> {
    await this.client.http.done("pause_sandbox", this.#parts, options);
  }

  /** Lets it go on. */
  async resume(options: CallOptions = {}): Promise<void> {
    await this.client.http.done("resume_sandbox", this.#parts, options);
  }

  /** Ends its processes and keeps its files, and its memory if that is wanted and possible. */
  stop(options: CallOptions & { memory?: boolean } = {}): Promise<Schemas["StopSandboxResponse"]> {
    const parts = { ...this.#parts, body: { memory: options.memory ?? false } };
    return this.client.http.json("stop_sandbox", parts, this.#slow(options));
  }

  /** Starts it after it was stopped. */
  async start(options: CallOptions = {}): Promise<Schemas["StartSandboxResponse"]> {
    const answer = await this.client.http.json("start_sandbox", this.#parts, this.#slow(options));
    await this.ready(options);
    return answer;
  }

  /** Waits until it answers. */
  async ready(options: CallOptions = {}): Promise<void> {
    await untilReady(this.client, options, () => this.daemon.ping(options));
  }

  /** Lets it live for so many seconds from now; answers when it will expire. */
  async renew(seconds: number, options: CallOptions = {}): Promise<Date> {
    if (!Number.isFinite(seconds)) throw new ConfigError("a lifetime is a number of seconds");
    const expiresAt = new Date(Date.now() + seconds * 1000).toISOString();
    const parts = { ...this.#parts, body: { expiresAt } };
    return new Date((await this.client.http.json("renew_sandbox_expiration", parts, options)).expiresAt);
  }

  /** Changes labels: a value sets one, null removes it, others stay. */
  setMetadata(patch: Record<string, string | null>, options: CallOptions = {}): Promise<SandboxRecord> {
    return this.client.http.json("patch_sandbox_metadata", { ...this.#parts, body: patch }, options);
  }

  /** Keeps its files as a snapshot, and waits until they are kept. */
  async snapshot(options: CallOptions & { name?: string } = {}): Promise<Snapshot> {
    const { id } = await this.client.snapshots.create(this.id, options);
    return this.client.snapshots.wait(id, options);
  }

  /** Removes it and everything in it. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.client.sandboxes.delete(this.id, options);
  }

  async [asyncDispose](): Promise<void> {
    if (!this.#isOwned) return;
    await this.delete().catch((error: unknown) => {
      // Expired, or deleted inside the block.
      if (!(error instanceof NotFoundError)) throw error;
    });
  }

  get #parts(): { path: { sandboxId: string } } {
    return { path: { sandboxId: this.id } };
  }

  #slow(options: CallOptions): CallOptions & { timeout: number } {
    return { signal: options.signal, timeout: this.client.http.timeouts.create };
  }
}

async function reach(client: Client, id: string, options: ReachOptions, isOwned: boolean): Promise<Sandbox> {
  const throughServer = options.throughServer ?? client.throughServer;
  return untilReady(client, options, async () => {
    const endpoint = await ports(client, id, throughServer).endpoint(EXECD_PORT, options);
    const sandbox = Sandbox.at(client, id, execdHttp(client.reach(endpoint, throughServer)), throughServer, isOwned);
    await sandbox.daemon.ping(options);
    return sandbox;
  });
}

/** Tries until it works, as long as waiting may help: nothing listens yet, or something in between says so. */
async function untilReady<T>(client: Client, options: CallOptions, work: () => Promise<T>): Promise<T> {
  const limit = client.http.timeouts.ready;
  for (const since = Date.now(); ; ) {
    try {
      return await work();
    } catch (error) {
      const isPassing = error instanceof ConnectionError || (error instanceof ApiError && PASSING.has(error.status));
      if (!isPassing || options.signal?.aborted) throw error;
      if (Date.now() - since >= limit) throw new TimeoutError("waiting for the sandbox to answer", limit);
    }
    await sleep(READY_POLL_MS, options.signal);
  }
}
