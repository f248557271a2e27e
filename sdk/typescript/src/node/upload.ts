import { createReadStream } from "node:fs";
import { lstat, opendir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxFiles, TreeOptions } from "../execd/sandbox-files.js";
import type { NewTreeEntry } from "../execd/tar.js";
import type { Schemas } from "../execd/wire.js";

/** Puts everything in a directory of this machine into a directory of a sandbox. */
export function uploadDirectory(
  files: SandboxFiles,
  local: string,
  remote: string,
  options: TreeOptions = {},
): Promise<Schemas["ArchiveSummary"]> {
  return files.uploadTree(remote, entries(local, ""), options);
}

async function* entries(root: string, below: string): AsyncGenerator<NewTreeEntry, void, undefined> {
  for await (const { name } of await opendir(join(root, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    const full = join(root, path);
    const { mode, mtime: modified, size, ...kind } = await describe(full);
    if (kind.isDirectory) {
      yield { path, type: "directory", mode, modified };
      yield* entries(root, path);
    } else if (kind.isSymbolicLink) {
      yield { path, type: "symlink", mode, modified, target: await readlink(full) };
    } else if (kind.isFile) {
      // Opened when its turn has come: a tree has more files than a process may hold open.
      yield { path, type: "file", mode, modified, size, content: contentOf(full, size) };
    }
  }
}

async function describe(path: string): Promise<{
  mode: number;
  mtime: Date;
  size: number;
  isDirectory: boolean;
  isSymbolicLink: boolean;
  isFile: boolean;
}> {
  const stat = await lstat(path);
  return {
    mode: stat.mode & 0o7777,
    mtime: stat.mtime,
    size: stat.size,
    isDirectory: stat.isDirectory(),
    isSymbolicLink: stat.isSymbolicLink(),
    isFile: stat.isFile(),
  };
}

/** As much of a file as it had when it was looked at: one that grows meanwhile would not fit its entry. */
async function* contentOf(path: string, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  if (size > 0) yield* createReadStream(path, { end: size - 1 });
}
