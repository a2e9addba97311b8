// The seen manifest at a million files: time and memory to write it, to read it, and to look a relisting up in it.
// Seconds of the processor; with --expose-gc also memory, that of the stored segments included.

import { createHash, randomUUID } from "node:crypto";
import { SeenReader, SeenWriter } from "../lambdas/core/discovery/seen.ts";
import { readSeenIndex, writeSeenIndex } from "../lambdas/core/discovery/seen-index.ts";
import type { ObjectUri } from "../lambdas/core/ids.ts";
import type { ListedObject } from "../lambdas/core/ports.ts";
import { ManualClock } from "../test/fakes/manual-clock.ts";
import { MemoryObjectStore } from "../test/fakes/memory-object-store.ts";

const FILES = 1_000_000;
const STRETCH = 1000;
const LANES = 32;

const KEYS: Readonly<Record<string, (n: number, random: string) => string>> = {
  "a counter": (n) => `events/year=2026/month=01/part-${n.toString().padStart(9, "0")}.json.gz`,
  "a uuid": (n, random) => `events/year=2026/month=01/day=10/${n.toString(16).padStart(5, "0")}-${random}.json.gz`,
};

/** Made anew each time, as a listing does: a million objects kept would make every collection of garbage slow. */
function stretchOf(keyOf: (n: number, random: string) => string, stretch: number): ListedObject[] {
  return Array.from({ length: STRETCH }, (_, index) => {
    const n = stretch * STRETCH + index;
    const random = createHash("md5").update(String(n)).digest("hex");
    return {
      key: keyOf(n, random),
      etag: random,
      sizeBytes: 1_000_000 + n,
      lastModifiedMs: 1_767_225_600_000 + n * 250,
    };
  });
}

class Stopwatch {
  #seconds = 0;

  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    this.#seconds += (user + system) / 1e6;
    return result;
  }

  tell(what: string): void {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    const heldMb = globalThis.gc === undefined ? "" : `, ${((heapUsed + external) / 1e6).toFixed(0)} MB in use`;
    console.log(`  ${what.padEnd(44)} ${this.#seconds.toFixed(2)} s of processor${heldMb}`);
  }
}

// As 32 lanes bring them: each lists its own part of the range.
const STRETCHES = FILES / STRETCH;
const PER_LANE = Math.ceil(STRETCHES / LANES);
const MIXED = Array.from({ length: STRETCHES }, (_, n) => n).sort((a, b) => (a % PER_LANE) - (b % PER_LANE) || a - b);

for (const [kind, keyOf] of Object.entries(KEYS)) {
  console.log(`${FILES.toLocaleString("en")} files whose names end in ${kind}`);
  const store = new MemoryObjectStore(new ManualClock());
  const writer = new SeenWriter(store, "s3://bench/seen/", randomUUID);
  const adding = new Stopwatch();
  for (const n of MIXED) {
    const stretch = stretchOf(keyOf, n);
    await adding.run(() => writer.add(stretch));
  }
  adding.tell("add");
  const flushing = new Stopwatch();
  const segments = await flushing.run(() => writer.flush());
  flushing.tell("flush: sort, encode, put");
  const index = "s3://bench/seen/index" as ObjectUri;
  await writeSeenIndex(store, index, { segments });
  const storedBytes = [...store.objects.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  console.log(`  ${segments.length} segments, ${(storedBytes / FILES).toFixed(1)} bytes an entry`);

  const reader = new SeenReader(store, await readSeenIndex(store, index));
  const reading = new Stopwatch();
  const [object] = stretchOf(keyOf, 0);
  for (const { first } of segments) await reading.run(() => reader.has([{ ...(object as ListedObject), key: first }]));
  reading.tell("read and unpack every segment");
  const looking = new Stopwatch();
  let found = 0;
  for (const n of MIXED) {
    const stretch = stretchOf(keyOf, n);
    for (const has of await looking.run(() => reader.has(stretch))) if (has) found++;
  }
  looking.tell("look a million up");
  if (found !== FILES) throw new Error(`only ${found} were found`);
}
