import { ConfigError, StreamError } from "../errors.js";
import { type Data, chunksOf, settle } from "../transport/data.js";
import { ByteReader } from "./bytes.js";

/** What an entry of a directory tree is, beside its content. */
export interface TreeEntryInfo {
  /** Relative to the tree, with `/` between names. */
  path: string;
  type: "file" | "directory" | "symlink";
  /** Permission bits, such as `0o644`. */
  mode?: number;
  /** When it was changed last. */
  modified?: Date;
  /** What a symbolic link leads to. */
  target?: string;
}

/** An entry to upload. */
export interface NewTreeEntry extends TreeEntryInfo {
  content?: Data;
  /** Length of a content that is a stream, in bytes. */
  size?: number;
}

/** An entry that is being downloaded. Its content is read before the next entry, or never. */
export interface TreeEntry extends TreeEntryInfo {
  size: number;
  content: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
const FILE = "0";
const SYMLINK = "2";
const DIRECTORY = "5";
const EXTENDED = "x";
/** Names and attributes longer than this are no names. */
const MAX_ATTRIBUTES = 1 << 20;
/** Largest length that the octal digits of a header can say. */
const MAX_OCTAL_SIZE = 0o77777777777;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The bytes of a tar archive. */
export async function* pack(
  entries: AsyncIterable<NewTreeEntry> | Iterable<NewTreeEntry>,
  onBytes: (entry: NewTreeEntry, bytes: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const entry of entries) {
    const content = entry.type === "file" ? settle(entry.content ?? "") : undefined;
    const size = content instanceof Blob ? content.size : content === undefined ? 0 : entry.size;
    if (size === undefined) throw new ConfigError(`${entry.path}: a content that is a stream needs its size`);
    yield* heads(entry, size);
    onBytes(entry, 0);
    if (content === undefined) continue;
    let sent = 0;
    for await (const chunk of chunksOf(content)) {
      sent += chunk.length;
      if (sent > size) break;
      yield chunk;
      onBytes(entry, chunk.length);
    }
    if (sent !== size) throw new ConfigError(`${entry.path}: its content is not ${size} bytes long`);
    yield new Uint8Array(padding(size));
  }
  yield new Uint8Array(2 * BLOCK);
}

function* heads(entry: NewTreeEntry, size: number): Generator<Uint8Array, void, undefined> {
  const type = entry.type === "file" ? FILE : entry.type === "directory" ? DIRECTORY : SYMLINK;
  const path = entry.type === "directory" ? `${entry.path.replace(/\/+$/, "")}/` : entry.path;
  const attributes: string[] = [];
  if (!isShort(path)) attributes.push(attribute("path", path));
  if (entry.target !== undefined && !isShort(entry.target)) attributes.push(attribute("linkpath", entry.target));
  if (size > MAX_OCTAL_SIZE) attributes.push(attribute("size", String(size)));
  if (attributes.length > 0) {
    const text = encoder.encode(attributes.join(""));
    yield header("PaxHeader", EXTENDED, text.length, 0o644, 0, "");
    yield text;
    yield new Uint8Array(padding(text.length));
  }
  const mode = entry.mode ?? (entry.type === "file" ? 0o644 : 0o755);
  const modified = Math.max(0, Math.floor((entry.modified ?? new Date()).getTime() / 1000));
  yield header(path, type, Math.min(size, MAX_OCTAL_SIZE), mode, modified, entry.target ?? "");
}

function isShort(name: string): boolean {
  return name.length <= 100 && /^[\x20-\x7e]*$/.test(name);
}

/** `LENGTH NAME=VALUE\n`, where the length counts its own digits. */
function attribute(name: string, value: string): string {
  const rest = encoder.encode(` ${name}=${value}\n`).length;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return `${length} ${name}=${value}\n`;
}

function header(path: string, type: string, size: number, mode: number, modified: number, target: string): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const put = (offset: number, text: string, most: number): void => {
    block.set(encoder.encode(text).subarray(0, most), offset);
  };
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;
  put(0, path, 100);
  put(100, octal(mode & 0o7777, 7), 8);
  put(108, octal(0, 7), 8);
  put(116, octal(0, 7), 8);
  put(124, octal(size, 11), 12);
  put(136, octal(modified, 11), 12);
  put(148, " ".repeat(8), 8);
  put(156, type, 1);
  put(157, target, 100);
  put(257, "ustar\u000000", 8);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `, 8);
  return block;
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** The entries of a tar archive, one after the other. */
export async function* unpack(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TreeEntry, void, undefined> {
  const reader = new ByteReader(archive);
  let attributes: Record<string, string> = {};
  try {
    for (;;) {
      const block = await reader.exactly(BLOCK);
      if (block === undefined || block.every((byte) => byte === 0)) return;
      const type = String.fromCharCode(block[156] ?? 0);
      const length = number(block, 124, 12);
      if ("xgLK".includes(type)) {
        const text = await attributesText(reader, length);
        if (type === EXTENDED) attributes = { ...attributes, ...parseAttributes(text) };
        else if (type === "L") attributes["path"] = decoder.decode(text).replace(/\0.*$/s, "");
        else if (type === "K") attributes["linkpath"] = decoder.decode(text).replace(/\0.*$/s, "");
        continue;
      }
      const size = Number(attributes["size"] ?? length);
      const entry = describe(block, type, attributes);
      attributes = {};
      const content = new Content(reader, size);
      if (entry !== undefined) yield { ...entry, size, content };
      await content.drain();
      await reader.skip(padding(size));
    }
  } finally {
    await reader.close();
  }
}

/** The content of one entry, as far as nobody has read it yet. */
class Content implements AsyncIterable<Uint8Array> {
  constructor(
    private readonly reader: ByteReader,
    private left: number,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    while (this.left > 0) {
      const part = await this.reader.some(this.left);
      if (part === undefined) throw new StreamError("the archive ends in the middle of an entry");
      this.left -= part.length;
      yield part;
    }
  }

  async drain(): Promise<void> {
    await this.reader.skip(this.left);
    this.left = 0;
  }
}

async function attributesText(reader: ByteReader, length: number): Promise<Uint8Array> {
  if (length > MAX_ATTRIBUTES) throw new StreamError("an entry of the archive has too long a name");
  const text = length === 0 ? new Uint8Array(0) : await reader.exactly(length);
  if (text === undefined) throw new StreamError("the archive ends in the middle of an entry");
  await reader.skip(padding(length));
  return text;
}

function parseAttributes(text: Uint8Array): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < text.length; ) {
    const space = text.indexOf(0x20, at);
    const length = Number(decoder.decode(text.subarray(at, space)));
    if (space < 0 || !(length > 0)) throw new StreamError("an entry of the archive has attributes that make no sense");
    const [name = "", ...value] = decoder.decode(text.subarray(space + 1, at + length - 1)).split("=");
    found[name] = value.join("=");
    at += length;
  }
  return found;
}

function describe(block: Uint8Array, type: string, attributes: Record<string, string>): TreeEntryInfo | undefined {
  const prefix = text(block, 345, 155);
  const name = text(block, 0, 100);
  const full = attributes["path"] ?? (prefix === "" ? name : `${prefix}/${name}`);
  const path = full.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  const kind =
    type === DIRECTORY
      ? "directory"
      : type === SYMLINK
        ? "symlink"
        : type === FILE || type === "\0"
          ? "file"
          : undefined;
  // The tree itself, and what only makes sense on the machine it came from.
  if (path === "" || path === "." || kind === undefined) return undefined;
  const info: TreeEntryInfo = {
    path,
    type: kind,
    mode: number(block, 100, 8),
    modified: new Date(number(block, 136, 12) * 1000),
  };
  if (kind === "symlink") info.target = attributes["linkpath"] ?? text(block, 157, 100);
  return info;
}

function text(block: Uint8Array, offset: number, most: number): string {
  const field = block.subarray(offset, offset + most);
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}

/** A number in octal digits, or in binary where its first bit is set. */
function number(block: Uint8Array, offset: number, length: number): number {
  const field = block.subarray(offset, offset + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.subarray(1).reduce((total, byte) => total * 256 + byte, (field[0] ?? 0) & 0x7f);
  }
  const digits = text(block, offset, length).trim();
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}
