// The repository's own rules, kept by a test because nobody remembers them all.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const tracked = listFiles();
const sources = tracked.filter((file) => /\.(ts|cjs|sh)$/.test(file));

/** Tracked files in a checkout; a release archive without git has nothing to hold against rules. */
function listFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached"], { cwd: ROOT }).toString();
  return listed.split("\0").filter((file) => file !== "" && file !== "test/unit/tidy.test.ts");
}

function read(file: string): string {
  try {
    return readFileSync(join(ROOT, file), "utf8");
  } catch {
    return "";
  }
}

function offenders(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, n) =>
        pattern.test(line) && !/^\s*(\/\/|\*|\/\*\*)/.test(line) ? [`${file}:${n + 1} ${line.trim()}`] : [],
      ),
  );
}

const inCore = (file: string) => file.startsWith("lambdas/core/");

test("the core reads no clock, no randomness, no environment, and waits for no timer", () => {
  const pattern = /Date\.now|new Date\(\)|Math\.random|randomUUID|process\.|setTimeout|setInterval|setImmediate/;
  expect(offenders(sources.filter(inCore), pattern)).toEqual([]);
});

test("the core imports only itself and pure libraries", () => {
  const imports = sources.filter(inCore).flatMap((file) =>
    [...read(file).matchAll(/from "([^"]+)"/g)]
      .map(([, name = ""]) => name)
      .filter((name) => !name.startsWith("."))
      .map((name) => `${name} in ${file}`),
  );
  // hyparquet by the entry that has no file system in it; the bytes come from the object store's port.
  const pure =
    /^(node:(crypto|zlib|stream|util|buffer)|avsc(\/\S+)?|hyparquet\/src\/index\.js|picomatch|yaml|zod(\/\S+)?) in /;
  expect(imports.filter((line) => !pure.test(line))).toEqual([]);
  expect(offenders(sources.filter(inCore), /from "\.\.\/(\.\.\/)?adapters/)).toEqual([]);
});

test("only adapters, the local stack, benches and tests touch the SDK or DuckDB", () => {
  const outside = sources.filter((file) => /^(lib|bin|cli|lambdas\/(core|load|commit|sweep))\//.test(file));
  expect(offenders(outside, /^import (?!type).*from "(@aws-sdk\/|@duckdb\/)/)).toEqual([]);
});

test("every source file that is no test opens with what it is for", () => {
  const programs = sources.filter((file) => !/\.test\.ts$|^vitest\.config/.test(file));
  const silent = programs.filter(
    (file) => file.endsWith(".ts") && !/^(#![^\n]*\n)?(\/\/|\/\*\*)/.test(read(file)) && read(file) !== "",
  );
  expect(silent).toEqual([]);
});

test("nothing is left over: no TODO, no focused or skipped test, no console in the core", () => {
  expect(offenders(sources, /\b(TODO|FIXME|XXX)\b|\b(test|it|describe)\.(only|skip)\(/)).toEqual([]);
  expect(offenders(sources.filter(inCore), /console\./)).toEqual([]);
});

test("no file names a machine's path or a registry's host", () => {
  const texts = tracked.filter((file) => !/\.(png|parquet|gz|avro)$/.test(file));
  expect(offenders(texts, /\/(work|home|root|Users)\/[a-z]|registry\.npmjs|pypi\.org\/simple|repo1?\.maven/)).toEqual(
    [],
  );
});

test("versions are exact, and the lockfile names no download address", () => {
  const { dependencies, devDependencies } = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
  );
  expect(loose).toEqual([]);
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

test("the lockfile names every platform of every package that has platforms, in the package's own version", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { version: string; optionalDependencies?: Record<string, string> }>;
  };
  const missing = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies)
      .filter((name) => /linux|darwin|win32|android/.test(name))
      .filter((name) => packages[`node_modules/${name}`] === undefined),
  );
  expect(missing).toEqual([]);
  const platforms = ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64"];
  const versions = platforms.map((platform) => packages[`node_modules/@duckdb/node-bindings-${platform}`]?.version);
  expect(new Set(versions)).toEqual(new Set([packages["node_modules/@duckdb/node-api"]?.version]));
});

test("every document has one title, and its relative links lead somewhere", () => {
  const documents = tracked.filter((file) => file.endsWith(".md"));
  for (const file of documents) {
    const text = read(file).replace(/```[\s\S]*?```/g, "");
    expect([file, text.match(/^# /gm)?.length]).toEqual([file, 1]);
    for (const [, target = ""] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect([file, target, tracked.includes(join(file, "..", target))]).toEqual([file, target, true]);
    }
  }
});

test("every test file that the architecture names is there", () => {
  const named = [...read("docs/architecture.md").matchAll(/`(test\/[\w./-]+\.ts)`/g)].map(([, file = ""]) => file);
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((file) => !tracked.includes(file))).toEqual([]);
});
