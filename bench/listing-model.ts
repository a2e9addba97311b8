// Requests and time of a listing in a model of S3 where every request takes one unit of 60 ms: `node bench/listing-model.ts [keys ...]`.
// The same numbers are bounds in test/bounds/lister-speed.test.ts.

import { PAGE_KEYS, SequenceLister } from "../test/fakes/memory-lister.ts";
import { cutEvenly, LAYOUTS } from "../test/unit/discovery/layouts.ts";
import { measure } from "../test/unit/discovery/virtual-s3.ts";

const asked = process.argv.slice(2).map(Number);
const counts = asked.length > 0 ? asked : [10_000, 100_000, 1_000_000];

for (const count of counts) {
  const rows: Record<string, unknown>[] = [];
  for (const [layout, { prefix, keys: make }] of Object.entries(LAYOUTS)) {
    const keys = make(count);
    for (const concurrency of [8, 64]) {
      for (const hints of [false, true]) {
        const ranges = hints ? cutEvenly(keys, concurrency) : [{ after: "" }];
        const {
          units,
          listRequests,
          ranges: begun,
          inFlight,
        } = await measure(new SequenceLister(keys), {
          prefix,
          ranges,
          concurrency,
        });
        const pages = Math.ceil(keys.size / PAGE_KEYS);
        const ideal = pages / concurrency;
        rows.push({
          layout,
          concurrency,
          hints,
          requests: listRequests,
          over: `${(((listRequests - pages) / pages) * 100).toFixed(0)} %`,
          ranges: begun,
          units,
          ofIdeal: (ideal / units).toFixed(2),
          start: inFlight.slice(0, 6).join(" "),
        });
      }
    }
  }
  process.stdout.write(`${count} keys\n`);
  console.table(rows);
}
