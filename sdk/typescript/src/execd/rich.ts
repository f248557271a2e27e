/** A value that code has shown, in the forms its language gave it. */
export class RichResult {
  constructor(
    /** By MIME type; plain text is under `text`. Binary forms are base64. */
    readonly data: Readonly<Record<string, unknown>>,
  ) {}

  /** As plain text. */
  get text(): string | undefined {
    return this.#string("text") ?? this.#string("text/plain");
  }

  /** As HTML: a table, for instance. */
  get html(): string | undefined {
    return this.#string("text/html");
  }

  /** As Markdown. */
  get markdown(): string | undefined {
    return this.#string("text/markdown");
  }

  /** As a drawing. */
  get svg(): string | undefined {
    return this.#string("image/svg+xml");
  }

  /** As data. */
  get json(): unknown {
    return this.data["application/json"];
  }

  /** As a picture, decoded. */
  get png(): Uint8Array | undefined {
    return this.bytes("image/png");
  }

  /** As a picture, decoded. */
  get jpeg(): Uint8Array | undefined {
    return this.bytes("image/jpeg");
  }

  /** A binary form, decoded. */
  bytes(type: string): Uint8Array | undefined {
    const encoded = this.#string(type);
    return encoded === undefined
      ? undefined
      : Uint8Array.from(atob(encoded.replace(/\s/g, "")), (c) => c.charCodeAt(0));
  }

  #string(type: string): string | undefined {
    const value = this.data[type];
    return typeof value === "string" ? value : undefined;
  }
}
