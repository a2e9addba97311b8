import { beforeEach, describe, expect, it } from "vitest";
import { MoraineError } from "../../../lambdas/core/errors.ts";
import { newTableMetadata, parseMetadata } from "../../../lambdas/core/iceberg/metadata.ts";
import { PointerCatalog, versionOf } from "../../../lambdas/core/iceberg/pointer-catalog.ts";
import type { Snapshot, TableUpdate } from "../../../lambdas/core/iceberg/types.ts";
import type { TableName } from "../../../lambdas/core/ids.ts";
import type { LoadedTable, TableCommit, TablePointer } from "../../../lambdas/core/ports.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryObjectStore } from "../../fakes/memory-object-store.ts";
import { MemoryPointer } from "../../fakes/memory-pointer.ts";
import { SeededRandom } from "../../fakes/seeded-random.ts";

const NAME: TableName = { database: "db", table: "t" };
const NOW = 1_700_000_000_000;

const clock = new ManualClock(NOW);
const random = new SeededRandom(7);
let store: MemoryObjectStore;
let pointer: MemoryPointer;
let catalog: PointerCatalog;

beforeEach(() => {
  store = new MemoryObjectStore(clock);
  pointer = new MemoryPointer();
  catalog = new PointerCatalog({ store, pointer, clock, random });
});

function catalogWith(changes: Partial<TablePointer>): PointerCatalog {
  const wrapped: TablePointer = {
    read: (name) => pointer.read(name),
    create: (name, location, metadata) => pointer.create(name, location, metadata),
    swap: (name, token, next) => pointer.swap(name, token, next),
    ...changes,
  };
  return new PointerCatalog({ store, pointer: wrapped, clock, random });
}

const METADATA = newTableMetadata({
  uuid: "9c12d441-03fe-4693-9a96-a0705ddf69c1",
  location: "s3://lake/db/t",
  fields: [{ id: 1, name: "id", required: false, type: "int" }],
  lastColumnId: 1,
  specFields: [],
  properties: {},
  nowMs: NOW,
});

async function createTable(properties: Record<string, string> = {}): Promise<LoadedTable> {
  const outcome = await catalog.create(NAME, { ...METADATA, properties });
  if (outcome.kind !== "created") throw new Error(outcome.kind);
  return outcome.table;
}

function appendTo(base: LoadedTable, folder = "intent-1"): TableCommit {
  const sequenceNumber = base.metadata["last-sequence-number"] + 1;
  const snapshot: Snapshot = {
    "snapshot-id": BigInt(sequenceNumber),
    "sequence-number": sequenceNumber,
    "timestamp-ms": NOW + sequenceNumber,
    "manifest-list": `s3://lake/db/t/metadata/${sequenceNumber}.avro`,
    summary: { operation: "append" },
  };
  const updates: TableUpdate[] = [
    { action: "add-snapshot", snapshot },
    { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": snapshot["snapshot-id"] },
  ];
  const head = base.metadata["current-snapshot-id"] ?? null;
  return { requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": head }], updates, folder };
}

async function commitOnce(base: LoadedTable): Promise<LoadedTable> {
  const outcome = await catalog.commit(base, appendTo(base));
  if (outcome.kind !== "committed") throw new Error(outcome.kind);
  return outcome.table;
}

const metadataFiles = () => [...store.objects.keys()].filter((uri) => uri.endsWith(".metadata.json"));

describe("the pointer catalog", () => {
  it("knows no table that was not created", async () => {
    expect(await catalog.load(NAME)).toBeUndefined();
  });

  it("loads what was created and committed", async () => {
    const created = await createTable();
    expect(await catalog.load(NAME)).toEqual(created);
    expect(created.metadataLocation).toMatch(/^s3:\/\/lake\/db\/t\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/);
    const committed = await commitOnce(created);
    expect(await catalog.load(NAME)).toEqual(committed);
    expect(committed.metadataLocation).toMatch(/\/metadata\/intent-1\/00001-[0-9a-f-]{36}\.metadata\.json$/);
  });

  it("writes what it returns: the file and the answer are the same table", async () => {
    const { metadata, metadataLocation } = await commitOnce(await createTable());
    const bytes = store.objects.get(metadataLocation)?.bytes ?? new Uint8Array();
    expect(parseMetadata(bytes)).toEqual(metadata);
  });

  it("leaves no file behind when a table of the name is there already", async () => {
    const created = await createTable();
    expect(await catalog.create(NAME, METADATA)).toEqual({ kind: "exists" });
    expect(metadataFiles()).toEqual([created.metadataLocation]);
  });

  it("tells the second of two writers of a conflict and removes only that one's file", async () => {
    const base = await createTable();
    const winner = await commitOnce(base);
    const loser = await catalog.commit(base, appendTo(base, "intent-2"));
    expect(loser).toEqual({ kind: "conflict" });
    expect(metadataFiles().sort()).toEqual([base.metadataLocation, winner.metadataLocation].sort());
    expect((await catalog.load(NAME))?.metadataLocation).toBe(winner.metadataLocation);
  });

  it("writes nothing when a requirement does not hold", async () => {
    const base = await createTable();
    const commit = { ...appendTo(base), requirements: [{ type: "assert-table-uuid", uuid: "another" }] as const };
    expect(await catalog.commit(base, commit)).toEqual({ kind: "conflict" });
    expect(metadataFiles()).toEqual([base.metadataLocation]);
  });

  it.each(["UnknownOutcome", "Unavailable", "Corrupt"] as const)(
    "deletes nothing when the swap throws %s: the file may be the table by now",
    async (kind) => {
      const base = await createTable();
      const lost = catalogWith({
        swap: async (name, token, next) => {
          await pointer.swap(name, token, next);
          throw new MoraineError(kind, "connection lost");
        },
      });
      await expect(lost.commit(base, appendTo(base))).rejects.toThrow(/connection lost/);
      const loaded = await catalog.load(NAME);
      expect(loaded?.metadata["last-sequence-number"]).toBe(1);
    },
  );

  it("deletes nothing when the answer to a create is lost", async () => {
    const lost = catalogWith({
      create: async (name, location, metadata) => {
        await pointer.create(name, location, metadata);
        throw new Error("socket hang up");
      },
    });
    await expect(lost.create(NAME, METADATA)).rejects.toThrow(/socket hang up/);
    expect((await catalog.load(NAME))?.metadata).toEqual(METADATA);
  });

  it("still says conflict when the store does not answer to the clean-up", async () => {
    const base = await createTable();
    await commitOnce(base);
    store.remove = async () => {
      throw new MoraineError("Unavailable", "slow down");
    };
    expect(await catalog.commit(base, appendTo(base, "intent-2"))).toEqual({ kind: "conflict" });
  });

  it("remembers earlier metadata files up to the table's own bound", async () => {
    let table = await createTable({ "write.metadata.previous-versions-max": "2" });
    const locations: string[] = [];
    for (let i = 0; i < 4; i++) {
      locations.push(table.metadataLocation);
      table = await commitOnce(table);
    }
    const log = table.metadata["metadata-log"].map((entry) => entry["metadata-file"]);
    expect(log).toEqual(locations.slice(-2));
    expect(versionOf(table.metadataLocation)).toBe(4);
  });

  it("writes where the table says its metadata lives", async () => {
    const table = await createTable({ "write.metadata.path": "s3://lake/elsewhere/" });
    expect(table.metadataLocation).toMatch(/^s3:\/\/lake\/elsewhere\/00000-/);
  });

  it("reads the pointer again when a metadata file vanished under it, and is not fooled twice", async () => {
    const first = await createTable();
    const second = await commitOnce(first);
    store.objects.delete(first.metadataLocation);
    let reads = 0;
    const behind = catalogWith({
      read: async (name) =>
        reads++ === 0 ? { metadataLocation: first.metadataLocation, token: "1" } : pointer.read(name),
    });
    expect(await behind.load(NAME)).toEqual(second);
    store.objects.delete(second.metadataLocation);
    await expect(catalog.load(NAME)).rejects.toThrow(expect.objectContaining({ kind: "Corrupt" }));
    await expect(catalog.load(NAME)).rejects.toThrow(`file=${second.metadataLocation}`);
  });

  it.each([
    ["s3://b/t/metadata/00012-abc.metadata.json", 12],
    ["s3://b/t/metadata/x/00000-abc.metadata.json", 0],
    ["s3://b/t/metadata/v7.metadata.json", -1],
    ["s3://b/1-t/metadata/plain.json", -1],
  ])("numbers the file after %s from %i, as Java does", (location, version) => {
    expect(versionOf(location)).toBe(version);
  });
});
