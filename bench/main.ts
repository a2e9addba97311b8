// npm run bench [-- NAME [options of that bench]]: one script per claim the documents make, all of them unless one is named.
// Ratios of the same run are what counts; absolute figures are this machine's on this day.

import { spawnSync } from "node:child_process";
import { join } from "node:path";

const BENCHES: Readonly<Record<string, string>> = {
  convert: "a conversion beside a bare DuckDB COPY, 500 MB of CSV and NDJSON",
  "small-files": "2,000 small CSV files beside one COPY that knows the columns",
  rescue: "values that do not fit: looked out for, found and rescued, beside a plain load of 200 MB",
  listing: "a listing of 100,000 keys on four layouts, at 1, 8 and 64 requests at once",
  runs: "whole runs of 10,000 to 1,000,000 files, ledger check included: first, again, seen, from an inventory",
  seen: "a million files in the seen manifest: written, read, looked up",
  inventory: "a large S3 inventory in a small memory",
  "listing-model": "requests and time of listing 10,000 to 1,000,000 keys, in a model of S3",
  "list-page": "processor time of a listed page, beside the SDK's own parser",
  "end-to-end": "upload to committed rows on the local stack, and where the time goes",
};

const [name, ...options] = process.argv.slice(2);
if (name !== undefined && !Object.hasOwn(BENCHES, name)) {
  console.error(`unknown bench ${name}; one of: ${Object.keys(BENCHES).join(", ")}`);
  process.exit(2);
}

for (const [bench, about] of Object.entries(BENCHES)) {
  if (name !== undefined && name !== bench) continue;
  console.log(`\n== ${bench}: ${about}`);
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, `${bench}.ts`), ...options], {
    stdio: "inherit",
  });
  if (status !== 0) process.exitCode = 1;
}
