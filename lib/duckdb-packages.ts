// Which packages the layer holds, read from package-lock.json: DuckDB's API, its loader and the binding for Lambda's arm64.
// Versions and integrity come from the lockfile and nowhere else, so what was tested here is what is deployed.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Pin {
  readonly version: string;
  readonly integrity: string;
}
export type Pins = Readonly<Record<string, Pin>>;

export const BINDING = "@duckdb/node-bindings-linux-arm64";
const PACKAGES = ["@duckdb/node-api", "@duckdb/node-bindings", BINDING, "detect-libc"];

/** Raise when the archive is made another way from the same packages. */
const RECIPE = "1";

interface Lockfile {
  readonly packages: Readonly<Record<string, Partial<Pin> & Record<string, unknown>>>;
}

export function readLockfile(): Lockfile {
  return JSON.parse(readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8")) as Lockfile;
}

export function readPins(lockfile: Lockfile = readLockfile()): Pins {
  const pins = PACKAGES.map((name) => {
    const { version, integrity } = lockfile.packages[`node_modules/${name}`] ?? {};
    if (version === undefined || integrity === undefined) {
      throw new Error(`package-lock.json lacks ${name}: choose a version of @duckdb/node-api that has this platform`);
    }
    return [name, { version, integrity }] as const;
  });
  return Object.fromEntries(pins);
}

export function layerHash(pins: Pins): string {
  return createHash("sha256")
    .update(JSON.stringify([RECIPE, pins]))
    .digest("hex");
}
