// What `npm start` was asked to do, checked before anything is started: every mistake is told at once with its remedy, and none
// costs a synthesis first.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { MoraineConfig } from "../lambdas/core/config.ts";
import { parseConfig } from "../lambdas/core/config-file.ts";
import { splitUri, type TableName } from "../lambdas/core/ids.ts";

export const HELP = `usage: npm start -- [options]

  --once                 end when all is settled; exit 0 only if every file is accounted for
  --json                 print one JSON document last, and nothing else on standard output; implies --once
  --config FILE          a moraine.yaml (default: a demo with a generated sample)
  --upload DIR=s3://B/P  upload a folder below s3://B/P; B is a landing bucket of the configuration (repeatable)
  --data-dir DIR         keep everything there across runs
  --port N               serve S3, SQS, DynamoDB, Glue, Step Functions there (default: any free port)
  --export TABLE=FILE    write the rows of database.table as NDJSON, through its current snapshot (repeatable)

exit code: 0 every file is accounted for, 1 not, 2 wrong usage or configuration, 130 interrupted before all was settled`;

export interface UploadFolder {
  readonly folder: string;
  /** As in moraine.yaml. */
  readonly bucket: string;
  readonly prefix: string;
}

export interface Options {
  readonly once: boolean;
  readonly json: boolean;
  readonly configFile: string;
  /** No --config: the demo. */
  readonly demo: boolean;
  readonly config: MoraineConfig;
  readonly uploads: readonly UploadFolder[];
  readonly dataDir?: string;
  readonly port: number;
  readonly exports: readonly { readonly table: TableName; readonly file: string }[];
}

/** The command line or the configuration is wrong: exit code 2. */
export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): Options {
  const flags = parseFlags(args);
  const demo = flags.config === undefined;
  const configFile = flags.config ?? join(import.meta.dirname, "demo.yaml");
  const config = readConfig(configFile);
  return {
    once: flags.once || flags.json,
    json: flags.json,
    configFile,
    demo,
    config,
    uploads: flags.upload.map((text) => parseUpload(text, config)),
    ...(flags["data-dir"] === undefined ? {} : { dataDir: flags["data-dir"] }),
    port: parsePort(flags.port),
    exports: flags.export.map((text) => parseExport(text, config)),
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        once: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        config: { type: "string" },
        upload: { type: "string", multiple: true, default: [] },
        "data-dir": { type: "string" },
        port: { type: "string", default: "0" },
        export: { type: "string", multiple: true, default: [] },
        // Answered before anything is parsed; here so that it is known.
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    // Node adds advice on positional arguments, which there are none of here.
    const [problem = ""] = String(error instanceof Error ? error.message : error).split(". ");
    throw new UsageError(`${problem}\n\n${HELP}`);
  }
}

function readConfig(file: string): MoraineConfig {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`--config ${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); write it first`);
  }
  const parsed = parseConfig(text, file);
  if (parsed.errors !== undefined) throw new UsageError(parsed.errors.join("\n"));
  return parsed.config;
}

/** `DIR=s3://bucket/prefix/` */
function parseUpload(text: string, config: MoraineConfig): UploadFolder {
  const cut = text.indexOf("=s3://");
  const target = text.slice(cut + 1);
  if (cut <= 0 || !/^s3:\/\/[^/]+/.test(target))
    throw new UsageError(`--upload ${text}: write it as DIR=s3://bucket/prefix/`);
  const folder = text.slice(0, cut);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--upload ${text}: ${folder} is no folder`);
  const { bucket, key } = splitUri(target.endsWith("/") ? `${target}x` : `${target}/x`);
  const known = config.landing.map((landing) => landing.bucket);
  if (!known.includes(bucket)) {
    throw new UsageError(`--upload ${text}: "${bucket}" is no landing bucket; use one of: ${known.join(", ")}`);
  }
  return { folder, bucket, prefix: key.slice(0, -1) };
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`--port ${text}: write a number from 0 to 65535`);
}

function parseExport(text: string, config: MoraineConfig): Options["exports"][number] {
  const [id = "", file = ""] = text.split("=", 2);
  const targets = config.ingestions.map(({ target }) => target);
  const target = targets.find(({ database, table }) => id === table || id === `${database}.${table}`);
  if (file === "") throw new UsageError(`--export ${text}: write it as database.table=FILE.ndjson`);
  if (target === undefined) {
    const known = [...new Set(targets.map(({ database, table }) => `${database}.${table}`))];
    throw new UsageError(`--export ${text}: "${id}" is the target of no ingestion; use one of: ${known.join(", ")}`);
  }
  return { table: { database: target.database, table: target.table }, file };
}
