import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { abortBatch, type HeldBatch, openBatch, sealBatch } from "../../../lambdas/core/batch.ts";
import { type ClaimOutcome, claimFile, decideClaim, decideFile } from "../../../lambdas/core/claim.ts";
import type { OverwritePolicy } from "../../../lambdas/core/config.ts";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import type { ObjectEvent, ObjectVersion } from "../../../lambdas/core/events.ts";
import { type BatchId, objectUri, type TableId } from "../../../lambdas/core/ids.ts";
import { FILE_STATUSES, type FileRecord, type FileStatus } from "../../../lambdas/core/records.ts";
import type { MemoryLedger } from "../../fakes/memory-ledger.ts";
import type { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { BUCKET, Harness, ingestionOf, override, SETTINGS } from "./harness.ts";

const ORDERS = ingestionOf("orders");
const TABLE = "db.orders" as TableId;
const KEY = "orders/1";

function event(etag: string, sequencer: string, timeMs = 0): ObjectEvent {
  return { bucket: BUCKET, key: KEY, version: { etag, sizeBytes: 1, timeMs, sequencer } };
}

const STAGED = {
  tableUuid: "u",
  files: [],
  dataFiles: 0,
  deleteFiles: 0,
  records: 0,
  deleteRecords: 0,
  dataBytes: 0,
  deleteBytes: 0,
};

// ---- the rule ------------------------------------------------------------------------------------------------------

function known(status: FileStatus, version: ObjectVersion, isLoaded: boolean): FileRecord {
  const file: FileRecord = {
    ingestion: ORDERS.id,
    table: TABLE,
    bucket: BUCKET,
    key: KEY,
    status,
    version,
    batch: "b" as BatchId,
    batchFiles: 1,
    attempts: 1,
    deaths: 0,
    discoveredAtMs: 0,
    startedAtMs: 0,
  };
  const loaded = { version, batch: "b" as BatchId, records: 1, bytesRead: 1, seq: 1, processedAtMs: 0 };
  return isLoaded ? { ...file, loaded } : file;
}

const RELATIONS: Readonly<Record<string, ObjectEvent>> = {
  older: event("other", "04"),
  "the same": event("e", "05"),
  "the same bytes put again": event("e", "06"),
  "the same bytes put before": event("e", "04"),
  newer: event("other", "06"),
  "of other bytes, from a listing": { bucket: BUCKET, key: KEY, version: { etag: "other", sizeBytes: 1, timeMs: 0 } },
};

/** Rows: what the ledger says of the file. Columns: the event. */
const TABLE_OF_DECISIONS: readonly (readonly [FileStatus, keyof typeof RELATIONS, string])[] = [
  ...FILE_STATUSES.map((status) => [status, "older", "known older"] as const),
  ...FILE_STATUSES.map(
    (status) => [status, "of other bytes, from a listing", status === "PROCESSING" ? "held other" : "take"] as const,
  ),
  ["DISCOVERED", "the same", "take"],
  ["DISCOVERED", "the same bytes put again", "take"],
  ["DISCOVERED", "the same bytes put before", "take"],
  ["DISCOVERED", "newer", "take"],
  ["PROCESSING", "the same", "held same"],
  ["PROCESSING", "the same bytes put again", "held same"],
  ["PROCESSING", "the same bytes put before", "held same"],
  ["PROCESSING", "newer", "held other"],
  ["SUCCESS", "the same", "known duplicate"],
  ["SUCCESS", "the same bytes put again", "known duplicate"],
  ["SUCCESS", "the same bytes put before", "known duplicate"],
  ["SUCCESS", "newer", "take"],
  ["FAILED", "the same", "known duplicate"],
  ["FAILED", "the same bytes put again", "take"],
  ["FAILED", "the same bytes put before", "known duplicate"],
  ["FAILED", "newer", "take"],
  ["SKIPPED", "the same", "take"],
  ["SKIPPED", "the same bytes put again", "take"],
  ["SKIPPED", "the same bytes put before", "take"],
  ["SKIPPED", "newer", "take"],
  ["REJECTED", "the same", "known duplicate"],
  ["REJECTED", "the same bytes put again", "known duplicate"],
  ["REJECTED", "the same bytes put before", "known duplicate"],
  ["REJECTED", "newer", "take"],
];

function decision(file: FileRecord, one: ObjectEvent, policy: OverwritePolicy): string {
  const decided = decideClaim(file, one, policy);
  if (decided.kind === "known") return `known ${decided.why}`;
  return decided.kind === "held" ? `held ${decided.sameVersion ? "same" : "other"}` : "take";
}

describe("what an event may do to a file that is already known", () => {
  const version = event("e", "05").version;

  test("of listings the same bytes were put again when it was in another second", () => {
    const listed = (timeMs: number): ObjectVersion => ({ etag: "e", sizeBytes: 1, timeMs });
    const failed = known("FAILED", listed(5000), false);
    const again = (timeMs: number) =>
      decision(failed, { bucket: BUCKET, key: KEY, version: listed(timeMs) }, "replace");
    expect([again(4000), again(5999), again(6000)]).toEqual(["known duplicate", "known duplicate", "take"]);
  });

  test("the table names every status and every relation", () => {
    expect(TABLE_OF_DECISIONS).toHaveLength(FILE_STATUSES.length * Object.keys(RELATIONS).length);
  });

  test.each(TABLE_OF_DECISIONS)("%s, and the event is %s: %s", (status, relation, expected) => {
    const one = RELATIONS[relation] as ObjectEvent;
    for (const policy of ["replace", "append"] as const) {
      for (const isLoaded of [true, false])
        expect(decision(known(status, version, isLoaded), one, policy)).toBe(expected);
    }
    expect(decision(known(status, version, false), one, "ignore")).toBe(expected);
  });

  test.each(FILE_STATUSES)("%s under `ignore`: a newer version of a file that is loaded is let be", (status) => {
    const decided = decision(known(status, version, true), RELATIONS["newer"] as ObjectEvent, "ignore");
    const undecided = { PROCESSING: "held other", DISCOVERED: "take" } as Partial<Record<FileStatus, string>>;
    expect(decided).toBe(undecided[status] ?? "known ignored");
  });

  test("an older version never takes a file, whatever its state", () => {
    const sequencer = fc.nat({ max: 255 }).map((n) => n.toString(16).padStart(2, "0"));
    const policy = fc.constantFrom<OverwritePolicy>("replace", "append", "ignore");
    fc.assert(
      fc.property(
        fc.constantFrom(...FILE_STATUSES),
        sequencer,
        sequencer,
        policy,
        fc.boolean(),
        (s, a, b, p, loaded) => {
          fc.pre(b < a);
          expect(decision(known(s, event("e", a).version, loaded), event("other", b), p)).toBe("known older");
        },
      ),
    );
  });
});

// ---- the write -----------------------------------------------------------------------------------------------------

class Claims extends Harness {
  async open(): Promise<HeldBatch> {
    return openBatch(this, { table: TABLE, ingestion: ORDERS.id, intends: [] }, SETTINGS.leaseMs);
  }

  async claim(
    { record }: HeldBatch,
    one: ObjectEvent,
    options: { ledger?: MemoryLedger; store?: MemoryObjectStore; batchFiles?: number } = {},
  ): Promise<ClaimOutcome> {
    const { clock, random } = this;
    const ports = { ledger: options.ledger ?? this.ledger, store: options.store ?? this.store, clock, random };
    const { batchFiles = 2 } = options;
    const context = { ports, ingestion: ORDERS, batch: record.batch, batchFiles, deathsMax: SETTINGS.deathsMax };
    return claimFile(context, one);
  }

  /** The function that held the batch is gone, and its lease is over. */
  dies(): void {
    this.clock.advance(SETTINGS.leaseMs);
  }
}

describe("claiming a file", () => {
  const first = event("a", "01");

  test("costs one write and no read when nobody knows it", async () => {
    const claims = new Claims();
    const batch = await claims.open();
    claims.ledger.calls.clear();
    expect(await claims.claim(batch, first)).toMatchObject({
      kind: "claimed",
      file: { status: "PROCESSING", attempts: 1 },
    });
    expect(Object.fromEntries(claims.ledger.calls)).toEqual({ write: 1 });
  });

  test("whose response was lost is one claim: the loader keeps its file", async () => {
    const claims = new Claims();
    const batch = await claims.open();
    let lost = 0;
    const ledger = override(claims.ledger, {
      write: async (item, expected) => {
        const outcome = await claims.ledger.write(item, expected);
        if (lost++ === 0) throw new MoraineError("UnknownOutcome", "response lost");
        return outcome;
      },
    });
    expect(await claims.claim(batch, first, { ledger })).toMatchObject({ kind: "claimed" });
    expect(await claims.file(KEY)).toMatchObject({ batch: batch.record.batch, attempts: 1 });
  });

  test("that a living loader holds is busy: no second loader converts it", async () => {
    const claims = new Claims();
    await claims.claim(await claims.open(), first);
    const second = await claims.open();
    expect(await claims.claim(second, first)).toEqual({ kind: "busy" });
    expect(await claims.claim(second, event("b", "02"))).toEqual({ kind: "busy" });
  });

  test("two loaders at once: exactly one gets it", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const claims = new Claims();
      const batches = [await claims.open(), await claims.open(), await claims.open()];
      const outcomes = await Promise.all(batches.map((batch) => claims.claim(batch, first)));
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["busy", "busy", "claimed"]);
    }
  });

  test("from a dead loader aborts its batch first: a zombie can no longer seal what it read", async () => {
    const claims = new Claims();
    const dead = await claims.open();
    await claims.claim(dead, first);
    claims.dies();
    expect(await claims.claim(await claims.open(), first)).toMatchObject({ kind: "claimed", file: { attempts: 2 } });
    await expect(sealBatch(claims, dead, STAGED)).rejects.toMatchObject({ kind: "Fenced" });
  });

  test("whose holder wins the race and seals at the last moment is not taken over", async () => {
    const claims = new Claims();
    const slow = await claims.open();
    await claims.claim(slow, first);
    claims.dies();
    const ledger = override(claims.ledger, {
      write: async (item, expected) => {
        if (item.body["state"] === "ABORTED") await sealBatch(claims, slow, STAGED);
        return claims.ledger.write(item, expected);
      },
    });
    expect(await claims.claim(await claims.open(), first, { ledger })).toEqual({ kind: "known", why: "duplicate" });
    expect((await claims.file(KEY))?.batch).toBe(slow.record.batch);
  });

  test("of a sealed batch: the same version is known, a newer one waits, so replacements commit in order", async () => {
    const claims = new Claims();
    const sealed = await claims.open();
    await claims.claim(sealed, first);
    await sealBatch(claims, sealed, STAGED);
    claims.clock.advance(SETTINGS.leaseMs * 10);
    const next = await claims.open();
    expect(await claims.claim(next, first)).toEqual({ kind: "known", why: "duplicate" });
    expect(await claims.claim(next, event("b", "02"))).toEqual({ kind: "busy" });
    expect(await claims.claim(next, event("b", "00"))).toEqual({ kind: "known", why: "older" });
  });

  test("of a batch that was aborted by its own loader is free at once", async () => {
    const claims = new Claims();
    const gaveUp = await claims.open();
    await claims.claim(gaveUp, first);
    await abortBatch(claims, gaveUp);
    expect(await claims.claim(await claims.open(), first)).toMatchObject({ kind: "claimed" });
  });

  test("keeps what is in the table on record while a newer version is tried", async () => {
    const claims = new Claims();
    await claims.load([await claims.put(KEY, "row")]);
    await claims.commit();
    const loaded = (await claims.file(KEY))?.loaded;
    expect(loaded).toBeDefined();
    await claims.claim(await claims.open(), await claims.put(KEY, "row 2"));
    expect((await claims.file(KEY))?.loaded).toEqual(loaded);
    claims.dies();
    await claims.claim(await claims.open(), await claims.put(KEY, "row 3"));
    expect((await claims.file(KEY))?.loaded).toEqual(loaded);
  });
});

describe("bytes that are put again after others", () => {
  async function loadedThenBack(claims: Claims) {
    await claims.load([await claims.put(KEY, "one")]);
    const between = await claims.put(KEY, "two");
    const back = await claims.put(KEY, "one");
    return { between, back };
  }

  test("stand for their last upload: what was there in between comes too late, also where nothing reads the object", async () => {
    const claims = new Claims();
    const { between, back } = await loadedThenBack(claims);
    await claims.commit();
    claims.ledger.calls.clear();
    expect(await claims.claim(await claims.open(), back)).toEqual({ kind: "known", why: "duplicate" });
    // The batch, the claim that was refused, and the record.
    expect(Object.fromEntries(claims.ledger.calls)).toEqual({ write: 3 });
    expect(await claims.file(KEY)).toMatchObject({ status: "SUCCESS", version: back.version });
    expect(await claims.claim(await claims.open(), between)).toEqual({ kind: "known", why: "older" });
    claims.ledger.calls.clear();
    expect(await claims.claim(await claims.open(), back)).toEqual({ kind: "known", why: "duplicate" });
    expect(Object.fromEntries(claims.ledger.calls)).toEqual({ write: 2 });
  });

  test("wait for the batch that has them: settling would forget their last upload", async () => {
    const claims = new Claims();
    const { between, back } = await loadedThenBack(claims);
    expect(await claims.claim(await claims.open(), back)).toEqual({ kind: "busy" });
    await claims.commit();
    expect(await claims.claim(await claims.open(), back)).toEqual({ kind: "known", why: "duplicate" });
    expect(await claims.claim(await claims.open(), between)).toEqual({ kind: "known", why: "older" });
  });

  test("are not dated back by the event of an earlier upload that takes the file up", async () => {
    const claims = new Claims();
    const first = await claims.put(KEY, "one");
    const between = await claims.put(KEY, "two");
    await claims.claim(await claims.open(), await claims.put(KEY, "one"));
    claims.dies();
    const batch = await claims.open();
    expect(await claims.claim(batch, first)).toMatchObject({ kind: "claimed" });
    expect(await claims.claim(await claims.open(), between)).toEqual({ kind: "known", why: "older" });
  });

  test("and fail, are not taken up by every listing for ever", async () => {
    const claims = new Claims();
    const bad = await claims.put(KEY, "BAD");
    await claims.load([bad]);
    await claims.load([listedAs(bad, bad.version.timeMs)]);
    expect((await claims.load([listedAs(bad, bad.version.timeMs)])).outcomes).toMatchObject({ known: 1, failed: 0 });
  });

  test("and stand in the table already, are restored as of their last upload", async () => {
    const claims = new Claims({ ingestions: [ingestionOf("orders", { onOverwrite: "append" })] });
    const { between, back } = await loadedThenBack(claims);
    await claims.commit();
    const held = await claims.open();
    await claims.claim(held, between);
    await abortBatch(claims, held);
    await claims.load([back]);
    expect(await claims.file(KEY)).toMatchObject({ status: "SUCCESS", version: { sequencer: back.version.sequencer } });
    expect(await claims.claim(await claims.open(), between)).toEqual({ kind: "known", why: "older" });
  });
});

/** The version as a listing names it: with LastModified, which may be the start of the upload, and without a sequencer. */
function listedAs({ version, ...object }: ObjectEvent, timeMs: number): ObjectEvent {
  const { sequencer: _, ...rest } = version;
  return { ...object, version: { ...rest, timeMs } };
}

describe("a version that nothing orders against the one on record", () => {
  /** The second of two versions is on record, loaded. */
  async function loaded(claims: Claims) {
    const first = await claims.put(KEY, "first");
    const second = await claims.put(KEY, "second");
    await claims.load([second]);
    await claims.commit();
    claims.clock.advance(60_000);
    return { first, second };
  }

  test("is claimed if it is there, however old it says it is: a large upload is dated from its start", async () => {
    const claims = new Claims();
    await loaded(claims);
    const third = listedAs(await claims.put(KEY, "third"), 0);
    expect(await claims.claim(await claims.open(), third)).toMatchObject({ kind: "claimed", file: third });
  });

  test("is known if it is not, at the cost of one byte, and the record stays as it is: also if the claimer dies then", async () => {
    const claims = new Claims();
    const { first } = await loaded(claims);
    const before = claims.ledger.items();
    claims.store.calls.clear();
    const batch = await claims.open();
    for (const timeMs of [0, claims.clock.now() + 1000]) {
      expect(await claims.claim(batch, listedAs(first, timeMs))).toEqual({ kind: "known", why: "gone" });
    }
    expect(Object.fromEntries(claims.store.calls)).toEqual({ get: 2 });
    expect(claims.ledger.items().filter(({ body }) => body["kind"] !== "batch")).toEqual(before);
  });

  test("that is not there never waits for, nor ends, whoever is at the one on record", async () => {
    const claims = new Claims();
    const first = await claims.put(KEY, "first");
    const holder = await claims.open();
    await claims.claim(holder, await claims.put(KEY, "second"));
    claims.dies();
    expect(await claims.claim(await claims.open(), listedAs(first, 0))).toEqual({ kind: "known", why: "gone" });
    await sealBatch(claims, holder, STAGED);
  });

  test("comes back while the store is away, and is claimed if it cannot be read: fetching it says why", async () => {
    const claims = new Claims();
    await loaded(claims);
    const third = listedAs(await claims.put(KEY, "third"), 0);
    const throwing = (kind: "Unavailable" | "Rejected") =>
      override(claims.store, {
        get: async () => {
          throw new MoraineError(kind, "no");
        },
      });
    const batch = await claims.open();
    expect(await claims.claim(batch, third, { store: throwing("Unavailable") })).toEqual({ kind: "busy" });
    expect(await claims.claim(batch, third, { store: throwing("Rejected") })).toMatchObject({ kind: "claimed" });
  });

  test("is asked for anew when the record changed meanwhile: the answer was about the version before", async () => {
    const claims = new Claims();
    const { second } = await loaded(claims);
    const third = await claims.put(KEY, "third");
    const fourth = await claims.open();
    const store = override(claims.store, {
      get: async (uri, options) => {
        const got = await claims.store.get(uri, options);
        if ((await claims.file(KEY))?.version.etag !== second.version.etag) return got;
        await claims.claim(fourth, await claims.put(KEY, "fourth"));
        return got;
      },
    });
    expect(await claims.claim(await claims.open(), listedAs(third, 0), { store })).toEqual({
      kind: "known",
      why: "gone",
    });
    expect(await claims.file(KEY)).toMatchObject({ status: "PROCESSING", batch: fourth.record.batch });
  });

  test("is the one that was gone, and is back: also with the same bytes and the same date", async () => {
    const claims = new Claims();
    const seen = listedAs(await claims.put(KEY, "row"), claims.clock.now());
    await claims.store.remove([objectUri(BUCKET, KEY)]);
    await claims.load([seen]);
    expect(await claims.file(KEY)).toMatchObject({ status: "SKIPPED" });
    expect(await claims.claim(await claims.open(), seen)).toEqual({ kind: "known", why: "gone" });
    await claims.put(KEY, "row");
    await claims.load([seen]);
    await claims.commit();
    expect(await claims.rows()).toEqual(["row"]);
  });
});

describe("a file whose loaders die", () => {
  const first = event("a", "01");

  async function killed(claims: Claims, batchFiles: number): Promise<ClaimOutcome> {
    const outcome = await claims.claim(await claims.open(), first, { batchFiles });
    claims.dies();
    return outcome;
  }

  test("alone twice ends as LOADER_DIED with the remedy, instead of killing for ever", async () => {
    const claims = new Claims();
    for (let death = 0; death < SETTINGS.deathsMax; death++) {
      expect(await killed(claims, 1)).toMatchObject({ kind: "claimed" });
    }
    expect(await killed(claims, 1)).toEqual({ kind: "known", why: "exhausted" });
    const file = await claims.file(KEY);
    expect(file).toMatchObject({ status: "FAILED", reason: "LOADER_DIED", attempts: 3, deaths: 2 });
    expect(file?.error?.message).toContain("split the file or raise the function's memory");
    expect(await killed(claims, 1)).toEqual({ kind: "known", why: "duplicate" });
  });

  test("in company is never blamed for it", async () => {
    const claims = new Claims();
    for (let death = 0; death < 10; death++) expect(await killed(claims, 2)).toMatchObject({ kind: "claimed" });
    expect(await claims.file(KEY)).toMatchObject({ deaths: 0, attempts: 10 });
  });

  test("begins anew with its next version", async () => {
    const claims = new Claims();
    await killed(claims, 1);
    const outcome = await claims.claim(await claims.open(), event("b", "02"), { batchFiles: 1 });
    expect(outcome).toMatchObject({ kind: "claimed", file: { deaths: 0, attempts: 1 } });
  });

  test("is not blamed when its loader gave up in good order: a service that is down kills no file", async () => {
    const claims = new Claims();
    for (let turn = 0; turn < 5; turn++) {
      const batch = await claims.open();
      expect(await claims.claim(batch, first, { batchFiles: 1 })).toMatchObject({
        kind: "claimed",
        file: { deaths: 0 },
      });
      await abortBatch(claims, batch);
    }
  });
});

describe("deciding a claimed file", () => {
  const first = event("a", "01");

  test("whose claim was taken over changes nothing: the new holder decides", async () => {
    const claims = new Claims();
    const outcome = await claims.claim(await claims.open(), first);
    claims.dies();
    const next = await claims.open();
    await claims.claim(next, first);
    if (outcome.kind === "claimed")
      await decideFile(claims.ledger, { ...outcome.file, status: "FAILED", reason: "MALFORMED" });
    expect(await claims.file(KEY)).toMatchObject({ status: "PROCESSING", batch: next.record.batch });
  });

  test("as PROCESSING is refused", async () => {
    await expect(decideFile(new Harness().ledger, known("PROCESSING", first.version, false))).rejects.toMatchObject({
      kind: "Invalid",
    });
  });
});
