// The synth as an operator sees it: rules hold, a wrong file is refused with its lines, packages are small and reproducible.

import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as iam from "aws-cdk-lib/aws-iam";
import { AwsSolutionsChecks, ServerlessChecks } from "cdk-nag";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseConfig } from "../../lambdas/core/config-file.ts";
import { CONFIG_ASSET } from "../../lambdas/core/environment.ts";
import { bundleHandlers } from "../../lib/bundle.ts";
import { UNZIPPED_BYTES_MAX } from "../../lib/duckdb-archive.ts";
import { layerHash, readLockfile, readPins } from "../../lib/duckdb-packages.ts";
import { flags, ROOT, readExample, type Synthesized, synthesize } from "../stack/synthesize.ts";

const scratch = mkdtempSync(join(tmpdir(), "moraine-synth-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let stack: Synthesized;
beforeAll(async () => {
  stack = await synthesize();
});

interface FileAsset {
  readonly source: { readonly path?: string; readonly executable?: readonly string[] };
}

function fileAssets({ folder }: Synthesized): Readonly<Record<string, FileAsset>> {
  return (JSON.parse(readFileSync(join(folder, "Moraine.assets.json"), "utf8")) as { files: Record<string, FileAsset> })
    .files;
}

/** Folders of the three functions' code. */
function codeFolders(synthesized: Synthesized): readonly string[] {
  const paths = Object.values(fileAssets(synthesized)).flatMap(({ source }) => source.path ?? []);
  return paths.map((path) => join(synthesized.folder, path)).filter((path) => statSync(path).isDirectory());
}

function ruleIds({ app, stack: scope }: Synthesized): readonly string[] {
  const packs = [new AwsSolutionsChecks(app), new ServerlessChecks(app)];
  return packs.flatMap((pack) => pack.validateScope(scope).violations.map(({ ruleName }) => ruleName));
}

describe("cdk-nag", () => {
  test("finds nothing that is not acknowledged with a reason", () => {
    expect(ruleIds(stack)).toEqual([]);
  });

  test("still finds a wildcard that nobody acknowledged", async () => {
    const changed = await synthesize();
    const role = changed.stack.node.findChild("Load").node.findChild("Code").node.findChild("Role") as iam.Role;
    role.addToPolicy(new iam.PolicyStatement({ actions: ["s3:GetObject"], resources: ["*"] }));
    expect(ruleIds(changed)).toEqual(["AwsSolutions-IAM5[Resource::*]"]);
  });
});

test("the moraine.yaml that `npm run deploy` takes passes every rule of CDK and cdk-nag", async () => {
  const { code, stderr } = await runApp("moraine.yaml");
  expect(stderr).toBe("");
  expect(code).toBe(0);
});

describe("a wrong moraine.yaml", () => {
  test("fails the synth with file, line, path and remedy of every error", async () => {
    const file = join(scratch, "wrong.yaml");
    writeFileSync(
      file,
      readExample("moraine.yaml").replace("table: orders", "table: Orders").replace("type: ndjson", "type: orc"),
    );
    const { code, stderr } = await runApp(file);
    expect(code).toBe(1);
    const [first, second] = stderr.split("\n");
    expect(first).toMatch(/wrong\.yaml:11: ingestions\[0\]\.target\.table: "Orders" is no Glue name; use lower-case/);
    expect(second).toMatch(/wrong\.yaml:16: ingestions\[1\]\.format\.type: "orc" is not available yet; use csv/);
  });

  test("that is not there is named, with the way to name another", async () => {
    const { code, stderr } = await runApp(join(scratch, "absent.yaml"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/absent\.yaml: cannot be read .*-c config=<file>/);
  });
});

function runApp(config: string): Promise<{ code: number | string | null | undefined; stderr: string }> {
  const context = JSON.stringify({ ...flags(), config });
  const env = {
    ...process.env,
    CDK_VALIDATION: "true",
    CDK_CONTEXT_JSON: context,
    CDK_OUTDIR: join(scratch, "cdk.out"),
  };
  return new Promise((resolve) => {
    execFile(process.execPath, ["bin/app.ts"], { cwd: ROOT, env }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, stderr }),
    );
  });
}

test.each(["csv", "many-sources"])("examples/%s.yaml is a stack", async (name) => {
  const example = await synthesize(readExample(`examples/${name}.yaml`));
  expect(example.resources("AWS::Lambda::Function").length).toBeGreaterThanOrEqual(3);
});

describe("packages", () => {
  test("are the same bytes when made again, so a deployment of nothing changes nothing", async () => {
    const { config } = parseConfig(readExample("moraine.yaml"), "moraine.yaml");
    if (config === undefined) throw new Error("moraine.yaml is not valid");
    const [first, second] = await Promise.all([bundleHandlers(config), bundleHandlers(config)]);
    for (const name of ["load", "commit", "sweep", "discover"] as const) {
      for (const file of readdirSync(first[name])) {
        expect(readFileSync(join(second[name], file))).toEqual(readFileSync(join(first[name], file)));
      }
    }
  });

  test("hold the handler, its map and the configuration, and nothing native", () => {
    const folders = codeFolders(stack);
    expect(folders).toHaveLength(4);
    for (const folder of folders) {
      expect(readdirSync(folder).toSorted()).toEqual(["index.js", "index.js.map", CONFIG_ASSET, "package.json"]);
      expect(statSync(join(folder, "index.js")).size).toBeLessThan(5 * 1024 * 1024);
    }
  });

  test("carry no YAML parser: the configuration was read at synth", () => {
    for (const folder of codeFolders(stack)) {
      expect(readFileSync(join(folder, "index.js"), "utf8")).not.toContain("YAMLParseError");
    }
  });

  test("name no folder of this machine", () => {
    for (const folder of codeFolders(stack)) {
      for (const file of readdirSync(folder)) expect(readFileSync(join(folder, file), "utf8")).not.toContain(ROOT);
    }
  });

  test("run as CommonJS wherever they lie", () => {
    const requireFrom = createRequire(import.meta.url);
    for (const folder of codeFolders(stack)) {
      expect(readFileSync(join(folder, "package.json"), "utf8")).toContain("commonjs");
      expect(requireFrom.resolve(folder)).toBe(join(folder, "index.js"));
    }
  });
});

describe("DuckDB in the load bundle", () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "moraine-native-"));
  afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

  function requireNative(environment: Record<string, string>): Promise<{ output: string }> {
    copyFileSync(join(ROOT, "lib/duckdb-native.cjs"), join(elsewhere, "native.cjs"));
    const script = "console.log(typeof require('./native.cjs').DuckDBInstance)";
    const env = { PATH: process.env["PATH"] ?? "", ...environment };
    return new Promise((resolve) => {
      execFile(process.execPath, ["-e", script], { cwd: elsewhere, env }, (_error, stdout, stderr) =>
        resolve({ output: stdout + stderr }),
      );
    });
  }

  test("is found in the folder the local stack names", async () => {
    expect((await requireNative({ MORAINE_NATIVE_ROOT: ROOT })).output).toBe("function\n");
  });

  test("is missed with the places looked at and the remedy", async () => {
    const { output } = await requireNative({});
    expect(output).toContain("@duckdb/node-api is in none of: /opt/nodejs, ");
    expect(output).toContain("deploy with the layer or run npm ci");
  });
});

describe("the DuckDB layer", () => {
  test("is made from the lockfile's packages when it is published, so no placeholder can be deployed", () => {
    const layer = fileAssets(stack)[layerHash(readPins())];
    expect(layer?.source).toEqual({ executable: ["node", "bin/duckdb-layer.ts"] });
  });

  test("changes its hash when a pin changes", () => {
    const pins = readPins();
    const api = { version: "9.9.9", integrity: "sha512-other" };
    expect(layerHash({ ...pins, "@duckdb/node-api": api })).not.toBe(layerHash(pins));
  });

  test("is refused when the lockfile lacks Lambda's platform", () => {
    const { packages } = readLockfile();
    const without = Object.fromEntries(Object.entries(packages).filter(([path]) => !path.endsWith("linux-arm64")));
    expect(() => readPins({ packages: without })).toThrow(/lacks @duckdb\/node-bindings-linux-arm64/);
  });

  test.each(["linux-x64", "linux-arm64", "darwin-arm64"])(
    "the lockfile has DuckDB for %s, so npm ci works there",
    (platform) => {
      expect(readLockfile().packages[`node_modules/@duckdb/node-bindings-${platform}`]?.version).toBeDefined();
    },
  );

  test("leaves room under Lambda's 250 MB for the code", () => {
    const host = join(ROOT, "node_modules/@duckdb");
    const bytes = readdirSync(host, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
    // This machine's binding stands for Lambda's: the archive itself is checked when it is made.
    expect(bytes).toBeGreaterThan(10 * 1024 * 1024);
    expect(bytes).toBeLessThan(UNZIPPED_BYTES_MAX / 2);
  });
});
