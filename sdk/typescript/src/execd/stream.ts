import { StreamError } from "../errors.js";
import type { Data } from "../transport/data.js";
import type { Opened } from "../transport/http.js";
import { unlessAborted } from "../transport/limits.js";
import type { ExecutionEvent } from "./events.js";
import { executionEvents } from "./events.js";
import { type Execution, type Listeners, collect } from "./execution.js";
import type { ExecdHttp } from "./wire.js";

/** What can be done with an execution beside reading its events. */
export interface Control {
  /** Ends what runs. Without it, what runs ends with the connection. */
  interrupt?: (id: string) => Promise<void>;
  /** Writes to the standard input; only commands have one. */
  write?: (id: string, data: Data, close: boolean) => Promise<void>;
}

/**
 * A command or piece of code that runs. Begins when it is first read or asked for its id. Read it in a loop, or wait
 * for {@link ExecutionStream.result}; either once. Leaving the loop of a command leaves the command alone; aborting the
 * signal ends it, and the loop or result fails with the signal's reason once it has ended.
 */
export class ExecutionStream implements AsyncIterable<ExecutionEvent> {
  readonly #http: ExecdHttp;
  readonly #open: () => Promise<Opened>;
  readonly #control: Control;
  readonly #signal: AbortSignal | undefined;
  #opened: Opened | undefined;
  #events: AsyncGenerator<ExecutionEvent, void, undefined> | undefined;
  #pending: Promise<IteratorResult<ExecutionEvent, void>> | undefined;
  #id: string | undefined;
  #started: Promise<void> | undefined;
  /** Events up to the one with the id, which writers wait for beside the reader. */
  readonly #early: ExecutionEvent[] = [];

  /** @internal */
  constructor(http: ExecdHttp, open: () => Promise<Opened>, control: Control, signal: AbortSignal | undefined) {
    this.#http = http;
    this.#open = open;
    this.#control = control;
    this.#signal = signal;
  }

  /** The id of the command, session or code context, once it runs. */
  async id(): Promise<string> {
    await this.#start();
    if (this.#id === undefined) throw new StreamError("the stream named no id");
    return this.#id;
  }

  /** Writes to the command's standard input; waits while the command does not read. */
  async write(data: Data): Promise<void> {
    await this.#write(data, false);
  }

  /** Closes the command's standard input, after writing `data` if there is any. */
  async closeStdin(data: Data = ""): Promise<void> {
    await this.#write(data, true);
  }

  /** Ends what runs: politely first, by force after three seconds. */
  async interrupt(): Promise<void> {
    const id = await this.id();
    if (this.#control.interrupt !== undefined) await this.#control.interrupt(id);
    else this.#opened?.watch.abort(new DOMException("the execution was interrupted", "AbortError"));
  }

  /** What became of it, once it has ended. */
  result(listeners: Listeners = {}): Promise<Execution> {
    return collect(this, listeners);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ExecutionEvent, void, undefined> {
    try {
      await this.#start();
      yield* this.#early.splice(0);
      for (let next = await this.#next(); !next.done; next = await this.#next()) yield next.value;
    } finally {
      await this.#events?.return();
    }
  }

  #start(): Promise<void> {
    this.#started ??= (async () => {
      while (this.#id === undefined) {
        const next = await this.#next();
        if (next.done) return;
        this.#early.push(next.value);
      }
    })();
    return this.#started;
  }

  async #next(): Promise<IteratorResult<ExecutionEvent, void>> {
    const signal = this.#signal;
    if (signal === undefined) return this.#advance();
    if (!signal.aborted) {
      this.#pending = this.#advance();
      try {
        return await unlessAborted(this.#pending, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    await this.#abandon(signal);
    throw signal.reason;
  }

  async #advance(): Promise<IteratorResult<ExecutionEvent, void>> {
    if (this.#events === undefined) {
      this.#opened = await this.#open();
      this.#events = executionEvents(this.#opened, this.#http.config.base, this.#http.timeouts.idle);
    }
    const next = await this.#events.next();
    if (!next.done && next.value.type === "start") this.#id = next.value.id;
    return next;
  }

  /** The caller has lost interest. A request under way may have started something: its id is waited for. */
  async #abandon(signal: AbortSignal): Promise<void> {
    if (this.#pending === undefined && this.#events === undefined) return;
    try {
      if (this.#control.interrupt === undefined) return;
      while (this.#id === undefined) {
        const next = await (this.#pending ?? this.#advance());
        this.#pending = undefined;
        if (next.done) return;
      }
      await this.#control.interrupt(this.#id);
    } catch {
      // What cannot be ended any more has ended by itself, or is out of reach.
    } finally {
      this.#opened?.watch.abort(signal.reason);
    }
  }

  async #write(data: Data, close: boolean): Promise<void> {
    if (this.#control.write === undefined) throw new TypeError("only commands have a standard input");
    await this.#control.write(await this.id(), data, close);
  }
}
