// Claim: a whole conversion (spooling the stream, looking at the schema, strict casts, metrics) runs at 0.85 or more of the throughput of
// a bare DuckDB COPY of the same file, which keeps no types strict, counts nothing and reads the file where it lies.
// node bench/convert.ts [--mb 500] [--rounds 6] [--only csv|ndjson]

import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { DuckDBInstance } from "@duckdb/node-api";
import { DuckDbConverter } from "../lambdas/adapters/converter/duckdb-converter.ts";
import type { FormatOptions } from "../lambdas/core/config.ts";
import { UNPARTITIONED } from "../lambdas/core/iceberg/partition.ts";
import { assignFieldIds } from "../lambdas/core/iceberg/schema.ts";
import type { Schema } from "../lambdas/core/iceberg/types.ts";
import { objectUri } from "../lambdas/core/ids.ts";
import type { Source } from "../lambdas/core/ports.ts";
import { BAD_ROW_DEFAULTS } from "../lambdas/core/schema/defaults.ts";
import { CSV, CSV_HEADER, csvRow, eventRow, writeRows } from "./datasets.ts";
import { cost, duel, median } from "./duel.ts";

const THREADS = 2;

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "500" },
    rounds: { type: "string", default: "6" },
    only: { type: "string" },
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

async function conversion(
  path: string,
  format: FormatOptions,
): Promise<{
  add(): Promise<void>;
  schema(): Promise<Schema>;
  load(known: Schema): Promise<number>;
  close(): Promise<void>;
}> {
  const started = await converter.start({
    format,
    compression: "auto",
    hints: {},
    inferTypes: true,
    badRows: BAD_ROW_DEFAULTS,
    lineage: false,
    targetFileSizeBytes: 128 * 1024 * 1024,
    ingestedAtMs: 0,
  });
  const source: Source = {
    index: 0,
    uri: objectUri("bench", path),
    etag: "",
    sizeBytes: (await stat(path)).size,
    lastModifiedMs: 0,
  };
  return {
    add: async () => {
      const failure = await started.add(source, createReadStream(path, { highWaterMark: 1024 * 1024 }));
      if (failure !== undefined) throw new Error(failure.message);
    },
    schema: async () => {
      const { fields } = await started.inspect(undefined);
      return { type: "struct", "schema-id": 0, fields: assignFieldIds(fields, 0).fields };
    },
    load: async (known) => {
      await started.inspect(known, UNPARTITIONED);
      const { loaded } = await started.convert(known, UNPARTITIONED);
      return loaded[0]?.records ?? 0;
    },
    close: () => started.close(),
  };
}

async function compare(name: string, path: string, format: FormatOptions, reader: string, rows: number): Promise<void> {
  const first = await conversion(path, format);
  await first.add();
  let schema: Schema | undefined;
  const inferring = await cost(async () => {
    schema = await first.schema();
  });
  await first.close();
  const spooling: number[] = [];
  const out = `${directory}/bare.parquet`;
  const { ours, theirs, wallRatio, cpuRatio, wallRatios } = await duel(
    Number(values.rounds),
    async (timed) => {
      const loading = await conversion(path, format);
      await timed(async () => {
        spooling.push((await cost(loading.add)).wallS);
        const records = await loading.load(schema as Schema);
        if (records !== rows) throw new Error(`lost rows: ${records} of ${rows}`);
      });
      await loading.close();
    },
    async (timed) => {
      await timed(() =>
        bare.run(`COPY (SELECT * FROM ${reader}('${path}')) TO '${out}' (FORMAT parquet, COMPRESSION zstd)`),
      );
    },
  );
  const mb = (await stat(path)).size / 1e6;
  console.log(
    `${name} ${mb.toFixed(0)} MB: bare ${theirs.wallS.toFixed(2)} s, moraine ${ours.wallS.toFixed(2)} s (spool ${median(spooling).toFixed(2)} s), ` +
      `throughput ratio ${(1 / wallRatio).toFixed(2)} (want 0.85; rounds ${wallRatios.map((ratio) => (1 / ratio).toFixed(2)).join(" ")}); ` +
      `cpu ${theirs.cpuS.toFixed(2)} s and ${ours.cpuS.toFixed(2)} s, ratio ${(1 / cpuRatio).toFixed(2)}; ` +
      `first inference ${inferring.wallS.toFixed(2)} s (cpu ${inferring.cpuS.toFixed(2)} s)`,
  );
}

try {
  const bytes = Number(values.mb) * 1e6;
  if (values.only !== "ndjson") {
    const path = `${directory}/orders.csv`;
    await compare("csv", path, CSV, "read_csv", await writeRows(path, CSV_HEADER, csvRow, bytes));
    await rm(path);
  }
  if (values.only !== "csv") {
    const path = `${directory}/events.ndjson`;
    await compare("ndjson", path, { type: "ndjson" }, "read_json", await writeRows(path, "", eventRow, bytes));
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
