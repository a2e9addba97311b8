import { describe, expect, it } from "vitest";
import { defaultSpec } from "../../../lambdas/core/iceberg/metadata.ts";
import { UNPARTITIONED } from "../../../lambdas/core/iceberg/partition.ts";
import { planScan, verifyTable } from "../../../lambdas/core/iceberg/scan.ts";
import type { DataFile, TableMetadata, Value } from "../../../lambdas/core/iceberg/types.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import { LOCATION, TableMaker } from "./table-maker.ts";

const DRAFTS = [
  { name: "id", type: "long" },
  { name: "region", type: "string" },
] as const;

function fileOf(name: string, partition: readonly (Value | null)[], changes: Partial<DataFile> = {}): DataFile {
  const filePath = `${LOCATION}/data/${name}`;
  return { content: "data", filePath, partition, recordCount: 2, fileSizeInBytes: 10, ...changes };
}

const equalityDelete = (name: string, partition: readonly (Value | null)[] = []) =>
  fileOf(name, partition, { content: "equality-deletes", equalityIds: [1] });

async function plan(maker: TableMaker, snapshotId?: bigint): Promise<Record<string, string[]>> {
  const tasks = await planScan(maker.store, maker.table.metadata, snapshotId);
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  return Object.fromEntries(
    tasks.map((task) => [nameOf(task.dataFile.filePath), task.deletes.map((one) => nameOf(one.deleteFile.filePath))]),
  );
}

/** Snapshot 1: a (eu), b (us). Snapshot 2: c (eu) together with what `deletes` holds. Snapshot 3: d (eu). */
async function makeTable(deletes: readonly DataFile[], global: readonly DataFile[] = []): Promise<TableMaker> {
  const maker = new TableMaker();
  await maker.create(DRAFTS, ["region"]);
  const spec = defaultSpec(maker.table.metadata);
  await maker.commit([await maker.stage(spec, [fileOf("a", ["eu"]), fileOf("b", ["us"])])]);
  const staged = [await maker.stage(spec, [fileOf("c", ["eu"])])];
  if (deletes.length > 0) staged.push(await maker.stage(spec, deletes));
  if (global.length > 0) staged.push(await maker.stage(UNPARTITIONED, global));
  await maker.commit(staged);
  await maker.commit([await maker.stage(spec, [fileOf("d", ["eu"])])]);
  return maker;
}

describe("scan planning", () => {
  it("finds no files in a table without a snapshot", async () => {
    const maker = new TableMaker();
    await maker.create(DRAFTS);
    expect(await plan(maker)).toEqual({});
    await expect(plan(maker, 5n)).rejects.toThrow(/no such snapshot.*snapshotId=5/);
  });

  it("reads each snapshot as it was", async () => {
    const maker = await makeTable([]);
    expect(await plan(maker)).toEqual({ a: [], b: [], c: [], d: [] });
    expect(await plan(maker, 1000n)).toEqual({ a: [], b: [] });
  });

  it("applies an equality delete to older data of its partition only: replaced rows of the same commit must live", async () => {
    expect(await plan(await makeTable([equalityDelete("x", ["eu"])]))).toEqual({ a: ["x"], b: [], c: [], d: [] });
  });

  it("applies an equality delete without a partition to older data everywhere", async () => {
    expect(await plan(await makeTable([], [equalityDelete("x")]))).toEqual({ a: ["x"], b: ["x"], c: [], d: [] });
  });

  it("applies position deletes to data of the same commit too, and to the one file they are about", async () => {
    const position = fileOf("p", ["eu"], { content: "position-deletes" });
    const about = fileOf("q", ["eu"], { content: "position-deletes", referencedDataFile: `${LOCATION}/data/c` });
    const path = new TextEncoder().encode(`${LOCATION}/data/a`);
    const bounded = fileOf("r", ["eu"], {
      content: "position-deletes",
      lowerBounds: new Map([[2147483546, path]]),
      upperBounds: new Map([[2147483546, path]]),
    });
    expect(await plan(await makeTable([position, about, bounded]))).toEqual({
      a: ["p", "r"],
      b: [],
      c: ["p", "q"],
      d: [],
    });
  });

  it("keeps deletes applying after a merge of manifests: a merged file stays as old as it was", async () => {
    const maker = await makeTable([], [equalityDelete("x")]);
    await maker.commit([], [], (manifests, id) => maker.mergeData(manifests, id));
    expect(await plan(maker)).toEqual({ a: ["x"], b: ["x"], c: [], d: [] });
    expect(await verifyTable(maker.store, maker.table.metadata)).toEqual([]);
  });

  it("says which live file somebody deleted", async () => {
    const maker = await makeTable([]);
    maker.store.objects.delete(`${LOCATION}/metadata/m0.avro` as ObjectUri);
    await expect(plan(maker)).rejects.toThrow(/manifest is named by the table but is not in the store.*m0\.avro/);
  });
});

describe("table verification", () => {
  it("finds nothing wrong with a sound table", async () => {
    const maker = await makeTable([equalityDelete("x", ["eu"])], [equalityDelete("y")]);
    expect(await verifyTable(maker.store, maker.table.metadata)).toEqual([]);
  });

  const damages: [string, (m: TableMetadata) => object, RegExp][] = [
    [
      "a sequence number that went back",
      (m) => ({ "last-sequence-number": m["last-sequence-number"] - 1 }),
      /last-sequence-number/,
    ],
    ["main elsewhere than the current snapshot", () => ({ "current-snapshot-id": 1000n }), /main is not the current/],
    [
      "a ref to nothing",
      (m) => ({ refs: { ...m.refs, t: { "snapshot-id": 7n, type: "tag" } } }),
      /ref t names no snapshot/,
    ],
    ["history out of order", (m) => ({ "snapshot-log": m["snapshot-log"].toReversed() }), /snapshot-log goes back/],
    [
      "totals that count a file twice",
      (m) => ({ snapshots: m.snapshots.map((s) => ({ ...s, summary: { ...s.summary, "total-records": "9" } })) }),
      /says total-records is 9, not 4/,
    ],
    ["a spec that is gone", () => ({ "partition-specs": [UNPARTITIONED] }), /partition spec 1 is unknown/],
  ];
  it.each(damages)("finds %s", async (_, damage, finding) => {
    const maker = await makeTable([]);
    const damaged = { ...maker.table.metadata, ...damage(maker.table.metadata) };
    expect((await verifyTable(maker.store, damaged)).join("\n")).toMatch(finding);
  });

  it("finds one data file in two manifests: its rows would be read twice", async () => {
    const maker = await makeTable([]);
    await maker.commit([await maker.stage(defaultSpec(maker.table.metadata), [fileOf("a", ["eu"])])]);
    expect(await verifyTable(maker.store, maker.table.metadata)).toEqual([
      expect.stringMatching(/holds s3:\/\/lake\/db\/events\/data\/a more than once/),
    ]);
  });

  it("finds a partition summary by which engines would skip live files", async () => {
    const maker = await makeTable([]);
    const narrow = { containsNull: false, lowerBound: Buffer.from("fr"), upperBound: Buffer.from("us") };
    await maker.commit([], [], async (manifests) =>
      manifests.map((manifest) => ({ ...manifest, partitions: [narrow] })),
    );
    expect((await verifyTable(maker.store, maker.table.metadata)).join("\n")).toMatch(/summary does not cover/);
  });

  it("finds wrong counts, lengths and sequence numbers in a manifest list", async () => {
    const maker = await makeTable([]);
    await maker.commit([], [], async (manifests) =>
      manifests.map((manifest) => ({ ...manifest, addedFilesCount: 7, manifestLength: 1, minSequenceNumber: 99 })),
    );
    const findings = (await verifyTable(maker.store, maker.table.metadata)).join("\n");
    expect(findings).toMatch(/addedFilesCount is 7, not 1/);
    expect(findings).toMatch(/manifestLength is 1, not \d+/);
    expect(findings).toMatch(/minSequenceNumber is 99, above 1/);
  });
});
