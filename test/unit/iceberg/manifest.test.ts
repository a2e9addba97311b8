import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeContainer, encodeContainer } from "../../../lambdas/core/iceberg/avro.ts";
import {
  decodeManifest,
  describeManifest,
  encodeManifest,
  inherit,
  stageManifest,
} from "../../../lambdas/core/iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "../../../lambdas/core/iceberg/manifest-list.ts";
import { UNPARTITIONED } from "../../../lambdas/core/iceberg/partition.ts";
import type {
  DataFile,
  ManifestEntry,
  ManifestFile,
  PartitionSpec,
  Schema,
  Value,
} from "../../../lambdas/core/iceberg/types.ts";
import { partitioned, valuesOf } from "./arbitraries.ts";
import { avscEncode, icebirdDecode } from "./avro-oracle.ts";

const SCHEMA: Schema = {
  type: "struct",
  "schema-id": 0,
  fields: [{ id: 1, name: "id", required: false, type: "long" }],
};
const DAY: PartitionSpec = {
  "spec-id": 1,
  fields: [{ name: "d", transform: "identity", "source-id": 1, "field-id": 1000 }],
};

const REQUIRED = [
  "manifestPath",
  "manifestLength",
  "partitionSpecId",
  "content",
  "sequenceNumber",
  "minSequenceNumber",
  "addedSnapshotId",
  "addedFilesCount",
  "existingFilesCount",
  "deletedFilesCount",
  "addedRowsCount",
  "existingRowsCount",
  "deletedRowsCount",
] as const;

function fileOf(path: string, partition: readonly (Value | null)[] = []): DataFile {
  return { content: "data", filePath: path, partition, recordCount: 3, fileSizeInBytes: 100 };
}

function entryOf(changes: Partial<ManifestEntry> = {}): ManifestEntry {
  const dataFile = fileOf("s3://b/f.parquet");
  return { status: "added", snapshotId: null, sequenceNumber: null, fileSequenceNumber: null, dataFile, ...changes };
}

function listed(changes: Partial<ManifestFile> = {}): ManifestFile {
  return {
    ...describeManifest("s3://b/m.avro", 10, { schema: SCHEMA, spec: UNPARTITIONED, content: "data", entries: [] }),
    sequenceNumber: 8,
    minSequenceNumber: 8,
    addedSnapshotId: 88n,
    ...changes,
  };
}

const counts = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 200 }), fc.nat()), { selector: ([id]) => id, maxLength: 4 })
  .map((pairs) => new Map(pairs.sort(([a], [b]) => a - b)));
const bounds = counts.map((map) => new Map([...map].map(([id, n]) => [id, Uint8Array.of(n & 255, 7)])));

/** A manifest of random entries over a random partition spec. */
const manifest = partitioned.chain(({ schema, fields, types }) => {
  const tuple = fc.tuple(...types.map((type) => fc.option(valuesOf(type), { nil: null })));
  const optional = {
    columnSizes: counts,
    valueCounts: counts,
    nullValueCounts: counts,
    nanValueCounts: counts,
    lowerBounds: bounds,
    upperBounds: bounds,
    splitOffsets: fc.array(fc.nat()),
    equalityIds: fc.array(fc.nat()),
    sortOrderId: fc.nat(5),
    fileFormat: fc.constantFrom("AVRO", "ORC"),
    keyMetadata: fc.uint8Array({ maxLength: 5 }),
    referencedDataFile: fc.webUrl(),
  };
  const dataFile = fc.record(
    {
      content: fc.constant("data" as const),
      filePath: fc.webUrl(),
      partition: tuple,
      recordCount: fc.maxSafeNat(),
      fileSizeInBytes: fc.maxSafeNat(),
      ...optional,
    },
    { requiredKeys: ["content", "filePath", "partition", "recordCount", "fileSizeInBytes"] },
  );
  const id = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
  const entry = fc.oneof(
    dataFile.map((file) => entryOf({ dataFile: file })),
    fc
      .tuple(dataFile, id, fc.constantFrom("existing" as const, "deleted" as const), fc.nat())
      .map(([file, snapshotId, status, sequenceNumber]) =>
        entryOf({ dataFile: file, snapshotId, status, sequenceNumber, fileSequenceNumber: sequenceNumber }),
      ),
  );
  const spec: PartitionSpec = { "spec-id": 4, fields };
  return fc.array(entry, { maxLength: 5 }).map((entries) => ({ schema, spec, content: "data" as const, entries }));
});

describe("manifests", () => {
  it("come back as written, for every partition type and every statistic", () => {
    fc.assert(
      fc.property(manifest, (contents) => {
        const decoded = decodeManifest(encodeManifest({ ...contents, snapshotId: null }));
        expect(decoded).toEqual(contents);
      }),
      { numRuns: 200 },
    );
  });

  it("are valid Avro to icebird, a reader we did not write", () => {
    fc.assert(
      fc.property(manifest, (contents) => {
        const bytes = encodeManifest({ ...contents, snapshotId: null });
        // It has neither fixed (decimal, uuid) nor time.
        fc.pre(!/"fixed"|"time-micros"/.test(JSON.stringify(decodeContainer(bytes).schema)));
        const records = icebirdDecode(bytes) as { data_file: { file_path: string } }[];
        expect(records.map((record) => record.data_file.file_path)).toEqual(
          contents.entries.map((entry) => entry.dataFile.filePath),
        );
      }),
      { numRuns: 50 },
    );
  });

  it("have the header keys and field ids that Java writes", () => {
    const { bytes } = stageManifest("s3://b/m.avro", { schema: SCHEMA, spec: DAY, content: "data", dataFiles: [] });
    const { meta, schema } = decodeContainer(bytes);
    expect(meta).toEqual({
      "avro.schema": JSON.stringify(schema),
      "avro.codec": "deflate",
      schema: '{"type":"struct","schema-id":0,"fields":[{"id":1,"name":"id","required":false,"type":"long"}]}',
      "partition-spec": '[{"name":"d","transform":"identity","source-id":1,"field-id":1000}]',
      "partition-spec-id": "1",
      "format-version": "2",
      content: "data",
    });
    expect(fieldIdsOf(schema).sort()).toEqual(
      [
        "status=0 snapshot_id=1 sequence_number=3 file_sequence_number=4 data_file=2",
        "content=134 file_path=100 file_format=101 partition=102 record_count=103 file_size_in_bytes=104",
        "column_sizes=108 value_counts=109 null_value_counts=110 nan_value_counts=137 lower_bounds=125 upper_bounds=128",
        "key_metadata=131 split_offsets=132 equality_ids=135 sort_order_id=140 referenced_data_file=143",
        "d=1000",
        "key=117 value=118 key=119 value=120 key=121 value=122 key=138 value=139 key=126 value=127 key=129 value=130",
      ]
        .join(" ")
        .split(" ")
        .sort(),
    );
  });

  it("are the same bytes when staged again after a crash, in whatever order statistics were gathered", () => {
    const stage = (...valueCounts: [number, number][]) => {
      const dataFiles = [{ ...fileOf("s3://b/1", [4n]), valueCounts: new Map(valueCounts) }];
      return stageManifest("s3://b/m.avro", { schema: SCHEMA, spec: DAY, content: "data", dataFiles }).bytes;
    };
    expect(stage([1, 3], [2, 4])).toEqual(stage([2, 4], [1, 3]));
  });

  it("staged by a loader leave every id to be inherited and count what is in them", () => {
    const dataFiles = [fileOf("s3://b/1", [4n]), fileOf("s3://b/2", [null])];
    const { bytes, staged } = stageManifest("s3://b/m.avro", { schema: SCHEMA, spec: DAY, content: "data", dataFiles });
    expect(staged).toMatchObject({
      manifestPath: "s3://b/m.avro",
      manifestLength: bytes.length,
      partitionSpecId: 1,
      addedFilesCount: 2,
      existingFilesCount: 0,
      addedRowsCount: 6,
    });
    expect(staged.partitions?.[0]?.containsNull).toBe(true);
    for (const entry of decodeManifest(bytes).entries) {
      expect(entry).toMatchObject({
        status: "added",
        snapshotId: null,
        sequenceNumber: null,
        fileSequenceNumber: null,
      });
    }
  });

  it("refuse to hold deletes among data, a foreign partition tuple, or an old file without its sequence number", () => {
    const encode = (entry: ManifestEntry, spec = UNPARTITIONED) =>
      encodeManifest({ schema: SCHEMA, spec, content: "data", entries: [entry], snapshotId: 1n });
    expect(() => encode(entryOf({ dataFile: { ...fileOf("s3://b/d"), content: "equality-deletes" } }))).toThrow(
      /s3:\/\/b\/d/,
    );
    expect(() => encode(entryOf(), DAY)).toThrow(/partition of another spec/);
    expect(() => encode(entryOf({ status: "existing" }))).toThrow(/without a sequence number/);
  });

  it("written by another writer are read by field id, whatever it called the partition field", () => {
    const ours = encodeManifest({
      schema: SCHEMA,
      spec: DAY,
      content: "data",
      entries: [entryOf({ dataFile: fileOf("s3://b/1", [4n]) })],
      snapshotId: 5n,
    });
    const { schema, meta, records } = decodeContainer(ours);
    const renamed = JSON.parse(JSON.stringify(schema).replace('"name":"d"', '"name":"some_other_name"'));
    const record = records[0] as { data_file: { partition: object } };
    const data_file = { ...record.data_file, partition: { some_other_name: 4n } };
    const theirs = encodeContainer(renamed, [{ ...record, data_file }], meta);
    expect(decodeManifest(theirs).entries[0]?.dataFile.partition).toEqual([4n]);
  });

  it("that make no sense are corrupt and name file and property", () => {
    const bytes = encodeManifestList({ snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 1 }, []);
    expect(() => decodeManifest(bytes, "s3://b/list.avro")).toThrow(
      /schema .*file=s3:\/\/b\/list\.avro property=schema/,
    );
  });
});

/** `name=field-id` of every field of a schema, nested ones too. */
function fieldIdsOf(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(fieldIdsOf);
  if (typeof schema !== "object" || schema === null) return [];
  const { name, "field-id": id, ...inner } = schema as { name?: string; "field-id"?: number };
  return [...(id === undefined ? [] : [`${name}=${id}`]), ...Object.values(inner).flatMap(fieldIdsOf)];
}

describe("inheritance", () => {
  it("gives added files the ids of the manifest's place in the list", () => {
    const [entry] = inherit([entryOf()], listed());
    expect(entry).toMatchObject({ snapshotId: 88n, sequenceNumber: 8, fileSequenceNumber: 8 });
  });

  it("leaves ids alone that an entry has: a merged file keeps its age, or old deletes would hit it again", () => {
    const own = entryOf({ status: "existing", snapshotId: 3n, sequenceNumber: 2, fileSequenceNumber: 2 });
    expect(inherit([own], listed())).toEqual([own]);
  });

  it("never makes an existing file as young as its manifest", () => {
    const entry = entryOf({ status: "existing", snapshotId: 3n });
    expect(() => inherit([entry], listed())).toThrow(/may not inherit.*path=s3:\/\/b\/f\.parquet/);
    expect(inherit([entry], listed({ sequenceNumber: 0 }))[0]).toMatchObject({ sequenceNumber: 0 });
  });
});

describe("manifest lists", () => {
  const id = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
  const summary = fc.record(
    { containsNull: fc.boolean(), containsNan: fc.boolean(), lowerBound: fc.uint8Array(), upperBound: fc.uint8Array() },
    { requiredKeys: ["containsNull"] },
  );
  const manifests = fc.array(
    fc.record(
      {
        manifestPath: fc.webUrl(),
        manifestLength: fc.nat(),
        partitionSpecId: fc.nat(),
        content: fc.constantFrom("data" as const, "deletes" as const),
        sequenceNumber: fc.maxSafeNat(),
        minSequenceNumber: fc.nat(),
        addedSnapshotId: id,
        addedFilesCount: fc.nat(),
        existingFilesCount: fc.nat(),
        deletedFilesCount: fc.nat(),
        addedRowsCount: fc.maxSafeNat(),
        existingRowsCount: fc.nat(),
        deletedRowsCount: fc.nat(),
        partitions: fc.array(summary),
        keyMetadata: fc.uint8Array(),
      },
      { noNullPrototype: true, requiredKeys: [...REQUIRED] },
    ),
  );

  it("come back as written and are valid Avro to icebird", () => {
    fc.assert(
      fc.property(manifests, (files) => {
        const bytes = encodeManifestList({ snapshotId: 2n ** 62n, parentSnapshotId: null, sequenceNumber: 9 }, files);
        expect(decodeManifestList(bytes)).toEqual(files);
        expect(icebirdDecode(bytes)).toHaveLength(files.length);
      }),
      { numRuns: 50 },
    );
  });

  it("have the header keys that Java writes", () => {
    const header = { snapshotId: 3776207205136740581n, parentSnapshotId: 7n, sequenceNumber: 9 };
    expect(decodeContainer(encodeManifestList(header, [])).meta).toMatchObject({
      "snapshot-id": "3776207205136740581",
      "parent-snapshot-id": "7",
      "sequence-number": "9",
      "format-version": "2",
    });
  });

  it("with the count names of older Java are read", async () => {
    const bytes = encodeManifestList({ snapshotId: 1n, parentSnapshotId: null, sequenceNumber: 1 }, [
      listed({ addedFilesCount: 4, existingFilesCount: 5, deletedFilesCount: 6 }),
    ]);
    const { schema, records } = decodeContainer(bytes);
    const rename = (json: string) => json.replaceAll(/(added|existing|deleted)_files_count/g, "$1_data_files_count");
    const old = Object.fromEntries(Object.entries(records[0] as object).map(([key, value]) => [rename(key), value]));
    const renamed = await avscEncode(JSON.parse(rename(JSON.stringify(schema))), [old], "null", 1000);
    expect(decodeManifestList(renamed)[0]).toMatchObject({
      addedFilesCount: 4,
      existingFilesCount: 5,
      deletedFilesCount: 6,
    });
  });
});
