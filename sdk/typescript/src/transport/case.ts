/** execd's members are written in `snake_case`; programs in JavaScript expect `camelCase`. */

type CamelCase<Name> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail> & string>}`
  : Name;

/** A wire type with its members' names in camel case, all the way down. */
export type Camel<Wire> = Wire extends readonly (infer Item)[]
  ? Camel<Item>[]
  : Wire extends object
    ? { [Name in keyof Wire as CamelCase<Name>]: Camel<Wire[Name]> }
    : Wire;

/** Renames the members of a value that was read from JSON. */
export function camel<Wire>(value: Wire): Camel<Wire> {
  return rename(value, (name) =>
    name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
  ) as Camel<Wire>;
}

/** The way back, for requests. */
export function snake<Wire>(value: Camel<Wire>): Wire {
  return rename(value, (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) as Wire;
}

function rename(value: unknown, to: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => rename(item, to));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [to(name), rename(member, to)]));
}
