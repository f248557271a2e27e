/** The transport against servers of our own, which misbehave as real ones seldom do. */
import assert from "node:assert/strict";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { Client, ConnectionError, Sandbox, StreamError, TimeoutError } from "sandkeep";
import { all, called } from "./setup.js";

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A server for one test; returns its address and what it was asked. */
async function serve(context: TestContext, handler: Handler): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      asked.push(`${request.method} ${request.url}`);
      handler(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

function json(response: ServerResponse, status: number, value: unknown, headers = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}

/** A server with one sandbox, whose execd and ports it plays itself. */
function playing(handler: Handler): Handler {
  return (request, response, body) => {
    const { host } = request.headers;
    if (request.url?.includes("/endpoints/")) {
      const port = /endpoints\/(\d+)/.exec(request.url)?.[1];
      return json(response, 200, { endpoint: `${host}/at/${port}`, headers: { "x-proof": "shown" } });
    }
    if (request.url?.endsWith("/ping")) return void response.end();
    handler(request, response, body);
  };
}

test("what only reads is sent again, what changes something is not", async (context) => {
  const { url, asked } = await serve(context, (_request, response) =>
    json(response, 503, { code: "X", message: "no" }),
  );
  const client = new Client({ url, retries: 2 });
  await assert.rejects(client.health(), { name: "ServerError", code: "X" });
  assert.equal(asked.length, 3);
  await assert.rejects(client.sandboxes.delete("a/b"), { status: 503 });
  assert.deepEqual(asked.slice(3), ["DELETE /v1/sandboxes/a%2Fb"]);
});

test("a creation is sent again under its name", async (context) => {
  const keys: unknown[] = [];
  const { url } = await serve(context, (request, response) => {
    keys.push(request.headers["idempotency-key"]);
    if (keys.length === 1) return void response.destroy();
    json(response, 202, { id: "made" });
  });
  assert.equal((await new Client({ url }).sandboxes.create({ image: "x" })).id, "made");
  assert.deepEqual([keys.length, keys[0] === keys[1], typeof keys[0]], [2, true, "string"]);
});

test("a stream that breaks is an error, and its command is not run again", async (context) => {
  const { url, asked } = await serve(
    context,
    playing((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"type":"init","text":"c"}\n\ndata: {"type":"stdout","text":"half"}\n\n', () =>
        response.destroy(),
      );
    }),
  );
  const sb = await Sandbox.connect("s", { client: new Client({ url, retries: 5, throughServer: true }) });
  await assert.rejects(sb.run("echo"), ConnectionError);
  assert.equal(asked.filter((each) => each.startsWith("POST")).length, 1);
});

test("a stream that ends early is an error too", async (context) => {
  const { url } = await serve(
    context,
    playing((_request, response) => void response.end('data: {"type":"stdout","text":"half"}\n\n')),
  );
  const sb = await Sandbox.connect("s", { client: new Client({ url, throughServer: true }) });
  await assert.rejects(sb.run("echo"), StreamError);
});

test("older daemons' bare objects are understood, cut lines mended", async (context) => {
  const events = [
    { type: "init", text: "id" },
    { type: "stdout", text: "one" },
    { type: "ping", text: "pong" },
    { type: "stdout", text: "two" },
    { type: "error", error: { ename: "CommandExecError", evalue: "3", traceback: [] } },
  ];
  const { url } = await serve(
    context,
    playing((_request, response) => void response.end(events.map((event) => `${JSON.stringify(event)}\n\n`).join(""))),
  );
  const sb = await Sandbox.connect("s", { client: new Client({ url, throughServer: true }) });
  const result = await sb.run("echo");
  assert.deepEqual([result.stdout, result.exitCode, result.id], ["one\ntwo", 3, "id"]);
});

test("an error inside a stream is an error", async (context) => {
  const { url } = await serve(
    context,
    playing(
      (_request, response) =>
        void response.end('data: {"type":"init","text":"c"}\n\n{"code":"BUSY","message":"later"}'),
    ),
  );
  const sb = await Sandbox.connect("s", { client: new Client({ url, throughServer: true }) });
  await assert.rejects(sb.code.python("1"), { name: "ServerError", code: "BUSY" });
});

test("silence has a limit, in answers and in streams", async (context) => {
  const { url } = await serve(
    context,
    playing((request, response) => {
      if (request.url === "/health") return;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"type":"init","text":"c"}\n\n');
    }),
  );
  await assert.rejects(new Client({ url, timeouts: { request: 200 } }).health(), TimeoutError);
  const client = new Client({ url, throughServer: true, timeouts: { idle: 200 } });
  const sb = await Sandbox.connect("s", { client });
  await assert.rejects(sb.run("echo"), TimeoutError);
});

test("a broken connection of events is made again where it broke", async (context) => {
  let current: ServerResponse | undefined;
  const { url, asked } = await serve(context, (_request, response) => {
    current = response.writeHead(200, { "content-type": "text/event-stream" });
    const id = asked.length;
    response.write(`id: ${id}\nevent: sandbox.state\ndata: {"id":${id},"at":"","type":"sandbox.state"}\n\n`);
  });
  const ids: number[] = [];
  for await (const event of new Client({ url }).events({ types: ["sandbox.state"] })) {
    ids.push(event.id);
    if (ids.length === 3) break;
    current?.destroy();
  }
  assert.deepEqual(ids, [1, 2, 3]);
  assert.match(asked[2] ?? "", /lastEventId=2/);
});

test("a vault is spoken to beside the sandbox, with the proof it asks for", async (context) => {
  const said: string[] = [];
  const { url, asked } = await serve(
    context,
    playing((request, response, body) => {
      said.push(`${request.headers["x-proof"]} ${body}`);
      if (request.url?.endsWith("/none")) return void response.writeHead(404).end("no such credential\n");
      if (request.method === "DELETE") return void response.writeHead(204).end();
      json(response, 200, { revision: 1, credentials: [], bindings: [], name: "n" });
    }),
  );
  const client = new Client({ url, throughServer: true, onRequest: (operation) => called.add(operation) });
  const { vault } = (await Sandbox.connect("s", { client })).network;
  await vault.create({
    credentials: [{ name: "key", source: { type: "inline", value: "secret" } }],
    bindings: [{ name: "api", match: { hosts: ["example.com"] }, auth: { type: "bearer", credential: "key" } }],
  });
  assert.equal((await vault.state()).revision, 1);
  await vault.change({ expectedRevision: 1, credentials: { delete: ["key"] } });
  assert.deepEqual([await vault.credentials(), await vault.bindings()], [[], []]);
  assert.equal((await vault.credential("n")).name, "n");
  assert.equal((await vault.binding("n")).name, "n");
  await assert.rejects(vault.credential("none"), { name: "NotFoundError", message: /no such credential/ });
  await vault.delete();
  const at = "/at/18080/credential-vault";
  assert.deepEqual(
    asked.filter((each) => each.includes(at)),
    [
      `POST ${at}`,
      `GET ${at}`,
      `PATCH ${at}`,
      `GET ${at}/credentials`,
      `GET ${at}/bindings`,
      `GET ${at}/credentials/n`,
      `GET ${at}/bindings/n`,
      `GET ${at}/credentials/none`,
      `DELETE ${at}`,
    ],
  );
  assert.ok(said.every((each) => each.startsWith("shown")));
  assert.equal(said[2], 'shown {"expectedRevision":1,"credentials":{"delete":["key"]}}');
});

test("watching a stream costs no more than the reader takes", async (context) => {
  const total = 64;
  let sent = 0;
  const { url } = await serve(context, async (_request, response) => {
    for (; sent < total; sent += 1) {
      if (!response.write(Buffer.alloc(1 << 20))) await new Promise((resolve) => response.once("drain", resolve));
      if (response.destroyed) return;
    }
    response.end();
  });
  const chunks = new Client({ url }).images.export("x");
  await chunks.next();
  const before = sent;
  assert.ok(before < total, "the reader's pace is the sender's");
  await chunks.return();
  await assert.rejects(all(new Client({ url: "http://127.0.0.1:9", retries: 0 }).images.export("x")));
});
