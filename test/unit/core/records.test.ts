import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromRecord, toRecord } from "../../../lambdas/adapters/ledger-record.ts";
import type { BatchId, IngestionId, IntentId, Revision, TableId } from "../../../lambdas/core/ids.ts";
import type { LedgerItem } from "../../../lambdas/core/ports.ts";
import {
  type BatchRecord,
  batchItem,
  commitItem,
  commitKey,
  type FileRecord,
  fileItem,
  fileKey,
  type HeadRecord,
  headItem,
  leftoversItem,
  leftoversKey,
  readBatch,
  readCommit,
  readFile,
  readHead,
  readLeftovers,
  type Staged,
} from "../../../lambdas/core/records.ts";

const TABLE = "db.orders" as TableId;
const BATCH = "batch-1" as BatchId;
const INTENT = "intent-1" as IntentId;
const REVISION = "r" as Revision;

const FILE: FileRecord = {
  ingestion: "orders" as IngestionId,
  table: TABLE,
  bucket: "landing",
  key: "orders/1.csv",
  status: "PROCESSING",
  version: { etag: "e", sizeBytes: 3, timeMs: 5, sequencer: "0A" },
  batch: BATCH,
  batchFiles: 1,
  attempts: 1,
  deaths: 0,
  discoveredAtMs: 1,
  startedAtMs: 2,
};
const STAGED: Staged = {
  tableUuid: "u",
  dataManifest: {
    manifestPath: "s3://w/m.avro",
    manifestLength: 10,
    partitionSpecId: 0,
    content: "data",
    addedFilesCount: 1,
    existingFilesCount: 0,
    deletedFilesCount: 0,
    addedRowsCount: 2,
    existingRowsCount: 0,
    deletedRowsCount: 0,
    partitions: [{ containsNull: false, lowerBound: new Uint8Array([1, 2]), upperBound: Buffer.from([3]) }],
  },
  files: [{ claimed: FILE, records: 2, bytesRead: 3 }],
  dataFiles: 1,
  deleteFiles: 0,
  records: 2,
  deleteRecords: 0,
  dataBytes: 30,
  deleteBytes: 0,
};
const OPEN: BatchRecord = {
  table: TABLE,
  batch: BATCH,
  ingestion: "orders" as IngestionId,
  state: "OPEN",
  openedAtMs: 1,
  leaseUntilMs: 9,
  intends: [{ bucket: "landing", key: "orders/1.csv", version: FILE.version }],
};
const SEALED: BatchRecord = { ...OPEN, state: "SEALED", sealedAtMs: 4, staged: STAGED };
const HEAD: HeadRecord = { table: TABLE, tableUuid: "u", seq: 4, totals: { files: 1, records: 2 }, updatedAtMs: 3 };
const INTENT_5 = { seq: 5, id: INTENT, batches: [BATCH], files: 1, records: 2, openedAtMs: 3 };
const LANDED = { table: TABLE, seq: 5, intent: INTENT, batches: [BATCH], landedAtMs: 7 };
const COMMIT = { ...LANDED, files: 1, records: 2, snapshotId: "12" };

/** Through the form DynamoDB holds, as in production. */
const stored = (item: LedgerItem): LedgerItem => fromRecord(toRecord(item));

describe("a record comes back from the ledger as it was written", () => {
  test("a file", () => {
    const loaded = { version: FILE.version, batch: BATCH, records: 2, bytesRead: 3, seq: 1, processedAtMs: 4 };
    const success: FileRecord = { ...FILE, status: "SUCCESS", loaded };
    const error = { kind: "Rejected", message: "m", line: 3, column: "c" } as const;
    const failed: FileRecord = { ...FILE, status: "FAILED", reason: "MALFORMED", error };
    for (const file of [FILE, success, failed]) expect(readFile(stored(fileItem(file, REVISION)))).toEqual(file);
  });

  test("a batch, the bytes of its manifests' bounds among it", () => {
    expect(readBatch(stored(batchItem(OPEN, REVISION)))).toEqual(OPEN);
    const read = readBatch(stored(batchItem(SEALED, REVISION)));
    expect(read.staged?.dataManifest?.partitions?.[0]?.lowerBound).toEqual(new Uint8Array([1, 2]));
    expect(read.staged?.dataManifest?.partitions?.[0]?.upperBound).toEqual(new Uint8Array([3]));
    expect(read.staged?.files).toEqual(STAGED.files);
  });

  test("a head, a commit and its leftovers", () => {
    const busy = { ...HEAD, intent: INTENT_5 };
    for (const head of [HEAD, busy]) expect(readHead(stored(headItem(head, REVISION)))).toEqual(head);
    expect(readCommit(stored(commitItem(COMMIT, REVISION)))).toEqual(COMMIT);
    expect(readLeftovers(stored(leftoversItem(LANDED, REVISION)))).toEqual(LANDED);
  });

  test("without the attributes that are undefined, which DynamoDB cannot hold", () => {
    const file = { ...FILE, reason: undefined, runId: undefined } as unknown as FileRecord;
    expect(readFile(stored(fileItem(file, REVISION)))).toEqual(FILE);
  });
});

describe("a broken invariant never reaches the ledger", () => {
  test("a SUCCESS that names no loaded version", () => {
    expect(() => fileItem({ ...FILE, status: "SUCCESS" }, REVISION)).toThrow("assertion failed: a SUCCESS file");
  });

  test.each([
    ["sealed without staged files", { ...OPEN, state: "SEALED" }],
    ["open with staged files", { ...OPEN, staged: STAGED }],
    ["aborted with staged files", { ...OPEN, state: "ABORTED", staged: STAGED }],
  ] as const)("a batch that is %s", (_name, batch) => {
    expect(() => batchItem(batch, REVISION)).toThrow("if and only if it is SEALED");
  });

  test("a head whose open intent is not the next commit", () => {
    for (const seq of [4, 6]) {
      const head = { ...HEAD, intent: { ...INTENT_5, seq } };
      expect(() => headItem(head, REVISION)).toThrow("an open intent is the next commit");
    }
  });
});

describe("a damaged item stops its reader instead of being guessed at", () => {
  const corrupt = expect.objectContaining({ kind: "Corrupt" });

  test("an item of another kind", () => {
    const item = fileItem(FILE, REVISION);
    expect(() => readBatch(item)).toThrow(corrupt);
    expect(() => readHead(item)).toThrow(corrupt);
    expect(() => readFile(headItem(HEAD, REVISION))).toThrow(corrupt);
    expect(() => readCommit(leftoversItem(LANDED, REVISION))).toThrow(corrupt);
    expect(() => readLeftovers(commitItem(COMMIT, REVISION))).toThrow(corrupt);
  });

  test.each(["version", "status", "batch"])("a file without %s, and the message names it", (name) => {
    const { [name]: _gone, ...body } = fileItem(FILE, REVISION).body;
    expect(() => readFile({ ...fileItem(FILE, REVISION), body })).toThrow(`missing=${name}`);
  });

  test("a batch whose packed files were cut off", () => {
    const item = batchItem(SEALED, REVISION);
    const body = { ...item.body, packed: (item.body["packed"] as Uint8Array).subarray(0, 20) };
    expect(() => readBatch({ ...item, body })).toThrow(corrupt);
  });
});

describe("keys", () => {
  test("two files never share an item, whatever their names hold", () => {
    const part = fc.stringMatching(/^[a-z#/.]{1,6}$/);
    const bucket = fc.stringMatching(/^[a-z.]{1,6}$/);
    const id = fc.stringMatching(/^[a-z-]{1,4}$/) as fc.Arbitrary<IngestionId>;
    fc.assert(
      fc.property(id, bucket, part, id, bucket, part, (i1, b1, k1, i2, b2, k2) => {
        const same = i1 === i2 && b1 === b2 && k1 === k2;
        expect(fileKey(i1, b1, k1).partition === fileKey(i2, b2, k2).partition).toBe(same);
      }),
    );
  });

  test("commits and leftovers sort by their number", () => {
    for (const keyOf of [commitKey, leftoversKey]) {
      const keys = [1, 2, 9, 10, 11, 99, 100, 123_456].map((seq) => keyOf(TABLE, seq).sort);
      expect(keys).toEqual(keys.toSorted());
    }
  });

  test("the longest key S3 allows fits into DynamoDB's keys, cut between characters", () => {
    const key = `${"x".repeat(37)}${"€".repeat(329)}`;
    const item = fileItem({ ...FILE, key }, REVISION);
    expect(Buffer.byteLength(key)).toBe(1024);
    expect(Buffer.byteLength(item.key.partition)).toBeLessThanOrEqual(2048);
    expect(Buffer.byteLength(item.index?.sort ?? "")).toBeLessThanOrEqual(1024);
  });
});
