import { TimeoutError } from "../errors.js";

/** The limit of every wait, in milliseconds. */
export interface Timeouts {
  /** Until an ordinary request is answered in full. Default: 30 s. */
  request: number;
  /** Until a sandbox is created, stopped or started, or an image is there. Default: 10 min. */
  create: number;
  /** Until a fresh sandbox answers. Default: 30 s. */
  ready: number;
  /** Longest silence within a stream or transfer; event streams carry a sign of life every 3 s. Default: 30 s. */
  idle: number;
}

export const DEFAULT_TIMEOUTS: Timeouts = { request: 30_000, create: 600_000, ready: 30_000, idle: 30_000 };

/**
 * The signal of one request: aborted by the caller's, or when a limit is reached that can be set again and again while
 * a stream goes on. Lighter than `AbortSignal.any` with `AbortSignal.timeout`, and it leaves nothing behind.
 */
export class Watch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer?.aborted) this.#controller.abort(outer.reason);
    else outer?.addEventListener("abort", this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Starts the limit anew; an infinite one is none. */
  limit(what: string, milliseconds: number): void {
    clearTimeout(this.#timer);
    if (milliseconds === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new TimeoutError(what, milliseconds));
    }, milliseconds);
  }

  /** Takes the limit back until the next is set. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Nothing is waited for any more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onAbort);
  }

  /** Breaks the request off. */
  abort(reason: unknown): void {
    this.end();
    this.#controller.abort(reason);
  }

  readonly #onAbort = (): void => {
    clearTimeout(this.#timer);
    this.#controller.abort(this.#outer?.reason);
  };
}

/** Waits, unless the signal is aborted first. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The outcome of `work`, or the signal's reason as soon as it is aborted. The work itself goes on. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
