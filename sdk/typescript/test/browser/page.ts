/** What a page does with sandboxes: everything through the server, from another origin. The result is for the driver. */
import { Client, Sandbox } from "sandkeep";

interface Report {
  done?: boolean;
  error?: string;
  seen: Record<string, unknown>;
}

const report: Report = { seen: {} };
Object.assign(globalThis, { report });

async function play({ seen }: Report): Promise<void> {
  const settings = new URLSearchParams(location.search);
  const client = new Client({ url: settings.get("url") ?? "", apiKey: settings.get("key") ?? "" });
  const sb = await Sandbox.create({ image: "sandkeep/base:latest", client });
  try {
    const live: string[] = [];
    const result = await sb.run("for i in 1 2 3; do echo $i; done; exit 4", { onStdout: (text) => live.push(text) });
    seen["command"] = [result.stdout, live.join(""), result.exitCode];
    seen["input"] = (await sb.run("tr a-z A-Z", { input: "shout" })).stdout;
    seen["code"] = (await sb.code.python("6 * 7")).text;

    const data = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251);
    await sb.files.write("/tmp/data", new Blob([data]).stream());
    const back = await sb.files.read("/tmp/data");
    seen["file"] = back.length === data.length && back.every((byte, at) => byte === data[at]);
    await sb.files.uploadTree("/tmp/tree", [{ path: "a/b", type: "file", content: "tree" }]);
    seen["tree"] = await sb.files.readText("/tmp/tree/a/b");

    const background = await sb.commands.start("echo behind");
    await background.wait();
    seen["logs"] = await background.logs();

    const abort = new AbortController();
    const aborted = sb.run("sleep 1000", { signal: abort.signal, onEvent: () => abort.abort() });
    seen["aborted"] = await aborted.catch((error: Error) => error.name);

    const terminal = await sb.terminals.create({ command: 'read line; echo "got $line"; exit 5' });
    const connection = await terminal.attach();
    await connection.write("typed\n");
    const text = await connection.text();
    seen["terminal"] = [text.includes("got typed"), connection.exitCode];
    seen["missing"] = await sb.files.read("/none").catch((error: Error) => error.name);
  } finally {
    await sb.delete();
  }
}

play(report)
  .catch((error: Error) => (report.error = `${error.name}: ${error.message}`))
  .finally(() => (report.done = true));
