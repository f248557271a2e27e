import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Files, NotFoundError, type NewTreeEntry, type TreeProgress } from "sandkeep";
import { downloadDirectory, uploadDirectory } from "sandkeep/node";
import { all, bytes, create, sandbox } from "./setup.js";

test("files are written and read as text, bytes and streams", async () => {
  const { files } = await sandbox();
  await files.write("/tmp/f/text", "grüße\n", { mode: 0o640 });
  assert.equal(await files.readText("/tmp/f/text"), "grüße\n");
  const info = await files.info("/tmp/f/text");
  assert.deepEqual([info.mode, info.size, info.type, info.owner], [0o640, 8, "file", "root"]);

  const data = crypto.getRandomValues(new Uint8Array(50_000));
  const content = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < data.length; at += 7_000) yield data.subarray(at, at + 7_000);
  };
  for (const each of [data, data.buffer, new Blob([data]), content(), new Blob([data]).stream()]) {
    await files.write("/tmp/f/bytes", each);
    assert.deepEqual(await files.read("/tmp/f/bytes"), data);
  }
  assert.deepEqual(await files.read("/tmp/f/bytes", { start: 10, length: 5 }), data.subarray(10, 15));
  assert.deepEqual(
    new Uint8Array(await new Response(files.readStream("/tmp/f/bytes") as BodyInit).arrayBuffer()),
    data,
  );
});

test("lines are read by their numbers", async () => {
  const { files } = await sandbox();
  await files.write("/tmp/lines", "one\ntwo\nthree\n");
  assert.deepEqual(await files.readLines("/tmp/lines", { first: 2, count: 1 }), ["two"]);
  assert.deepEqual(await files.readLines("/tmp/lines"), ["one", "two", "three"]);
  assert.deepEqual(await files.readLines("/tmp/lines", { first: 9 }), []);
});

/** Everything that plain files, those of an identity and those of an isolated session have in common. */
async function exercise(files: Files, dir: string): Promise<void> {
  await files.makeDirectory(`${dir}/sub`, { mode: 0o755 });
  await files.writeAll([
    { path: `${dir}/a.txt`, data: "one one" },
    { path: `${dir}/sub/b.txt`, data: "two" },
  ]);
  const changed = await files.replace({ [`${dir}/a.txt`]: { old: "one", new: "1" } });
  assert.deepEqual(changed, { [`${dir}/a.txt`]: 2 });
  assert.equal(await files.readText(`${dir}/a.txt`), "1 1");
  await files.setPermissions({ [`${dir}/a.txt`]: { mode: 0o600 } });
  assert.equal((await files.info(`${dir}/a.txt`)).mode, 0o600);
  await files.move([{ src: `${dir}/a.txt`, dest: `${dir}/sub/c.txt` }]);
  assert.deepEqual((await files.search(dir, "*.txt")).map(({ path }) => path).sort(), [
    `${dir}/sub/b.txt`,
    `${dir}/sub/c.txt`,
  ]);
  assert.equal((await files.list(dir)).length, 1);
  assert.equal((await files.list(dir, { depth: 2 })).length, 3);
  await files.remove([`${dir}/sub/b.txt`, `${dir}/none`]);
  await assert.rejects(files.info(`${dir}/sub/b.txt`), NotFoundError);
  await files.removeDirectory(dir);
  await assert.rejects(files.list(dir), NotFoundError);
}

test("files are changed, found, moved and removed", async () => {
  await exercise((await sandbox()).files, "/tmp/plain");
});

test("another identity has its own rights", async () => {
  const { files } = await sandbox();
  const somebody = files.as(4321, 4321);
  await exercise(somebody, "/tmp/somebody");
  await somebody.write("/tmp/owned", "mine");
  assert.equal((await files.info("/tmp/owned")).owner, "4321");
  await files.write("/tmp/secret", "x", { mode: 0o600 });
  await assert.rejects(somebody.read("/tmp/secret"), { name: "PermissionDeniedError" });
});

test("an isolated session works on layers of its own until they are committed", async () => {
  const sb = await create({ extensions: { "bootstrap.execd.isolation": "enable" } });
  const capabilities = await sb.isolated.capabilities();
  assert.ok(capabilities.available, capabilities.message);
  await sb.files.write("/srv/tree/file", "old");
  const session = await sb.isolated.create({ overlays: [{ path: "/srv/tree", persist: true }], profile: "strict" });
  await session.run("echo new > /srv/tree/file; echo more > /srv/tree/other", { check: true });
  assert.equal(await sb.files.readText("/srv/tree/file"), "old");
  assert.equal(await session.files.readText("/srv/tree/file"), "new\n");
  await exercise(session.files, "/srv/tree/dir");
  const run = await session.start("echo behind; exit 3");
  for (;;) {
    const status = await session.runStatus(run);
    if (!status.running) {
      assert.equal(status.exitCode, 3);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal((await session.runLogs(run)).text, "behind\n");
  assert.equal((await session.state()).status, "active");
  assert.ok((await sb.isolated.list()).some(({ sessionId }) => sessionId === session.id));
  const diff = await bytes(session.diff());
  assert.deepEqual([...diff.subarray(0, 2)], [0x1f, 0x8b]);
  assert.ok((await session.commit()).written >= 2);
  assert.equal(await sb.files.readText("/srv/tree/file"), "new\n");
  await session.delete();
  await sb.delete();
});

test("trees go there and back with their modes and links", async () => {
  const { files } = await sandbox();
  const long = `${"d".repeat(60)}/${"e".repeat(60)}`;
  const source: NewTreeEntry[] = [
    { path: "run.sh", type: "file", mode: 0o755, content: "#!/bin/sh\necho ran\n" },
    { path: "empty", type: "directory", mode: 0o700 },
    { path: `${long}/ü`, type: "file", content: new Uint8Array(3000).fill(7) },
    { path: "link", type: "symlink", target: "run.sh" },
  ];
  const progress: TreeProgress[] = [];
  const summary = await files.uploadTree("/tmp/tree", source, { onProgress: (at) => progress.push(at) });
  assert.ok(summary.entries >= 4);
  assert.deepEqual(progress.at(-1), { path: "link", entries: 4, bytes: 3019 });
  assert.equal((await (await sandbox()).run("/tmp/tree/link")).stdout, "ran\n");

  const found = new Map<string, string>();
  for await (const entry of files.downloadTree("/tmp/tree")) {
    const content = entry.type === "file" ? (await bytes(entry.content)).length : entry.target;
    found.set(entry.path, `${entry.type} ${content ?? ""} ${((entry.mode ?? 0) & 0o777).toString(8)}`);
  }
  assert.equal(found.get("run.sh"), "file 19 755");
  assert.equal(found.get(`${long}/ü`), "file 3000 644");
  assert.match(found.get("link") ?? "", /^symlink run.sh/);
  assert.match(found.get("empty") ?? "", /^directory {2}700/);
  await assert.rejects(
    files.uploadTree("/tmp/tree", [{ path: "x", type: "file", size: 5, content: new Blob(["abc"]).stream() }]),
  );
});

test("directories of this machine go there and back", async (context) => {
  const sb = await sandbox();
  const dir = await mkdtemp(join(tmpdir(), "sandkeep-"));
  context.after(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, "up/sub"), { recursive: true });
  await writeFile(join(dir, "up/sub/file"), "content", { mode: 0o640 });
  await symlink("file", join(dir, "up/sub/link"));
  await uploadDirectory(sb.files, join(dir, "up"), "/tmp/local");
  const down = await downloadDirectory(sb.files, "/tmp/local", join(dir, "down"));
  assert.deepEqual([down.bytes, down.skipped], [7, []]);
  assert.equal(await readFile(join(dir, "down/sub/link"), "utf8"), "content");
  assert.equal((await stat(join(dir, "down/sub/file"))).mode & 0o777, 0o640);

  // A sandbox that means harm: links that lead out, also ones that were there before.
  await sb.run("rm -r /tmp/local/sub; ln -s /etc /tmp/local/etc; ln -s ../../up /tmp/local/sub", { check: true });
  await symlink(join(dir, "up"), join(dir, "down/trap"));
  await sb.run("mkdir /tmp/local/trap; echo bad > /tmp/local/trap/sub2", { check: true });
  const again = await downloadDirectory(sb.files, "/tmp/local", join(dir, "down"));
  assert.deepEqual(again.skipped.sort(), ["etc", "sub"]);
  assert.equal(await readFile(join(dir, "down/trap/sub2"), "utf8"), "bad\n");
  await assert.rejects(stat(join(dir, "up/sub2")));
  await assert.rejects(readlink(join(dir, "down/etc")));
});

test("changes of a directory are heard of", async () => {
  const sb = await sandbox();
  await sb.files.makeDirectory("/tmp/watched");
  const abort = new AbortController();
  const events = sb.files.watch("/tmp/watched", { recursive: true, signal: abort.signal });
  const first = events.next();
  // The watch stands once it is answered, which nobody can see: so files are made until one is heard of.
  const making = (async () => {
    for (let n = 0; !abort.signal.aborted; n += 1) {
      await sb.files.write(`/tmp/watched/${n}`, "x");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const { value } = await first;
  abort.abort();
  await making;
  assert.match(value?.path ?? "", /^\/tmp\/watched\//);
  await assert.rejects(all(events));
});
