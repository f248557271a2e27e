import { ExecutionFailedError, StreamError } from "../errors.js";
import type { ExecutionEvent, ExecutionFailure } from "./events.js";
import { RichResult } from "./rich.js";

/** Functions that hear of output as it comes. */
export interface Listeners {
  /** Hears of standard output. */
  onStdout?: ((text: string) => void) | undefined;
  /** Hears of standard error. */
  onStderr?: ((text: string) => void) | undefined;
  /** Every event, output included. */
  onEvent?: ((event: ExecutionEvent) => void) | undefined;
}

/** What became of a command or piece of code. */
export class Execution {
  /** Id of the command, session or code context. */
  id = "";
  stdout = "";
  stderr = "";
  /** Values that code has shown, in their order. */
  results: RichResult[] = [];
  /** How it failed, if it did. */
  error: ExecutionFailure | undefined;
  /** Whether its time limit ended it. */
  timedOut = false;
  /** How long it took, as the daemon measured it in whole milliseconds. */
  durationMs: number | undefined;
  /** Number of this execution in its code context. */
  count: number | undefined;
  #completed = false;

  /** Exit status of a command: 128 + N after signal N; undefined when it could not start or ran out of time. */
  get exitCode(): number | undefined {
    if (this.error === undefined) return this.#completed ? 0 : undefined;
    return /^\d+$/.test(this.error.value) ? Number(this.error.value) : undefined;
  }

  /** Whether it ended without an error. */
  get ok(): boolean {
    return this.error === undefined && this.#completed;
  }

  /** Plain text of the last value, for code that ends in an expression. */
  get text(): string | undefined {
    return this.results.at(-1)?.text;
  }

  /** This, or an error if it failed. */
  check(): this {
    if (this.ok) return this;
    const tail = this.stderr.trimEnd().split("\n").slice(-5).join("\n");
    throw new ExecutionFailedError(tail === "" ? this.#ending() : `${this.#ending()}\n${tail}`, this);
  }

  #ending(): string {
    if (this.timedOut) return "it ran out of time";
    if (this.error === undefined) return "it ended without saying how";
    return this.exitCode === undefined ? `${this.error.name}: ${this.error.value}` : `exit code ${this.exitCode}`;
  }

  /** @internal Takes one event in. */
  add(event: ExecutionEvent): void {
    switch (event.type) {
      case "start":
        this.id = event.id;
        break;
      case "stdout":
      case "stderr":
        this[event.type] += event.text;
        break;
      case "result":
        this.results.push(new RichResult(event.data));
        break;
      case "count":
        this.count = event.count;
        break;
      case "error":
        this.error = event.error;
        this.timedOut ||= event.timedOut;
        break;
      case "end":
        this.#completed = true;
        this.durationMs = event.durationMs;
        break;
      case "status":
        break;
    }
  }

  /** @internal The outcome, provided the stream said how it ended. */
  finish(): this {
    if (this.#completed || this.error !== undefined) return this;
    throw new StreamError("the stream ended before the execution did");
  }
}

/** Gathers events to their end. */
export async function collect(events: AsyncIterable<ExecutionEvent>, listeners: Listeners): Promise<Execution> {
  const execution = new Execution();
  for await (const event of events) {
    execution.add(event);
    if (event.type === "stdout") listeners.onStdout?.(event.text);
    else if (event.type === "stderr") listeners.onStderr?.(event.text);
    listeners.onEvent?.(event);
  }
  return execution.finish();
}
