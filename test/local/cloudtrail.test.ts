// Real input through the front door: `npm start` on real CloudTrail files, and every value of every record found again in the
// table. The source is counted with JSON.parse, apart from everything Moraine does.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const SOURCE = join(ROOT, "..", "shared", "data", "cloudtrail");
const isHere = existsSync(SOURCE);
if (!isHere) console.warn("../shared/data/cloudtrail is not here: the real CloudTrail files are not checked");

const folder = mkdtempSync(join(tmpdir(), "moraine-cloudtrail-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly files: Readonly<Record<string, number>>;
  readonly rows: number;
  readonly tables: readonly { readonly name: string; readonly snapshots: number }[];
  readonly failures: readonly unknown[];
}

function start(): Outcome {
  const options = ["--once", "--json", "--config", "moraine.yaml", "--data-dir", join(folder, "data")];
  const upload = ["--upload", `${SOURCE}=s3://landing/cloudtrail/`];
  const exported = ["--export", `audit.cloudtrail=${join(folder, "rows.ndjson")}`];
  const stdout = execFileSync(process.execPath, ["local/main.ts", ...options, ...upload, ...exported], { cwd: ROOT });
  return JSON.parse(stdout.toString()) as Outcome;
}

test.runIf(isHere)(
  "every record of every CloudTrail file is in the table once, with all its values, and a second run adds nothing",
  () => {
    const files = readdirSync(SOURCE).filter((name) => name.endsWith(".json"));
    const records = files.flatMap((name) => {
      return (JSON.parse(readFileSync(join(SOURCE, name), "utf8")) as { Records: Record<string, unknown>[] }).Records;
    });
    const first = start();
    expect(first.failures).toEqual([]);
    expect(first.files).toMatchObject({ total: files.length, success: files.length });
    expect(first.rows).toBe(records.length);

    const rows = readFileSync(join(folder, "rows.ndjson"), "utf8").trimEnd().split("\n").map(parseRow);
    expect(checksums(rows)).toEqual(checksums(records));

    const second = start();
    expect(second.rows).toBe(records.length);
    expect(second.tables).toEqual(first.tables);
  },
);

function parseRow(line: string): Record<string, unknown> {
  const row = JSON.parse(line) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith("_")));
}

/** Per column: every value that is not null, canonical and sorted, so that order of rows does not matter. */
function checksums(records: readonly Record<string, unknown>[]): Record<string, string[]> {
  const columns = new Map<string, string[]>();
  for (const record of records) {
    for (const [name, value] of Object.entries(record)) {
      const canonical = canonicalOf(value);
      if (canonical === undefined) continue;
      columns.set(name, [...(columns.get(name) ?? []), JSON.stringify(canonical)]);
    }
  }
  return Object.fromEntries([...columns].sort().map(([name, values]) => [name, values.sort()]));
}

/** Absent and null are one; instants compare as instants; JSON text compares as JSON (a stated rule for heterogeneous columns). */
function canonicalOf(value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return value.map((each) => canonicalOf(each) ?? null);
  if (typeof value === "object") {
    const members = Object.entries(value).flatMap(([name, member]) => {
      const canonical = canonicalOf(member);
      return canonical === undefined ? [] : [[name, canonical] as const];
    });
    return members.length === 0 ? undefined : Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  if (typeof value !== "string") return value;
  const json = /^[[{]/.test(value) ? parsedOr(value) : value;
  if (typeof json !== "string") return canonicalOf(json);
  const instant = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00)$/.test(value)
    ? Date.parse(value.replace(/\+00$/, "Z"))
    : Number.NaN;
  return Number.isNaN(instant) ? value : instant;
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
