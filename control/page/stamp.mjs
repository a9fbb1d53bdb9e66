// Writes down what the built files were made from and what they are, so that `cargo test` can say
// without Node that one was changed and not the other. See control/tests/page.rs, which reads it.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";

const SOURCES = ["index.html", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src"];

const lines = [...SOURCES, "dist"].flatMap(files).filter((path) => path !== "dist/stamp");
writeFileSync("dist/stamp", lines.map((path) => `${fnv(readFileSync(path))} ${path}\n`).join(""));

function files(path) {
  if (/\./.test(path)) return [path];
  const inside = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return inside.flatMap((entry) => (entry.isDirectory() ? files(`${path}/${entry.name}`) : [`${path}/${entry.name}`]));
}

/** FNV-1a with 64 bits: against forgetting, not against forgery. */
function fnv(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, "0");
}
