/** The types of an API's operations, as openapi-typescript writes them, taken apart for those who call them. */

type Part<Op, Name extends string> = Op extends { parameters: infer Parts }
  ? Name extends keyof Parts
    ? NonNullable<Parts[Name]>
    : never
  : never;

type Content<Message, Type extends string> = Message extends { content: infer Types }
  ? Type extends keyof Types
    ? Types[Type]
    : never
  : never;

type Answers<Op> = Op extends { responses: infer Statuses } ? Statuses : never;

type Success = 200 | 201 | 202;

/** Body of an operation that takes JSON. */
export type JsonBody<Op> = Op extends { requestBody?: infer Body }
  ? Content<NonNullable<Body>, "application/json">
  : never;

/** What an operation answers in JSON. */
export type JsonAnswer<Op> = {
  [Status in keyof Answers<Op>]: Status extends Success ? Content<Answers<Op>[Status], "application/json"> : never;
}[keyof Answers<Op>];

/** What the events of an operation's stream hold. */
export type StreamedEvent<Op> = {
  [Status in keyof Answers<Op>]: Status extends Success ? Content<Answers<Op>[Status], "text/event-stream"> : never;
}[keyof Answers<Op>];

/** A part that may be left out when nothing in it is required, and that must be when there is nothing. */
type Given<Name extends string, Value> = [Value] extends [never]
  ? { [key in Name]?: undefined }
  : object extends Value
    ? { [key in Name]?: Value | undefined }
    : null extends Value
      ? { [key in Name]?: Value | undefined }
      : { [key in Name]: Value };

/** Arguments of an operation: path, query and a JSON body. */
export type Arguments<Op> = Given<"path", Part<Op, "path">> &
  Given<"query", Part<Op, "query">> &
  Given<"body", JsonBody<Op>>;

/** Method and path of each operation. */
export type Routes = Readonly<Record<string, readonly [method: string, path: string]>>;

/** Arguments as the transport sees them. */
export interface Parts {
  path?: unknown;
  query?: unknown;
  body?: unknown;
}

/** A path with its parameters filled in, each escaped, and its query. */
export function address(template: string, parts: Parts): string {
  const values = (parts.path ?? {}) as Record<string, unknown>;
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
  const query = encodeQuery(parts.query as Record<string, unknown> | undefined);
  return query === "" ? path : `${path}?${query}`;
}

function encodeQuery(query: Record<string, unknown> | undefined): string {
  if (query === undefined) return "";
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const each of Array.isArray(value) ? value : [value]) {
      pairs.push(`${name}=${encodeURIComponent(String(each))}`);
    }
  }
  return pairs.join("&");
}
