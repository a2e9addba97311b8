// Applies the REST catalog specification's updates and requirements to table metadata, as a REST server would.
// Invariants kept here: a snapshot's sequence number is exactly one more than the last; last-updated-ms and the snapshot log never go back;
// an equal schema or spec is reused under its old id; nothing refers to a snapshot that is gone.

import { assert, MoraineError } from "../errors.ts";
import { columnsOf, sameSchema, withSchemaId } from "./schema.ts";
import type {
  PartitionSpec,
  Schema,
  Snapshot,
  SnapshotRef,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "./types.ts";

const MAIN = "main";
/** In set-current-schema and set-default-spec: the one added last in this change. */
const LAST_ADDED = -1;

/** What updates of one change know of each other: ids asked for -> ids given. */
interface Change {
  readonly nowMs: number;
  readonly schemaIds: Map<number, number>;
  readonly specIds: Map<number, number>;
}

export function applyUpdates(m: TableMetadata, updates: readonly TableUpdate[], nowMs: number): TableMetadata {
  const change: Change = { nowMs, schemaIds: new Map(), specIds: new Map() };
  const changed = updates.reduce((metadata, update) => applyUpdate(metadata, update, change), m);
  return { ...changed, "last-updated-ms": Math.max(nowMs, changed["last-updated-ms"]) };
}

function applyUpdate(m: TableMetadata, update: TableUpdate, change: Change): TableMetadata {
  switch (update.action) {
    case "add-schema":
      return addSchema(m, update.schema, update["last-column-id"], change);
    case "set-current-schema":
      return setCurrentSchema(m, change.schemaIds.get(update["schema-id"]) ?? update["schema-id"]);
    case "add-spec":
      return addSpec(m, update.spec, change);
    case "set-default-spec":
      return setDefaultSpec(m, change.specIds.get(update["spec-id"]) ?? update["spec-id"]);
    case "add-snapshot":
      return addSnapshot(m, update.snapshot);
    case "set-snapshot-ref": {
      const { action: _, "ref-name": name, ...ref } = update;
      return setRef(m, name, ref, change.nowMs);
    }
    case "remove-snapshots":
      return removeSnapshots(m, new Set(update["snapshot-ids"]));
    case "set-properties":
      return { ...m, properties: { ...m.properties, ...update.updates } };
    case "remove-properties": {
      const removed = new Set(update.removals);
      return {
        ...m,
        properties: Object.fromEntries(Object.entries(m.properties).filter(([key]) => !removed.has(key))),
      };
    }
  }
}

function addSchema(m: TableMetadata, schema: Schema, lastColumnId: number, change: Change): TableMetadata {
  refusePartitionNames(m, schema);
  const equal = m.schemas.find((other) => sameSchema(other, schema));
  const id =
    equal?.["schema-id"] ??
    freeId(
      m.schemas.map((other) => other["schema-id"]),
      schema["schema-id"],
    );
  change.schemaIds.set(schema["schema-id"], id).set(LAST_ADDED, id);
  const highest = Math.max(m["last-column-id"], lastColumnId, ...columnsOf(schema).map(({ field }) => field.id));
  const schemas = equal === undefined ? [...m.schemas, withSchemaId(schema, id)] : m.schemas;
  return { ...m, schemas, "last-column-id": highest };
}

/** A column with the name of a partition field makes the table unreadable to Java; only the field's own source may have it. */
function refusePartitionNames(m: TableMetadata, schema: Schema): void {
  const sources = new Map(m["partition-specs"].flatMap((s) => s.fields.map((f) => [f.name, f["source-id"]] as const)));
  for (const { path, field } of columnsOf(schema)) {
    const sourceId = sources.get(path);
    const isNew = field.id > m["last-column-id"];
    if (sourceId === undefined || sourceId === field.id || !isNew) continue;
    throw new MoraineError("Invalid", "new column has the name of a partition field; rename it in the source", {
      column: path,
      table: m["table-uuid"],
    });
  }
}

/** The id asked for, or the next one when another schema or spec has it already. */
function freeId(taken: readonly number[], wanted: number): number {
  return wanted < 0 || taken.includes(wanted) ? Math.max(-1, ...taken) + 1 : wanted;
}

function setCurrentSchema(m: TableMetadata, id: number): TableMetadata {
  assert(
    m.schemas.some((schema) => schema["schema-id"] === id),
    `set-current-schema to unknown schema ${id}`,
  );
  return { ...m, "current-schema-id": id };
}

function addSpec(m: TableMetadata, spec: PartitionSpec, change: Change): TableMetadata {
  const specs = m["partition-specs"];
  const equal = specs.find((other) => specKey(other) === specKey(spec));
  const id =
    equal?.["spec-id"] ??
    freeId(
      specs.map((other) => other["spec-id"]),
      spec["spec-id"],
    );
  change.specIds.set(spec["spec-id"], id).set(LAST_ADDED, id);
  if (equal !== undefined) return m;
  const lastPartitionId = Math.max(m["last-partition-id"], ...spec.fields.map((field) => field["field-id"]));
  return { ...m, "partition-specs": [...specs, { ...spec, "spec-id": id }], "last-partition-id": lastPartitionId };
}

/** Specs are equal when they partition alike; like Java, field ids do not count. */
function specKey(spec: PartitionSpec): string {
  return JSON.stringify(spec.fields.map((field) => [field["source-id"], field.transform, field.name]));
}

function setDefaultSpec(m: TableMetadata, id: number): TableMetadata {
  assert(
    m["partition-specs"].some((spec) => spec["spec-id"] === id),
    `set-default-spec to unknown spec ${id}`,
  );
  return { ...m, "default-spec-id": id };
}

function addSnapshot(m: TableMetadata, snapshot: Snapshot): TableMetadata {
  const id = snapshot["snapshot-id"];
  const sequenceNumber = snapshot["sequence-number"];
  assert(!m.snapshots.some((other) => other["snapshot-id"] === id), `snapshot ${id} is there already`);
  assert(
    sequenceNumber === m["last-sequence-number"] + 1,
    `snapshot ${id} has sequence number ${sequenceNumber} after ${m["last-sequence-number"]}`,
  );
  return {
    ...m,
    snapshots: [...m.snapshots, snapshot],
    "last-sequence-number": sequenceNumber,
    "last-updated-ms": Math.max(m["last-updated-ms"], snapshot["timestamp-ms"]),
  };
}

function setRef(m: TableMetadata, name: string, ref: SnapshotRef, nowMs: number): TableMetadata {
  const id = ref["snapshot-id"];
  const snapshot = m.snapshots.find((candidate) => candidate["snapshot-id"] === id);
  assert(snapshot !== undefined, `ref ${name} is set to the unknown snapshot ${id}`);
  const refs = { ...m.refs, [name]: ref };
  if (name !== MAIN) return { ...m, refs };
  assert(ref.type === "branch", "main is a branch");
  if (m["current-snapshot-id"] === id) return { ...m, refs };
  const last = m["snapshot-log"].at(-1)?.["timestamp-ms"] ?? 0;
  // A new snapshot enters history at its own time, an old one (rollback) now; Java refuses a log that goes back.
  const isNew = !m["snapshot-log"].some((entry) => entry["snapshot-id"] === id);
  const timestampMs = Math.max(last, isNew ? snapshot["timestamp-ms"] : nowMs);
  const entry = { "timestamp-ms": timestampMs, "snapshot-id": id };
  return {
    ...m,
    refs,
    "current-snapshot-id": id,
    "snapshot-log": [...m["snapshot-log"], entry],
    "last-updated-ms": Math.max(m["last-updated-ms"], timestampMs),
  };
}

function removeSnapshots(m: TableMetadata, removed: ReadonlySet<bigint>): TableMetadata {
  const current = m["current-snapshot-id"];
  assert(current === undefined || !removed.has(current), `snapshot ${current} is current and cannot be removed`);
  return {
    ...m,
    snapshots: m.snapshots.filter((snapshot) => !removed.has(snapshot["snapshot-id"])),
    refs: Object.fromEntries(Object.entries(m.refs ?? {}).filter(([, ref]) => !removed.has(ref["snapshot-id"]))),
    "snapshot-log": logWithout(m["snapshot-log"], removed),
    ...keptStatistics(m, removed),
  };
}

/** History before an expired snapshot would answer "as of" with a wrong snapshot, so it goes too (specification, "Snapshots"). */
function logWithout(log: TableMetadata["snapshot-log"], removed: ReadonlySet<bigint>): TableMetadata["snapshot-log"] {
  return log.slice(log.findLastIndex((entry) => removed.has(entry["snapshot-id"])) + 1);
}

function keptStatistics(m: TableMetadata, removed: ReadonlySet<bigint>): Partial<TableMetadata> {
  const isKept = (statistics: unknown) => {
    const id = (statistics as { readonly "snapshot-id"?: bigint | number })["snapshot-id"];
    return id === undefined || !removed.has(BigInt(id));
  };
  return {
    ...(m.statistics === undefined ? {} : { statistics: m.statistics.filter(isKept) }),
    ...(m["partition-statistics"] === undefined
      ? {}
      : { "partition-statistics": m["partition-statistics"].filter(isKept) }),
  };
}

/** The first requirement that does not hold. */
export function checkRequirements(
  m: TableMetadata,
  requirements: readonly TableRequirement[],
): TableRequirement | undefined {
  return requirements.find((requirement) => !holds(m, requirement));
}

function holds(m: TableMetadata, requirement: TableRequirement): boolean {
  switch (requirement.type) {
    case "assert-table-uuid":
      return m["table-uuid"].toLowerCase() === requirement.uuid.toLowerCase();
    case "assert-ref-snapshot-id":
      return (m.refs?.[requirement.ref]?.["snapshot-id"] ?? null) === requirement["snapshot-id"];
    case "assert-current-schema-id":
      return m["current-schema-id"] === requirement["current-schema-id"];
    case "assert-last-assigned-field-id":
      return m["last-column-id"] === requirement["last-assigned-field-id"];
    case "assert-default-spec-id":
      return m["default-spec-id"] === requirement["default-spec-id"];
  }
}
