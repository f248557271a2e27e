// Work that took long is done once and kept; then two sandboxes go on from it, each on its own way.
import { Client, Sandbox } from "sandkeep";

const client = new Client();

async function prepare(): Promise<string> {
  await using sandbox = await Sandbox.create({ image: "sandkeep/base:latest", client });
  // Stands for cloning a repository and installing what it needs.
  await sandbox.run("mkdir /app && echo 'a, b = 2, 3' > /app/data.py", { check: true });
  return (await sandbox.snapshot({ name: "prepared" })).id;
}

async function branch(name: string, operator: string, snapshot: string): Promise<string> {
  await using sandbox = await Sandbox.create({ snapshot, client });
  const code = `from data import *\nprint(f"${name}: {a} ${operator} {b} = {a ${operator} b}")\n`;
  await sandbox.files.write("/app/main.py", code);
  return (await sandbox.run("python3 main.py", { cwd: "/app", check: true })).stdout;
}

const snapshot = await prepare();
try {
  const outputs = await Promise.all([branch("left", "+", snapshot), branch("right", "*", snapshot)]);
  process.stdout.write(outputs.join(""));
} finally {
  await client.snapshots.delete(snapshot);
}
