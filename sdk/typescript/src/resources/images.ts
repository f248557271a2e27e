import { type Data, body } from "../transport/data.js";
import { chunks } from "../transport/frames.js";
import type { CallOptions } from "../transport/http.js";
import type { LifecycleHttp, Schemas } from "../wire.js";

/** An image that is ready for use. */
export type Image = Schemas["StoredImage"];

/** The images that are unpacked on the server. */
export class Images {
  readonly #http: LifecycleHttp;

  /** @internal */
  constructor(http: LifecycleHttp) {
    this.#http = http;
  }

  /** All of them. */
  async list(options: CallOptions = {}): Promise<Image[]> {
    return (await this.#http.json("list_images", {}, options)).items;
  }

  /** Fetches an image from its registry, also if one of that name is there already. */
  pull(uri: string, options: CallOptions & Omit<Schemas["PullImageRequest"], "uri"> = {}): Promise<Image> {
    const { auth, platform } = options;
    return this.#http.json("pull_image", { body: { uri, auth, platform } }, this.#slow(options));
  }

  /** Sends an image to a registry, under another name if `target` says so; answers where it is. */
  async push(
    reference: string,
    options: CallOptions & Omit<Schemas["PushImageRequest"], "reference"> = {},
  ): Promise<string> {
    const { auth, target } = options;
    const sent = await this.#http.json("push_image", { body: { reference, auth, target } }, this.#slow(options));
    return sent.reference;
  }

  /** Takes in a docker archive or OCI layout as tar. `names` stand for those in the archive. */
  async import(archive: Data, options: CallOptions & { names?: string[] } = {}): Promise<Image[]> {
    const sent = { ...this.#slow(options), raw: await body(archive), headers: { "content-type": "application/x-tar" } };
    return (await this.#http.json("import_images", { query: { name: options.names } }, sent)).items;
  }

  /** An image as tar archive; one that breaks off with an error is none. */
  async *export(reference: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const opened = await this.#http.open("export_image", { query: { reference } }, this.#slow(options));
    yield* chunks(opened, this.#http.config.base, this.#http.timeouts.idle);
  }

  /** Takes a name away, and the image with its last name. */
  async delete(reference: string, options: CallOptions = {}): Promise<void> {
    await this.#http.done("delete_image", { path: { reference } }, options);
  }

  #slow(options: CallOptions): CallOptions & { timeout: number } {
    return { signal: options.signal, timeout: this.#http.timeouts.create };
  }
}
