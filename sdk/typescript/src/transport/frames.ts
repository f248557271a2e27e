import { StreamError } from "../errors.js";
import { type Opened, failure } from "./http.js";

/** The longest frame that is taken in; a daemon's own events stay far below. */
const MAX_FRAME = 64 * 1024 * 1024;

/** A frame of an event stream: its JSON text, and for server-sent events its number. */
export interface Frame {
  data: string;
  id?: string | undefined;
}

/** Takes text in and gives frames out; knows nothing of sockets. */
export class FrameDecoder {
  /** Whether the stream is server-sent events, rather than a JSON object a line as older daemons send them. */
  events: boolean | undefined;
  #rest = "";
  /** Where in `#rest` the search for a line's end goes on. */
  #searched = 0;
  #data: string | undefined;
  #id: string | undefined;
  #frames: Frame[] = [];

  push(text: string): Frame[] {
    this.#rest = this.#rest === "" ? text : this.#rest + text;
    let from = 0;
    let end = this.#rest.indexOf("\n", this.#searched);
    while (end >= 0) {
      this.#line(this.#rest.slice(from, this.#rest[end - 1] === "\r" && end > from ? end - 1 : end));
      from = end + 1;
      end = this.#rest.indexOf("\n", from);
    }
    this.#rest = from === 0 ? this.#rest : this.#rest.slice(from);
    this.#searched = this.#rest.length;
    if (this.#rest.length + (this.#data?.length ?? 0) > MAX_FRAME) {
      throw new StreamError(`an event is longer than ${MAX_FRAME} characters`);
    }
    return this.#take();
  }

  /** The stream has ended: an object without a line's end counts, an event without its blank line does not. */
  finish(): Frame[] {
    this.#line(this.#rest.replace(/\r$/, ""));
    this.#rest = "";
    return this.#take();
  }

  #take(): Frame[] {
    const frames = this.#frames;
    if (frames.length > 0) this.#frames = [];
    return frames;
  }

  #line(line: string): void {
    if (this.events === undefined) {
      const start = line.trimStart();
      if (start === "") return;
      this.events = !start.startsWith("{") && !start.startsWith("[");
    }
    // A daemon that fails within a stream of events may leave a bare error object behind.
    if (!this.events || line.startsWith("{")) {
      if (line.trim() !== "") this.#frames.push({ data: line });
      return;
    }
    if (line === "") {
      if (this.#data !== undefined) this.#frames.push({ data: this.#data, id: this.#id });
      this.#data = undefined;
      this.#id = undefined;
    } else if (line.startsWith("data:")) {
      const data = line.slice(line[5] === " " ? 6 : 5);
      this.#data = this.#data === undefined ? data : `${this.#data}\n${data}`;
    } else if (line.startsWith("id:")) {
      this.#id = line.slice(3).trim();
    }
  }
}

/** The frames of an event stream as they come. Leaving the loop closes the connection. */
export async function* frames(
  opened: Opened,
  base: string,
  idle: number,
  decoder = new FrameDecoder(),
): AsyncGenerator<Frame, void, undefined> {
  const text = new TextDecoder();
  for await (const chunk of chunks(opened, base, idle)) {
    yield* decoder.push(text.decode(chunk, { stream: true }));
  }
  yield* decoder.push(text.decode());
  yield* decoder.finish();
}

/** The bytes of an answer as they come. Leaving the loop closes the connection. */
export async function* chunks(
  { response, watch }: Opened,
  base: string,
  idle: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  let ended = reader === undefined;
  try {
    while (reader !== undefined) {
      watch.limit("the next part of a stream", idle);
      const { done, value } = await reader.read();
      // However long the reader takes with it, that is no silence of the server.
      watch.pause();
      ended = done;
      if (done) return;
      yield value;
    }
  } catch (cause) {
    ended = true;
    throw failure(cause, watch, base);
  } finally {
    if (ended) watch.end();
    else watch.abort(new DOMException("the reader left", "AbortError"));
  }
}
