// Makes the DuckDB layer's archive and prints its path: the CDK CLI runs this when it publishes assets, never at synth.

import { makeLayerArchive } from "../lib/duckdb-archive.ts";

process.stdout.write(`${makeLayerArchive()}\n`);
