import { isNode } from "./runtime.js";

/** What can be sent as a file or as input. */
export type Data =
  | string
  | Uint8Array
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array | string>;

const encoder = new TextEncoder();

/** Data that is all there already, or a stream of it. */
export function settle(data: Data): Blob | ReadableStream<Uint8Array> {
  if (data instanceof Blob || data instanceof ReadableStream) return data;
  if (typeof data === "string" || data instanceof ArrayBuffer) return new Blob([data]);
  if (data instanceof Uint8Array) return new Blob([data as Uint8Array<ArrayBuffer>]);
  return streamOf(data);
}

/** The body of a request. Browsers send streams only over some connections, so there they are gathered first. */
export async function body(data: Data): Promise<Blob | ReadableStream<Uint8Array>> {
  const settled = settle(data);
  return settled instanceof ReadableStream && !isNode ? gather(settled) : settled;
}

/** A stream of what an iterable gives, pulled as it is read. */
export function streamOf(parts: AsyncIterable<Uint8Array | string>): ReadableStream<Uint8Array> {
  const iterator = parts[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else if (value.length > 0) controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

/** The chunks of a stream. Not every browser's streams are iterable. */
export async function* chunksOf(data: Blob | ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = (data instanceof Blob ? data.stream() : data).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // Harmless at the end of the stream; before it, the source learns that nobody reads on.
    await reader.cancel().catch(() => undefined);
  }
}

async function gather(stream: ReadableStream<Uint8Array>): Promise<Blob> {
  return new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).blob();
}

/** A part of a form: every one of ours is a file. */
export interface FormPart {
  name: string;
  filename: string;
  type: string;
  data: Data;
}

/** A body that is not JSON. */
export type RawBody = Blob | FormData | ReadableStream<Uint8Array>;

/** A multipart body. What has a known length is sent by the platform's own forms, streams by a form of ours. */
export async function form(parts: FormPart[]): Promise<{ raw: RawBody; headers: Record<string, string> }> {
  const settled = await Promise.all(parts.map(async (part) => ({ ...part, data: await body(part.data) })));
  if (settled.every((part) => part.data instanceof Blob)) {
    const raw = new FormData();
    for (const { name, filename, type, data } of settled) {
      raw.append(name, new Blob([data as Blob], { type }), filename);
    }
    return { raw, headers: {} };
  }
  const boundary = `sandkeep-${crypto.randomUUID()}`;
  return {
    raw: streamOf(formChunks(settled, boundary)),
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  };
}

interface SettledPart extends FormPart {
  data: Blob | ReadableStream<Uint8Array>;
}

async function* formChunks(parts: SettledPart[], boundary: string): AsyncGenerator<Uint8Array | string> {
  for (const { name, filename, type, data } of parts) {
    const shown = filename.replace(/[\r\n"]/g, (character) => encodeURIComponent(character));
    yield `--${boundary}\r\ncontent-disposition: form-data; name="${name}"; filename="${shown}"\r\n`;
    yield `content-type: ${type}\r\n\r\n`;
    yield* chunksOf(data);
    yield "\r\n";
  }
  yield `--${boundary}--\r\n`;
}
