// Who is asked whether a file is known, in which order, and what a cache between manifest and ledger may be told.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Checked, checkObjects } from "../../../lambdas/core/discovery/check.ts";
import { knownEntry } from "../../../lambdas/core/discovery/known-entry.ts";
import { inTurn, type KnownFiles } from "../../../lambdas/core/discovery/known-files.ts";
import type { RunInput } from "../../../lambdas/core/discovery/model.ts";
import type { IngestionId } from "../../../lambdas/core/ids.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import type { FileRecord } from "../../../lambdas/core/records.ts";
import { MemoryCaches } from "../../fakes/memory-caches.ts";
import { type CheckSetUp, record, recordOf, setUpCheck } from "./check-harness.ts";
import { listed } from "./listed.ts";

const OBJECTS = ["a", "b", "c", "d"].map((name) => listed(`orders/${name}`));
const [A, B, C, D] = OBJECTS as [ListedObject, ListedObject, ListedObject, ListedObject];

interface Recorded extends KnownFiles {
  readonly asked: string[];
}

function knowing(...known: readonly ListedObject[]): Recorded {
  const asked: string[] = [];
  const has = async (objects: readonly ListedObject[]) => {
    asked.push(...objects.map(({ key }) => key));
    return objects.map((object) => known.includes(object));
  };
  return { asked, has };
}

describe("sources asked in turn", () => {
  test("answer together, and each is asked only for what none before it knew", async () => {
    const [first, second] = [knowing(B), knowing(A, D)];
    expect(await inTurn(first, second).has(OBJECTS)).toEqual([true, true, false, true]);
    expect(second.asked).toEqual([A.key, C.key, D.key]);
  });

  test("that are absent know nothing, and one with nothing left to say is not asked", async () => {
    const last = knowing();
    expect(await inTurn(undefined, knowing(...OBJECTS), last).has(OBJECTS)).toEqual([true, true, true, true]);
    expect(last.asked).toEqual([]);
    expect(await inTurn().has(OBJECTS)).toEqual([false, false, false, false]);
  });

  test("that answer too little have not said yes", async () => {
    expect(await inTurn({ has: async () => [true] }).has([A, B])).toEqual([true, false]);
  });
});

interface Cached extends CheckSetUp {
  readonly caches: MemoryCaches;
  check(objects: readonly ListedObject[], input?: Partial<RunInput>): Promise<Checked>;
}

function setUpCached(seen?: KnownFiles): Cached {
  const setUp = setUpCheck(seen === undefined ? {} : { seen });
  const caches = new MemoryCaches(setUp.clock);
  const { context } = setUp;
  const ports = { ...context.ports, caches: caches.of };
  const check: Cached["check"] = (objects, input = {}) =>
    checkObjects({ ...context, ports, input: { ...context.input, ...input } }, objects);
  return { ...setUp, caches, check };
}

describe("a cache between manifest and ledger", () => {
  test("is asked for what the manifest does not know, and spares the ledger the second time", async () => {
    const { check, caches, ledger } = setUpCached(knowing(A));
    await record(ledger, recordOf(B));
    expect((await check([A, B])).counts).toMatchObject({ known: 2, ledgerReads: 1 });
    expect(caches.asked).toEqual([B.key]);
    const again = await check([A, B]);
    expect(again.counts).toMatchObject({ known: 2, ledgerReads: 0 });
    expect(again.confirmed).toEqual([A, B]);
  });

  test("that is away or was flushed costs ledger reads and nothing else", async () => {
    const { check, caches, ledger } = setUpCached();
    await record(ledger, recordOf(A));
    const before = await check([A, B]);
    caches.flush();
    expect(await check([A, B])).toEqual(before);
    caches.isAway = true;
    expect(await check([A, B])).toEqual(before);
  });

  test("is told nothing by a dry run, and is not believed by a run that checks everything", async () => {
    const { check, caches, ledger } = setUpCached();
    await record(ledger, recordOf(A));
    await check([A], { dryRun: true });
    expect(caches.added).toEqual([]);
    await caches.of("orders" as IngestionId, "landing").add([B]);
    expect((await check([A, B], { checkAll: true })).counts).toMatchObject({ known: 1, new: 1, ledgerReads: 2 });
  });

  test("is told of a version only if a claim of it would do nothing, whatever the ledger holds", async () => {
    const status = fc.constantFrom<FileRecord["status"]>(
      "DISCOVERED",
      "PROCESSING",
      "SUCCESS",
      "FAILED",
      "SKIPPED",
      "REJECTED",
    );
    const file = fc.record({
      status,
      version: fc.constantFrom("same", "older", "newer"),
      error: fc.constantFrom(undefined, "Rejected" as const, "Unavailable" as const),
    });
    await fc.assert(
      fc.asyncProperty(file, async ({ status: held, version, error }) => {
        const { check, caches, ledger } = setUpCached();
        const shift = { same: 0, older: -5000, newer: 5000 }[version];
        const etag = version === "same" ? A.etag : version;
        const stored = { etag, sizeBytes: A.sizeBytes, timeMs: A.lastModifiedMs + shift };
        const failure = error === undefined ? {} : { error: { kind: error, message: "why" } };
        await record(ledger, recordOf(A, { status: held, version: stored, ...failure }));
        const { events } = await check([A]);
        const isFinal = ["SUCCESS", "REJECTED", "FAILED"].includes(held) && version === "same" && events.length === 0;
        expect(caches.added).toEqual(isFinal ? [A.key] : []);
      }),
      { numRuns: 200 },
    );
  });
});

test("an entry shows ledger and ingestion, and its name says nothing of the key", () => {
  const scope = { ledgerId: "Ledger-1", ingestion: "orders" as IngestionId, bucket: "landing" };
  const { name, value } = knownEntry(scope, A);
  expect(name).toMatch(/^moraine:Ledger-1:orders:[0-9a-f]{32}$/);
  expect(value).toMatch(/^[0-9a-f]{32}$/);
  const others = [{ ...scope, ledgerId: "Ledger-2" }, { ...scope, bucket: "other" }, scope];
  expect(new Set(others.map((other) => knownEntry(other, A).value)).size).toBe(3);
});
