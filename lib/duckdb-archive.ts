// Fetches DuckDB for Lambda's platform with npm, whatever machine this is, and packs it as a layer. npm checks each package
// against the lockfile's integrity; this file checks that what arrived is an arm64 Linux binding of a size Lambda takes.

import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { BINDING, layerHash, type Pins, readLockfile, readPins } from "./duckdb-packages.ts";
import { zip } from "./zip.ts";

/** Function code and all layers together, unzipped: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
export const UNZIPPED_BYTES_MAX = 250 * 1024 * 1024;

const CACHE = join(import.meta.dirname, "../.moraine/layer");
const PLATFORM = ["--os=linux", "--cpu=arm64", "--libc=glibc"];
/** ELF e_machine of AArch64, little endian at byte 18. */
const ELF_AARCH64 = 0xb7;

/** Path of the archive; from the cache when it was made before from the same pins. */
export function makeLayerArchive(cache: string = CACHE): string {
  const pins = readPins();
  const archive = join(cache, `duckdb-${layerHash(pins).slice(0, 16)}.zip`);
  if (existsSync(archive)) return archive;
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "work-"));
  try {
    install(folder, pins);
    const files = layerFiles(folder);
    checkBinding(folder);
    checkSize(folder, files);
    const entries = files.map((file) => ({ name: `nodejs/${file}`, bytes: readFileSync(join(folder, file)) }));
    writeFileSync(join(folder, "layer.zip"), zip(entries));
    // A rename is all or nothing: a half-written archive is never found under the final name.
    renameSync(join(folder, "layer.zip"), archive);
    return archive;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function install(folder: string, pins: Pins): void {
  const dependencies = { "@duckdb/node-api": pins["@duckdb/node-api"]?.version };
  const project = { name: "moraine-duckdb-layer", version: "1.0.0" };
  const locked = Object.entries(readLockfile().packages).filter(([path]) =>
    /^node_modules\/(@duckdb\/|detect-libc$)/.test(path),
  );
  const packages = { "": { ...project, dependencies }, ...Object.fromEntries(locked) };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...project, private: true, dependencies }));
  writeFileSync(
    join(folder, "package-lock.json"),
    JSON.stringify({ ...project, lockfileVersion: 3, requires: true, packages }),
  );
  const args = ["ci", ...PLATFORM, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  execFileSync("npm", args, { cwd: folder, stdio: ["ignore", process.stderr, process.stderr] });
}

/** Types, source maps and readmes stay behind; licences go along. */
function layerFiles(folder: string): readonly string[] {
  return readdirSync(join(folder, "node_modules"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .filter((file) => !/(\.d\.ts|\.map|\.md|\/\.package-lock\.json)$/.test(file))
    .sort();
}

function checkBinding(folder: string): void {
  for (const file of ["duckdb.node", "libduckdb.so"]) {
    const path = join(folder, "node_modules", BINDING, file);
    if (!existsSync(path))
      throw new Error(`npm did not install ${BINDING}/${file}; raise npm to 10.9 or newer, which knows --libc`);
    if (elfMachine(path) !== ELF_AARCH64) throw new Error(`${BINDING}/${file} is no arm64 Linux binary`);
  }
  const bindings = readdirSync(join(folder, "node_modules/@duckdb")).filter((name) =>
    name.startsWith("node-bindings-"),
  );
  if (bindings.length !== 1)
    throw new Error(`the layer would hold bindings of several platforms: ${bindings.join(", ")}`);
}

function elfMachine(path: string): number {
  const header = Buffer.alloc(20);
  const file = openSync(path, "r");
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  return header.readUInt16LE(18);
}

function checkSize(folder: string, files: readonly string[]): void {
  const bytes = files.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  if (bytes > UNZIPPED_BYTES_MAX / 2)
    throw new Error(`the layer has ${bytes} bytes unzipped; more than half of what Lambda takes`);
}
