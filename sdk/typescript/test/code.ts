import assert from "node:assert/strict";
import { test } from "node:test";
import { create, sandbox } from "./setup.js";

test("variables last from run to run, and the last value is shown", async () => {
  const { code } = await sandbox();
  await code.python("n = 6", { check: true });
  const result = await code.python("print('seen'); n * 7");
  assert.deepEqual([result.text, result.stdout, result.ok], ["42", "seen\n", true]);
  assert.ok((result.count ?? 0) >= 2);
});

test("values come in rich forms", async () => {
  const source = `
class Plot:
    def _repr_html_(self): return "<b>hi</b>"
    def _repr_markdown_(self): return "**hi**"
    def _repr_svg_(self): return "<svg/>"
    def _repr_png_(self): return b"\\x89PNG"
    def _repr_json_(self): return {"a": [1, 2]}
    def __repr__(self): return "plot"
Plot()
`;
  const [shown] = (await (await sandbox()).code.python(source, { check: true })).results;
  assert.ok(shown);
  assert.deepEqual([shown.text, shown.html, shown.markdown, shown.svg], ["plot", "<b>hi</b>", "**hi**", "<svg/>"]);
  assert.deepEqual(shown.png, Uint8Array.from([0x89, 0x50, 0x4e, 0x47]));
  assert.deepEqual(shown.json, { a: [1, 2] });
  assert.equal(shown.jpeg, undefined);
});

test("an error of the code is a result with the language's own name", async () => {
  const result = await (await sandbox()).code.python("1 / 0");
  assert.deepEqual([result.ok, result.error?.name], [false, "ZeroDivisionError"]);
  assert.ok(result.error?.traceback.some((line) => line.includes("1 / 0")));
});

test("contexts keep their variables apart", async () => {
  const { code } = await create();
  const one = await code.createContext({ language: "python", cwd: "/tmp" });
  const two = await code.createContext({ language: "python" });
  await one.run("x = 'one'", { check: true });
  assert.equal((await two.run("x")).error?.name, "NameError");
  assert.equal((await one.run("import os; (x, os.getcwd())")).text, "('one', '/tmp')");
  assert.equal((await code.context(one.id)).language, "python");
  assert.deepEqual(
    new Set((await code.contexts({ language: "python" })).map(({ id }) => id)),
    new Set([one.id, two.id]),
  );
  await two.delete();
  await code.deleteContexts("python");
  assert.deepEqual(await code.contexts(), []);
});

test("aborting interrupts the code and keeps its variables", async () => {
  const context = await (await sandbox()).code.createContext({ language: "python" });
  const abort = new AbortController();
  const source = "x = 'kept'\nimport time\nprint('ready', flush=True)\ntime.sleep(1000)";
  const running = context.run(source, { signal: abort.signal, onStdout: () => abort.abort() });
  await assert.rejects(running, { name: "AbortError" });
  assert.equal((await context.run("x")).text, "'kept'");
  await context.delete();
});

test("bash is a language too", async () => {
  const { code } = await sandbox();
  await code.bash("name=world", { check: true });
  assert.equal((await code.bash("echo hello $name")).stdout, "hello world\n");
  let text = "";
  for await (const event of code.stream("bash", "echo $name")) if (event.type === "stdout") text += event.text;
  assert.equal(text, "world\n");
});
