// A decision on a schema change, from its record to the last file that waited for it:
//
//   decided (one compare-and-swap on the change) -> table as decided -> files released -> carried out
//
// Every step is safe to repeat, so whoever comes by goes on: the operator's command at once, the sweeper after a crash.
// A file is released by making it DISCOVERED before its event is sent; its held item goes last. Until every function that may have seen the
// change open is gone, held items may still arrive: only then is the change carried out for good.

import { mapLimit } from "../concurrency.ts";
import { isKind, MoraineError } from "../errors.ts";
import { formatIntake } from "../events.ts";
import { currentSchema } from "../iceberg/metadata.ts";
import { sameSchema } from "../iceberg/schema.ts";
import type { TableMetadata } from "../iceberg/types.ts";
import type { Fingerprint, IngestionId, Revision, TableName } from "../ids.ts";
import { tableIdOf } from "../ids.ts";
import { removeItem, writeItem } from "../ledger-writes.ts";
import type { Catalog, Ledger, LedgerItem, Queues } from "../ports.ts";
import { type FileRecord, fileItem, fileKey, readFile } from "../records.ts";
import type { Settings } from "../settings.ts";
import { commitSchema } from "../table.ts";
import { alterationsOf } from "./alterations.ts";
import { applyDecision, bindDifferences } from "./apply.ts";
import { differencesText } from "./diff.ts";
import { noteVersion } from "./history.ts";
import type { SchemaPorts } from "./hold.ts";
import {
  changeItem,
  changeKey,
  type Decision,
  heldPartitions,
  readChange,
  readHeld,
  type SchemaChange,
  STATUS_OF,
} from "./records.ts";

export interface DecisionPorts extends SchemaPorts {
  readonly catalog: Catalog;
  readonly queues: Queues;
}

export interface CarriedOut {
  readonly change: SchemaChange;
  /** Files that were released or rejected this time. */
  readonly released: number;
  /** Files that are seen to later: a loader is at work on them, or there was no time for them; then at least so many. */
  readonly left: number;
}

const TURNS_MAX = 8;
const FILES_AT_ONCE = 16;
/** Between looks at the clock. */
const FILES_AT_A_STRETCH = 256;

/** Puts the decision on record. Throws Invalid when there is nothing to decide, or the table cannot be made so. */
export async function decide(
  ports: DecisionPorts,
  place: { readonly ingestion: IngestionId; readonly target: TableName; readonly fingerprint: Fingerprint },
  decision: Omit<Decision, "atMs">,
): Promise<SchemaChange> {
  const { ingestion, target, fingerprint } = place;
  const item = await ports.ledger.read(changeKey(ingestion, fingerprint));
  if (item === undefined)
    throw new MoraineError("Invalid", "no such schema change; moraine schema list shows them", { fingerprint });
  const change = readChange(item);
  const last = change.decisions.at(-1);
  const isDecided = change.status !== "OPEN" && last !== undefined;
  if (isDecided && last.verdict === decision.verdict) return change;
  const table = await ports.catalog.load(target);
  if (table === undefined) throw new MoraineError("Invalid", "the table is gone", { table: tableIdOf(target) });
  // What the table has come to refuse can never be carried out: its files would wait for ever.
  if (isDecided && !isRefused(table.metadata, change)) {
    throw new MoraineError("Conflict", `the change was decided already: ${last.verdict} by ${last.by}`, {
      fingerprint,
    });
  }
  const status = STATUS_OF[decision.verdict];
  const differences = bindDifferences(table.metadata, status, change.differences);
  const decisions = [...change.decisions, { ...decision, atMs: ports.clock.now() }];
  const decided: SchemaChange = { ...change, status, differences, decisions };
  applyDecision(table.metadata, decided);
  const outcome = await writeItem(ports.ledger, changeItem(decided, ports.random.uuid() as Revision), item.revision);
  if (outcome.kind === "written") return decided;
  throw new MoraineError("Conflict", "somebody else decided at the same moment; look again", { fingerprint });
}

function isRefused(metadata: TableMetadata, change: SchemaChange): boolean {
  try {
    applyDecision(metadata, change);
    return false;
  } catch (error) {
    if (!isKind(error, "Invalid")) throw error;
    return true;
  }
}

/** Goes on with a decided change as far as it can be. Nothing new is begun after `deadlineMs`. */
export async function carryOut(
  ports: DecisionPorts,
  settings: Pick<Settings, "functionLifetimeMs">,
  target: TableName,
  change: SchemaChange,
  deadlineMs = Number.POSITIVE_INFINITY,
): Promise<CarriedOut> {
  if (change.carriedOutAtMs !== undefined) return { change, released: 0, left: 0 };
  await changeTable(ports, target, change);
  const { released, left } = await releaseHeld(ports, change, deadlineMs);
  const key = changeKey(change.ingestion, change.fingerprint);
  const item = await ports.ledger.read(key);
  if (item === undefined) return { change, released, left };
  const now = readChange(item);
  if (now.status !== change.status) return { change: now, released, left };
  const nowMs = ports.clock.now();
  const isQuiet = (change.decisions.at(-1)?.atMs ?? 0) + settings.functionLifetimeMs <= nowMs;
  const soFar: SchemaChange = {
    ...now,
    released: (now.released ?? 0) + released,
    ...(left > 0 || !isQuiet ? {} : { carriedOutAtMs: nowMs }),
  };
  if (released === 0 && soFar.carriedOutAtMs === undefined) return { change, released, left };
  // Refused: somebody else is carrying it out too, and comes to the same end.
  await writeItem(ports.ledger, changeItem(soFar, ports.random.uuid() as Revision), item.revision);
  return { change: soFar, released, left };
}

async function changeTable(ports: DecisionPorts, target: TableName, change: SchemaChange): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    const table = await ports.catalog.load(target);
    if (table === undefined) throw new MoraineError("Invalid", "the table is gone", { table: tableIdOf(target) });
    const { metadata } = table;
    const applied = applyDecision(metadata, change);
    if (applied.lastColumnId === metadata["last-column-id"] && sameSchema(currentSchema(metadata), applied.schema))
      return;
    const outcome = await commitSchema(ports.catalog, table, { ...applied, changed: true });
    if (outcome.kind === "conflict") continue;
    const { ingestion, table: tableId, fingerprint } = change;
    const schemaId = outcome.table.metadata["current-schema-id"];
    const changes = alterationsOf(currentSchema(metadata), currentSchema(outcome.table.metadata));
    await noteVersion(ports, { ingestion, table: tableId, schemaId, atMs: ports.clock.now(), changes, fingerprint });
    return;
  }
  throw new MoraineError("Unavailable", "table keeps changing while a decision is applied", { table: change.table });
}

async function releaseHeld(
  ports: DecisionPorts,
  change: SchemaChange,
  deadlineMs: number,
): Promise<{ readonly released: number; readonly left: number }> {
  const counts = { released: 0, busy: 0, gone: 0 };
  const release = async (items: LedgerItem[]) => {
    const outcomes = await mapLimit(items.splice(0), FILES_AT_ONCE, (item) => releaseFile(ports, change, item));
    for (const outcome of outcomes) counts[outcome]++;
  };
  for (const partition of heldPartitions(change.ingestion, change.fingerprint)) {
    const items: LedgerItem[] = [];
    for await (const item of ports.ledger.list(partition, "")) {
      if (items.length === 0 && ports.clock.now() >= deadlineMs)
        return { released: counts.released, left: counts.busy + 1 };
      if (items.push(item) === FILES_AT_A_STRETCH) await release(items);
    }
    await release(items);
  }
  return { released: counts.released, left: counts.busy };
}

/** busy: a loader has the file, and may yet put it on hold; the item stays until it is known. */
async function releaseFile(
  ports: DecisionPorts,
  change: SchemaChange,
  item: LedgerItem,
): Promise<"released" | "busy" | "gone"> {
  const { ledger, queues, random } = ports;
  const { bucket, key } = readHeld(item);
  const fileEntry = await ledger.read(fileKey(change.ingestion, bucket, key));
  const file = fileEntry && readFile(fileEntry);
  if (fileEntry === undefined || file === undefined) return forget(ledger, item, "gone");
  if (file.status === "PROCESSING") return "busy";
  const isHeld = file.reason === "SCHEMA_HELD" && file.fingerprint === change.fingerprint;
  const isReleased = file.reason === "SCHEMA_RELEASED" && file.fingerprint === change.fingerprint;
  if (!isHeld && !isReleased) return forget(ledger, item, "gone");
  if (isHeld) {
    const decided = await writeItem(
      ledger,
      fileItem(decidedFile(ports, change, file), random.uuid() as Revision),
      fileEntry.revision,
    );
    if (decided.kind === "refused") return "busy";
  }
  if (change.status !== "REJECTED") await queues.sendIntake([formatIntake([{ bucket, key, version: file.version }])]);
  return forget(ledger, item, "released");
}

function decidedFile({ clock }: DecisionPorts, change: SchemaChange, file: FileRecord): FileRecord {
  const { error, ...rest } = file;
  if (change.status === "REJECTED") {
    const message = rejectedText(change);
    return {
      ...rest,
      status: "REJECTED",
      reason: "SCHEMA_REJECTED",
      processedAtMs: clock.now(),
      error: { kind: "Rejected", message },
    };
  }
  return { ...rest, status: "DISCOVERED", reason: "SCHEMA_RELEASED", ...(error === undefined ? {} : { error }) };
}

/** Why files of the change were rejected, in words. */
export function rejectedText({ fingerprint, differences, decisions }: SchemaChange): string {
  const last = decisions.at(-1);
  const because = last?.why === undefined ? "" : `: ${last.why}`;
  return `schema change ${fingerprint} was rejected by ${last?.by ?? "somebody"}${because} (${differencesText(differences)})`;
}

async function forget<T>(ledger: Ledger, item: LedgerItem, outcome: T): Promise<T> {
  await removeItem(ledger, item.key, item.revision);
  return outcome;
}
