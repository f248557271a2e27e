import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, Sandbox } from "sandkeep";
import { create, direct, proxied, sandbox, until } from "./setup.js";

const WEB = `
from http.server import BaseHTTPRequestHandler, HTTPServer
class Echo(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        text = f"{self.command} {self.path} {body.decode()} {'open-sandbox-api-key' in self.headers}".encode()
        self.send_response(200 if self.path != "/teapot" else 418)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer
HTTPServer(("0.0.0.0", 3000), Echo).serve_forever()
`;

test("a port is reached with requests and by address", async () => {
  const sb = await create();
  await sb.files.write("/tmp/web.py", WEB);
  await sb.commands.start("python3 /tmp/web.py");
  const text = async (path: string, init: RequestInit = {}): Promise<string> =>
    (await sb.ports.fetch(3000, { path, ...init })).text();
  await until("the web server", async () => (await sb.ports.fetch(3000)).ok);
  assert.equal(await text("/a/b?c=d"), "GET /a/b?c=d  False");
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    assert.equal(await text("/x", { method, body: "sent" }), `${method} /x sent False`);
    assert.equal(await text("/", { method, body: "root" }), `${method} / root False`);
  }
  assert.equal((await sb.ports.fetch(3000, { path: "teapot" })).status, 418);
  await assert.rejects(sb.ports.fetch(3000, { method: "OPTIONS" }), ConfigError);

  const url = await sb.ports.previewUrl(3000, { throughServer: true });
  assert.equal(url, `${direct.url}/v1/sandboxes/${sb.id}/proxy/3000/`);
  assert.match(await sb.ports.previewUrl(3000, { throughServer: false }), /^http:\/\/10\..*:3000\/$/);
  // This server has no gateway to sign for.
  await assert.rejects(sb.ports.previewUrl(3000, { expires: new Date(Date.now() + 60_000) }), { status: 400 });
  await sb.delete();
});

const REVERSE = `
import socket
listener = socket.create_server(("0.0.0.0", 3001))
while True:
    peer, _ = listener.accept()
    data = b""
    while part := peer.recv(65536): data += part
    peer.sendall(data[::-1])
    peer.close()
`;

test("a tunnel carries bytes both ways, each to its own end", async () => {
  const sb = await create();
  await sb.files.write("/tmp/reverse.py", REVERSE);
  await sb.commands.start("python3 /tmp/reverse.py");
  const tunnel = await until("the listener", () => sb.ports.connect(3001).catch(() => undefined));
  const data = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251);
  const answer = new Response(tunnel.readable as BodyInit).arrayBuffer();
  const writer = tunnel.writable.getWriter();
  await writer.write(data.subarray(0, 5));
  await writer.write(data.subarray(5));
  await writer.close();
  assert.deepEqual(new Uint8Array(await answer), data.slice().reverse());
  await assert.rejects(sb.ports.connect(3999), { name: "ServerError", status: 502 });
  await sb.delete();
});

for (const [how, through] of [
  ["directly", direct],
  ["through the server", proxied],
] as const) {
  test(`a terminal is attached, resized, left and found again ${how}`, async () => {
    const sb = await Sandbox.connect((await sandbox()).id, { client: through });
    await using terminal = await sb.terminals.create({ cwd: "/tmp" });
    const one = await terminal.attach();
    await one.resize(123, 45);
    await one.write("stty size; echo 'in '$PWD\n");
    let seen = "";
    for await (const { data } of one) {
      seen += new TextDecoder().decode(data);
      if (seen.includes("in /tmp\r\n")) break;
    }
    assert.match(seen, /45 123/);
    await assert.rejects(terminal.attach().then((second) => second.text()));
    one.detach();
    assert.equal((await terminal.status()).running, true);

    const two = await terminal.attach({ takeover: true });
    const first = await two[Symbol.asyncIterator]().next();
    assert.equal(first.value?.type, "replay");
    await two.write("exit 7\n");
    await two.text();
    assert.equal(two.exitCode, 7);
  });
}

test("pipes keep both outputs apart, and signals arrive", async () => {
  const sb = await sandbox();
  const command = "trap 'echo caught; exit 9' TERM; echo out; echo err >&2; while :; do sleep 0.05; done";
  const terminal = await sb.terminals.create({ command });
  const connection = await terminal.attach({ pipes: true });
  let out = "";
  let err = "";
  let signalled = false;
  for await (const { type, data } of connection) {
    if (type === "stderr") err += new TextDecoder().decode(data);
    else out += new TextDecoder().decode(data);
    if (out === "out\n" && err === "err\n" && !signalled) {
      signalled = true;
      await connection.signal("SIGTERM");
    }
  }
  assert.deepEqual([out, connection.exitCode], ["out\ncaught\n", 9]);
  await terminal.delete();
});
