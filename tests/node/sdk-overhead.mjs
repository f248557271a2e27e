// What a call through the TypeScript SDK takes longer than the same request over a bare connection. The two take turns
// over connections that stay open. Prints one difference in milliseconds a line; the median counts.
import http from "node:http";
import { Client } from "sandkeep";

const WARM_UP = 200;

const [sandbox, count] = [process.argv[1], Number(process.argv[2])];
const url = `${process.env.SANDKEEP_URL}/v1/sandboxes/${sandbox}`;
const headers = { "OPEN-SANDBOX-API-KEY": process.env.OPEN_SANDBOX_API_KEY };
const agent = new http.Agent({ keepAlive: true });
const client = new Client();

const bare = () =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { agent, headers, timeout: 60_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve(JSON.parse(text)));
    });
    request.on("error", reject);
  });

for (let turn = 0; turn < WARM_UP + count; turn += 1) {
  const began = performance.now();
  await bare();
  const between = performance.now();
  await client.sandboxes.get(sandbox);
  const ended = performance.now();
  if (turn >= WARM_UP) console.log(ended - between - (between - began));
}
agent.destroy();
