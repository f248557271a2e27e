import { type Data, body, streamOf } from "../transport/data.js";
import { chunks } from "../transport/frames.js";
import type { CallOptions } from "../transport/http.js";
import { Files, type WatchEvent, watchEvents } from "./files.js";
import { type NewTreeEntry, type TreeEntry, pack, unpack } from "./tar.js";
import type { ExecdHttp, Schemas } from "./wire.js";

/** How far a transfer of a directory tree is. */
export interface TreeProgress {
  /** The entry it is at. */
  path: string;
  /** Entries begun so far. */
  entries: number;
  /** Bytes of their contents so far. */
  bytes: number;
}

/** How a tree travels. */
export interface TreeOptions extends CallOptions {
  /** Hears how far it is. */
  onProgress?: ((progress: TreeProgress) => void) | undefined;
}

/** The files of a sandbox: beside single files, whole directory trees, news of changes, and other identities. */
export class SandboxFiles extends Files {
  /** @internal */
  constructor(http: ExecdHttp) {
    super(http);
  }

  /** The same files with the rights of a user and group inside the sandbox. */
  as(uid: number, gid: number): Files {
    return new Files(this.http, { prefix: "identity", path: { uid, gid } });
  }

  /** Everything in a directory as a tar archive. */
  async *downloadArchive(path: string, options: CallOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const opened = await this.http.open("getDirectoryArchive", { query: { path } }, options);
    yield* chunks(opened, this.http.config.base, this.http.timeouts.idle);
  }

  /** Unpacks a tar archive into a directory, which is made if it is missing. */
  async uploadArchive(path: string, archive: Data, options: CallOptions = {}): Promise<Schemas["ArchiveSummary"]> {
    const sent = {
      ...options,
      raw: await body(archive),
      headers: { "content-type": "application/x-tar" },
      timeout: this.http.timeouts.create,
    };
    return this.http.json("putDirectoryArchive", { query: { path } }, sent);
  }

  /** Everything in a directory, entry by entry. */
  async *downloadTree(path: string, options: TreeOptions = {}): AsyncGenerator<TreeEntry, void, undefined> {
    const report = reporter(options);
    for await (const entry of unpack(this.downloadArchive(path, options))) {
      report(entry.path, 0);
      const content = entry.content;
      const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
        for await (const chunk of content) {
          report(entry.path, chunk.length);
          yield chunk;
        }
      };
      yield { ...entry, content: { [Symbol.asyncIterator]: watched } };
    }
  }

  /** Puts entries into a directory, with one request however many they are. */
  uploadTree(
    path: string,
    entries: AsyncIterable<NewTreeEntry> | Iterable<NewTreeEntry>,
    options: TreeOptions = {},
  ): Promise<Schemas["ArchiveSummary"]> {
    const report = reporter(options);
    const archive = pack(entries, (entry, bytes) => report(entry.path, bytes));
    return this.uploadArchive(path, streamOf(archive), options);
  }

  /** What changes in a directory, from the moment the first event is waited for. */
  async *watch(
    path: string,
    options: CallOptions & { recursive?: boolean } = {},
  ): AsyncGenerator<WatchEvent, void, undefined> {
    const query = { path, recursive: options.recursive ?? false };
    const opened = await this.http.open("watchDirectory", { query }, options);
    yield* watchEvents(opened, this.http.config.base, this.http.timeouts.idle);
  }
}

function reporter({ onProgress }: TreeOptions): (path: string, bytes: number) => void {
  let entries = 0;
  let bytes = 0;
  return (path, more) => {
    if (more === 0) entries += 1;
    bytes += more;
    onProgress?.({ path, entries, bytes });
  };
}
