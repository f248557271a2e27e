import { StreamError } from "../errors.js";

/** Hands out the bytes of chunks in other portions than they came in. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At most `most` bytes; nothing at the end. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) return undefined;
      this.#held = value;
    }
    const part = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(part.length);
    return part;
  }

  /** Exactly `length` bytes; nothing if the end comes right away. */
  async exactly(length: number): Promise<Uint8Array | undefined> {
    const whole = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const part = await this.some(length - filled);
      if (part === undefined) {
        if (filled === 0) return undefined;
        throw new StreamError("the archive ends in the middle of an entry");
      }
      whole.set(part, filled);
      filled += part.length;
    }
    return whole;
  }

  /** Reads `length` bytes that nobody wants. */
  async skip(length: number): Promise<void> {
    let left = length;
    while (left > 0) {
      const part = await this.some(left);
      if (part === undefined) throw new StreamError("the archive ends in the middle of an entry");
      left -= part.length;
    }
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
