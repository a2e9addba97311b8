// Real CloudTrail under the default policy, nothing hinted: deep, sparse, and with parameters that differ from one API to the next. Every
// leaf of every record must be found in the row of its event: in its column, in JSON text that holds the place, or rescued.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ObjectEvent } from "../../lambdas/core/events.ts";
import { fileKey, readFile } from "../../lambdas/core/records.ts";
import { exportRows } from "../../local/rows.ts";
import { scratch } from "../contract/converter/harness.ts";
import { Harness, ingestionOf } from "../unit/core/harness.ts";

const SOURCE = new URL("../../../shared/data/cloudtrail/", import.meta.url).pathname;
const isHere = existsSync(SOURCE);
if (!isHere)
  console.warn("../shared/data/cloudtrail is not here: the leaves of real CloudTrail files are not compared");

const folder = mkdtempSync(join(tmpdir(), "moraine-leaves-"));
const work = await scratch();
afterAll(async () => {
  await work.remove();
  rmSync(folder, { recursive: true, force: true });
});

type Leaf = readonly [path: readonly string[], value: string | number | boolean];

function leavesOf(value: unknown, path: readonly string[] = []): Leaf[] {
  if (value === null || value === undefined) return [];
  if (typeof value !== "object") return [[path, value as string | number | boolean]];
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, [...path, name]));
}

/** What stands at the place: columns, JSON text on the way, or rescued under the path that leads there. */
function valueAt(row: Record<string, unknown>, path: readonly string[]): unknown {
  let at: unknown = row;
  for (const name of path) {
    if (typeof at === "string") at = parsed(at);
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}

function rescuedAt(row: Record<string, unknown>, path: readonly string[]): unknown {
  const { values = {} } = (parsed(String(row["_rescued_data"] ?? "{}")) ?? {}) as { values?: Record<string, unknown> };
  for (let length = path.length; length > 0; length--) {
    const found = values[path.slice(0, length).join(".")];
    if (found !== undefined) return valueAt({ found }, ["found", ...path.slice(length)]);
  }
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const INSTANT = /^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?$/;

function isSame(found: unknown, leaf: Leaf[1]): boolean {
  if (found === leaf || (found !== undefined && found !== null && String(found) === String(leaf))) return true;
  if (typeof leaf !== "string" || typeof found !== "string" || !INSTANT.test(leaf) || !INSTANT.test(found))
    return false;
  const time = (text: string) => Date.parse(text.replace(/\+00$/, "Z"));
  return time(leaf) === time(found);
}

describe.runIf(isHere)("real CloudTrail without a hint", () => {
  const names = isHere ? readdirSync(SOURCE).filter((name) => name.endsWith(".json")) : [];

  test.each([
    ["all files at once", names.length],
    ["five files at a time", 5],
    ["file by file", 1],
    ["each before the next one is there", 0],
  ])("lands whole, %s, with no file held and nothing null that was something", async (_, batchFiles) => {
    const format = { type: "json", recordsPath: "Records" } as const;
    const harness = new Harness({ ingestions: [ingestionOf("trail", { format })] });
    const land = async (events: readonly ObjectEvent[]) => {
      const report = await harness.load(events, { ports: { converter: work.converter } });
      expect(report.errors).toEqual([]);
      await harness.commit("trail");
    };
    const events: ObjectEvent[] = [];
    for (const name of names) {
      const event = await harness.put(`trail/${name}`, readFileSync(join(SOURCE, name), "utf8"));
      if (batchFiles === 0) await land([event]);
      else events.push(event);
    }
    for (let from = 0; from < events.length; from += batchFiles) {
      const report = await harness.load(events.slice(from, from + batchFiles), {
        ports: { converter: work.converter },
      });
      expect(report.errors).toEqual([]);
      await harness.commit("trail");
    }
    const fates = await fatesOf(harness, names);
    expect(fates.filter(({ status }) => status !== "SUCCESS")).toEqual([]);

    const rows = await rowsOf(harness);
    const byId = new Map(rows.map((row) => [row["eventID"], row]));
    const records = names.flatMap((name) => {
      return (JSON.parse(readFileSync(join(SOURCE, name), "utf8")) as { Records: Record<string, unknown>[] }).Records;
    });
    expect(rows).toHaveLength(records.length);
    const counts = { inColumns: 0, rescued: 0 };
    const lost: string[] = [];
    for (const record of records) {
      const row = byId.get(record["eventID"]) ?? {};
      for (const [path, value] of leavesOf(record)) {
        if (isSame(valueAt(row, path), value)) counts.inColumns++;
        else if (isSame(rescuedAt(row, path), value)) counts.rescued++;
        else lost.push(`${path.join(".")} ${JSON.stringify(value)}`);
      }
    }
    console.log(`CloudTrail, ${batchFiles} files a batch: ${records.length} records, ${JSON.stringify(counts)}`);
    expect(lost.slice(0, 10)).toEqual([]);
  });
});

async function fatesOf(harness: Harness, names: readonly string[]) {
  const items = await harness.ledger.readMany(
    names.map((name) => fileKey("trail" as never, "landing", `trail/${name}`)),
  );
  return items.map((item, n) => {
    const { status = "UNKNOWN", reason, error } = item === undefined ? {} : readFile(item);
    return { name: names[n], status, reason, message: error?.message };
  });
}

async function rowsOf(harness: Harness): Promise<Record<string, unknown>[]> {
  const table = await harness.table("trail");
  if (table === undefined) return [];
  const file = join(folder, "rows.ndjson");
  await exportRows(harness.store, table.metadata, file);
  const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
