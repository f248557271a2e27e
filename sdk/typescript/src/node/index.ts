/** Directory trees on this machine's disk, for programs in Node: `import … from "sandkeep/node"`. */

export { type DownloadedTree, downloadDirectory } from "./download.js";
export { uploadDirectory } from "./upload.js";
