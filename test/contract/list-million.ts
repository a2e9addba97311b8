// A program of its own, run by lister-memory.test.ts with --expose-gc: lists a million keys and prints what memory that took.
// With an address, it lists what the server there has, through the real adapter.

import { S3Lister } from "../../lambdas/adapters/s3-lister.ts";
import { createClients } from "../../lambdas/adapters/sdk-clients.ts";
import { SystemClock, SystemTimer } from "../../lambdas/adapters/system.ts";
import { RangeLister } from "../../lambdas/core/discovery/lister.ts";
import type { BucketLister } from "../../lambdas/core/ports.ts";
import { SequenceLister } from "../fakes/memory-lister.ts";
import { LAYOUTS } from "../unit/discovery/layouts.ts";

const [address] = process.argv.slice(2);
const collect = globalThis.gc ?? (() => {});
const layout = LAYOUTS["date folders, counters"];
if (layout === undefined) throw new Error("no such layout");

let keys = 0;
let heapMax = 0;
const lister = new RangeLister(
  {
    lister: address === undefined ? slow(new SequenceLister(layout.keys(1_000_000))) : remote(address),
    clock: new SystemClock(),
    timer: new SystemTimer(),
  },
  {
    bucket: "bucket",
    prefix: layout.prefix,
    ranges: [{ after: "" }],
    concurrency: 64,
    visit: async ({ objects }) => {
      const before = Math.floor(keys / 50_000);
      keys += objects.length;
      if (Math.floor(keys / 50_000) === before) return;
      collect();
      heapMax = Math.max(heapMax, process.memoryUsage().heapUsed);
    },
    isOver: () => false,
  },
);
collect();
const heapBefore = process.memoryUsage().heapUsed;
const startedMs = performance.now();
await lister.run();
const seconds = (performance.now() - startedMs) / 1000;
const rssMax = process.resourceUsage().maxRSS * 1024;
process.stdout.write(
  JSON.stringify({ keys, heapGrowth: heapMax - heapBefore, rssMax, seconds, requests: lister.stats.listRequests }),
);
process.exit(0);

/** Lets all lanes have a page in hand at once, as they have with a real network. */
function slow(inner: BucketLister): BucketLister {
  return {
    page: async (request) => {
      await new SystemTimer().sleep(1);
      return inner.page(request);
    },
  };
}

function remote(endpoint: string): BucketLister {
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  return new S3Lister(
    createClients({ pathStyle: true, place: { endpoint, region: "us-east-1", credentials } }).listing,
  );
}
