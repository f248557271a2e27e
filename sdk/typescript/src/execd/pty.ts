import { asyncDispose } from "../dispose.js";
import { ConnectionError, SandkeepError } from "../errors.js";
import { type Camel, camel } from "../transport/case.js";
import type { CallOptions } from "../transport/http.js";
import { Inbox } from "../transport/inbox.js";
import { type Message, type Socket, connect } from "../transport/socket.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** How a terminal is. `outputOffset` counts all bytes it ever wrote. */
export type TerminalStatus = Camel<Schemas["PTYSessionStatusResponse"]>;

/** Signals that a terminal's program can be sent. */
export type TerminalSignal = Schemas["ClientSignal"];

/** What a terminal sends. */
export type TerminalEvent =
  /** Kept output from before, `offset` being the place of its first byte in all output. */
  | { type: "replay"; data: Uint8Array; offset: number }
  | { type: "output"; data: Uint8Array }
  /** Standard error, which only pipes keep apart. */
  | { type: "stderr"; data: Uint8Array };

/** How to attach to a terminal. */
export interface AttachOptions extends CallOptions {
  /** Pipes instead of a terminal, with standard error apart. */
  pipes?: boolean;
  /** Offset of the first output byte to replay. Default: all that is kept. */
  since?: number;
  /** Replaces the client that is attached. */
  takeover?: boolean;
}

/** Programs on terminals, which go on when nobody looks at them. */
export class Terminals {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(http: ExecdHttp) {
    this.#http = http;
  }

  /** Makes a terminal; without a command it runs a shell. The program starts when somebody attaches first. */
  async create(options: CallOptions & { command?: string; cwd?: string } = {}): Promise<Terminal> {
    const { command, cwd } = options;
    const { session_id: id } = await this.#http.json("createPtySession", { body: { command, cwd } }, options);
    return this.get(id);
  }

  /** A terminal somebody made. Nothing is sent. */
  get(id: string): Terminal {
    return new Terminal(this.#http, id);
  }
}

/** A program on a terminal of its own, to leave and to come back to. */
export class Terminal {
  readonly #http: ExecdHttp;

  /** @internal */
  constructor(
    http: ExecdHttp,
    readonly id: string,
  ) {
    this.#http = http;
  }

  /** Whether its program runs, and how much it has written. */
  async status(options: CallOptions = {}): Promise<TerminalStatus> {
    return camel(await this.#http.json("getPtySession", { path: { sessionId: this.id } }, options));
  }

  /** Kills its program and forgets it. */
  async delete(options: CallOptions = {}): Promise<void> {
    await this.#http.done("deletePtySession", { path: { sessionId: this.id } }, options);
  }

  /** Attaches to it, as the only one who is. Detaching leaves the program running. */
  async attach(options: AttachOptions = {}): Promise<TerminalConnection> {
    const query = {
      pty: options.pipes === true ? ("0" as const) : ("1" as const),
      since: options.since,
      takeover: options.takeover === true ? ("1" as const) : undefined,
    };
    const http = this.#http;
    const url = http.url("ptyWebSocket", { path: { sessionId: this.id }, query });
    const connection = new TerminalConnection();
    const sending = { headers: http.config.headers, timeout: http.timeouts.request, signal: options.signal };
    await connection.open((events) => connect(url, sending, events));
    return connection;
  }

  async [asyncDispose](): Promise<void> {
    await this.delete();
  }
}

/** More output than this waits for a reader before the terminal is asked to wait. */
const MAX_WAITING = 1024 * 1024;

const INPUT = 0;
const OUTPUT = 1;
const STDERR = 2;
const REPLAY = 3;

/** An attached terminal: read it in a loop that ends with the program. */
export class TerminalConnection implements AsyncIterable<TerminalEvent> {
  #socket: Socket | undefined;
  readonly #inbox = new Inbox<TerminalEvent>(() => this.#socket?.resume());
  #exitCode: number | undefined;

  /** @internal */
  async open(
    dial: (events: {
      onMessage(m: Message): void;
      onClose(c: number, r: string, e?: unknown): void;
    }) => Promise<Socket>,
  ): Promise<void> {
    const socket = await dial({
      onMessage: (message) => this.#take(message),
      onClose: (code, reason, error) => this.#closed(code, reason, error),
    });
    this.#socket = socket;
    if (this.#inbox.size > MAX_WAITING) socket.pause();
  }

  /** Exit code of the program, once it has ended. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Passes text or bytes to the program's standard input. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const message = new Uint8Array(bytes.length + 1);
    message[0] = INPUT;
    message.set(bytes, 1);
    await this.#send(message);
  }

  /** Tells the program the terminal's new size, in characters. */
  async resize(columns: number, rows: number): Promise<void> {
    await this.#frame({ type: "resize", cols: columns, rows });
  }

  /** Sends the program a signal. */
  async signal(signal: TerminalSignal): Promise<void> {
    await this.#frame({ type: "signal", signal });
  }

  /** Leaves the terminal; its program goes on. */
  detach(): void {
    this.#socket?.close();
    this.#inbox.end();
  }

  /** All output until the program ends, as text. */
  async text(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const event of this) text += decoder.decode(event.data, { stream: true });
    return text + decoder.decode();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TerminalEvent, void, undefined> {
    for (;;) {
      const event = await this.#inbox.next();
      if (event === undefined) return;
      yield event;
    }
  }

  async [asyncDispose](): Promise<void> {
    this.detach();
  }

  async #frame(frame: Schemas["PTYClientFrame"]): Promise<void> {
    await this.#send(JSON.stringify(frame));
  }

  async #send(message: Message): Promise<void> {
    if (this.#socket === undefined) throw new ConnectionError("the terminal is not attached");
    await this.#socket.send(message);
  }

  #take(message: Message): void {
    if (typeof message === "string") return this.#takeFrame(JSON.parse(message) as Schemas["PTYServerFrame"]);
    const data = message.subarray(1);
    if (message[0] === OUTPUT) this.#push({ type: "output", data });
    else if (message[0] === STDERR) this.#push({ type: "stderr", data });
    else if (message[0] === REPLAY) {
      const offset = Number(new DataView(data.buffer, data.byteOffset, data.byteLength).getBigUint64(0));
      this.#push({ type: "replay", data: data.subarray(8), offset });
    }
  }

  #takeFrame(frame: Schemas["PTYServerFrame"]): void {
    if (frame.type === "exit") {
      this.#exitCode = frame.exit_code ?? 0;
      this.#inbox.end();
    } else if (frame.type === "error") {
      this.#inbox.end(new SandkeepError(`the terminal: ${frame.error ?? "no reason given"} (${frame.code})`));
    }
  }

  #push(event: TerminalEvent): void {
    this.#inbox.push(event, event.data.length);
    if (this.#inbox.size > MAX_WAITING) this.#socket?.pause();
  }

  #closed(code: number, reason: string, error: unknown): void {
    const isUsual = code === 1000 || code === 1005;
    this.#inbox.end(
      error ?? (isUsual ? undefined : new ConnectionError(`the terminal was closed: ${reason} (${code})`)),
    );
  }
}
