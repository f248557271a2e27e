// Writes types and routes from the API documents: node generate.mjs DOCUMENTS OUTPUT.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import { parse } from "yaml";

const DOCUMENTS = ["lifecycle", "execd", "egress"];
/** A document that repeats operations of the first. */
const REPEATING = "diagnostics";
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch"];

const [documents, output] = process.argv.slice(2);

/** A line for every operation of a document. */
function routes(name) {
  const { paths } = parse(readFileSync(join(documents, `${name}.yaml`), "utf8"));
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map(
      (method) => `  ${item[method].operationId}: ["${method.toUpperCase()}", "${path}"],`,
    ),
  );
}

/** Types and routes of one document. */
async function generate(name) {
  const address = pathToFileURL(join(documents, `${name}.yaml`));
  const types = await openapiTS(address, { defaultNonNullable: false, emptyObjectsUnknown: true });
  return [
    `// Generated from specs/openapi/${name}.yaml by \`cargo xtask sdk\`. Do not edit.`,
    astToString(types).trimEnd(),
    "",
    "/** Method and path of every operation. */",
    "export const routes = {",
    ...routes(name),
    "} as const;",
    "",
  ].join("\n");
}

const known = new Set(routes(DOCUMENTS[0]));
const unknown = routes(REPEATING).filter((route) => !known.has(route));
if (unknown.length > 0) throw new Error(`only ${REPEATING}.yaml has ${unknown.join("")}`);
mkdirSync(output, { recursive: true });
for (const name of DOCUMENTS) {
  writeFileSync(join(output, `${name}.ts`), await generate(name));
}
