import { chmod, lstat, mkdir, open, rm, symlink } from "node:fs/promises";
import { dirname, join, posix, resolve } from "node:path";
import type { SandboxFiles, TreeOptions } from "../execd/sandbox-files.js";
import type { TreeEntry } from "../execd/tar.js";

/** What became of a downloaded tree. */
export interface DownloadedTree {
  /** Files, directories and links so far. */
  entries: number;
  /** Bytes of files so far. */
  bytes: number;
  /** Entries that were left out, because they would lead out of the directory. */
  skipped: string[];
}

/**
 * Puts everything in a directory of a sandbox into a directory of this machine. What a sandbox sends is not trusted:
 * nothing is written outside of the directory, through links neither, and links that lead out of it are left out.
 */
export async function downloadDirectory(
  files: SandboxFiles,
  remote: string,
  local: string,
  options: TreeOptions = {},
): Promise<DownloadedTree> {
  const root = resolve(local);
  await mkdir(root, { recursive: true });
  const result: DownloadedTree = { entries: 0, bytes: 0, skipped: [] };
  const modes: [path: string, mode: number][] = [];
  for await (const entry of files.downloadTree(remote, options)) {
    if (!isInside(entry.path) || (entry.type === "symlink" && !leadsInside(entry))) {
      result.skipped.push(entry.path);
      continue;
    }
    await safeParent(root, entry.path);
    const path = join(root, entry.path);
    if (entry.type === "directory") {
      await makeDirectory(path);
      modes.push([path, entry.mode ?? 0o755]);
    } else {
      await rm(path, { force: true });
      if (entry.type === "symlink") await symlink(entry.target ?? "", path);
      else result.bytes += await writeFile(path, entry);
    }
    result.entries += 1;
  }
  // Last, and the deepest first: a directory may forbid what is still to be written into it.
  for (const [path, mode] of modes.reverse()) await chmod(path, mode & 0o777);
  return result;
}

async function writeFile(path: string, entry: TreeEntry): Promise<number> {
  let bytes = 0;
  // Fails if something stands there, a link included.
  const file = await open(path, "wx", (entry.mode ?? 0o644) & 0o777);
  try {
    for await (const chunk of entry.content) {
      await file.writeFile(chunk);
      bytes += chunk.length;
    }
  } finally {
    await file.close();
  }
  return bytes;
}

function isInside(path: string): boolean {
  return !posix.isAbsolute(path) && !path.split("/").includes("..");
}

function leadsInside({ path, target = "" }: TreeEntry): boolean {
  if (posix.isAbsolute(target) || target === "") return false;
  const end = posix.normalize(posix.join(posix.dirname(path), target));
  return end !== ".." && !end.startsWith("../");
}

/** Makes the directories above an entry, none of which may be a link. */
async function safeParent(root: string, path: string): Promise<void> {
  const above = dirname(path);
  if (above === ".") return;
  let at = root;
  for (const name of above.split("/")) {
    at = join(at, name);
    await makeDirectory(at);
  }
}

/** Makes a directory unless it is there. Something else in its place, such as a link, gives way. */
async function makeDirectory(path: string): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.isDirectory()) return;
  if (there !== undefined) await rm(path);
  await mkdir(path);
}
