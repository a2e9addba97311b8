import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { snapshotsToExpire } from "../../../lambdas/core/iceberg/expire.ts";
import { applyUpdates, newTableMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import type { SnapshotRef, TableMetadata } from "../../../lambdas/core/iceberg/types.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const POLICY = { keepLast: 3, maxAgeMs: 7 * DAY };

const EMPTY = newTableMetadata({
  uuid: "u",
  location: "s3://b/t",
  fields: [],
  lastColumnId: 0,
  specFields: [],
  properties: {},
  nowMs: 0,
});

function append(m: TableMetadata, timestampMs: number): TableMetadata {
  const sequenceNumber = m["last-sequence-number"] + 1;
  const parent = m["current-snapshot-id"];
  const id = BigInt(sequenceNumber);
  const snapshot = {
    "snapshot-id": id,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent }),
    "sequence-number": sequenceNumber,
    "timestamp-ms": timestampMs,
    "manifest-list": `s3://b/t/metadata/${id}.avro`,
    summary: { operation: "append" as const },
  };
  return applyUpdates(
    m,
    [
      { action: "add-snapshot", snapshot },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": id },
    ],
    timestampMs,
  );
}

/** Commits at each gap after the last, expiring as a committer does. */
function live(gapsMs: readonly number[], policy = POLICY, each: (m: TableMetadata, nowMs: number) => void = () => {}) {
  let m = EMPTY;
  let nowMs = 1_700_000_000_000;
  for (const gap of gapsMs) {
    nowMs += gap;
    m = append(m, nowMs);
    m = applyUpdates(m, [{ action: "remove-snapshots", "snapshot-ids": snapshotsToExpire(m, nowMs, policy) }], nowMs);
    each(m, nowMs);
  }
  return { m, nowMs };
}

function withRef(m: TableMetadata, name: string, ref: SnapshotRef): TableMetadata {
  return { ...m, refs: { ...m.refs, [name]: ref } };
}

const history = (count: number, gapMs: number) => {
  let m = EMPTY;
  for (let i = 0; i < count; i++) m = append(m, i * gapMs);
  return m;
};
const idsOf = (...ids: number[]) => ids.map(BigInt);

describe("snapshot expiry", () => {
  const gaps = fc.array(fc.oneof(fc.nat(30_000), fc.nat(10 * MINUTE), fc.nat(2 * DAY)), { maxLength: 150 });

  it("keeps a number of snapshots that grows only with the logarithm of the age", () => {
    const tiers = Math.ceil(Math.log2(POLICY.maxAgeMs / MINUTE)) + 1;
    fc.assert(
      fc.property(gaps, (gapsMs) => {
        live(gapsMs, POLICY, (m) => expect(m.snapshots.length).toBeLessThanOrEqual(POLICY.keepLast + 2 * tiers));
      }),
    );
  });

  it("still reaches back when a table is committed to every few seconds for days", () => {
    const gapMs = 20_000;
    const policy = { keepLast: 5, maxAgeMs: 2 * DAY };
    const { m, nowMs } = live(
      Array.from({ length: (3 * DAY) / gapMs }, () => gapMs),
      policy,
    );
    expect(m.snapshots.length).toBeLessThan(40);
    const ages = m.snapshots.map((snapshot) => nowMs - snapshot["timestamp-ms"]).sort((a, b) => a - b);
    expect(Math.max(...ages)).toBeLessThanOrEqual(policy.maxAgeMs);
    // For every age there is a snapshot from before it that is at most about twice as old.
    for (let age = MINUTE; age < policy.maxAgeMs / 2; age *= 1.5) {
      const reached = ages.find((candidate) => candidate >= age);
      expect(reached).toBeLessThanOrEqual(2 * age + MINUTE);
    }
  });

  it("never lets go of the newest snapshots of main, however old", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(100 * DAY),
        (count, keepLast, wait) => {
          const m = history(count, 1000);
          const expired = snapshotsToExpire(m, count * 1000 + wait, { keepLast, maxAgeMs: HOUR });
          const newest = m.snapshots.slice(-keepLast).map((snapshot) => snapshot["snapshot-id"]);
          expect(newest.filter((id) => expired.includes(id))).toEqual([]);
        },
      ),
    );
  });

  it("lets go of everything past the maximum age that nothing refers to", () => {
    expect(snapshotsToExpire(history(5, HOUR), 100 * DAY, { keepLast: 2, maxAgeMs: DAY })).toEqual(idsOf(1, 2, 3));
  });

  it("keeps what tags and branches refer to, and a branch's own rules", () => {
    const m = history(10, HOUR);
    const late = 100 * DAY;
    const policy = { keepLast: 1, maxAgeMs: DAY };
    expect(snapshotsToExpire(m, late, policy)).toEqual(idsOf(1, 2, 3, 4, 5, 6, 7, 8, 9));
    const tagged = withRef(m, "audit", { "snapshot-id": 4n, type: "tag" });
    expect(snapshotsToExpire(tagged, late, policy)).not.toContain(4n);
    const branched = withRef(m, "dev", { "snapshot-id": 6n, type: "branch", "min-snapshots-to-keep": 3 });
    expect(snapshotsToExpire(branched, late, policy)).toEqual(idsOf(1, 2, 3, 7, 8, 9));
    const aged = withRef(m, "dev", { "snapshot-id": 6n, type: "branch", "max-snapshot-age-ms": late - 3.5 * HOUR });
    expect(snapshotsToExpire(aged, late, policy)).toEqual(idsOf(1, 2, 3, 4, 7, 8, 9));
  });

  it("finds nothing more to do right after it ran", () => {
    fc.assert(
      fc.property(gaps, (gapsMs) => {
        const { m, nowMs } = live(gapsMs);
        expect(snapshotsToExpire(m, nowMs, POLICY)).toEqual([]);
      }),
    );
  });
});
