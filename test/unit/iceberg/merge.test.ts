import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeManifest,
  describeManifest,
  encodeManifest,
  stageManifest,
} from "../../../lambdas/core/iceberg/manifest.ts";
import { mergedManifestFile, mergeManifests, planMerges } from "../../../lambdas/core/iceberg/merge.ts";
import { UNPARTITIONED } from "../../../lambdas/core/iceberg/partition.ts";
import type { DataFile, ManifestEntry, ManifestFile, Schema } from "../../../lambdas/core/iceberg/types.ts";

const SCHEMA: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [{ id: 1, name: "id", required: false, type: "long" }],
};
const CONTENTS = { schema: SCHEMA, spec: UNPARTITIONED, content: "data" as const };
const BYTES_PER_FILE = 450;

function fileOf(path: string): DataFile {
  return { content: "data", filePath: path, partition: [], recordCount: 1, fileSizeInBytes: 10 };
}

function manifestOf(path: string, files: number, changes: Partial<ManifestFile> = {}): ManifestFile {
  return {
    ...describeManifest(path, 3000 + files * BYTES_PER_FILE, { ...CONTENTS, entries: [] }),
    addedFilesCount: files,
    sequenceNumber: 1,
    minSequenceNumber: 1,
    addedSnapshotId: 1n,
    ...changes,
  };
}

const manifests = fc
  .array(
    fc.record({
      files: fc.nat(2000),
      spec: fc.nat(1),
      content: fc.constantFrom("data" as const, "deletes" as const),
    }),
    { maxLength: 60 },
  )
  .map((all) =>
    all.map(({ files, spec, content }, i) => manifestOf(`m${i}`, files, { partitionSpecId: spec, content })),
  );
const policies = fc.record({
  fanIn: fc.integer({ min: 2, max: 10 }),
  targetBytes: fc.integer({ min: 1000, max: 2_000_000 }),
});

describe("merge planning", () => {
  it("never mixes specs or contents, never lists a manifest twice, never passes the target size", () => {
    fc.assert(
      fc.property(manifests, policies, (all, policy) => {
        const groups = planMerges(all, policy);
        const paths = groups.flat().map((manifest) => manifest.manifestPath);
        expect(new Set(paths).size).toBe(paths.length);
        for (const group of groups) {
          expect(group.length).toBeGreaterThanOrEqual(2);
          expect(new Set(group.map((m) => `${m.partitionSpecId} ${m.content}`)).size).toBe(1);
          expect(group.reduce((sum, m) => sum + m.manifestLength, 0)).toBeLessThanOrEqual(policy.targetBytes);
        }
      }),
    );
  });

  it("waits for fanIn manifests of one tier", () => {
    const policy = { fanIn: 4, targetBytes: 8_000_000 };
    const small = (count: number) => Array.from({ length: count }, (_, i) => manifestOf(`m${i}`, 1));
    expect(planMerges(small(3), policy)).toEqual([]);
    expect(planMerges(small(4), policy)).toHaveLength(1);
    expect(planMerges([...small(3), manifestOf("big", 400)], policy)).toEqual([]);
  });

  it("rewrites each file a logarithmic number of times and keeps the list short, commit after commit", () => {
    const policy = { fanIn: 8, targetBytes: 8_000_000 };
    const commits = 4000;
    let list: ManifestFile[] = [];
    let rewritten = 0;
    let longest = 0;
    for (let i = 0; i < commits; i++) {
      list.push(manifestOf(`c${i}`, 1));
      for (const group of planMerges(list, policy)) {
        const files = group.reduce((sum, m) => sum + m.addedFilesCount, 0);
        rewritten += files;
        list = [manifestOf(`c${i} merged`, files), ...list.filter((m) => !group.includes(m))];
      }
      longest = Math.max(longest, list.length);
    }
    const tiers = Math.ceil(Math.log(commits) / Math.log(policy.fanIn));
    expect(rewritten / commits).toBeLessThanOrEqual(tiers);
    expect(longest).toBeLessThanOrEqual(policy.fanIn * (tiers + 1));
  });

  it("stops rewriting what has reached the target size", () => {
    const policy = { fanIn: 8, targetBytes: 100_000 };
    let list: ManifestFile[] = [];
    const writes = new Map<string, number>();
    for (let i = 0; i < 2000; i++) {
      list.push(manifestOf(`c${i}`, 1));
      for (const [n, group] of planMerges(list, policy).entries()) {
        const files = group.reduce((sum, m) => sum + m.addedFilesCount, 0);
        const most = Math.max(...group.map((m) => writes.get(m.manifestPath) ?? 0));
        writes.set(`g${i}.${n}`, most + 1);
        list = [manifestOf(`g${i}.${n}`, files), ...list.filter((m) => !group.includes(m))];
      }
    }
    expect(Math.max(...writes.values())).toBeLessThanOrEqual(8);
    const bytes = list.reduce((sum, m) => sum + m.manifestLength, 0);
    expect(list.length).toBeLessThanOrEqual((3 * bytes) / policy.targetBytes + 3 * policy.fanIn);
  });
});

describe("merging", () => {
  const staged = (path: string, sequenceNumber: number, snapshotId: bigint, ...files: string[]) => {
    const { bytes, staged } = stageManifest(path, { ...CONTENTS, dataFiles: files.map(fileOf) });
    const manifest: ManifestFile = {
      ...staged,
      sequenceNumber,
      minSequenceNumber: sequenceNumber,
      addedSnapshotId: snapshotId,
    };
    return { manifest, bytes };
  };

  it("keeps every file's age and origin: younger than it is, a file would escape deletes", () => {
    const { entries, minSequenceNumber } = mergeManifests(
      [staged("m1", 4, 44n, "a", "b"), staged("m2", 6, 66n, "c")],
      99n,
    );
    expect(minSequenceNumber).toBe(4);
    expect(entries.map(({ dataFile: _, ...ids }) => ids)).toEqual([
      { status: "existing", snapshotId: 44n, sequenceNumber: 4, fileSequenceNumber: 4 },
      { status: "existing", snapshotId: 44n, sequenceNumber: 4, fileSequenceNumber: 4 },
      { status: "existing", snapshotId: 66n, sequenceNumber: 6, fileSequenceNumber: 6 },
    ]);
  });

  it("leaves out files that were deleted, or they would come back", () => {
    const kept: ManifestEntry = {
      status: "existing",
      snapshotId: 1n,
      sequenceNumber: 1,
      fileSequenceNumber: 1,
      dataFile: fileOf("kept"),
    };
    const contents = {
      ...CONTENTS,
      entries: [kept, { ...kept, status: "deleted" as const, dataFile: fileOf("gone") }],
    };
    const bytes = encodeManifest({ ...contents, snapshotId: 2n });
    const manifest = mergedManifestFile("m1", bytes.length, contents, { snapshotId: 2n, sequenceNumber: 2 });
    const merged = mergeManifests([{ manifest, bytes }, staged("m2", 5, 5n, "new")], 9n);
    expect(merged.entries.map((entry) => entry.dataFile.filePath)).toEqual(["kept", "new"]);
  });

  it("leaves files ADDED that the very snapshot adds, or readers of changes would miss them", () => {
    const { entries } = mergeManifests([staged("m1", 4, 44n, "old"), staged("m2", 5, 55n, "new")], 55n);
    expect(entries.map((entry) => entry.status)).toEqual(["existing", "added"]);
  });

  it("describes the merged manifest by its live files", () => {
    const merged = mergeManifests([staged("m1", 4, 44n, "a", "b"), staged("m2", 6, 66n, "c")], 99n);
    const contents = { ...CONTENTS, entries: merged.entries, schema: merged.schema };
    const bytes = encodeManifest({ ...contents, snapshotId: 99n });
    expect(mergedManifestFile("m3", bytes.length, contents, { snapshotId: 99n, sequenceNumber: 9 })).toMatchObject({
      manifestLength: bytes.length,
      sequenceNumber: 9,
      minSequenceNumber: 4,
      addedSnapshotId: 99n,
      addedFilesCount: 0,
      existingFilesCount: 3,
      existingRowsCount: 3,
    });
    expect(decodeManifest(bytes).entries).toEqual(merged.entries);
  });

  it("hands on the newest schema of its inputs, which has the columns their spec partitions by", () => {
    const second = { ...CONTENTS, schema: { ...SCHEMA, "schema-id": 4 } };
    const { bytes, staged: described } = stageManifest("m2", { ...second, dataFiles: [fileOf("c")] });
    const newer = { bytes, manifest: { ...described, sequenceNumber: 3, minSequenceNumber: 3, addedSnapshotId: 3n } };
    expect(mergeManifests([newer, staged("m1", 5, 5n, "a")], 9n).schema["schema-id"]).toBe(4);
  });
});
