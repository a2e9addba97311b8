// From messages to batches, without touching anything: parse, route, merge what names the same file, and cut into batches
// that stay under the limits. Files that came back before travel in smaller company, so that one that kills the function is
// alone with itself by its third delivery.

import type { Ingestion } from "./config.ts";
import { type ObjectEvent, parseIntake } from "./events.ts";
import { needsBody } from "./object-rows.ts";
import type { Router } from "./routing.ts";
import type { Settings } from "./settings.ts";
import { isLater, relateVersions } from "./versions.ts";

export interface LoadMessage {
  readonly id: string;
  readonly body: string;
  /** Deliveries of this message so far, this one included. */
  readonly receiveCount: number;
}

/** One file to take up, and the messages that wait for its fate. */
export interface Task {
  readonly event: ObjectEvent;
  readonly ingestion: Ingestion;
  readonly messageIds: readonly string[];
  /** Most deliveries of any of these messages: they end among the dead letters. */
  readonly receives: number;
  /** Deliveries of the file so far, this one included, by whatever message; but for those that had no time for it. */
  readonly deliveries: number;
}

export interface PlannedBatch {
  readonly ingestion: Ingestion;
  readonly tasks: readonly Task[];
}

export interface LoadPlan {
  readonly batches: readonly PlannedBatch[];
  /** Messages that cannot be understood: they go back, and so to the dead-letter queue. */
  readonly invalid: readonly string[];
  readonly errors: readonly unknown[];
  readonly unrouted: number;
}

export function planLoad(route: Router, settings: Settings, messages: readonly LoadMessage[]): LoadPlan {
  const rounds: Map<string, Task>[] = [];
  const invalid: string[] = [];
  const errors: unknown[] = [];
  let unrouted = 0;
  for (const message of messages) {
    try {
      const intake = parseIntake(message.body);
      for (const event of intake.kind === "events" ? intake.events : []) {
        const ingestion = route(event.bucket, event.key);
        if (ingestion === undefined) unrouted++;
        else if (!rounds.some((tasks) => mergeTask(tasks, message, event, ingestion))) {
          const tasks = new Map<string, Task>();
          mergeTask(tasks, message, event, ingestion);
          rounds.push(tasks);
        }
      }
    } catch (error) {
      invalid.push(message.id);
      errors.push(error);
    }
  }
  const batches = rounds.flatMap((tasks) => cutBatches([...tasks.values()], settings));
  return { batches, invalid, errors, unrouted };
}

/**
 * Several events of one key in one delivery: the latest version is the one worth reading, and decides for all. false: which one
 * that is cannot be told (one is from a listing), and a wrong guess would acknowledge the newer one unread. Then its turn comes in
 * another round, when the fate of the first is on record.
 */
function mergeTask(tasks: Map<string, Task>, message: LoadMessage, event: ObjectEvent, ingestion: Ingestion): boolean {
  const key = `${ingestion.id}\n${event.bucket}/${event.key}`;
  // The message's first delivery is the event's `attempt`-th.
  const deliveries = message.receiveCount - 1 + Math.max(event.attempt ?? 1, 1);
  const other = tasks.get(key);
  if (other === undefined) {
    tasks.set(key, { event, ingestion, messageIds: [message.id], receives: message.receiveCount, deliveries });
    return true;
  }
  if (relateVersions(other.event.version, event.version) === "unclear") return false;
  const latest = isLater(other.event.version, event.version) ? event : other.event;
  const messageIds = [...new Set([...other.messageIds, message.id])];
  tasks.set(key, {
    event: latest,
    ingestion,
    messageIds,
    receives: Math.max(other.receives, message.receiveCount),
    deliveries: Math.max(other.deliveries, deliveries),
  });
  return true;
}

function cutBatches(tasks: readonly Task[], settings: Settings): PlannedBatch[] {
  const batches: { ingestion: Ingestion; tasks: Task[]; bytes: number; keyBytes: number; company: number }[] = [];
  for (const task of tasks) {
    const company = companyMax(task);
    // The key stands in the batch item twice: among the files intended and among those staged, with some facts that deflate badly.
    const keyBytes = 2 * Buffer.byteLength(task.event.key) + 160;
    const { sizeBytes } = task.event.version;
    const bytes = needsBody(task.ingestion.format, sizeBytes) ? sizeBytes : 0;
    const open = batches.findLast((batch) => batch.ingestion === task.ingestion && batch.company === company);
    const fits =
      open !== undefined &&
      open.tasks.length < company &&
      open.bytes + bytes <= task.ingestion.batch.bytesMax &&
      open.keyBytes + keyBytes <= settings.batchKeyBytesMax;
    if (!fits) {
      batches.push({ ingestion: task.ingestion, tasks: [task], bytes, keyBytes, company });
      continue;
    }
    open.tasks.push(task);
    open.bytes += bytes;
    open.keyBytes += keyBytes;
  }
  // Fresh files first: those that came back may end this function.
  return batches.sort((a, b) => b.company - a.company);
}

/** 1,000, then 32, then 1: the whole batch, its square root, alone. */
function companyMax({ deliveries, ingestion }: Task): number {
  if (deliveries <= 1) return ingestion.batch.filesMax;
  return deliveries === 2 ? Math.ceil(Math.sqrt(ingestion.batch.filesMax)) : 1;
}
