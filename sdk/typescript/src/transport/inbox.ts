/** What has come and nobody has read yet, for one reader. */
export class Inbox<Item> {
  readonly #items: Item[] = [];
  #wake: (() => void) | undefined;
  #end: { error?: unknown } | undefined;
  #size = 0;

  /** @param onDrain called when everything that came was read */
  constructor(private readonly onDrain: () => void = () => undefined) {}

  /** Bytes or characters that wait. */
  get size(): number {
    return this.#size;
  }

  push(item: Item, size: number): void {
    if (this.#end !== undefined) return;
    this.#items.push(item);
    this.#size += size;
    this.#wake?.();
  }

  /** No more will come; an error is thrown to the reader once he has read the rest. */
  end(error?: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async next(): Promise<Item | undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        if (this.#items.length === 0) {
          this.#size = 0;
          this.onDrain();
        }
        return item;
      }
      if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}
