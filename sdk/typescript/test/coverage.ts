/** Every documented operation can be reached. Runs last, when all other tests have left their marks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { called } from "./setup.js";

/** Operations that are not called on purpose, by the beginning of their names. */
const EXPLAINED: [prefix: string, why: string][] = [
  ["handOver", "the server hands a pool's member over to its owner with it, once"],
  [
    "localProxy",
    "execd's own way to ports, for those who reach nothing but execd; `ports.fetch` goes through the server",
  ],
  ["getActiveVault", "the proxy beside a sandbox asks it, over a socket that nobody else reaches"],
  ["healthz", "the server asks it before a sandbox with a policy begins"],
  ["getPolicy", "the server's `getSandboxNetworkPolicy` asks it"],
  ["replacePolicy", "the server's `replaceSandboxNetworkPolicy` asks it"],
  ["patchPolicy", "the server's `patchSandboxNetworkPolicy` asks it"],
  ["deletePolicyRules", "the server's `deleteSandboxNetworkPolicyRules` asks it"],
];

async function documented(): Promise<string[]> {
  // Not exported: of the installed package, not of the sources.
  const names = ["lifecycle", "execd", "egress"].map(async (api) => {
    const address = new URL(`./generated/${api}.js`, import.meta.resolve("sandkeep"));
    const { routes } = (await import(address.href)) as { routes: Record<string, unknown> };
    return Object.keys(routes);
  });
  return (await Promise.all(names)).flat();
}

test("every documented operation is reached by these tests", async () => {
  const operations = await documented();
  assert.ok(operations.length > 100);
  const unreached = operations.filter((name) => !called.has(name));
  const unexplained = unreached.filter((name) => !EXPLAINED.some(([prefix]) => name.startsWith(prefix)));
  assert.deepEqual(unexplained, []);
  const idle = EXPLAINED.filter(([prefix]) => !unreached.some((name) => name.startsWith(prefix)));
  assert.deepEqual(idle, [], "what is reached needs no explanation");
});
