// npm start as people and scripts meet it: wrong usage, exit codes, Ctrl-C, a folder that is in use, buckets that exist already.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { lockFolder } from "../../local/lock.ts";
import { parseOptions, UsageError } from "../../local/options.ts";
import { EMPTY, scratchFolder, startStack } from "./support/clients.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const EXISTING = "examples/cloudtrail.yaml";
const BUCKET = "my-company-cloudtrail";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `interruptAt`: text on standard output after which the process is sent SIGINT. */
function start(options: readonly string[], interruptAt?: string): Promise<Ended> {
  const child = spawn(process.execPath, ["local/main.ts", ...options], { cwd: ROOT });
  let stdout = "";
  let stderr = "";
  let interrupted = false;
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    if (interruptAt === undefined || interrupted || !stdout.includes(interruptAt)) return;
    interrupted = true;
    child.kill("SIGINT");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((done) => {
    child.once("close", (code) => done({ code, stdout, stderr }));
  });
}

describe("wrong usage is told with its remedy", () => {
  const complaint = (...args: string[]): string => {
    try {
      parseOptions(args);
    } catch (error) {
      if (error instanceof UsageError) return error.message;
      throw error;
    }
    return "no complaint";
  };

  test.each([
    [["--bogus"], "Unknown option '--bogus'"],
    [["extra"], "Unexpected argument 'extra'"],
    [["--config", "/nowhere.yaml"], "--config /nowhere.yaml: cannot be read (ENOENT)"],
    [["--config", "package.json"], "package.json:"],
    [["--upload", "here"], "write it as DIR=s3://bucket/prefix/"],
    [["--upload", "/nowhere=s3://landing/"], "/nowhere is no folder"],
    [["--upload", `${ROOT}=s3://other/x`], `"other" is no landing bucket; use one of: landing`],
    [["--config", EXISTING, "--upload", `${ROOT}=s3://landing/x`], `use one of: ${BUCKET}`],
    [["--port", "70000"], "--port 70000: write a number"],
    [["--export", "sales.orders"], "write it as database.table=FILE.ndjson"],
    [["--export", "sales.none=x"], "use one of: sales.orders, web.clicks"],
  ])("%j", (args, expected) => {
    expect(complaint(...args)).toContain(expected);
  });

  test("an upload keeps the prefix with and without a slash at its end", () => {
    const parsed = parseOptions(["--upload", `${ROOT}=s3://landing/a/b`, "--upload", `${ROOT}=s3://landing`]);
    expect(parsed.uploads.map(({ prefix }) => prefix)).toEqual(["a/b/", ""]);
  });

  test("ends the process with exit code 2 and nothing on standard output", async () => {
    expect(await start(["--json", "--bogus"])).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("a data folder", () => {
  test("is refused to a second stack, with the process that holds it, and free again after the first", async () => {
    const dataDir = scratchFolder();
    const first = await startStack(EMPTY, { dataDir });
    await expect(startStack(EMPTY, { dataDir })).rejects.toThrow(`is in use by process ${process.pid}: stop it`);
    await first.stop();
    const second = await startStack(EMPTY, { dataDir });
    await second.stop();
  });

  test("is taken over from a process that is gone, and from a lock that a power cut left empty", () => {
    const folder = scratchFolder();
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    for (const left of [`${gone}\n`, ""]) {
      writeFileSync(join(folder, "lock"), left);
      const unlock = lockFolder(folder);
      expect(readFileSync(join(folder, "lock"), "utf8")).toBe(`${process.pid}\n`);
      unlock();
    }
  });
});

describe("a configuration whose bucket and database exist already", () => {
  const trail = (n: number) => {
    const Records = [0, 1, 2].map((i) => ({ eventTime: "2026-11-01T00:00:00Z", eventName: "List", n: n * 10 + i }));
    return gzipSync(JSON.stringify({ Records }));
  };
  const FILES = 40;

  test("is stopped by Ctrl-C within seconds, and the next run on its folder accounts for every file once", async () => {
    const folder = scratchFolder();
    mkdirSync(join(folder, "logs/CloudTrail"), { recursive: true });
    for (let n = 0; n < FILES; n++) writeFileSync(join(folder, `logs/CloudTrail/${n}.json.gz`), trail(n));
    const options = ["--config", EXISTING, "--data-dir", join(folder, "data")];
    const upload = ["--upload", `${join(folder, "logs")}=s3://${BUCKET}/AWSLogs/1/`];

    const stopped = await start([...options, ...upload, "--once"], `uploaded ${FILES} files`);
    expect(stopped).toMatchObject({ code: 130, stderr: "interrupted before all was settled\n" });

    const { code, stdout } = await start([...options, "--json"]);
    const report = JSON.parse(stdout) as { files: object; rows: number };
    expect(report).toMatchObject({ files: { total: FILES, success: FILES }, rows: 3 * FILES });
    expect(code).toBe(0);
  });

  test("an object whose event is lost makes the run end with 1, and one JSON document names it", async () => {
    const dataDir = scratchFolder();
    const Key = "AWSLogs/1/CloudTrail/lost.json.gz";
    const silent = await startStack(EMPTY, { dataDir, existing: { buckets: [BUCKET], databases: [] } });
    await silent.clients.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: trail(1) }));
    await silent.stop();

    const { code, stdout } = await start(["--config", EXISTING, "--data-dir", dataDir, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ files: { total: 1, success: 0 }, open: [`s3://${BUCKET}/${Key}`] });
    expect(code).toBe(1);
  });
});
