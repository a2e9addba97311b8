// What checking needs around it, on fakes.

import type { Ingestion } from "../../../lambdas/core/config.ts";
import type { CheckContext } from "../../../lambdas/core/discovery/check.ts";
import type { RunInput } from "../../../lambdas/core/discovery/model.ts";
import type { Revision, TableId } from "../../../lambdas/core/ids.ts";
import type { ListedObject } from "../../../lambdas/core/ports.ts";
import { type FileRecord, fileItem } from "../../../lambdas/core/records.ts";
import { createRouter } from "../../../lambdas/core/routing.ts";
import { ManualClock } from "../../fakes/manual-clock.ts";
import { MemoryEventSink } from "../../fakes/memory-event-sink.ts";
import { MemoryLedger } from "../../fakes/memory-ledger.ts";
import { BUCKET, ingestionOf } from "../core/harness.ts";

export const TABLE = "db.orders" as TableId;

export interface CheckSetUp {
  readonly context: CheckContext;
  readonly ledger: MemoryLedger;
  readonly clock: ManualClock;
  readonly sink: MemoryEventSink;
}

export function setUpCheck(
  changes: Partial<Omit<CheckContext, "input" | "ports">> & { readonly input?: Partial<RunInput> } = {},
  ingestion: Ingestion = ingestionOf("orders"),
): CheckSetUp {
  const { input, ...rest } = changes;
  const [ledger, clock, sink] = [new MemoryLedger(), new ManualClock(), new MemoryEventSink()];
  const context: CheckContext = {
    ports: { ledger, clock, events: sink },
    ingestion,
    route: createRouter([ingestion]),
    input: inputOf(ingestion, input),
    runId: "run-1",
    assumptions: {},
    ...rest,
  };
  return { context, ledger, clock, sink };
}

function inputOf(ingestion: Ingestion, changes: Partial<RunInput> = {}): RunInput {
  return {
    ingestion: ingestion.id,
    listing: { strategy: "full" },
    scope: {},
    dryRun: false,
    checkAll: false,
    trigger: "command",
    concurrency: 1,
    ...changes,
  };
}

/** The record of a listed object that loaded. */
export function recordOf(object: ListedObject, changes: Partial<FileRecord> = {}): FileRecord {
  const version = { etag: object.etag, sizeBytes: object.sizeBytes, timeMs: object.lastModifiedMs };
  const batch = "b" as FileRecord["batch"];
  const status = changes.status ?? "SUCCESS";
  const loaded = { version, batch, records: 1, bytesRead: 1, seq: 1, processedAtMs: 0 };
  return {
    ingestion: ingestionOf("orders").id,
    table: TABLE,
    bucket: BUCKET,
    key: object.key,
    status,
    version,
    batch,
    batchFiles: 1,
    attempts: 1,
    deaths: 0,
    discoveredAtMs: 0,
    startedAtMs: 0,
    ...(status === "SUCCESS" ? { loaded } : {}),
    ...changes,
  };
}

export async function record(ledger: MemoryLedger, file: FileRecord): Promise<void> {
  await ledger.write(fileItem(file, "r" as Revision), "absent");
}
