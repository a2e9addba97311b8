// Both queues in memory: what was sent, in order, for a test or a simulator to deliver as it likes (SQS promises neither
// order nor once for the intake queue). The commit queue is FIFO: a hint with the same `once` counts once in five minutes.

import { MoraineError } from "../../lambdas/core/errors.ts";
import { type TableName, tableIdOf } from "../../lambdas/core/ids.ts";
import type { Clock, Queues } from "../../lambdas/core/ports.ts";

const MESSAGE_BYTES_MAX = 256 * 1024;
const DEDUPLICATION_MS = 5 * 60 * 1000;

export class MemoryQueues implements Queues {
  /** Bodies not taken yet. */
  readonly intake: string[] = [];
  /** Hints not taken yet. */
  readonly hints: TableName[] = [];
  readonly calls = new Map<string, number>();
  readonly #clock: Clock;
  readonly #acceptedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async sendIntake(bodies: readonly string[]): Promise<void> {
    this.#count("sendIntake");
    for (const body of bodies) {
      const sizeBytes = Buffer.byteLength(body);
      if (sizeBytes > MESSAGE_BYTES_MAX || sizeBytes === 0) {
        const facts = { sizeBytes, sizeBytesMax: MESSAGE_BYTES_MAX };
        throw new MoraineError("Invalid", "a message must have between one byte and the queue's limit", facts);
      }
    }
    this.intake.push(...bodies);
  }

  async hintCommit(table: TableName, once: string): Promise<void> {
    this.#count("hintCommit");
    const id = `${tableIdOf(table)}\n${once}`;
    const nowMs = this.#clock.now();
    const acceptedMs = this.#acceptedMs.get(id);
    if (acceptedMs !== undefined && nowMs - acceptedMs < DEDUPLICATION_MS) return;
    this.#acceptedMs.set(id, nowMs);
    this.hints.push({ database: table.database, table: table.table });
  }

  #count(method: string): void {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
  }
}
