// Claim: 2,000 CSV files of 20 KB become one data file in at most 1.5 times what DuckDB needs when it is told the columns beforehand
// (`columns = …, auto_detect = false`), although rows are counted per file, casts are strict and every file passes through the spool.
// node bench/small-files.ts [--files 2000] [--kb 20] [--rounds 8] [--lineage]

import { readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { DuckDbConverter } from "../lambdas/adapters/converter/duckdb-converter.ts";
import { duckType } from "../lambdas/adapters/converter/types.ts";
import { mapLimit } from "../lambdas/core/concurrency.ts";
import { assignFieldIds, lineageFields } from "../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../lambdas/core/iceberg/types.ts";
import { objectUri } from "../lambdas/core/ids.ts";
import type { Conversion } from "../lambdas/core/ports.ts";
import { BAD_ROW_DEFAULTS } from "../lambdas/core/schema/defaults.ts";
import { CSV, CSV_HEADER, csvRow, writeRows } from "./datasets.ts";
import { cost, duel, median } from "./duel.ts";

const THREADS = 2;
const UNPARTITIONED = { "spec-id": 0, fields: [] };

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "2000" },
    kb: { type: "string", default: "20" },
    rounds: { type: "string", default: "8" },
    lineage: { type: "boolean", default: false },
  },
});
const directory = await mkdtemp(join(tmpdir(), "moraine-bench-"));
const converter = new DuckDbConverter({
  workDir: directory,
  memoryLimitBytes: 2 * 1024 ** 3,
  threads: THREADS,
  diskBytesMax: 16 * 1024 ** 3,
});
const bare = await (await DuckDBInstance.create(":memory:", { threads: String(THREADS) })).connect();

/** Bodies come from memory: reading the bench's own files is not what is measured. */
async function* bodyOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function addAll(conversion: Conversion, bodies: readonly Uint8Array[]): Promise<void> {
  await mapLimit(bodies, 16, async (bytes, index) => {
    const source = {
      index,
      uri: objectUri("bench", String(index)),
      etag: "",
      sizeBytes: bytes.length,
      lastModifiedMs: 0,
    };
    const failure = await conversion.add(source, bodyOf(bytes));
    if (failure !== undefined) throw new Error(failure.message);
  });
}

function start(): Promise<Conversion> {
  return converter.start({
    format: CSV,
    compression: "auto",
    hints: {},
    inferTypes: true,
    badRows: BAD_ROW_DEFAULTS,
    lineage: values.lineage,
    targetFileSizeBytes: 128 * 1024 * 1024,
    ingestedAtMs: 0,
  });
}

async function schemaOf(bytes: Uint8Array): Promise<Schema> {
  const conversion = await start();
  await addAll(conversion, [bytes]);
  const { fields } = await conversion.inspect(undefined);
  await conversion.close();
  return {
    type: "struct",
    "schema-id": 0,
    fields: assignFieldIds([...fields, ...(values.lineage ? lineageFields : [])], 0).fields,
  };
}

try {
  let rows = 0;
  for (let i = 0; i < Number(values.files); i++) {
    const path = `${directory}/small-${String(i).padStart(5, "0")}.csv`;
    rows += await writeRows(path, CSV_HEADER, csvRow, Number(values.kb) * 1000, i + 1);
  }
  const paths = (await readdir(directory))
    .filter((name) => name.endsWith(".csv"))
    .map((name) => `${directory}/${name}`);
  const bodies = paths.map((path) => readFileSync(path));
  const schema = await schemaOf(bodies[0] as Uint8Array);
  const columns = CSV_HEADER.trim()
    .split(",")
    .map((name) => {
      const field = schema.fields.find((candidate) => candidate.name === name);
      return `'${name}': '${duckType(field?.type ?? "string")}'`;
    });
  const adding: number[] = [];
  const { ours, theirs, wallRatio, cpuRatio, wallRatios } = await duel(
    Number(values.rounds),
    async (timed) => {
      const conversion = await start();
      let records = 0;
      await timed(async () => {
        adding.push((await cost(() => addAll(conversion, bodies))).wallS);
        await conversion.inspect(schema, UNPARTITIONED);
        const { loaded } = await conversion.convert(schema, UNPARTITIONED);
        records = loaded.reduce((sum, file) => sum + file.records, 0);
      });
      await conversion.close();
      if (records !== rows) throw new Error(`lost rows: ${records} of ${rows}`);
    },
    async (timed) => {
      await timed(() =>
        bare.run(
          `COPY (SELECT * FROM read_csv('${directory}/small-*.csv', header = true, auto_detect = false, columns = {${columns.join(", ")}})) TO '${directory}/bare.parquet' (FORMAT parquet, COMPRESSION zstd)`,
        ),
      );
    },
  );
  console.log(
    `${values.files} x ${values.kb} KB csv: explicit COPY ${theirs.wallS.toFixed(2)} s, moraine ${ours.wallS.toFixed(2)} s ` +
      `(spool ${median(adding).toFixed(2)} s), ratio ${wallRatio.toFixed(2)} (want at most 1.5; rounds ${wallRatios.map((ratio) => ratio.toFixed(2)).join(" ")}); ` +
      `cpu ${theirs.cpuS.toFixed(2)} s and ${ours.cpuS.toFixed(2)} s, ratio ${cpuRatio.toFixed(2)}`,
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
