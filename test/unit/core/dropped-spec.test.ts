// Another writer drops the partition spec that a sealed batch was staged under: its rows arrive all the same, and the table is sound.

import { beforeEach, describe, expect, test } from "vitest";
import { decodeManifest } from "../../../lambdas/core/iceberg/manifest.ts";
import { currentSnapshot, formatMetadata, specById } from "../../../lambdas/core/iceberg/metadata.ts";
import { readManifests } from "../../../lambdas/core/iceberg/read-manifests.ts";
import { readLiveObject } from "../../../lambdas/core/iceberg/read-object.ts";
import type { PartitionSpec, TableMetadata } from "../../../lambdas/core/iceberg/types.ts";
import { verifyTable } from "../../../lambdas/core/iceberg/verify.ts";
import type { ObjectUri } from "../../../lambdas/core/ids.ts";
import type { Converter } from "../../../lambdas/core/ports.ts";
import { RowConverter } from "../../simulation/row-converter.ts";
import { Harness, type HarnessOptions, ingestionOf, nameOf, override } from "./harness.ts";

let harness: Harness;

/** Files of the converter's, in one partition. */
const partitioned: Converter = {
  async start(job) {
    const real = await new RowConverter().start(job);
    return override(real, {
      convert: async (schema, spec) => {
        const result = await real.convert(schema, spec);
        const inPartition = (file: (typeof result.files)[number]) => ({
          ...file,
          file: { ...file.file, partition: spec.fields.map(() => "p") },
        });
        return { ...result, files: result.files.map(inPartition) };
      },
    });
  },
};

async function load(...names: string[]): Promise<void> {
  for (const name of names) {
    const event = await harness.put(`orders/${name}`, `row ${name} ${harness.clock.now()}`);
    const { outcomes } = await harness.load([event], { ports: { converter: partitioned } });
    expect(outcomes.loaded).toBe(1);
    harness.clock.advance(1_000);
  }
}

/** What an engine does that rewrites the table's metadata. */
async function change(edit: (metadata: TableMetadata) => Partial<TableMetadata>): Promise<void> {
  const table = await harness.table();
  if (table === undefined) throw new Error("there is no table");
  const metadata = { ...table.metadata, ...edit(table.metadata) };
  const metadataLocation = `${table.metadataLocation}.changed.metadata.json` as ObjectUri;
  await harness.store.put(metadataLocation, formatMetadata(metadata));
  const next = { metadataLocation, previousLocation: table.metadataLocation, metadata };
  await harness.pointer.swap(nameOf("orders"), table.token, next);
}

function specs(...list: PartitionSpec[]): Partial<TableMetadata> {
  return { "partition-specs": list, "default-spec-id": list[0]?.["spec-id"] ?? 0 };
}

async function committed(): Promise<number> {
  await harness.commit();
  const table = await harness.table();
  if (table === undefined) throw new Error("there is no table");
  expect(await verifyTable(harness.store, table.metadata)).toEqual([]);
  for (const manifest of await readManifests(harness.store, currentSnapshot(table.metadata)?.["manifest-list"] ?? "")) {
    const bytes = await readLiveObject(harness.store, manifest.manifestPath, "manifest");
    expect(decodeManifest(bytes).spec).toEqual(specById(table.metadata, manifest.partitionSpecId));
  }
  expect(await harness.batches()).toEqual([]);
  return (await harness.rows()).length;
}

const EMPTY: PartitionSpec = { "spec-id": 0, fields: [] };
const OTHER = { "source-id": 2, "field-id": 1001, name: "path", transform: "identity" } as const;

function start(options: Pick<HarnessOptions, "settings"> = {}): void {
  const target = { ...ingestionOf("orders").target, partitionBy: ["id"] };
  harness = new Harness({ ...options, ingestions: [ingestionOf("orders", { target })] });
}

beforeEach(() => start());

describe("a batch whose partition spec", () => {
  test("was dropped is listed under the spec without fields", async () => {
    await load("1", "2");
    await change(() => specs(EMPTY));
    expect(await committed()).toBe(2);
  });

  test("was dropped together with all others brings a spec without fields along", async () => {
    await load("1");
    await change(() => specs({ "spec-id": 2, fields: [OTHER] }));
    expect(await committed()).toBe(1);
    expect((await harness.table())?.metadata).toMatchObject({ "default-spec-id": 2 });
  });

  test("was dropped, and its id given to another one, is not taken for one of that", async () => {
    await load("1");
    await change(() => specs({ "spec-id": 1, fields: [OTHER] }, EMPTY));
    expect(await committed()).toBe(1);
  });

  test("is still there is listed as it was staged, beside one that lost its own", async () => {
    await load("1");
    await change(() => specs(EMPTY));
    await load("2");
    expect(await committed()).toBe(2);
  });

  test("was dropped while so many wait that their manifests are merged at once", async () => {
    start({ settings: { manifestFanIn: 2 } });
    await load("1", "2", "3", "4", "5");
    await change(() => specs({ "spec-id": 2, fields: [OTHER] }));
    expect(await committed()).toBe(5);
    await load("6");
    expect(await committed()).toBe(6);
  });
});

test("replaced rows leave although the spec that their deletes were staged under was dropped", async () => {
  await load("1", "2");
  await harness.commit();
  await load("1");
  await change(({ "partition-specs": all }) => specs(...all.filter(({ fields }) => fields.length > 0)));
  expect(await committed()).toBe(2);
});
