// Holding a file until a person has decided about the way in which it differs from its table.
//
// Invariant: a file is SKIPPED as SCHEMA_HELD only after its held item was written, by a function that has seen the change open. A decision
// is carried out for good only when no such function can be alive (carry-out.ts): so no file waits for one that was made.

import type { DraftField } from "../iceberg/types.ts";
import { type Fingerprint, objectUri, type Revision } from "../ids.ts";
import { writeItem } from "../ledger-writes.ts";
import type { Clock, Ledger, Random } from "../ports.ts";
import type { FileRecord } from "../records.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { changeItem, type HeldDifference, heldItem, readChange, type SchemaChange } from "./records.ts";

/** Of one change. A file with more of them asks about the rest when these are decided. */
const DIFFERENCES_MAX = 200;

export interface SchemaPorts {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
}

export interface BreakingFile {
  readonly file: FileRecord;
  readonly differences: readonly HeldDifference[];
  readonly fields: readonly DraftField[];
  readonly records?: number;
}

export type HoldOutcome =
  | { readonly kind: "held"; readonly fingerprint: Fingerprint }
  | { readonly kind: "rejected"; readonly fingerprint: Fingerprint }
  /** It was decided otherwise in between: the file is to be looked at again. */
  | { readonly kind: "again" };

export async function holdFile(ports: SchemaPorts, breaking: BreakingFile): Promise<HoldOutcome> {
  const { file, records } = breaking;
  const fingerprint = fingerprintOf(file.ingestion, breaking.differences);
  const known = await openChange(ports, breaking, fingerprint);
  if (known === undefined) return { kind: "again" };
  if (known.status === "REJECTED") return { kind: "rejected", fingerprint };
  const { ingestion, bucket, key, version } = file;
  const heldAtMs = ports.clock.now();
  const counted = records === undefined ? {} : { records };
  const held = { ingestion, fingerprint, bucket, key, etag: version.etag, heldAtMs, ...counted };
  // Refused: there is one already, which says the same.
  await writeItem(ports.ledger, heldItem(held, ports.random.uuid() as Revision), "absent");
  return { kind: "held", fingerprint };
}

/** The change, OPEN or REJECTED; undefined: it was decided otherwise, and the table is about to be what the file wants. */
async function openChange(
  ports: SchemaPorts,
  { file, differences, fields }: BreakingFile,
  fingerprint: Fingerprint,
): Promise<SchemaChange | undefined> {
  const { ledger, clock, random } = ports;
  const fresh: SchemaChange = {
    ingestion: file.ingestion,
    table: file.table,
    fingerprint,
    status: "OPEN",
    differences: differences.slice(0, DIFFERENCES_MAX),
    fields,
    firstFile: objectUri(file.bucket, file.key),
    openedAtMs: clock.now(),
    decisions: [],
  };
  const written = await writeItem(ledger, changeItem(fresh, random.uuid() as Revision), "absent");
  if (written.kind === "written") return fresh;
  if (written.current === undefined) return undefined;
  const known = readChange(written.current);
  if (known.status === "OPEN" || known.status === "REJECTED") return known;
  if (known.carriedOutAtMs === undefined) return undefined;
  // Carried out, and here it is again: the table went back, and it has to be decided anew.
  const again = { ...fresh, decisions: known.decisions };
  const reopened = await writeItem(ledger, changeItem(again, random.uuid() as Revision), written.current.revision);
  return reopened.kind === "written" ? again : undefined;
}
