// Claim: looking out for values that do not fit costs less than a tenth of a plain load as long as all fit. Aim: rescuing them costs less than
// a third more than one. Side by side in one run: a file's rows are loaded without a look at what it holds (`plain`), then with the comparison of
// its columns with the table's and a treatment at hand (`detected`), then a file of which one row in a hundred does not fit: until that is known (`found`), from there to its rows with `_rescued_data` (`rescued`), and both (`in all`).
// NDJSON, 100 MB, processor time, on a busy machine: found 0.4 to 0.5, rescued 1.1 to 1.3, in all 1.5 to 1.8 (before files
// were sifted: 2.6, 1.6, 4.2).
// node bench/rescue.ts [--mb 200] [--rounds 5] [--only csv|ndjson]

import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDbConverter } from "../lambdas/adapters/converter/duckdb-converter.ts";
import type { FormatOptions } from "../lambdas/core/config.ts";
import { UNPARTITIONED } from "../lambdas/core/iceberg/partition.ts";
import { assignFieldIds, RESCUED_DATA } from "../lambdas/core/iceberg/schema.ts";
import type { DraftField, Schema } from "../lambdas/core/iceberg/types.ts";
import { objectUri } from "../lambdas/core/ids.ts";
import type { Conversion } from "../lambdas/core/ports.ts";
import { BAD_ROW_DEFAULTS } from "../lambdas/core/schema/defaults.ts";
import { CSV, CSV_HEADER, csvRow, type Dice, eventRow, writeRows } from "./datasets.ts";
import { type Cost, cost, median } from "./duel.ts";

const RESCUE = { rescue: true, routes: [] };

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "200" },
    rounds: { type: "string", default: "5" },
    only: { type: "string" },
  },
});
const directory = await mkdtemp(join(tmpdir(), "moraine-bench-"));
const converter = new DuckDbConverter({
  workDir: directory,
  memoryLimitBytes: 2 * 1024 ** 3,
  threads: 2,
  diskBytesMax: 16 * 1024 ** 3,
});

async function start(path: string, format: FormatOptions): Promise<Conversion> {
  const conversion = await converter.start({
    format,
    compression: "auto",
    hints: {},
    inferTypes: true,
    badRows: BAD_ROW_DEFAULTS,
    lineage: false,
    targetFileSizeBytes: 128 * 1024 * 1024,
    ingestedAtMs: 0,
  });
  const sizeBytes = (await stat(path)).size;
  const source = { index: 0, uri: objectUri("bench", path), etag: "", sizeBytes, lastModifiedMs: 0 };
  const failure = await conversion.add(source, createReadStream(path, { highWaterMark: 1024 * 1024 }));
  if (failure !== undefined) throw new Error(failure.message);
  return conversion;
}

async function load(conversion: Conversion, schema: Schema, rows: number, rescued: number): Promise<void> {
  const { loaded, misfits } = await conversion.convert(schema, UNPARTITIONED);
  const [source] = loaded;
  if (misfits.length > 0 || source?.records !== rows || source.rescued !== rescued) {
    throw new Error(`wanted ${rows} rows with ${rescued} rescued, got ${JSON.stringify({ source, misfits })}`);
  }
}

interface Files {
  readonly format: FormatOptions;
  readonly good: string;
  readonly bad: string;
  readonly rows: number;
  readonly badRows: number;
  readonly unfit: number;
}

const PHASES = ["plain", "detected", "found", "rescued", "in all"] as const;
type Phase = (typeof PHASES)[number];

async function round(files: Files, fields: readonly DraftField[]): Promise<Record<Phase, Cost>> {
  const schema = schemaOf(fields);
  const rescuing = schemaOf([...fields, { name: RESCUED_DATA, type: "string" }]);
  const phase = async (path: string, work: (conversion: Conversion) => Promise<Cost[]>) => {
    const conversion = await start(path, files.format);
    const costs = await work(conversion);
    await conversion.close();
    return costs;
  };
  const [plain] = await phase(files.good, async (conversion) => [
    await cost(() => load(conversion, schema, files.rows, 0)),
  ]);
  const [detected] = await phase(files.good, async (conversion) => {
    conversion.treat(0, RESCUE);
    const detecting = async () => {
      await conversion.inspect(rescuing, UNPARTITIONED);
      await load(conversion, rescuing, files.rows, 0);
    };
    return [await cost(detecting)];
  });
  const [found, rescued] = await phase(files.bad, async (conversion) => {
    const finding = await cost(async () => {
      await conversion.inspect(rescuing, UNPARTITIONED);
      const { misfits } = await conversion.convert(rescuing, UNPARTITIONED);
      if (misfits[0]?.unfit !== files.unfit) throw new Error(`found ${misfits[0]?.unfit} of ${files.unfit}`);
    });
    conversion.treat(0, RESCUE);
    return [finding, await cost(() => load(conversion, rescuing, files.badRows, files.unfit))];
  });
  const costs = { plain: plain as Cost, detected: detected as Cost, found: found as Cost, rescued: rescued as Cost };
  return { ...costs, "in all": sumOf(costs.found, costs.rescued) };
}

function sumOf(a: Cost, b: Cost): Cost {
  return { wallS: a.wallS + b.wallS, cpuS: a.cpuS + b.cpuS };
}

function schemaOf(fields: readonly DraftField[]): Schema {
  return { type: "struct", "schema-id": 0, fields: assignFieldIds(fields, 0).fields };
}

async function compare(name: string, files: Files): Promise<void> {
  const first = await start(files.good, files.format);
  const { fields } = await first.inspect(undefined);
  await first.close();
  const rounds: Record<Phase, Cost>[] = [];
  for (let n = 0; n < Number(values.rounds); n++) rounds.push(await round(files, fields));
  const of = (phase: Phase, pick: (cost: Cost) => number) => median(rounds.map((costs) => pick(costs[phase])));
  const ratio = (phase: Phase, pick: (cost: Cost) => number) =>
    median(rounds.map((costs) => pick(costs[phase]) / pick(costs.plain))).toFixed(2);
  const megabytes = (await stat(files.good)).size / 1e6;
  console.log(`${name} ${megabytes.toFixed(0)} MB, ${files.rows} rows, ${files.unfit} of the second file unfit`);
  for (const phase of PHASES) {
    const [wall, cpu] = [of(phase, ({ wallS }) => wallS), of(phase, ({ cpuS }) => cpuS)];
    console.log(
      `  ${phase.padEnd(8)} wall ${wall.toFixed(2)} s (${ratio(phase, ({ wallS }) => wallS)} x plain), cpu ${cpu.toFixed(2)} s (${ratio(phase, ({ cpuS }) => cpuS)} x plain)`,
    );
  }
}

/** Every hundredth row has a text for a number. */
async function write(
  name: string,
  format: FormatOptions,
  header: string,
  row: (dice: Dice, id: number) => string,
  spoiled: (row: string) => string,
): Promise<Files> {
  const bytes = Number(values.mb) * 1e6;
  const [good, bad] = [`${directory}/good-${name}`, `${directory}/bad-${name}`];
  const rows = await writeRows(good, header, row, bytes);
  let unfit = 0;
  const spoil = (dice: Dice, id: number) => {
    const text = row(dice, id);
    if (id % 100 !== 50) return text;
    unfit++;
    return spoiled(text);
  };
  const badRows = await writeRows(bad, header, spoil, bytes);
  return { format, good, bad, rows, badRows, unfit };
}

try {
  if (values.only !== "ndjson") {
    const spoiled = (row: string) => row.replace(/^([^,]*,[^,]*,[^,]*,[^,]*,[^,]*,)[^,]*/, "$1n/a");
    const files = await write("orders.csv", CSV, CSV_HEADER, csvRow, spoiled);
    await compare("csv", files);
    await rm(files.good);
    await rm(files.bad);
  }
  if (values.only !== "csv") {
    const spoiled = (row: string) => row.replace(/"total":[0-9.]+/, '"total":"nan?"');
    await compare("ndjson", await write("events.ndjson", { type: "ndjson" }, "", eventRow, spoiled));
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
