import assert from "node:assert/strict";
import { test } from "node:test";
import { ExecutionFailedError, NotFoundError } from "sandkeep";
import { all, create, sandbox, until } from "./setup.js";

test("a command gives its outputs as they come, and its exit code", async () => {
  const sb = await sandbox();
  const heard: string[] = [];
  const result = await sb.run("echo out; echo err >&2; exit 3", {
    onStdout: (text) => heard.push(`1${text}`),
    onStderr: (text) => heard.push(`2${text}`),
  });
  assert.deepEqual([result.stdout, result.stderr, result.exitCode, result.ok], ["out\n", "err\n", 3, false]);
  assert.deepEqual(heard.sort(), ["1out\n", "2err\n"]);
  assert.match(result.id, /^[0-9a-f]{32}$/);
});

test("a failure is thrown only on demand", async () => {
  const sb = await sandbox();
  await assert.rejects(sb.run("echo why >&2; exit 2", { check: true }), (error) => {
    assert.ok(error instanceof ExecutionFailedError);
    assert.match(error.message, /^exit code 2\nwhy/);
    return true;
  });
  assert.ok((await sb.run("true", { check: true })).ok);
});

test("a program gets its arguments as they are", async () => {
  const sb = await sandbox();
  const result = await sb.run(["printf", "%s|", "a b", "$HOME", "*"], { cwd: "/tmp" });
  assert.equal(result.stdout, "a b|$HOME|*|");
});

test("directory, variables and user are the ones asked for", async () => {
  const sb = await sandbox();
  const result = await sb.run('pwd; echo "$WHO"; id -u', { cwd: "/usr", env: { WHO: "me" }, uid: 1234 });
  assert.equal(result.stdout, "/usr\nme\n1234\n");
});

test("a time limit ends a command and says so", async () => {
  const result = await (await sandbox()).run("sleep 1000", { timeoutMs: 200 });
  assert.deepEqual([result.timedOut, result.exitCode, result.ok], [true, undefined, false]);
});

test("events come one by one", async () => {
  const sb = await sandbox();
  const events = await all(sb.stream("echo one; echo two"));
  assert.deepEqual([events.at(0)?.type, events.at(-1)?.type], ["start", "end"]);
  const text = events.map((event) => (event.type === "stdout" ? event.text : "")).join("");
  assert.equal(text, "one\ntwo\n");
});

test("input is written whole, or as one talks", async () => {
  const sb = await sandbox();
  assert.equal((await sb.run("sort", { input: "b\na\n" })).stdout, "a\nb\n");
  async function* parts(): AsyncGenerator<string> {
    yield "some ";
    yield "parts";
  }
  assert.equal((await sb.run("cat", { input: parts() })).stdout, "some parts");
  // A command that never reads does not hold its caller up.
  assert.equal((await sb.run("exit 5", { input: "x".repeat(1_000_000) })).exitCode, 5);

  const talk = sb.stream('while read line; do echo "<$line>"; done', { stdin: true });
  const heard: string[] = [];
  await talk.write("one\n");
  for await (const event of talk) {
    if (event.type !== "stdout") continue;
    heard.push(event.text);
    if (heard.join("") === "<one>\n") await talk.closeStdin("two\n");
  }
  assert.equal(heard.join(""), "<one>\n<two>\n");
});

test("aborting ends the command, not only the wait", async () => {
  const sb = await create();
  const abort = new AbortController();
  const running = sb.run("touch /tmp/begun; exec sleep 1000", { signal: abort.signal });
  const failed = assert.rejects(running, (error) => error === abort.signal.reason);
  await until("the command", async () => (await sb.commands.list({ running: true })).length === 1);
  abort.abort(new Error("enough"));
  await failed;
  await until("the end of the command", async () => (await sb.commands.list({ running: true })).length === 0);
  await assert.rejects(sb.run("true", { signal: AbortSignal.abort() }), { name: "AbortError" });
  await sb.delete();
});

test("leaving a loop leaves the command alone, and one can come back to it", async () => {
  const sb = await sandbox();
  const stream = sb.stream("echo first; read line < /tmp/go; echo second");
  await sb.run("mkfifo /tmp/go", { check: true });
  const id = await stream.id();
  for await (const event of stream) if (event.type === "stdout") break;
  await sb.run("echo > /tmp/go", { check: true });
  const whole = await sb.commands.attach(id).result();
  assert.deepEqual([whole.stdout, whole.exitCode], ["first\nsecond\n", 0]);
  const rest = await sb.commands.attach(id, { offset: "first\n".length }).result();
  assert.equal(rest.stdout, "second\n");
});

test("a background command is watched, read and ended", async () => {
  const sb = await sandbox();
  const command = await sb.commands.start("echo begun; exec sleep 1000");
  const logs = await until("its output", async () => {
    const logs = await command.logs();
    return logs.text !== "" && logs;
  });
  assert.deepEqual(logs, { text: "begun\n", cursor: 6 });
  assert.deepEqual(await command.logs({ cursor: 6 }), { text: "", cursor: 6 });
  assert.equal((await command.status()).running, true);
  const end = command.wait();
  await command.interrupt();
  assert.equal((await end).exitCode, 128 + 15);
  const status = await command.status();
  assert.deepEqual([status.running, status.exitCode], [false, 143]);
  assert.ok((await sb.commands.list({ limit: 1000 })).some((each) => each.id === command.id && each.background));
});

test("what cannot be is an error with a name", async () => {
  const sb = await sandbox();
  await assert.rejects(sb.commands.status("nothing"), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.status, 404);
    return true;
  });
  await assert.rejects(sb.run("true", { cwd: "/nowhere" }), { name: "InvalidRequestError" });
});

test("a session keeps its shell", async () => {
  const session = await (await sandbox()).sessions.create({ cwd: "/tmp" });
  await session.run("name=kept; twice() { echo $1$1; }; cd /usr", { check: true });
  assert.equal((await session.run("twice $name; pwd")).stdout, "keptkept\n/usr\n");
  assert.equal((await session.run("exit_code() { return 4; }; exit_code")).exitCode, 4);
  assert.ok((await session.run("sleep 1000", { timeoutMs: 200 })).timedOut);
  await session.delete();
  await assert.rejects(session.run("true"));
});
