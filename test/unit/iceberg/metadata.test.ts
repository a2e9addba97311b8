import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { formatJson, parseJson } from "../../../lambdas/core/iceberg/json.ts";
import {
  applyUpdates,
  checkRequirements,
  currentSchema,
  currentSnapshot,
  defaultSpec,
  formatMetadata,
  newTableMetadata,
  nextTimestampMs,
  parseMetadata,
  partitionNames,
  schemaById,
  specById,
} from "../../../lambdas/core/iceberg/metadata.ts";
import { parsePartitionBy } from "../../../lambdas/core/iceberg/partition.ts";
import { assignFieldIds, evolveSchema, withSchemaId } from "../../../lambdas/core/iceberg/schema.ts";
import type {
  PartitionSpec,
  Schema,
  Snapshot,
  TableMetadata,
  TableUpdate,
} from "../../../lambdas/core/iceberg/types.ts";

const NOW = 1_700_000_000_000;
const { fields, lastColumnId } = assignFieldIds(
  [
    { name: "id", type: "int" },
    { name: "at", type: "timestamptz" },
  ],
  0,
);
const SCHEMA: Schema = { type: "struct", "schema-id": 0, fields };

function newTable(...partitionBy: string[]): TableMetadata {
  return newTableMetadata({
    uuid: "9c12d441-03fe-4693-9a96-a0705ddf69c1",
    location: "s3://lake/db/t",
    fields,
    lastColumnId,
    specFields: parsePartitionBy(partitionBy, SCHEMA),
    properties: { "write.format.default": "parquet" },
    nowMs: NOW,
  });
}

function snapshotOf(sequenceNumber: number, changes: Partial<Snapshot> = {}): Snapshot {
  return {
    "snapshot-id": BigInt(sequenceNumber),
    "sequence-number": sequenceNumber,
    "timestamp-ms": NOW + sequenceNumber,
    "manifest-list": `s3://lake/db/t/metadata/${sequenceNumber}.avro`,
    summary: { operation: "append" },
    ...changes,
  };
}

function appendOf(snapshot: Snapshot): TableUpdate[] {
  return [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshot["snapshot-id"] },
  ];
}

function withSnapshots(count: number): TableMetadata {
  let m = newTable();
  for (let i = 1; i <= count; i++) m = applyUpdates(m, appendOf(snapshotOf(i)), NOW + i);
  return m;
}

describe("a new table", () => {
  it("always has the unpartitioned spec, or deletes could not reach every partition", () => {
    expect(newTable("day(at)")["partition-specs"]).toEqual([
      { "spec-id": 0, fields: [] },
      { "spec-id": 1, fields: [{ name: "at_day", transform: "day", "source-id": 2, "field-id": 1000 }] },
    ]);
    expect(defaultSpec(newTable("day(at)"))["spec-id"]).toBe(1);
    expect(defaultSpec(newTable())["spec-id"]).toBe(0);
    expect(newTable("day(at)")["last-partition-id"]).toBe(1000);
    expect(newTable()["last-partition-id"]).toBe(999);
  });

  it("has no snapshot and one schema", () => {
    expect(currentSnapshot(newTable())).toBeUndefined();
    expect(currentSchema(newTable())).toEqual(SCHEMA);
  });
});

describe("metadata files", () => {
  it("come back as written", () => {
    const m = withSnapshots(3);
    expect(parseMetadata(formatMetadata(m))).toEqual(m);
    expect(parseMetadata(gzipSync(formatMetadata(m)))).toEqual(m);
  });

  it("of Java keep ids past 2^53 and facts we know nothing of", () => {
    const id = 3776207205136740581n;
    const ours = applyUpdates(newTable(), appendOf(snapshotOf(1, { "snapshot-id": id })), NOW);
    const json = parseJson(new TextDecoder().decode(formatMetadata(ours))) as Record<string, unknown>;
    const theirs = formatJson({
      ...json,
      "encryption-keys": [],
      statistics: [{ "snapshot-id": id, "statistics-path": "s3://x" }],
    });
    const m = parseMetadata(theirs);
    expect(currentSnapshot(m)?.["snapshot-id"]).toBe(id);
    expect(parseJson(new TextDecoder().decode(formatMetadata(m)))).toMatchObject({
      "current-snapshot-id": id,
      "encryption-keys": [],
      statistics: [{ "snapshot-id": id }],
      refs: { main: { "snapshot-id": id, type: "branch" } },
    });
  });

  it("that say -1 or null for the current snapshot have none", () => {
    for (const id of [-1, null]) {
      const json = {
        ...(parseJson(new TextDecoder().decode(formatMetadata(newTable()))) as object),
        "current-snapshot-id": id,
      };
      const m = parseMetadata(formatJson(json));
      expect(currentSnapshot(m)).toBeUndefined();
      expect(
        checkRequirements(m, [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null }]),
      ).toBeUndefined();
    }
  });

  it("from before refs have main at their current snapshot", () => {
    const { refs: _, ...rest } = withSnapshots(2);
    expect(parseMetadata(formatJson(rest)).refs).toEqual({ main: { "snapshot-id": 2n, type: "branch" } });
  });

  it("with decimals spaced otherwise and small ids as numbers are read alike", () => {
    const text = new TextDecoder()
      .decode(formatMetadata(withSnapshots(1)))
      .replace('"type":"int"', '"type":"decimal(9,2)"');
    const m = parseMetadata(text);
    expect(currentSchema(m).fields[0]?.type).toBe("decimal(9, 2)");
    expect(m.snapshots[0]?.["snapshot-id"]).toBe(1n);
    expect(m["snapshot-log"][0]?.["snapshot-id"]).toBe(1n);
  });

  it.each([
    [{ "format-version": 1 }, "Invalid", /upgrade it once with ALTER TABLE/],
    [{ "format-version": 3 }, "Invalid", /use a table of format version 2/],
    [{ schemas: undefined }, "Corrupt", /schemas is missing file=s3:\/\/m\.json/],
    [{ "current-schema-id": 9 }, "Corrupt", /current-schema-id names no schema/],
    [{ "default-spec-id": 9 }, "Corrupt", /default-spec-id names no partition spec/],
    [{ "current-snapshot-id": 9 }, "Corrupt", /current-snapshot-id names no snapshot/],
    [{ location: 7 }, "Corrupt", /location is not a string/],
    [{ "last-column-id": "x" }, "Corrupt", /last-column-id is not an integer/],
    [{ snapshots: {} }, "Corrupt", /snapshots is not an array/],
  ])("with %j are refused as %s, naming file and property", (changes, kind, message) => {
    const read = () => parseMetadata(formatJson({ ...newTable(), ...changes }), "s3://m.json");
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ kind }));
  });

  it("that are no JSON are corrupt", () => {
    expect(() => parseMetadata("<Error>", "s3://m.json")).toThrow(/not JSON file=s3:\/\/m\.json/);
    expect(() => parseMetadata(Uint8Array.of(0x1f, 0x8b, 0), "s3://m.json")).toThrow(/not JSON file=s3:\/\/m\.json/);
  });
});

describe("snapshot updates", () => {
  it("move main, the log and the sequence number together", () => {
    const m = withSnapshots(2);
    expect(m).toMatchObject({
      "current-snapshot-id": 2n,
      "last-sequence-number": 2,
      refs: { main: { "snapshot-id": 2n, type: "branch" } },
      "snapshot-log": [
        { "snapshot-id": 1n, "timestamp-ms": NOW + 1 },
        { "snapshot-id": 2n, "timestamp-ms": NOW + 2 },
      ],
    });
  });

  it.each([0, 1, 3])(
    "refuse sequence number %i after 1: a file could pass for older or younger than it is",
    (sequence) => {
      expect(() =>
        applyUpdates(
          withSnapshots(1),
          [{ action: "add-snapshot", snapshot: snapshotOf(sequence, { "snapshot-id": 77n }) }],
          NOW,
        ),
      ).toThrow(/sequence number/);
    },
  );

  it("refuse a snapshot id that is taken and a ref to a snapshot that is not there", () => {
    const m = withSnapshots(1);
    expect(() =>
      applyUpdates(m, [{ action: "add-snapshot", snapshot: snapshotOf(2, { "snapshot-id": 1n }) }], NOW),
    ).toThrow(/there already/);
    const ref = { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": 9n } as const;
    expect(() => applyUpdates(m, [ref], NOW)).toThrow(/unknown snapshot/);
  });

  it("never let time go back when a slower clock commits: Java refuses such a table", () => {
    const late = NOW + 600_000;
    const first = applyUpdates(newTable(), appendOf(snapshotOf(1, { "timestamp-ms": late })), late);
    expect(nextTimestampMs(first, NOW)).toBe(late);
    const second = applyUpdates(first, appendOf(snapshotOf(2, { "timestamp-ms": NOW })), NOW);
    expect(second["last-updated-ms"]).toBe(late);
    expect(second["snapshot-log"].map((entry) => entry["timestamp-ms"])).toEqual([late, late]);
  });

  it("that remove snapshots leave nothing behind that refers to them", () => {
    const tagged = applyUpdates(
      {
        ...withSnapshots(4),
        statistics: [{ "snapshot-id": 2 }, { "snapshot-id": 4n }],
        "partition-statistics": [{ "snapshot-id": 2n }],
      },
      [{ action: "set-snapshot-ref", "ref-name": "t", type: "tag", "snapshot-id": 2n }],
      NOW,
    );
    const m = applyUpdates(tagged, [{ action: "remove-snapshots", "snapshot-ids": [2n] }], NOW);
    expect(m.snapshots.map((snapshot) => snapshot["snapshot-id"])).toEqual([1n, 3n, 4n]);
    expect(m.refs).toEqual({ main: { "snapshot-id": 4n, type: "branch" } });
    expect(m.statistics).toEqual([{ "snapshot-id": 4n }]);
    expect(m["partition-statistics"]).toEqual([]);
  });

  it("that remove snapshots cut the history before them, or a query as of then would see a wrong state", () => {
    const m = applyUpdates(withSnapshots(4), [{ action: "remove-snapshots", "snapshot-ids": [2n] }], NOW);
    expect(m["snapshot-log"].map((entry) => entry["snapshot-id"])).toEqual([3n, 4n]);
  });

  it("never remove the current snapshot", () => {
    expect(() => applyUpdates(withSnapshots(2), [{ action: "remove-snapshots", "snapshot-ids": [2n] }], NOW)).toThrow(
      /is current/,
    );
  });
});

describe("schema and spec updates", () => {
  const wider = evolveSchema(SCHEMA, lastColumnId, [{ name: "note", type: "string" }]);

  it("add the next schema and make it current", () => {
    const m = applyUpdates(
      newTable(),
      [
        { action: "add-schema", schema: withSchemaId(wider.schema, 1), "last-column-id": wider.lastColumnId },
        { action: "set-current-schema", "schema-id": 1 },
      ],
      NOW,
    );
    expect(currentSchema(m)).toEqual(withSchemaId(wider.schema, 1));
    expect(m["last-column-id"]).toBe(3);
    expect(schemaById(m, 0)).toEqual(SCHEMA);
  });

  it("reuse an equal schema under its old id, so that two writers who find the same column make one schema", () => {
    const add = (id: number): TableUpdate[] => [
      { action: "add-schema", schema: withSchemaId(wider.schema, id), "last-column-id": wider.lastColumnId },
      { action: "set-current-schema", "schema-id": id },
    ];
    const once = applyUpdates(newTable(), add(1), NOW);
    const twice = applyUpdates(once, add(2), NOW);
    expect(twice.schemas).toHaveLength(2);
    expect(twice["current-schema-id"]).toBe(1);
  });

  it("give another id when the one asked for belongs to another schema, and -1 means the last one added", () => {
    const m = applyUpdates(
      newTable(),
      [
        { action: "add-schema", schema: withSchemaId(wider.schema, 0), "last-column-id": wider.lastColumnId },
        { action: "set-current-schema", "schema-id": -1 },
      ],
      NOW,
    );
    expect(m["current-schema-id"]).toBe(1);
  });

  it("never lower last-column-id, or an id would be given twice", () => {
    const m = applyUpdates(newTable(), [{ action: "add-schema", schema: wider.schema, "last-column-id": 0 }], NOW);
    expect(m["last-column-id"]).toBe(3);
  });

  it("refuse a new column with the name of a partition field: Java could not open the table any more", () => {
    const table = newTable("day(at)");
    expect(partitionNames(table)).toEqual(["at_day"]);
    const clash = evolveSchema(SCHEMA, lastColumnId, [{ name: "at_day", type: "string" }]).schema;
    expect(() => applyUpdates(table, [{ action: "add-schema", schema: clash, "last-column-id": 3 }], NOW)).toThrow(
      /name of a partition field.*column=at_day/,
    );
    const partitionedByName = newTable("id");
    const wide = evolveSchema(SCHEMA, lastColumnId, [{ name: "id", type: "long" }]).schema;
    const updates: TableUpdate[] = [{ action: "add-schema", schema: withSchemaId(wide, 1), "last-column-id": 2 }];
    expect(applyUpdates(partitionedByName, updates, NOW).schemas).toHaveLength(2);
  });

  it("add a partition spec once", () => {
    const spec: PartitionSpec = { "spec-id": 5, fields: parsePartitionBy(["bucket(4, id)"], SCHEMA) };
    const updates: TableUpdate[] = [
      { action: "add-spec", spec },
      { action: "set-default-spec", "spec-id": 5 },
    ];
    const m = applyUpdates(newTable(), updates, NOW);
    expect(defaultSpec(m)).toEqual(spec);
    expect(specById(m, 5)).toEqual(spec);
    expect(m["last-partition-id"]).toBe(1000);
    const again = applyUpdates(
      m,
      [
        { action: "add-spec", spec: { ...spec, "spec-id": 6 } },
        { action: "set-default-spec", "spec-id": -1 },
      ],
      NOW,
    );
    expect(again["partition-specs"]).toEqual(m["partition-specs"]);
    expect(again["default-spec-id"]).toBe(5);
  });

  it("set and remove properties", () => {
    const m = applyUpdates(
      newTable(),
      [
        { action: "set-properties", updates: { a: "1", b: "2" } },
        { action: "remove-properties", removals: ["a", "write.format.default"] },
      ],
      NOW,
    );
    expect(m.properties).toEqual({ b: "2" });
  });

  it("leave the metadata they were applied to alone", () => {
    const m = Object.freeze(withSnapshots(1));
    const before = structuredClone(m);
    applyUpdates(m, [...appendOf(snapshotOf(2)), { action: "set-properties", updates: { a: "1" } }], NOW);
    expect(m).toEqual(before);
  });
});

describe("requirements", () => {
  const m = withSnapshots(2);

  it("hold for the table they were made from", () => {
    expect(
      checkRequirements(m, [
        { type: "assert-table-uuid", uuid: m["table-uuid"].toUpperCase() },
        { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 2n },
        { type: "assert-ref-snapshot-id", ref: "nowhere", "snapshot-id": null },
        { type: "assert-current-schema-id", "current-schema-id": 0 },
        { type: "assert-last-assigned-field-id", "last-assigned-field-id": 2 },
        { type: "assert-default-spec-id", "default-spec-id": 0 },
      ]),
    ).toBeUndefined();
  });

  it.each([
    { type: "assert-table-uuid", uuid: "other" },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": 1n },
    { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null },
    { type: "assert-ref-snapshot-id", ref: "nowhere", "snapshot-id": 1n },
    { type: "assert-current-schema-id", "current-schema-id": 1 },
    { type: "assert-last-assigned-field-id", "last-assigned-field-id": 3 },
    { type: "assert-default-spec-id", "default-spec-id": 1 },
  ] as const)("name the first that fails: %o", (requirement) => {
    const holds = { type: "assert-table-uuid", uuid: m["table-uuid"] } as const;
    expect(checkRequirements(m, [holds, requirement, { type: "assert-table-uuid", uuid: "x" }])).toBe(requirement);
  });
});
