/** A value that code has shown, in the forms its language gave it. */
export class RichResult {
  constructor(
    /** By MIME type; plain text is under `text`. Binary forms are base64. */
    readonly data: Readonly<Record<string, unknown>>,
  ) {}

  get text(): string | undefined {
    return this.#string("text") ?? this.#string("text/plain");
  }

  get html(): string | undefined {
    return this.#string("text/html");
  }

  get markdown(): string | undefined {
    return this.#string("text/markdown");
  }

  get svg(): string | undefined {
    return this.#string("image/svg+xml");
  }

  get json(): unknown {
    return this.data["application/json"];
  }

  get png(): Uint8Array | undefined {
    return this.bytes("image/png");
  }

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
