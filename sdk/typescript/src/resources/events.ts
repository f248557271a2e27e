import { ApiError, ConnectionError } from "../errors.js";
import { frames } from "../transport/frames.js";
import type { CallOptions } from "../transport/http.js";
import { sleep } from "../transport/limits.js";
import type { LifecycleHttp, Schemas } from "../wire.js";
import { labelFilter } from "./pages.js";

/** Something that happened to a sandbox. `details` depend on the type. */
export type SandboxEvent = Schemas["SandboxEvent"];

/** Which events. */
export interface EventFilter extends CallOptions {
  /** Only of these sandboxes. */
  sandboxIds?: string[];
  /** Only of sandboxes with all of these labels. */
  metadata?: Record<string, string>;
  /** Such as `sandbox.state`. */
  types?: string[];
  /** Goes on after the event of this number; 0 begins with the oldest that is kept. Default: with what happens next. */
  after?: number;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Events as they happen, without end. When the connection breaks it is made again and goes on after the last event, so
 * that none is missed; a server that refuses is an error.
 */
export async function* follow(http: LifecycleHttp, filter: EventFilter): AsyncGenerator<SandboxEvent, void, undefined> {
  const { sandboxIds: sandboxId, types: type, signal } = filter;
  const query = { sandboxId, type, metadata: labelFilter(filter.metadata) };
  let last = filter.after;
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    try {
      const opened = await http.open("follow_events", { query: { ...query, lastEventId: last } }, { signal });
      for await (const frame of frames(opened, http.config.base, http.timeouts.idle)) {
        const event = JSON.parse(frame.data) as SandboxEvent;
        last = event.id;
        pause = FIRST_PAUSE_MS;
        yield event;
      }
    } catch (error) {
      const isPassing = error instanceof ConnectionError || (error instanceof ApiError && error.status >= 500);
      // Before the first event there is no place to go on from: what came meanwhile would be missing.
      if (!isPassing || last === undefined || signal?.aborted) throw error;
    }
    signal?.throwIfAborted();
    await sleep(pause, signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}
