import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, ConfigError, NotFoundError, type PolicyStatus, Sandbox } from "sandkeep";
import { IMAGE, all, bytes, create, direct, proxied, sandbox, until } from "./setup.js";

test("a sandbox lives as long as the block that holds it", async () => {
  let id: string;
  {
    await using sb = await create({
      metadata: { test: "block" },
      env: { GREETING: "hi" },
      limits: { memory: "256Mi" },
    });
    id = sb.id;
    assert.equal((await sb.run("echo $GREETING")).stdout, "hi\n");
    assert.deepEqual((await sb.info()).metadata, { test: "block" });
    {
      await using again = await Sandbox.connect(id, { client: proxied });
      assert.equal((await again.run("echo $GREETING")).stdout, "hi\n");
    }
    assert.ok((await sb.run("true")).ok, "a connected sandbox outlives its block");
  }
  await assert.rejects(direct.sandboxes.get(id), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "SANDBOX::NOT_FOUND");
    assert.match(error.requestId ?? "", /./);
    return true;
  });
});

test("sandboxes are listed by their labels, page by page", async () => {
  const made = await Promise.all([1, 2, 3].map((n) => create({ metadata: { group: "a.b", n: String(n) } })));
  const ids = made.map(({ id }) => id).sort();
  const listed = await all(direct.sandboxes.list({ metadata: { group: "a.b" }, states: ["Running"] }));
  assert.deepEqual(listed.map(({ id }) => id).sort(), ids);
  const page = await direct.sandboxes.page({ metadata: { group: "a.b" }, page: 2, pageSize: 2 });
  assert.deepEqual([page.items.length, page.pagination.totalItems, page.pagination.hasNextPage], [1, 3, false]);
  await made[0]?.setMetadata({ group: null, more: "yes" });
  assert.equal((await all(direct.sandboxes.list({ metadata: { group: "a.b" } }))).length, 2);
  await Promise.all(made.map((each) => each.delete()));
});

test("one creation makes one sandbox, however often it is sent", async () => {
  const options = { image: IMAGE, idempotencyKey: crypto.randomUUID() };
  const [one, two] = await Promise.all([direct.sandboxes.create(options), direct.sandboxes.create(options)]);
  assert.equal(one.id, two.id);
  await direct.sandboxes.delete(one.id);
});

test("a sandbox is paused, resumed, stopped, started and renewed", async () => {
  const sb = await create();
  await sb.files.write("/root/kept", "kept");
  await sb.pause();
  assert.equal((await sb.info()).status.state, "Paused");
  await sb.resume();
  assert.ok((await sb.run("true")).ok);
  assert.equal((await sb.stop()).memory, false);
  assert.equal((await sb.info()).status.state, "Stopped");
  await sb.start();
  assert.equal(await sb.files.readText("/root/kept"), "kept");
  const expiry = await sb.renew(3600);
  assert.ok(Math.abs(expiry.getTime() - Date.now() - 3_600_000) < 600_000);
  assert.equal(new Date((await sb.info()).expiresAt ?? 0).getTime(), expiry.getTime());
  await sb.delete();
});

test("files are kept as a snapshot that others begin from", async () => {
  const sb = await create();
  await sb.files.write("/root/work", "done");
  const snapshot = await sb.snapshot({ name: "typescript" });
  assert.equal(snapshot.status.state, "Ready");
  assert.deepEqual(
    (await all(direct.snapshots.list({ sandboxId: sb.id }))).map(({ id }) => id),
    [snapshot.id],
  );
  const fork = await Sandbox.create({ snapshot: snapshot.id, client: direct });
  assert.equal(await fork.files.readText("/root/work"), "done");
  await Promise.all([fork.delete(), sb.delete()]);
  await direct.snapshots.delete(snapshot.id);
  await assert.rejects(direct.snapshots.get(snapshot.id), NotFoundError);
});

test("a template says what sandboxes are made of", async () => {
  const { templateId } = await direct.templates.create({
    image: IMAGE,
    publish: "typescript",
    entrypoint: ["sleep", "infinity"],
    env: { FROM: "template" },
    metadata: { of: "typescript" },
    readiness: { warmupSeconds: 0 },
  });
  assert.equal((await direct.templates.wait(templateId)).status.phase, "Succeeded");
  const listed = await all(direct.templates.list({ metadata: { of: "typescript" } }));
  assert.deepEqual(
    listed.map((each) => each.templateId),
    [templateId],
  );
  const sb = await Sandbox.create({ template: templateId, client: direct });
  assert.equal((await sb.run("echo $FROM")).stdout, "template\n");
  await sb.delete();
  await direct.templates.delete(templateId);
});

test("a pool keeps sandboxes ready", async () => {
  const capacity = { bufferMin: 1, bufferMax: 1, poolMin: 0, poolMax: 2 };
  const template = { spec: { containers: [{ name: "sandbox", image: IMAGE }] } };
  await direct.pools.create({ name: "typescript", capacity, template });
  await until("a waiting sandbox", async () => ((await direct.pools.get("typescript")).status?.available ?? 0) >= 1);
  const sb = await Sandbox.create({ pool: "typescript", client: direct, env: { MINE: "yes" } });
  assert.equal((await sb.run("echo $MINE")).stdout, "yes\n");
  assert.equal((await sb.info()).allocation?.poolRef, "typescript");
  const resized = await direct.pools.resize("typescript", { ...capacity, bufferMin: 0, bufferMax: 0 });
  assert.equal(resized.capacitySpec.bufferMax, 0);
  assert.ok((await direct.pools.list()).some(({ name }) => name === "typescript"));
  await sb.delete();
  await direct.pools.delete("typescript");
});

/** Makes an image with one small file, as a docker archive. */
const TINY_IMAGE = `
import hashlib, io, json, tarfile
def tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
tar("/tmp/layer.tar", {"hello": b"hello"})
layer = open("/tmp/layer.tar", "rb").read()
config = {"architecture": "amd64", "os": "linux", "config": {},
          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}
manifest = [{"Config": "config.json", "RepoTags": ["typescript/tiny:1"], "Layers": ["layer.tar"]}]
tar("/tmp/image.tar", {"manifest.json": json.dumps(manifest).encode(),
                       "config.json": json.dumps(config).encode(), "layer.tar": layer})
`;

test("images are listed, taken in, exported and removed", async () => {
  const sb = await sandbox();
  await sb.run(["python3", "-c", TINY_IMAGE], { check: true });
  const [taken] = await direct.images.import(sb.files.readStream("/tmp/image.tar"), { names: ["typescript/tiny:2"] });
  assert.ok(taken?.names.some((name) => name.endsWith("typescript/tiny:2")));
  assert.ok((await direct.images.list()).some(({ id }) => id === taken?.id));
  const archive = new TextDecoder("latin1").decode(await bytes(direct.images.export("typescript/tiny:2")));
  assert.match(archive, /manifest\.json/);
  await direct.images.delete("typescript/tiny:2");
  await assert.rejects(direct.images.delete("typescript/tiny:2"), NotFoundError);
  // Nobody listens there, which is an answer of the server all the same.
  await assert.rejects(direct.images.pull("127.0.0.1:9/none:1"), { name: "ServerError" });
  await assert.rejects(direct.images.push(IMAGE, { target: "127.0.0.1:9/none:1" }), { name: "ServerError" });
});

test("what happens to sandboxes is heard of, also afterwards", async () => {
  let since = 0;
  for await (const { id } of direct.events({ after: 0 })) {
    since = id;
    break;
  }
  const sb = await create({ metadata: { heard: "yes" } });
  await sb.delete();
  const states: string[] = [];
  for await (const event of direct.events({ after: since, sandboxIds: [sb.id], types: ["sandbox.state"] })) {
    states.push(event.state ?? "");
    if (event.state === "Terminated" || event.state === "Stopping") break;
  }
  assert.ok(states.includes("Running"), states.join());
});

test("a sandbox is looked into from outside", async () => {
  const sb = await create({ entrypoint: ["sh", "-c", "echo printed; sleep infinity"] });
  const { diagnostics } = sb;
  await until("its output", async () => (await diagnostics.logs()).includes("printed"));
  for await (const text of diagnostics.followLogs({ tail: 10 })) if (text.includes("printed")) break;
  assert.match((await diagnostics.describeLogs()).content ?? "", /printed/);
  assert.match(await diagnostics.events(), /Running/);
  assert.equal((await diagnostics.describeEvents()).kind, "events");
  assert.match(await diagnostics.inspect(), new RegExp(sb.id));
  assert.match(await diagnostics.summary({ tail: 5 }), /printed/);
  assert.ok((await sb.metrics()).memoryBytes > 0);
  assert.ok((await sb.daemon.metrics()).memTotalMib > 0);
  for await (const figures of sb.daemon.watchMetrics()) {
    assert.ok(figures.cpuCount > 0);
    break;
  }
  assert.match(await sb.daemon.prometheus(), /# TYPE/);
  assert.equal((await sb.daemon.openapi())["openapi"], "3.1.0");
  for await (const event of sb.events({ after: 0 })) {
    assert.equal(event.sandboxId, sb.id);
    break;
  }
  await sb.delete();
});

test("a policy says what a sandbox may reach, and can be changed", async () => {
  const egress = [{ action: "allow" as const, target: "one.example" }];
  const sb = await create({ networkPolicy: { defaultAction: "deny", egress } });
  const targets = ({ policy }: PolicyStatus): unknown => policy?.egress?.map(({ target }) => target);
  assert.deepEqual(targets(await sb.network.policy()), ["one.example"]);
  await sb.network.addRules([{ action: "allow", target: "*.two.example" }]);
  assert.deepEqual(targets(await sb.network.policy()), ["*.two.example", "one.example"]);
  await sb.network.removeRules(["one.example"]);
  assert.deepEqual(targets(await sb.network.policy()), ["*.two.example"]);
  await sb.network.setPolicy({ defaultAction: "allow", egress: [] });
  assert.equal((await sb.network.policy()).mode, "allow_all");
  assert.ok(Array.isArray((await sb.network.audit({ limit: 10 })).entries));
  await sb.delete();
  await assert.rejects((await sandbox()).network.policy(), { name: /NotFoundError|ConflictError/ });
});

test("the server tells of itself", async () => {
  assert.equal((await direct.health()).status, "healthy");
  assert.match(await direct.version(), /^\d+\.\d+/);
  assert.ok(Object.keys(await direct.capabilities()).length > 0);
  await direct.reportCreation({ createDurationMs: 5, success: true, image: IMAGE });
  assert.match(await direct.prometheus(), /# TYPE/);
});

test("refusals have names, codes and request ids", async () => {
  const stranger = new Client({ apiKey: "wrong", retries: 0 });
  await assert.rejects(stranger.sandboxes.page(), {
    name: "AuthenticationError",
    status: 401,
    code: "INVALID_API_KEY",
  });
  await assert.rejects(direct.sandboxes.create({ image: "no such image!" }), { name: "InvalidRequestError" });
  await assert.rejects(direct.sandboxes.create({}), ConfigError);
  assert.throws(() => new Client({ url: "ftp://nowhere" }), ConfigError);
  await assert.rejects(new Client({ url: "http://127.0.0.1:9", retries: 0 }).health(), { name: "ConnectionError" });
  await assert.rejects(Sandbox.connect(crypto.randomUUID(), { client: direct }), NotFoundError);
});

test("everything works through the server as well", async () => {
  const sb = await Sandbox.connect((await sandbox()).id, { client: proxied });
  assert.equal(sb.throughServer, true);
  assert.equal((await sb.run("cat", { input: "through" })).stdout, "through");
  assert.equal((await sb.code.python("1 + 1")).text, "2");
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  await sb.files.write("/tmp/through", data);
  assert.deepEqual(await sb.files.read("/tmp/through"), data);
});
