// Checking against claiming: whatever the ledger says of a file, a listing sends its event exactly when the claim of that event would
// do something now or later. What is not sent must be nothing a claim would have taken.

import fc from "fast-check";
import { expect, test } from "vitest";
import { abortBatch, openBatch, sealBatch } from "../../../lambdas/core/batch.ts";
import { claimFile } from "../../../lambdas/core/claim.ts";
import { checkObjects } from "../../../lambdas/core/discovery/check.ts";
import type { ObjectEvent } from "../../../lambdas/core/events.ts";
import { type BatchId, objectUri } from "../../../lambdas/core/ids.ts";
import { FILE_STATUSES, type FileRecord, fileKey, type LoadedVersion } from "../../../lambdas/core/records.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";
import { BUCKET, ingestionOf, override } from "../core/harness.ts";
import { type CheckSetUp, record, recordOf, setUpCheck, TABLE } from "./check-harness.ts";
import { listed, T0 } from "./listed.ts";

const KEY = "orders/a";
const ENDS = ["none", "open", "sealed", "expired", "given up", "over"] as const;
const DEATHS_MAX = 2;

const version = fc.record(
  {
    etag: fc.constantFrom("1", "2", "3"),
    sizeBytes: fc.constant(10),
    timeMs: fc.constantFrom(T0, T0 + 400, T0 + 1000, T0 + 5000),
    sequencer: fc.constantFrom("01", "02"),
  },
  { requiredKeys: ["etag", "sizeBytes", "timeMs"] },
);
const loaded = version.map(
  (v): LoadedVersion => ({
    version: v,
    batch: "earlier" as BatchId,
    records: 1,
    bytesRead: 1,
    seq: 1,
    processedAtMs: 0,
  }),
);
const state = fc.record({
  status: fc.constantFrom(...FILE_STATUSES),
  version,
  loaded: fc.option(loaded, { nil: undefined }),
  errorKind: fc.constantFrom("Rejected" as const, "Unavailable" as const, "Invalid" as const),
  batchFiles: fc.constantFrom(1, 2),
  deaths: fc.nat({ max: DEATHS_MAX }),
  end: fc.constantFrom(...ENDS),
});
type State = typeof state extends fc.Arbitrary<infer S> ? S : never;

async function batchThat(end: State["end"], { context, clock }: CheckSetUp): Promise<BatchId> {
  const ports = { ...context.ports, random: new SeededRandom(1) };
  const held = await openBatch(ports, { table: TABLE, ingestion: context.ingestion.id, intends: [] }, 1000);
  const sums = { dataFiles: 0, deleteFiles: 0, records: 0, deleteRecords: 0, dataBytes: 0, deleteBytes: 0 };
  if (end === "sealed") await sealBatch(ports, held, { tableUuid: "u", files: [], ...sums });
  if (end === "given up") await abortBatch(ports, held);
  if (end === "expired" || end === "over") clock.advance(1000);
  if (end === "over") await abortBatch(ports, held);
  return end === "none" ? ("none" as BatchId) : held.record.batch;
}

async function arrange(setUp: CheckSetUp, known: State): Promise<void> {
  const { status, errorKind, batchFiles, deaths } = known;
  const batch = await batchThat(known.end, setUp);
  const standing = known.loaded ?? (status === "SUCCESS" ? { ...recordOf(listed(KEY)).loaded } : undefined);
  const changes = { status, version: known.version, batch, batchFiles, deaths };
  const error = status === "FAILED" ? { error: { kind: errorKind, message: "why" } } : {};
  const file = { ...recordOf(listed(KEY)), ...changes, ...error } as FileRecord;
  const { loaded: _, ...unloaded } = file;
  await record(setUp.ledger, standing === undefined ? unloaded : { ...unloaded, loaded: standing as LoadedVersion });
}

/** What the claim of this very event does, of a version that is there: to the file's item, and as an answer. */
async function claim({ context, ledger }: CheckSetUp, event: ObjectEvent) {
  const key = fileKey(context.ingestion.id, BUCKET, KEY);
  const before = await ledger.read(key);
  const { clock } = context.ports;
  const held = new MemoryObjectStore(clock);
  await held.put(objectUri(BUCKET, KEY), new Uint8Array(10));
  const store = override(held, { get: (uri) => held.get(uri) });
  const ports = { ledger, store, clock, random: new SeededRandom(2) };
  const batch = "claiming" as BatchId;
  const outcome = await claimFile(
    { ports, ingestion: context.ingestion, batch, batchFiles: 1, deathsMax: DEATHS_MAX },
    event,
  );
  return { outcome, wrote: (await ledger.read(key))?.revision !== before?.revision };
}

test("an event is sent exactly when its claim would take the file, mend its record, or wait for its turn", async () => {
  const listedVersion = fc.record({
    etag: fc.constantFrom("1", "2", "3"),
    lastModifiedMs: fc.constantFrom(T0, T0 + 1000, T0 + 5000),
  });
  const policy = fc.constantFrom("replace" as const, "append" as const, "ignore" as const);
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.option(state), listedVersion, policy, async (known, facts, onOverwrite) => {
      const setUp = setUpCheck({}, ingestionOf("orders", { onOverwrite }));
      if (known !== null) await arrange(setUp, known);
      const object = listed(KEY, facts);
      const { events, confirmed } = await checkObjects(setUp.context, [object]);
      const timeMs = object.lastModifiedMs;
      const event = { bucket: BUCKET, key: KEY, version: { etag: object.etag, sizeBytes: 10, timeMs }, runId: "run-1" };
      const { outcome, wrote } = await claim(setUp, event);
      const waits = outcome.kind === "busy" && known?.version.etag !== object.etag;
      expect(events).toEqual(wrote || waits ? [event] : []);
      if (outcome.kind === "claimed") expect(events).toHaveLength(1);
      if (confirmed.length > 0) expect([outcome, wrote]).toEqual([{ kind: "known", why: "duplicate" }, false]);
      seen.add(`${outcome.kind} ${outcome.kind === "known" ? outcome.why : ""} ${wrote} ${waits} ${confirmed.length}`);
    }),
    { numRuns: 1500 },
  );
  // Every way there is was gone: claimed; known as ignored, exhausted, restored, confirmed or sealed; busy with and without a turn.
  expect(seen.size).toBe(8);
}, 30_000);
