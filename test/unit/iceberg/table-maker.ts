// A table made with nothing but the Iceberg library, on the in-memory store: commits as a committer would make them.

import { encodeManifest, stageManifest } from "../../../lambdas/core/iceberg/manifest.ts";
import { decodeManifestList, encodeManifestList } from "../../../lambdas/core/iceberg/manifest-list.ts";
import { mergedManifestFile, mergeManifests } from "../../../lambdas/core/iceberg/merge.ts";
import { currentSchema, currentSnapshot, newTableMetadata, specById } from "../../../lambdas/core/iceberg/metadata.ts";
import { parsePartitionBy } from "../../../lambdas/core/iceberg/partition.ts";
import { PointerCatalog } from "../../../lambdas/core/iceberg/pointer-catalog.ts";
import { readObject } from "../../../lambdas/core/iceberg/read-object.ts";
import { assignFieldIds } from "../../../lambdas/core/iceberg/schema.ts";
import type {
  DataFile,
  DraftField,
  ManifestFile,
  PartitionSpec,
  Snapshot,
  StagedManifest,
  TableUpdate,
} from "../../../lambdas/core/iceberg/types.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import type { LoadedTable } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";

export const LOCATION = "s3://lake/db/events";

export class TableMaker {
  readonly clock = new ManualClock();
  readonly store = new MemoryObjectStore(this.clock);
  readonly catalog = new PointerCatalog({
    store: this.store,
    pointer: new MemoryPointer(),
    clock: this.clock,
    random: new SeededRandom(1),
  });
  #table: LoadedTable | undefined;
  #manifests = 0;

  get table(): LoadedTable {
    if (this.#table === undefined) throw new Error("create the table first");
    return this.#table;
  }

  async create(drafts: readonly DraftField[], partitionBy: readonly string[] = []): Promise<void> {
    const { fields, lastColumnId } = assignFieldIds(drafts, 0);
    const metadata = newTableMetadata({
      uuid: "9c12d441-03fe-4693-9a96-a0705ddf69c1",
      location: LOCATION,
      fields,
      lastColumnId,
      specFields: parsePartitionBy(partitionBy, { type: "struct", "schema-id": 0, fields }),
      properties: {},
      nowMs: this.clock.now(),
    });
    const outcome = await this.catalog.create({ database: "db", table: "events" }, metadata);
    if (outcome.kind === "created") this.#table = outcome.table;
  }

  async stage(spec: PartitionSpec, dataFiles: readonly DataFile[]): Promise<StagedManifest> {
    const path = `${LOCATION}/metadata/m${this.#manifests++}.avro` as ObjectUri;
    const content = dataFiles.some((file) => file.content !== "data") ? "deletes" : "data";
    const { bytes, staged } = stageManifest(path, {
      schema: currentSchema(this.table.metadata),
      spec,
      content,
      dataFiles,
    });
    await this.store.put(path, bytes);
    return staged;
  }

  /** One snapshot that adds the staged manifests to those there are, or to what `rework` makes of them. */
  async commit(
    staged: readonly StagedManifest[],
    extra: readonly TableUpdate[] = [],
    rework: (manifests: ManifestFile[], snapshotId: bigint) => Promise<ManifestFile[]> = async (manifests) => manifests,
  ): Promise<void> {
    this.clock.advance(1000);
    const { metadata } = this.table;
    const sequenceNumber = metadata["last-sequence-number"] + 1;
    const snapshotId = BigInt(sequenceNumber * 1000);
    const parent = currentSnapshot(metadata);
    const earlier = await rework(parent === undefined ? [] : await this.#manifestsOf(parent), snapshotId);
    const added = staged.map((manifest) => ({
      ...manifest,
      sequenceNumber,
      minSequenceNumber: sequenceNumber,
      addedSnapshotId: snapshotId,
    }));
    const parentSnapshotId = parent?.["snapshot-id"] ?? null;
    const list = `${LOCATION}/metadata/snap-${snapshotId}.avro` as ObjectUri;
    await this.store.put(
      list,
      encodeManifestList({ snapshotId, parentSnapshotId, sequenceNumber }, [...added, ...earlier]),
    );
    const snapshot: Snapshot = {
      "snapshot-id": snapshotId,
      ...(parentSnapshotId === null ? {} : { "parent-snapshot-id": parentSnapshotId }),
      "sequence-number": sequenceNumber,
      "timestamp-ms": this.clock.now(),
      "manifest-list": list,
      summary: { operation: "append" },
      "schema-id": metadata["current-schema-id"],
    };
    const outcome = await this.catalog.commit(this.table, {
      folder: "",
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parentSnapshotId }],
      updates: [
        ...extra,
        { action: "add-snapshot", snapshot },
        { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshotId },
      ],
    });
    if (outcome.kind === "committed") this.#table = outcome.table;
    else throw new Error(outcome.kind);
  }

  /** For `commit`: merges all manifests of data into one. */
  async mergeData(manifests: ManifestFile[], snapshotId: bigint): Promise<ManifestFile[]> {
    const data = manifests.filter((manifest) => manifest.content === "data");
    const inputs = await Promise.all(
      data.map(async (manifest) => ({ manifest, bytes: await this.#read(manifest.manifestPath) })),
    );
    const { entries, schema } = mergeManifests(inputs, snapshotId);
    const spec = specById(this.table.metadata, data[0]?.partitionSpecId ?? 0);
    const contents = { schema, spec, content: "data" as const, entries };
    const bytes = encodeManifest({ ...contents, snapshotId });
    const path = `${LOCATION}/metadata/merged-${snapshotId}.avro` as ObjectUri;
    await this.store.put(path, bytes);
    const sequenceNumber = this.table.metadata["last-sequence-number"] + 1;
    const merged = mergedManifestFile(path, bytes.length, contents, { snapshotId, sequenceNumber });
    return [merged, ...manifests.filter((manifest) => manifest.content !== "data")];
  }

  async #manifestsOf(snapshot: Snapshot): Promise<ManifestFile[]> {
    return decodeManifestList(await this.#read(snapshot["manifest-list"]));
  }

  async #read(path: string): Promise<Uint8Array> {
    return (await readObject(this.store, path as ObjectUri)) ?? new Uint8Array();
  }
}
