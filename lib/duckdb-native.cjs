// Stands for `@duckdb/node-api` inside the load bundle and finds the real package at run time: in the folder the local stack
// names, in Lambda's layer, or above the bundle. One bundle thus runs on Lambda's arm64 and on any developer's machine.

const { createRequire } = require("node:module");
const { join } = require("node:path");

const roots = [process.env.MORAINE_NATIVE_ROOT, "/opt/nodejs", __dirname, process.cwd()].filter(Boolean);

function load() {
  for (const root of roots) {
    const requireFrom = createRequire(join(root, "index.js"));
    let path;
    try {
      path = requireFrom.resolve("@duckdb/node-api");
    } catch {
      continue;
    }
    return requireFrom(path);
  }
  throw new Error(`@duckdb/node-api is in none of: ${roots.join(", ")}; deploy with the layer or run npm ci`);
}

module.exports = load();
