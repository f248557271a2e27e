interface ProcessLike {
  versions?: { node?: string };
  env?: Record<string, string | undefined>;
}

const processLike = (globalThis as { process?: ProcessLike }).process;

/** Whether this is Node, or something that behaves like it. */
export const isNode = processLike?.versions?.node !== undefined;

/** A variable of the environment; nothing where it is empty, or where there is no environment. */
export function variable(name: string): string | undefined {
  const value = isNode ? processLike?.env?.[name]?.trim() : undefined;
  return value === "" ? undefined : value;
}
