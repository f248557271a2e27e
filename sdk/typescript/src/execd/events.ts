import { StreamError, apiError } from "../errors.js";
import { type Frame, FrameDecoder, frames } from "../transport/frames.js";
import { type Opened } from "../transport/http.js";
import { explain } from "../transport/refusal.js";
import type { Schemas } from "./wire.js";

type WireEvent = Schemas["ServerStreamEvent"];

/** How a command or piece of code failed. */
export interface ExecutionFailure {
  /** Name of the error: `CommandExecError`, or the language's own, such as `ZeroDivisionError`. */
  name: string;
  /** Its message; for a command the exit code. */
  value: string;
  /** Lines of the language's trace. */
  traceback: string[];
}

/** What happens while a command or piece of code runs. */
export type ExecutionEvent =
  /** It runs. `id` names the command, session or code context. */
  | { type: "start"; id: string }
  /** Output, with its own line ends. `offset` is there after coming back to a command: where in its output this ends. */
  | { type: "stdout" | "stderr"; text: string; offset?: number }
  /** A value by MIME type; plain text is under `text`. */
  | { type: "result"; data: Record<string, unknown> }
  /** A note of the daemon, such as that a shell's state was lost. */
  | { type: "status"; text: string }
  /** Number of this execution in its code context, from 1. */
  | { type: "count"; count: number }
  | { type: "error"; error: ExecutionFailure; timedOut: boolean }
  /** It ended without an error, after so many milliseconds. */
  | { type: "end"; durationMs: number };

/** The event that a wire event stands for; signs of life stand for none. */
export function translate(wire: WireEvent): ExecutionEvent | undefined {
  const text = wire.text ?? "";
  switch (wire.type) {
    case "init":
      return { type: "start", id: text };
    case "stdout":
    case "stderr":
      return wire.offset === undefined ? { type: wire.type, text } : { type: wire.type, text, offset: wire.offset };
    case "result":
      return { type: "result", data: (wire.results ?? {}) as Record<string, unknown> };
    case "status":
      return { type: "status", text };
    case "execution_count":
      return { type: "count", count: wire.execution_count ?? 0 };
    case "error": {
      const { ename, evalue, traceback } = wire.error ?? {};
      const error = { name: ename ?? "Error", value: evalue ?? text, traceback: traceback ?? [] };
      return { type: "error", error, timedOut: wire.timed_out === true };
    }
    case "execution_complete":
      return { type: "end", durationMs: wire.execution_time ?? 0 };
    default:
      return undefined;
  }
}

/** A frame's event, or the error that a daemon put into the stream when it failed midway. */
export function parse(frame: Frame): WireEvent {
  let value: Partial<WireEvent> & { code?: unknown };
  try {
    value = JSON.parse(frame.data) as typeof value;
  } catch (cause) {
    throw new StreamError("an event is not JSON", { cause });
  }
  if (typeof value.type === "string") return value as WireEvent;
  // The stream's status was sent long ago; 500 stands for a failure that came later.
  if (typeof value.code === "string") throw apiError(explain(500, frame.data));
  throw new StreamError("an event has no type");
}

/** The events of a stream. Daemons that cut line ends off get them back. */
export async function* executionEvents(
  opened: Opened,
  base: string,
  idle: number,
): AsyncGenerator<ExecutionEvent, void, undefined> {
  const decoder = new FrameDecoder();
  const seams: Record<string, string> = {};
  for await (const frame of frames(opened, base, idle, decoder)) {
    const event = translate(parse(frame));
    if (event === undefined) continue;
    if (!decoder.events && (event.type === "stdout" || event.type === "stderr")) {
      event.text = mend(seams[event.type], event.text);
      seams[event.type] = event.text;
    }
    yield event;
  }
}

/** A line end between two texts that have none at their seam. */
function mend(before: string | undefined, text: string): string {
  const seamless = before === undefined || before === "" || /[\r\n]$/.test(before) || /^[\r\n]/.test(text);
  return seamless ? text : `\n${text}`;
}
