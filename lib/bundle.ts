// Bundles each handler into a folder that Lambda and the local stack both run as it is: index.js, its source map and the
// validated configuration. Paths inside are relative and no time enters, so equal sources give equal bytes and asset hashes.
// No native code is in a bundle: DuckDB is found at run time, in the layer or in this machine's node_modules.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { build } from "esbuild";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { CONFIG_ASSET } from "../lambdas/core/environment.ts";

export type FunctionName = "load" | "commit" | "sweep" | "discover";
/** Folder of each function's code. */
export type Bundles = Readonly<Record<FunctionName, string>>;

const ROOT = join(import.meta.dirname, "..");

const folders: string[] = [];
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The folders live until the process ends: CDK copies them into the cloud assembly when the functions are made. */
export async function bundleHandlers(config: MoraineConfig): Promise<Bundles> {
  const folder = mkdtempSync(join(tmpdir(), "moraine-bundle-"));
  folders.push(folder);
  const [load, commit, sweep, discover] = await Promise.all([
    bundleHandler("load", config, folder),
    bundleHandler("commit", config, folder),
    bundleHandler("sweep", config, folder),
    bundleHandler("discover", config, folder),
  ]);
  return { load, commit, sweep, discover };
}

async function bundleHandler(name: FunctionName, config: MoraineConfig, folder: string): Promise<string> {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: [`lambdas/${name}/handler.ts`],
    outfile: `lambdas/${name}/index.js`,
    write: false,
    bundle: true,
    platform: "node",
    target: "node24",
    // CommonJS: a layer's modules are found by NODE_PATH, which ES modules ignore.
    format: "cjs",
    define: { "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
    // Packages written as ES modules shake out what is not used: half the size of the SDK clients.
    mainFields: ["module", "main"],
    // A third less to parse at a cold start; traces are read through the source map.
    minify: true,
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    logLevel: "warning",
    // Only `load` converts; a native import anywhere else fails the bundle.
    ...(name === "load" ? { alias: { "@duckdb/node-api": "./lib/duckdb-native.cjs" } } : {}),
  });
  const target = join(folder, name);
  mkdirSync(target);
  for (const file of result.outputFiles) writeFileSync(join(target, basename(file.path)), file.contents);
  writeFileSync(join(target, CONFIG_ASSET), `${JSON.stringify(config, null, 1)}\n`);
  // Says what index.js is, wherever the folder lies: below this repository it would count as an ES module.
  writeFileSync(join(target, "package.json"), '{"type":"commonjs"}\n');
  return target;
}
