// Calls a server outside with what Node.js has built in; stays until /srv/end is there.

import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const answer = await fetch("https://api.test/echo", { headers: { "x-stack": "node" } });
console.log(`node: ${(await answer.text()).trim()}`);
console.log("node: done");
while (!existsSync("/srv/end")) {
  await setTimeout(100);
}
