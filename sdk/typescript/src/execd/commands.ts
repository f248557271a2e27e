import { StreamError } from "../errors.js";
import { type Camel, camel } from "../transport/case.js";
import { type Data, body } from "../transport/data.js";
import type { CallOptions, Opened } from "../transport/http.js";
import type { Execution, Listeners } from "./execution.js";
import { type Control, ExecutionStream } from "./stream.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** A command: text for the sandbox's shell, or a program and its arguments without a shell. */
export type CommandLine = string | readonly string[];

/** How a command runs. */
export interface CommandOptions extends CallOptions {
  /** Directory to run in. */
  cwd?: string;
  /** Variables on top of the sandbox's environment. */
  env?: Record<string, string>;
  /** When the command and everything it started are killed, in milliseconds. Default: never. */
  timeoutMs?: number;
  /** Run as this user and, unless given, the user's own group. */
  uid?: number;
  /** Group to run as. Default: the user's own. */
  gid?: number;
}

/** The same for one whose events are wanted. */
export interface StreamOptions extends CommandOptions {
  /** Whether it has a standard input to be written to; otherwise that is empty. */
  stdin?: boolean;
}

/** The same for one that is run to its end. */
export interface RunOptions extends CommandOptions, Listeners {
  /** All of its standard input. */
  input?: Data;
  /** Whether a failure is thrown instead of returned. */
  check?: boolean;
}

/** How a command is. */
export type CommandStatus = Camel<Schemas["CommandStatusResponse"]>;

/** A command in a list. */
export type CommandSummary = Camel<Schemas["CommandSummary"]>;

/** Output of a background command from some point on. */
export interface CommandLogs {
  /** Standard output and standard error as they came. */
  text: string;
  /** Where to go on reading. */
  cursor: number;
}

/** Commands in a sandbox. */
export class Commands {
  readonly #http: ExecdHttp;
  readonly #control: Control;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
    this.#control = {
      interrupt: (id) => this.interrupt(id),
      write: async (id, data, close) => void (await this.writeStdin(id, data, { close })),
    };
  }

  /** Runs a command to its end. A failure is a result too, unless `check` is set. */
  async run(command: CommandLine, options: RunOptions = {}): Promise<Execution> {
    const { input, check } = options;
    const stream = this.stream(command, { ...options, stdin: input !== undefined });
    const writing = input === undefined ? undefined : feed(stream, input);
    const result = await stream.result(options);
    await writing;
    return check === true ? result.check() : result;
  }

  /** Runs a command and gives its events as they come. */
  stream(command: CommandLine, options: StreamOptions = {}): ExecutionStream {
    const request = { ...this.#request(command, options), stdin: options.stdin ?? false };
    return new ExecutionStream(this.#http, () => this.#post(request), this.#control, options.signal);
  }

  /** Starts a command in the background. */
  async start(command: CommandLine, options: CommandOptions = {}): Promise<BackgroundCommand> {
    const request = { ...this.#request(command, options), background: true };
    const open = (): Promise<Opened> => this.#post(request);
    const stream = new ExecutionStream(this.#http, open, this.#control, options.signal);
    const { id } = await stream.result();
    return new BackgroundCommand(this, id);
  }

  /** Comes back to a command, running or ended: its events after the first `offset` bytes of its output. */
  attach(id: string, options: CallOptions & { offset?: number } = {}): ExecutionStream {
    const open = (): Promise<Opened> =>
      this.#http.open("attachCommand", { path: { id }, query: { offset: options.offset ?? 0 } }, options);
    // Leaving a command one came back to leaves it alone, however one leaves.
    return new ExecutionStream(this.#http, open, this.#control, undefined);
  }

  /** Running commands and remembered ones, the last one started first. */
  async list(options: CallOptions & { running?: boolean; limit?: number } = {}): Promise<CommandSummary[]> {
    const { running, limit } = options;
    return camel(await this.#http.json("listCommands", { query: { running, limit } }, options));
  }

  /**
   * Whether a command still runs, and how it ended.
   *
   * @throws NotFoundError if there is none of this id
   */
  async status(id: string, options: CallOptions = {}): Promise<CommandStatus> {
    return camel(await this.#http.json("getCommandStatus", { path: { id } }, options));
  }

  /** Output of a background command from `cursor` on, 0 being its beginning. */
  async logs(id: string, options: CallOptions & { cursor?: number } = {}): Promise<CommandLogs> {
    const query = { cursor: options.cursor ?? 0 };
    const answer = await this.#http.textAndHeaders("getBackgroundCommandLogs", { path: { id }, query }, options);
    return { text: answer.text, cursor: cursorOf(answer.headers, "execd-commands-tail-cursor") };
  }

  /** Writes to the standard input of a command that has one; waits while the command does not read. */
  async writeStdin(
    id: string,
    data: Data,
    options: CallOptions & { close?: boolean } = {},
  ): Promise<Schemas["StdinWritten"]> {
    const sent = {
      ...options,
      raw: await body(data),
      headers: { "content-type": "application/octet-stream" },
      timeout: this.#http.timeouts.create,
    };
    return this.#http.json("writeCommandStdin", { path: { id }, query: { close: options.close ?? false } }, sent);
  }

  /** Ends a command: politely first, by force after three seconds. */
  async interrupt(id: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("interruptCommand", { query: { id } }, options);
  }

  #post(request: Schemas["RunCommandRequest"]): Promise<Opened> {
    return this.#http.open("runCommand", { body: request });
  }

  #request(command: CommandLine, options: CommandOptions): Schemas["RunCommandRequest"] {
    const line = typeof command === "string" ? { command } : { argv: [...command] };
    const timeout = options.timeoutMs === undefined ? undefined : Math.max(1, Math.ceil(options.timeoutMs));
    return { ...line, cwd: options.cwd, envs: options.env, timeout, uid: options.uid, gid: options.gid };
  }
}

/** A command that runs on its own. */
export class BackgroundCommand {
  /** @internal */
  constructor(
    private readonly commands: Commands,
    readonly id: string,
  ) {}

  /** Whether it still runs, and how it ended. */
  status(options: CallOptions = {}): Promise<CommandStatus> {
    return this.commands.status(this.id, options);
  }

  /** What it has printed, from `cursor` bytes on. Default: from its beginning. */
  logs(options: CallOptions & { cursor?: number } = {}): Promise<CommandLogs> {
    return this.commands.logs(this.id, options);
  }

  /** Its events so far and as they come; both outputs come as `stdout`. */
  attach(options: CallOptions & { offset?: number } = {}): ExecutionStream {
    return this.commands.attach(this.id, options);
  }

  /**
   * Ends it: politely first, by force after three seconds.
   *
   * @throws ConflictError if it had ended
   */
  interrupt(options: CallOptions = {}): Promise<void> {
    return this.commands.interrupt(this.id, options);
  }

  /** Waits for its end. */
  wait(listeners: Listeners & CallOptions = {}): Promise<Execution> {
    return this.attach(listeners).result(listeners);
  }
}

/** What the daemon says about where to go on reading. */
export function cursorOf(headers: Headers, name: string): number {
  const cursor = Number(headers.get(name) ?? Number.NaN);
  if (!Number.isInteger(cursor)) throw new StreamError(`the header ${name} is missing`);
  return cursor;
}

/** A command may end without reading all of its input, and is then gone for the writer. */
async function feed(stream: ExecutionStream, input: Data): Promise<void> {
  await stream.closeStdin(input).catch(() => undefined);
}
