// Says how much of a page the package takes: bundled for browsers, minified, and compressed.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const { outputFiles } = await build({
  entryPoints: [new URL("../dist/index.js", import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  write: false,
});
const code = outputFiles[0].contents;
console.log(JSON.stringify({ minified: code.length, gzipped: gzipSync(code, { level: 9 }).length }));
