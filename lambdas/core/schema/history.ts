// Reading what became of an ingestion's schema: its changes, the files they hold, and the versions that came of them.

import type { IngestionId, Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { Ledger } from "../ports.ts";
import type { SchemaPorts } from "./hold.ts";
import {
  CHANGE_PREFIX,
  heldPartitions,
  readChange,
  readHeld,
  readVersion,
  type SchemaChange,
  type SchemaVersion,
  schemaPartition,
  VERSION_PREFIX,
  versionItem,
} from "./records.ts";

export async function changesOf(ledger: Ledger, ingestion: IngestionId): Promise<SchemaChange[]> {
  const changes: SchemaChange[] = [];
  for await (const item of ledger.list(schemaPartition(ingestion), CHANGE_PREFIX)) changes.push(readChange(item));
  return changes;
}

export async function versionsOf(ledger: Ledger, ingestion: IngestionId): Promise<SchemaVersion[]> {
  const versions: SchemaVersion[] = [];
  for await (const item of ledger.list(schemaPartition(ingestion), VERSION_PREFIX)) versions.push(readVersion(item));
  return versions;
}

/** Of one version. A table may get thousands of columns at once. */
const TEXTS_MAX = 200;

/** A note for people: the table's metadata is the truth, so a crash before it loses nothing else. */
export async function noteVersion(
  { ledger, random }: Pick<SchemaPorts, "ledger" | "random">,
  version: SchemaVersion,
): Promise<void> {
  const { changes } = version;
  const more = changes.length > TEXTS_MAX ? [`and ${changes.length - TEXTS_MAX} more`] : [];
  const noted = { ...version, changes: [...changes.slice(0, TEXTS_MAX), ...more] };
  await writeItem(ledger, versionItem(noted, random.uuid() as Revision), "absent");
}

export interface HeldCount {
  readonly files: number;
  readonly rows: number;
  /** There are more than were counted. */
  readonly capped: boolean;
}

export async function countHeld(ledger: Ledger, change: SchemaChange, filesMax: number): Promise<HeldCount> {
  let files = 0;
  let rows = 0;
  for (const partition of heldPartitions(change.ingestion, change.fingerprint)) {
    for await (const item of ledger.list(partition, "")) {
      if (files === filesMax) return { files, rows, capped: true };
      files++;
      rows += readHeld(item).records ?? 0;
    }
  }
  return { files, rows, capped: false };
}
