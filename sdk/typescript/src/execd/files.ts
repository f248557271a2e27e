import { StreamError } from "../errors.js";
import { type Camel, camel } from "../transport/case.js";
import { type Data, form, streamOf } from "../transport/data.js";
import { chunks } from "../transport/frames.js";
import type { CallOptions, Opened, SendOptions } from "../transport/http.js";
import type { Arguments, JsonAnswer } from "../transport/operations.js";
import { frames } from "../transport/frames.js";
import type { ExecdHttp, Operations, Schemas } from "./wire.js";

/** What is known of a file. `mode` holds permission bits, such as `0o644`. */
export type FileInfo = Camel<Schemas["FileInfo"]>;

/** Something that happened in a watched directory. */
export type WatchEvent = Schemas["WatchEvent"];

/** Owner, group and mode of a file; what is left out stays, or is the sandbox's own user's. */
export interface Permissions {
  /** Permission bits, such as `0o644`. */
  mode?: number;
  /** Name of the user. */
  owner?: string;
  /** Name of the group. */
  group?: string;
}

/** A file to write. */
export interface NewFile extends Permissions {
  /** Where: absolute, or below the sandbox's working directory. */
  path: string;
  /** What is in it. */
  data: Data;
}

/** Which part of a file. */
export interface ReadOptions extends CallOptions {
  /** First byte wanted, from 0, and the number of bytes; only with a start. */
  start?: number;
  /** Most bytes of it. Default: to its end. */
  length?: number;
}

/** Operations that files have in a sandbox, under an identity, and in an isolated session. */
type FileOperation =
  | "getFilesInfo"
  | "removeFiles"
  | "chmodFiles"
  | "renameFiles"
  | "replaceContent"
  | "searchFiles"
  | "downloadFile"
  | "uploadFile"
  | "listDirectory"
  | "makeDirs"
  | "removeDirs";

/** Whose files: the plain ones, or those of an identity or an isolated session. */
export interface Place {
  prefix: "" | "identity" | "isolated";
  path: Record<string, unknown>;
}

/** Files and directories. In paths, `~` and `$NAME` are expanded. */
export class Files {
  readonly #place: Place;

  /** @internal */
  constructor(
    protected readonly http: ExecdHttp,
    place: Place = { prefix: "", path: {} },
  ) {
    this.#place = place;
  }

  /** The bytes of a file. */
  async read(path: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of this.#download(path, options)) parts.push(chunk as Uint8Array<ArrayBuffer>);
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /** A file as text in UTF-8. */
  async readText(path: string, options: ReadOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.read(path, options));
  }

  /** Lines of a file, from line `first` (1 is the first), at most `count`. */
  async readLines(path: string, options: CallOptions & { first?: number; count?: number } = {}): Promise<string[]> {
    const query = { path, offset: options.first ?? 1, limit: options.count };
    const { response, watch } = await this.#open("downloadFile", { query }, options);
    try {
      const text = await response.text();
      return text === "" ? [] : text.split("\n");
    } finally {
      watch.end();
    }
  }

  /** A file as a stream, read as fast as the reader reads. */
  readStream(path: string, options: ReadOptions = {}): ReadableStream<Uint8Array> {
    return streamOf(this.#download(path, options));
  }

  /** Writes a file in one step: it has its old content or the new one. Missing directories are made. */
  async write(path: string, data: Data, options: Permissions & CallOptions = {}): Promise<void> {
    const { signal, ...permissions } = options;
    await this.writeAll([{ path, data, ...permissions }], { signal });
  }

  /** Writes several files with one request. */
  async writeAll(files: NewFile[], options: CallOptions = {}): Promise<void> {
    const parts = files.flatMap(({ path, data, ...permissions }) => {
      const metadata = JSON.stringify({ path, ...wirePermissions(permissions) });
      const filename = path.split("/").at(-1) || "file";
      return [
        { name: "metadata", filename: "metadata", type: "application/json", data: metadata },
        { name: "file", filename, type: "application/octet-stream", data },
      ];
    });
    const sent = { ...options, ...(await form(parts)), timeout: this.http.timeouts.create };
    const { response, watch } = await this.#open("uploadFile", {} as Arguments<Operations["uploadFile"]>, sent);
    await response.text();
    watch.end();
  }

  /** What is known of a file; symbolic links are not followed. */
  async info(path: string, options: CallOptions = {}): Promise<FileInfo> {
    const info = (await this.infos([path], options)).get(path);
    if (info === undefined) throw new StreamError(`the answer does not tell of ${path}`);
    return info;
  }

  /**
   * What is known of several paths.
   *
   * @throws NotFoundError if one is missing
   */
  async infos(paths: string[], options: CallOptions = {}): Promise<Map<string, FileInfo>> {
    const answer = await this.#json("getFilesInfo", { query: { path: paths } }, options);
    return new Map(Object.entries(answer).map(([path, info]) => [path, fileInfo(info)]));
  }

  /** Removes files; missing ones are no error. */
  async remove(paths: string | string[], options: CallOptions = {}): Promise<void> {
    await this.#done("removeFiles", { query: { path: [paths].flat() } }, options);
  }

  /** Moves files and directories, one after the other. */
  async move(moves: Schemas["RenameFileItem"][], options: CallOptions = {}): Promise<void> {
    await this.#done("renameFiles", { body: moves }, options);
  }

  /**
   * Sets owner, group and mode by path.
   *
   * @throws NotFoundError if one is missing
   */
  async setPermissions(permissions: Record<string, Permissions>, options: CallOptions = {}): Promise<void> {
    await this.#done("chmodFiles", { body: wireAll(permissions) }, options);
  }

  /** Replaces all occurrences of texts, by file; answers how many there were. */
  async replace(
    changes: Record<string, Schemas["ReplaceFileContentItem"]>,
    options: CallOptions = {},
  ): Promise<Record<string, number>> {
    const counts = await this.#json("replaceContent", { query: { verbose: true }, body: changes }, options);
    return Object.fromEntries(Object.entries(counts ?? {}).map(([path, { replacedCount }]) => [path, replacedCount]));
  }

  /** Files below a directory whose names match a glob. */
  async search(path: string, pattern = "**", options: CallOptions = {}): Promise<FileInfo[]> {
    return (await this.#json("searchFiles", { query: { path, pattern } }, options)).map(fileInfo);
  }

  /** What a directory holds: with depth 1 its own entries, parents before their children. */
  async list(path: string, options: CallOptions & { depth?: number } = {}): Promise<FileInfo[]> {
    const query = { path, depth: options.depth ?? 1 };
    return (await this.#json("listDirectory", { query }, options)).map(fileInfo);
  }

  /** Makes a directory and those above it. */
  async makeDirectory(path: string, options: Permissions & CallOptions = {}): Promise<void> {
    const { signal, ...permissions } = options;
    await this.#done("makeDirs", { body: wireAll({ [path]: permissions }) }, { signal });
  }

  /** Removes directories and everything in them; missing ones are no error. */
  async removeDirectory(paths: string | string[], options: CallOptions = {}): Promise<void> {
    await this.#done("removeDirs", { query: { path: [paths].flat() } }, options);
  }

  async *#download(path: string, options: ReadOptions): AsyncGenerator<Uint8Array, void, undefined> {
    const { start, length } = options;
    const last = length === undefined ? "" : (start ?? 0) + length - 1;
    const headers: Record<string, string> = start === undefined ? {} : { range: `bytes=${start}-${last}` };
    const opened = await this.#open("downloadFile", { query: { path } }, { signal: options.signal, headers });
    yield* chunks(opened, this.http.config.base, this.http.timeouts.idle);
  }

  /** The operation's name where these files are. Its types are those of the plain one. */
  #name<Op extends FileOperation>(operation: Op): Op {
    const { prefix } = this.#place;
    if (prefix === "") return operation;
    return `${prefix}${operation.charAt(0).toUpperCase()}${operation.slice(1)}` as Op;
  }

  #json<Op extends FileOperation>(
    operation: Op,
    parts: Arguments<Operations[Op]>,
    options: SendOptions,
  ): Promise<JsonAnswer<Operations[Op]>> {
    return this.http.json(this.#name(operation), { ...parts, path: this.#place.path } as typeof parts, options);
  }

  #done<Op extends FileOperation>(
    operation: Op,
    parts: Arguments<Operations[Op]>,
    options: SendOptions,
  ): Promise<void> {
    return this.http.done(this.#name(operation), { ...parts, path: this.#place.path } as typeof parts, options);
  }

  #open<Op extends FileOperation>(
    operation: Op,
    parts: Arguments<Operations[Op]>,
    options: SendOptions,
  ): Promise<Opened> {
    return this.http.open(this.#name(operation), { ...parts, path: this.#place.path } as typeof parts, options);
  }
}

/** The events of a watched directory, without signs of life. */
export async function* watchEvents(
  opened: Opened,
  base: string,
  idle: number,
): AsyncGenerator<WatchEvent, void, undefined> {
  for await (const frame of frames(opened, base, idle)) {
    const event = JSON.parse(frame.data) as WatchEvent;
    if (event.type === "error") throw new StreamError(`watching ended: ${event.message ?? "no reason given"}`);
    if (event.type !== "ping") yield event;
  }
}

/** On the wire the decimal digits of a mode are read as octal ones. */
function wirePermissions({ mode, owner, group }: Permissions): Schemas["Permission"] {
  return { mode: mode === undefined ? undefined : Number(mode.toString(8)), owner, group };
}

function wireAll(permissions: Record<string, Permissions>): Record<string, Schemas["Permission"]> {
  return Object.fromEntries(Object.entries(permissions).map(([path, each]) => [path, wirePermissions(each)]));
}

function fileInfo(wire: Schemas["FileInfo"]): FileInfo {
  return { ...camel(wire), mode: Number.parseInt(String(wire.mode), 8) };
}
