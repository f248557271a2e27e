/** What the tests share: a client that writes down which operations it was asked for, and one sandbox. */
import { after } from "node:test";
import { Client, type NewSandbox, Sandbox } from "sandkeep";

export const IMAGE = "sandkeep/base:latest";

/** Names of the operations that were sent. */
export const called = new Set<string>();

/** A limit for what must happen soon, however slow the machine. */
export const SOON_MS = 60_000;

export function client(throughServer: boolean): Client {
  return new Client({ throughServer, onRequest: (operation) => called.add(operation) });
}

export const direct = client(false);
export const proxied = client(true);

let shared: Promise<Sandbox> | undefined;

/** A sandbox that no test may end. */
export function sandbox(): Promise<Sandbox> {
  shared ??= create();
  return shared;
}

export function create(options: Partial<NewSandbox> & { client?: Client } = {}): Promise<Sandbox> {
  return Sandbox.create({ image: IMAGE, client: direct, ...options });
}

after(async () => {
  await (await shared)?.delete();
});

/** Looks again and again until something is there. */
export async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (const since = Date.now(); Date.now() - since < SOON_MS; ) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} never came`);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const item of items) gathered.push(item);
  return gathered;
}

export async function bytes(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Blob((await all(chunks)) as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}
