// Runs the documentation of the published TypeScript client against a live server: its quick start as it is printed,
// then its usage examples, one after the other, on one sandbox. Only address and key are replaced.

import assert from "node:assert";
import { readFile, writeFile } from "node:fs/promises";
import * as client from "@alibaba-group/opensandbox";

const readme = await readFile("node_modules/@alibaba-group/opensandbox/README.md", "utf8");
const filledIn = readme
  .replaceAll("api.opensandbox.io", process.env.OPEN_SANDBOX_DOMAIN)
  .replaceAll("your-api-key", process.env.OPEN_SANDBOX_API_KEY);

/** The blocks of code below a heading. */
function blocks(heading) {
  const level = heading.match(/^#+/)[0];
  const [, below] = filledIn.split(`\n${heading}\n`);
  assert.ok(below, `no ${heading}`);
  const section = below.split(new RegExp(`^#{1,${level.length}} `, "m"))[0];
  return [...section.matchAll(/^```ts\n(.*?)^```$/gms)].map((found) => found[1]);
}

/** What was printed while `work` ran. */
async function printed(work) {
  const lines = [];
  const { log, error } = console;
  console.log = (...words) => lines.push(words.join(" "));
  console.error = console.log;
  try {
    await work();
  } finally {
    Object.assign(console, { log, error });
  }
  return lines;
}

/** Runs a block that knows the names in `scope`, and gives back the value of `result`. */
async function run(block, scope, result = "undefined") {
  const source = block.replace(/^import .*$/gm, "").replace(/(const \w+): \w+ =/g, "$1 =");
  const AsyncFunction = (async () => {}).constructor;
  return new AsyncFunction(...Object.keys(scope), `${source}\nreturn ${result};`)(...Object.values(scope));
}

const [quickStart] = blocks("## Quick Start");
await writeFile("quick-start.mjs", quickStart);
assert.deepEqual(
  (await printed(() => import(`${process.cwd()}/quick-start.mjs`))).map((line) => line.trimEnd()),
  ["Hello Sandbox!"],
);

const config = new client.ConnectionConfig({
  domain: process.env.OPEN_SANDBOX_DOMAIN,
  apiKey: process.env.OPEN_SANDBOX_API_KEY,
  useServerProxy: process.argv[2] === "proxy",
});
let sandbox = await client.Sandbox.create({ connectionConfig: config, image: "ubuntu" });
const manual = [];
try {
  const [lifecycle, immortal] = blocks("### 1. Lifecycle Management");
  const seen = await printed(async () => {
    sandbox = await run(lifecycle, { sandbox }, "resumed");
  });
  assert.equal(seen[0], "State: Running");
  manual.push(await run(immortal, { ...client, config }, "manual"));
  assert.equal((await manual[0].getInfo()).expiresAt, null);

  const [streaming] = blocks("### 3. Command Execution & Streaming");
  const lines = await printed(() => run(streaming, { sandbox }));
  assert.deepEqual(
    lines.slice(0, 3).map((line) => line.trimEnd()),
    ["STDOUT: Count 1", "STDOUT: Count 2", "STDOUT: Count 3"],
  );
  assert.match(lines[3], /^Finished in \d+ ms$/);

  const [files] = blocks("### 4. Comprehensive File Operations");
  const told = await printed(() => run(files, { sandbox }));
  assert.equal(told[0], "Content: Hello World");
  assert.match(told[1], /\/tmp\/demo\/hello\.txt/);

  const [endpoints] = blocks("### 5. Endpoints");
  const url = await run(endpoints, { sandbox }, "url");
  assert.match(url, /^http:\/\//);

  const [admin] = blocks("### 7. Sandbox Management (Admin)");
  const listed = await printed(() => run(admin, { ...client, config }));
  assert.ok(listed.join().includes(sandbox.id), listed.join());

  const [guarded] = blocks("### 2. Sandbox Creation Configuration");
  manual.push(await run(guarded, { ...client, config }, "sandbox"));
  const [rules] = blocks("### 3. Runtime Egress Policy Updates");
  const policy = await run(rules, { sandbox: manual[1] }, "policy");
  assert.equal(policy.defaultAction, "deny");
  const after = await manual[1].getEgressPolicy();
  assert.deepEqual(
    new Set(after.egress.map(({ action, target }) => `${action} ${target}`)),
    new Set(["allow www.github.com", "deny pypi.org"]),
  );

  const [protectedSandbox, vault] = blocks("### 4. Credential Vault")[0].split(/(?=^await )/m);
  const owner = await run(protectedSandbox, { ...client, config }, "sandbox");
  manual.push(owner);
  await run(vault, { sandbox: owner });
  assert.equal((await owner.credentialVault.get()).bindings[0].name, "api-token");
} finally {
  for (const one of [sandbox, ...manual]) {
    await one.kill();
    await one.close();
  }
}
console.log("ok");
